package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	send    = "53454e440a64657374696e6174696f6e3a2f710a0a686900" // SEND, destination:/q, hi
	sendOut = `{"command":"SEND","headers":[["destination","/q"]],"body":"hi"}` + "\n"
)

func TestDecodeInput(t *testing.T) {
	colons := ""
	for i := 0; i < len(send); i += 2 {
		colons += send[i:i+2] + ":"
	}
	for name, c := range map[string]struct {
		stdin string
		args  []string
		code  int
		out   string
	}{
		"argument":        {"", []string{send}, 0, sendOut},
		"upper case":      {"", []string{strings.ToUpper(send)}, 0, sendOut},
		"colons":          {"", []string{strings.TrimSuffix(colons, ":")}, 0, sendOut},
		"blanks":          {"", []string{send[:8] + " " + send[8:20] + "\t" + send[20:] + "\n"}, 0, sendOut},
		"arguments":       {"", []string{send[:8], send[8:]}, 0, sendOut},
		"standard input":  {send[:10] + "\r\n" + send[10:] + "\n", []string{"-"}, 0, sendOut},
		"two frames":      {"", []string{send + "0a0a" + send + "0a"}, 0, sendOut + sendOut},
		"only heartbeats": {"", []string{"0a0d0a"}, 0, ""},
		"incomplete":      {"", []string{send[:20]}, 2, ""},
		"frame and half":  {"", []string{send + send[:20]}, 2, sendOut},
		"frame and wrong": {"", []string{send + "5858580a0a00"}, 1, sendOut},
		"no hex":          {"", []string{"xyz"}, 1, ""},
		"odd":             {"", []string{send[1:]}, 1, ""},
		"nothing":         {"", nil, 1, ""},
		"no input":        {"", []string{"-"}, 1, ""},
		"version":         {"", []string{"--version", "1.3", send}, 1, ""},
	} {
		code, stdout, stderr := sluice(t, c.stdin, append([]string{"decode", "stomp"}, c.args...)...)
		require.Equal(t, c.code, code, "%s: %s", name, stderr)
		require.Equal(t, c.out, stdout, name)
		require.Equal(t, code == 0, stderr == "", name)
	}
}

func TestDecodeSaysWhy(t *testing.T) {
	_, _, stderr := sluice(t, "", "decode", "stomp", send[:20])
	require.Equal(t, "sluice: incomplete: the frame goes on\n", stderr)
	_, _, stderr = sluice(t, "", "decode", "stomp", "5858580a0a00")
	require.Contains(t, stderr, "sluice: refused: ")
	_, _, stderr = sluice(t, "", "decode", "stomp", "--version", "1.3", send)
	require.Contains(t, stderr, `unknown version "1.3"`)
	_, stdout, _ := sluice(t, "", "decode", "stomp", hex.EncodeToString([]byte("CONNECT\nlogin:u\npasscode:hunter2\n\n\x00")))
	require.NotContains(t, stdout, "hunter2")
}

// Escapes depend on the version.
func TestDecodeVersions(t *testing.T) {
	frame := hex.EncodeToString([]byte("SEND\ndestination:/q\nk:a\\cb\\rc\n\n\x00"))
	for version, want := range map[string]struct {
		code  int
		value string
	}{"1.0": {0, `a\cb\rc`}, "1.1": {1, ""}, "1.2": {0, "a:b\rc"}} {
		code, stdout, _ := sluice(t, "", "decode", "stomp", "--version", version, frame)
		require.Equal(t, want.code, code, version)
		if code == 0 {
			var got struct{ Headers [][2]string }
			require.NoError(t, json.Unmarshal([]byte(stdout), &got))
			require.Equal(t, want.value, got.Headers[1][1], version)
		}
	}
}

type vector struct {
	Name, Version, Hex, Expect string
	Decoded                    struct {
		Error  string
		Frames []struct {
			Command string
			Headers [][2]string
			BodyHex string `json:"body_hex"`
		}
	}
}

func (v vector) code() int {
	switch {
	case v.Expect == "ok":
		return 0
	case v.Decoded.Error == "incomplete":
		return 2
	}
	return 1
}

// One JSON object a frame, for all that the wire package knows.
func TestDecodeVectors(t *testing.T) {
	f, err := os.Open("../../pkg/wire/stomp/testdata/stomp.jsonl")
	require.NoError(t, err)
	defer f.Close()
	codes := map[int]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var v vector
		require.NoError(t, json.Unmarshal(lines.Bytes(), &v))
		code, stdout, stderr := sluice(t, v.Hex, "decode", "stomp", "--version", v.Version, "-")
		require.Equal(t, v.code(), code, "%s: %s", v.Name, stderr)
		codes[code]++

		objects := strings.SplitAfter(stdout, "\n")
		require.Empty(t, objects[len(objects)-1], "each ends with a line feed")
		require.Len(t, objects[:len(objects)-1], len(v.Decoded.Frames), v.Name)
		for i, want := range v.Decoded.Frames {
			var got struct {
				Command string
				Headers [][2]string
				Body    string
				BodyHex string `json:"body_hex"`
			}
			require.NoError(t, json.Unmarshal([]byte(objects[i]), &got))
			for j := range want.Headers {
				if want.Headers[j][0] == "passcode" {
					want.Headers[j][1] = "***"
				}
			}
			if got.BodyHex == "" {
				got.BodyHex = hex.EncodeToString([]byte(got.Body))
			}
			require.Equal(t, want.Command, got.Command, v.Name)
			require.Equal(t, want.BodyHex, got.BodyHex, v.Name)
			require.Equal(t, append([][2]string{}, want.Headers...), append([][2]string{}, got.Headers...), v.Name)
		}
	}
	require.Equal(t, map[int]int{0: 70, 1: 20, 2: 6}, codes)
}
