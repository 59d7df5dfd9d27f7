package config

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecretNeverShows(t *testing.T) {
	const secret = Secret("hunter2")
	type inside struct {
		Login    string
		Passcode Secret
		Ptr      *Secret
		Many     map[string]Secret
	}
	p := secret
	values := map[string]any{
		"plain": secret, "pointer": &p, "list": []Secret{secret},
		"struct": inside{"guest", secret, &p, map[string]Secret{"k": secret}}, "to struct": &inside{"guest", secret, &p, nil},
		"in an error": errors.Join(fmt.Errorf("no %v", secret)),
	}
	for name, v := range values {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %[1]v", "%20s", "%!"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, v)
		b, err := json.Marshal(v)
		require.NoError(t, err)
		out.Write(b)
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(h).Info("x", "v", v, slog.Group("g", "v", v))
		}
		require.NotContains(t, out.String(), "hunter2", name)
		require.NotContains(t, out.String(), "68756e74657232", name, "in hex")
		require.NotContains(t, out.String(), "68756E74657232", name, "in hex")
		require.Contains(t, out.String(), "***", name)
	}
	require.Equal(t, "hunter2", secret.Reveal())
}

func TestSecretShowsWhetherThereIsOne(t *testing.T) {
	require.Equal(t, "|***", fmt.Sprintf("%s|%s", Secret(""), Secret("x")))
	require.Equal(t, "***", Secret("x").String())
	require.Equal(t, "***", Secret("x").GoString())
	var text encoding.TextMarshaler = Secret("x")
	b, err := text.MarshalText()
	require.NoError(t, err)
	require.Equal(t, "***", string(b))
}

func TestSecretInErrors(t *testing.T) {
	type conf struct {
		Pass Secret `conf:"pass"`
	}
	err := decode(t, "pass: 123456", &conf{})
	require.EqualError(t, err, "f.conf:1: pass: must be a string in quotes, not a number")
}
