package jt808

import (
	"fmt"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// fromGBK never fails: bytes that are no GBK are replaced by U+FFFD. GB18030 is a
// superset, and what terminals of today send.
func fromGBK(raw []byte) string {
	out, err := simplifiedchinese.GB18030.NewDecoder().Bytes(raw)
	if err != nil {
		return string(raw)
	}
	return string(out)
}

func toGBK(text string) ([]byte, error) {
	out, err := simplifiedchinese.GBK.NewEncoder().Bytes([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("not in GBK: %w", err)
	}
	return out, nil
}
