package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDecodeMQTTSN(t *testing.T) {
	for in, want := range map[string]struct {
		code int
		out  string
	}{
		"0b16 73656e736f722d3031":  {0, `{"client_id":"sensor-01","type":"PINGREQ"}`},
		"06fe010a0b0c020204":       {1, ""},
		"06fe010a0b0c 0216":        {0, `{"type":"ENCAPSULATED","by":{"node_id_hex":"0a0b0c","radius":1},"inner":{"type":"PINGREQ"}}`},
		"08130000010002":           {2, ""},
		"0317aa":                   {1, ""},
		"0c0cd00102123468656c6c6f": {0, `{"data_hex":"68656c6c6f","flags":{"clean":0,"dup":1,"qos":2,"retain":1,"topic_id_type":0,"will":0},"msg_id":4660,"topic_id":258,"type":"PUBLISH"}`},
	} {
		var out, errs bytes.Buffer
		code := execute(t.Context(), []string{"sluice", "decode", "mqttsn", in}, strings.NewReader(""), &out, &errs)
		require.Equal(t, want.code, code, "%s: %s", in, errs.String())
		require.Equal(t, want.out, strings.TrimSpace(out.String()), in)
		require.Equal(t, want.code != 0, errs.Len() > 0, in)
	}
}
