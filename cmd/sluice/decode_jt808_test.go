package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDecodeJT808(t *testing.T) {
	const response = `{"header":{"msg_id":1,"encrypt":0,"len":5,"phone":"013912344323","msg_sn":0},"body":{"seq":0,"id":33027,"result":0}}`
	for in, want := range map[string]struct {
		code int
		out  string
	}{
		"7e 0001 0005 013912344323 0000 0000810300 f8 7e":                                   {0, response},
		"7e000100050139123443230000 0000810300f87e 0001000501391234432300000000810300f87e":  {0, response + "\n" + response}, // one flag between them
		"7e00010005013912344323000000008103 00f87e7e0001000501391234432300000000810300f97e": {1, response},                   // a wrong check
		"7e000100050139123443230000":                                                        {2, ""},
		"0001":                                                                              {1, ""},
		"7e7e7e":                                                                            {0, ""},
		"7e 8300 000c 012345678900 0001 01 c4e3bac3 2d 68656c6c6f21 00 7e":                  {1, ""}, // length
	} {
		var out, errs bytes.Buffer
		code := execute(t.Context(), []string{"sluice", "decode", "jt808", in}, strings.NewReader(""), &out, &errs)
		require.Equal(t, want.code, code, "%s: %s", in, errs.String())
		require.Equal(t, want.out, strings.TrimSpace(out.String()), in)
	}
	var out, errs bytes.Buffer
	code := execute(t.Context(), []string{"sluice", "decode", "jt808", "--edition", "2015", "7e00010005013912344323000000008103 00f87e"}, strings.NewReader(""), &out, &errs)
	require.Equal(t, 1, code)
	require.Contains(t, errs.String(), "2015")
}
