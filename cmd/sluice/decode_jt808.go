package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"sluice/pkg/wire/jt808"
)

// flag808 begins and ends a frame of JT/T 808.
const flag808 = 0x7E

var flags808 = []cli.Flag{
	&cli.StringFlag{Name: "edition", Usage: "2011, 2013 or 2019; as the frame looks if it is not given"},
	&cli.BoolFlag{Name: "utf8", Usage: "text is UTF-8, not GBK"},
}

// decodeJT808 reads one frame between two flags. The second is left: it may be
// the first one of the next frame.
func decodeJT808(c *cli.Context, b []byte) (any, int, error) {
	start := bytes.IndexByte(b, flag808)
	if start < 0 && len(b) > 0 {
		return nil, 0, fmt.Errorf("no frame: there is no 7E")
	}
	for start >= 0 && start+1 < len(b) && b[start+1] == flag808 {
		start++
	}
	if start+1 >= len(b) {
		return nil, 0, io.EOF
	}
	end := bytes.IndexByte(b[start+1:], flag808)
	if end < 0 {
		return nil, 0, errIncomplete
	}
	n := start + 1 + end
	text, err := jsonOf808(c, b[start:n+1])
	if err == nil && n+1 == len(b) {
		n++
	}
	return json.RawMessage(text), n, err
}

func jsonOf808(c *cli.Context, frame []byte) ([]byte, error) {
	s := jt808.NewSplitter(len(frame))
	s.Feed(frame)
	content, err, _ := s.Next()
	if err != nil {
		return nil, err
	}
	f, err := jt808.Parse(content)
	if err != nil {
		return nil, err
	}
	ed := jt808.GuessEdition(f.Header, f.Body)
	if name := c.String("edition"); name != "" {
		all := []string{"2011", "2013", "2019"}
		i := slices.Index(all, name)
		if i < 0 {
			return nil, fmt.Errorf("edition %q is none of %v", name, all)
		}
		ed = jt808.Edition2011 + jt808.Edition(i)
	}
	return jt808.AppendJSON(nil, f, ed, jt808.Options{GBK: !c.Bool("utf8")})
}
