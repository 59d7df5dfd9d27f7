package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"
)

// table is rows under a header; without one it is names and values.
type table struct {
	header []string
	rows   [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// show prints v as JSON, or the tables.
func (x *ctl) show(v any, tables ...table) error {
	if x.json {
		return x.encode(v)
	}
	for i, t := range tables {
		if i > 0 {
			if err := x.say(""); err != nil {
				return err
			}
		}
		if err := t.write(x.out); err != nil {
			return err
		}
	}
	return nil
}

func (x *ctl) encode(v any) error {
	e := json.NewEncoder(x.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func (x *ctl) say(line string) error {
	_, err := fmt.Fprintln(x.out, line)
	return err
}

func (t table) write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	rows := t.rows
	if t.header != nil {
		rows = append([][]string{t.header}, rows...)
	}
	for _, r := range rows {
		for i, cell := range r {
			r[i] = orDash(clean(cell))
		}
		if _, err := fmt.Fprintln(w, strings.Join(r, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// clean makes control characters visible: devices choose their ids, and a
// terminal obeys what it is sent.
func clean(s string) string {
	if utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	q := strconv.QuoteToGraphic(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
