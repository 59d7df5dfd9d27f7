package stomp_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/stomp"
)

type vector struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Hex     string `json:"hex"`
	Expect  string `json:"expect"`
	Decoded struct {
		Error  string `json:"error"`
		Frames []struct {
			Command   string            `json:"command"`
			Headers   [][2]string       `json:"headers"`
			Effective map[string]string `json:"effective"`
			BodyHex   string            `json:"body_hex"`
		} `json:"frames"`
	} `json:"decoded"`

	data []byte
	v    stomp.Version
}

// incomplete vectors are prefixes: the parser must wait, not refuse.
func (v *vector) incomplete() bool { return v.Decoded.Error == "incomplete" }

func (v *vector) frames(t testing.TB) []stomp.Frame {
	var frames []stomp.Frame
	for _, want := range v.Decoded.Frames {
		f := stomp.Frame{Command: want.Command}
		for _, h := range want.Headers {
			f.Headers = append(f.Headers, stomp.Header{Name: h[0], Value: h[1]})
		}
		body, err := hex.DecodeString(want.BodyHex)
		require.NoError(t, err)
		if len(body) > 0 {
			f.Body = body
		}
		frames = append(frames, f)
	}
	return frames
}

func loadVectors(t testing.TB) []vector {
	file, err := os.Open("testdata/stomp.jsonl")
	require.NoError(t, err)
	defer file.Close()
	var all []vector
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var v vector
		require.NoError(t, json.Unmarshal(lines.Bytes(), &v))
		v.data, err = hex.DecodeString(v.Hex)
		require.NoError(t, err)
		var ok bool
		v.v, ok = stomp.ParseVersion(v.Version)
		require.True(t, ok, v.Name)
		all = append(all, v)
	}
	require.NoError(t, lines.Err())
	require.Len(t, all, 96)
	return all
}

// readAll reads frames until an error, which may be io.EOF.
func readAll(source io.Reader, v stomp.Version, l stomp.Limits) ([]stomp.Frame, error) {
	r := stomp.NewReader(source, l)
	r.SetVersion(v)
	var frames []stomp.Frame
	for {
		f, err := r.Read()
		if err != nil {
			return frames, err
		}
		frames = append(frames, f)
	}
}

// decodeAll does the same with Decode.
func decodeAll(b []byte, v stomp.Version, l stomp.Limits) ([]stomp.Frame, error) {
	var frames []stomp.Frame
	for {
		f, n, err := stomp.Decode(b, v, l)
		if err != nil {
			return frames, err
		}
		frames = append(frames, f)
		b = b[n:]
	}
}

func isRefusal(err error) bool {
	return errors.Is(err, stomp.ErrSyntax) || errors.Is(err, stomp.ErrTooLarge)
}

// sources cuts the data up in every way worth trying.
func sources(data []byte) map[string]func() io.Reader {
	return map[string]func() io.Reader{
		"whole":      func() io.Reader { return bytes.NewReader(data) },
		"one byte":   func() io.Reader { return iotest.OneByteReader(bytes.NewReader(data)) },
		"halves":     func() io.Reader { return iotest.HalfReader(bytes.NewReader(data)) },
		"data + eof": func() io.Reader { return iotest.DataErrReader(bytes.NewReader(data)) },
	}
}

func TestVectors(t *testing.T) {
	for _, v := range loadVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			decoded, decodeErr := decodeAll(v.data, v.v, stomp.Limits{})
			require.Equal(t, v.frames(t), decoded)
			for name, source := range sources(v.data) {
				frames, err := readAll(source(), v.v, stomp.Limits{})
				require.Equal(t, v.frames(t), frames, name)
				switch {
				case v.Expect == "ok":
					require.Equal(t, io.EOF, err, name)
					require.Equal(t, io.EOF, decodeErr)
				case v.incomplete():
					require.Equal(t, io.ErrUnexpectedEOF, err, name)
					require.Equal(t, stomp.ErrIncomplete, decodeErr)
				default:
					require.True(t, isRefusal(err), "%s: %v", name, err)
					require.EqualError(t, decodeErr, err.Error(), name)
				}
			}
			for i, f := range decoded {
				for name, value := range v.Decoded.Frames[i].Effective {
					got, ok := f.Lookup(name)
					require.True(t, ok)
					require.Equal(t, value, got)
					require.Equal(t, value, f.Get(name))
				}
			}
		})
	}
}

// The reason counts too, not only the refusal.
func TestVectorReasons(t *testing.T) {
	reasons := []struct {
		text string
		err  error
	}{
		{"NUL missing", stomp.ErrMissingNUL},
		{"content-length", stomp.ErrBadContentLength},
		{"body not allowed", stomp.ErrUnexpectedBody},
		{"undefined escape", stomp.ErrBadEscape},
		{"escape at end", stomp.ErrBadEscape},
		{"CR inside", stomp.ErrBadCR},
		{"unknown command", stomp.ErrUnknownCommand},
		{"empty header name", stomp.ErrEmptyHeaderName},
	}
	checked := 0
	for _, v := range loadVectors(t) {
		for _, reason := range reasons {
			if strings.HasPrefix(v.Decoded.Error, reason.text) {
				_, err := decodeAll(v.data, v.v, stomp.Limits{})
				require.ErrorIs(t, err, reason.err, v.Name)
				checked++
				break
			}
		}
	}
	require.Equal(t, 19, checked) // 26 errors - 6 incomplete - the NUL as first byte
}

// ends returns the offsets at which data may end cleanly and how many frames
// end before each.
func ends(t *testing.T, v vector) map[int]int {
	clean := map[int]int{0: 0}
	n, frames := 0, 0
	for {
		rest := v.data[n:]
		for i, c := range rest {
			if c != '\n' && c != '\r' {
				break
			}
			if c == '\n' {
				clean[n+i+1] = frames
			}
		}
		_, used, err := stomp.Decode(rest, v.v, stomp.Limits{})
		if err == io.EOF {
			return clean
		}
		require.NoError(t, err)
		n, frames = n+used, frames+1
		clean[n] = frames
	}
}

func TestEveryTruncation(t *testing.T) {
	for _, v := range loadVectors(t) {
		if v.Expect != "ok" {
			continue
		}
		clean, want := ends(t, v), v.frames(t)
		for cut := range v.data {
			frames, err := readAll(bytes.NewReader(v.data[:cut]), v.v, stomp.Limits{})
			_, decodeErr := decodeAll(v.data[:cut], v.v, stomp.Limits{})
			if _, ok := clean[cut]; ok {
				require.Equal(t, io.EOF, err, "%s cut at %d", v.Name, cut)
				require.Equal(t, io.EOF, decodeErr)
				require.Len(t, frames, clean[cut])
			} else {
				require.Equal(t, io.ErrUnexpectedEOF, err, "%s cut at %d", v.Name, cut)
				require.Equal(t, stomp.ErrIncomplete, decodeErr)
			}
			for i, f := range frames {
				require.Equal(t, want[i], f, "%s cut at %d", v.Name, cut)
			}
		}
	}
}

func TestEverySplit(t *testing.T) {
	for _, v := range loadVectors(t) {
		want, wantErr := readAll(bytes.NewReader(v.data), v.v, stomp.Limits{})
		for cut := range v.data {
			source := io.MultiReader(bytes.NewReader(v.data[:cut]), bytes.NewReader(v.data[cut:]))
			frames, err := readAll(source, v.v, stomp.Limits{})
			require.Equal(t, want, frames, "%s split at %d", v.Name, cut)
			require.Equal(t, wantErr.Error(), err.Error(), "%s split at %d", v.Name, cut)
		}
	}
}
