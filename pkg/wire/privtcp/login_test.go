package privtcp_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/privtcp"
)

func TestExtract(t *testing.T) {
	type spec = privtcp.ExtractSpec
	type field = privtcp.Field
	phone := spec{ClientID: field{Offset: 4, Length: 6, Text: privtcp.BCD}}
	login := fromHex(t, "0100 0000 013912345678 0001")
	comma := spec{
		ClientID: field{Offset: 6, Until: []byte(",")},
		Username: field{Offset: -4, Length: 2},
		Password: field{Offset: -2, Length: 2, Text: privtcp.Hex},
	}
	expr := spec{Regexp: `^LOGIN,(?P<clientid>[^,]+),(?P<password>[^,]*)(?:,(?P<username>\w+))?$`}
	binary := spec{Regexp: `(?s)^\xaa\x80.(?P<clientid>..)`, Text: privtcp.Hex}
	tests := []struct {
		name  string
		spec  spec
		frame string
		want  privtcp.Identity
		err   error
	}{
		{"bcd", phone, string(login), privtcp.Identity{ClientID: "013912345678"}, nil},
		{"not bcd", phone, "\x01\x00\x00\x00\x01\x39\x1a\x34\x56\x78", privtcp.Identity{}, privtcp.ErrText},
		{"short", phone, string(login[:9]), privtcp.Identity{}, privtcp.ErrShort},
		{"fields", comma, "LOGIN,dev-7,\x00\xab\xcd\x01\x02", privtcp.Identity{}, privtcp.ErrText},
		{"until and from the end", comma, "LOGIN,dev-7,me\x01\xff", privtcp.Identity{ClientID: "dev-7", Username: "me", Password: "01ff"}, nil},
		{"no end", comma, "LOGIN,dev-7", privtcp.Identity{}, privtcp.ErrShort},
		{"empty", comma, "LOGIN,,dev-7", privtcp.Identity{}, privtcp.ErrText},
		{"padding", spec{ClientID: field{Length: 6}}, " a b\x00\x00...", privtcp.Identity{ClientID: "a b"}, nil},
		{"only padding", spec{ClientID: field{Length: 6}}, "\x00\x00\x00\x00\x00 ", privtcp.Identity{}, privtcp.ErrText},
		{"before the frame", spec{ClientID: field{Offset: -4, Length: 2}}, "abc", privtcp.Identity{}, privtcp.ErrShort},
		{"expression", expr, "LOGIN,dev-7,hunter2,me", privtcp.Identity{ClientID: "dev-7", Username: "me", Password: "hunter2"}, nil},
		{"absent group", expr, "LOGIN,dev-7,", privtcp.Identity{ClientID: "dev-7"}, nil},
		{"no match", expr, "HELLO", privtcp.Identity{}, privtcp.ErrNoMatch},
		{"any byte", binary, "\xaa\x80\n\xff\x00\xc3\xa9", privtcp.Identity{ClientID: "ff00"}, nil},
		{"another byte", binary, "\xab\x80\n\xff\x00", privtcp.Identity{}, privtcp.ErrNoMatch},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := privtcp.NewExtract(tt.spec)
			require.NoError(t, err)
			got, err := e.From([]byte(tt.frame))
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, tt.want, got)
			if err != nil {
				require.NotContains(t, err.Error(), "dev-7")
			}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
				require.NotContains(t, fmt.Sprintf(verb, got), "hunter2")
			}
		})
	}
}

func TestNewExtractRefuses(t *testing.T) {
	type spec = privtcp.ExtractSpec
	type field = privtcp.Field
	id := field{Length: 4}
	tests := []struct {
		spec spec
		want string
	}{
		{spec{}, "clientid: needs a length, an until or a regexp"},
		{spec{Username: id}, "clientid: needs a length, an until or a regexp"},
		{spec{ClientID: field{Length: -1}}, "clientid.length: must be from 1 to 268435456"},
		{spec{ClientID: field{Length: 1, Until: []byte(",")}}, "clientid.length: either this or until must be set"},
		{spec{ClientID: id, Username: field{Offset: 3}}, "username.length: either this or until must be set"},
		{spec{ClientID: id, Password: field{Offset: -3, Length: 4}}, "password.length: reaches beyond the end of the frame"},
		{spec{ClientID: id, Password: field{Offset: 1 << 40, Length: 4}}, "password.offset: must be from -268435456 to 268435456"},
		{spec{ClientID: field{Length: 1, Text: "utf-16"}}, `clientid.text: "utf-16" is none of ascii, hex, bcd`},
		{spec{ClientID: id, Text: privtcp.Hex}, "text: goes with regexp, fields have their own"},
		{spec{ClientID: id, Regexp: "(?P<clientid>.)"}, "clientid: cannot stand beside regexp"},
		{spec{Regexp: "(?P<username>.)"}, "regexp: has no group (?P<clientid>...)"},
		{spec{Regexp: "(?P<clientid>.)", Text: "x"}, `text: "x" is none of ascii, hex, bcd`},
		{spec{Regexp: "(?P<clientid>é)"}, `regexp: only ASCII and \xNN, as frames are matched byte by byte`},
		{spec{Regexp: "("}, "regexp: error parsing regexp: missing closing ): `(`"},
	}
	for _, tt := range tests {
		e, err := privtcp.NewExtract(tt.spec)
		require.EqualError(t, err, tt.want)
		require.Nil(t, e)
	}
}

func TestMatch(t *testing.T) {
	tests := []struct {
		spec     privtcp.MatchSpec
		yes, not []string
	}{
		{privtcp.MatchSpec{Prefix: []byte("\x00\x02")}, []string{"\x00\x02", "\x00\x02x"}, []string{"", "\x00", "x\x00\x02"}},
		{privtcp.MatchSpec{Exact: []byte("PING")}, []string{"PING"}, []string{"", "PING ", "PIN"}},
		{privtcp.MatchSpec{Regexp: `^[\x80-\xff]{2}$`}, []string{"\x80\xff", "é"}, []string{"", "\x7f\x80", "\xc3\xa9\xc3"}},
	}
	for _, tt := range tests {
		m, err := privtcp.NewMatch(tt.spec)
		require.NoError(t, err)
		for _, frame := range tt.yes {
			require.True(t, m.Matches([]byte(frame)), "%q", frame)
		}
		for _, frame := range tt.not {
			require.False(t, m.Matches([]byte(frame)), "%q", frame)
		}
	}
	require.False(t, (*privtcp.Match)(nil).Matches(nil))
	for _, spec := range []privtcp.MatchSpec{{}, {Prefix: []byte("a"), Exact: []byte("b")}, {Regexp: "("}, {Regexp: "é"}} {
		_, err := privtcp.NewMatch(spec)
		require.Error(t, err)
	}
}

func TestTemplate(t *testing.T) {
	vars := privtcp.Vars{ClientID: "dev-7", Username: "me", Now: time.Unix(1700000000, 5)}
	tests := []struct {
		text, frame, want string
	}{
		{"", "abc", ""},
		{`OK\r\n`, "", "OK\r\n"},
		{`\x80\x00\\\$\t\0$5 {}`, "", "\x80\x00\\$\t\x00$5 {}"},
		{"${frame}", "abc", "abc"},
		{"<${frame[1:3]}>", "abcd", "<bc>"},
		{"${frame[-2:]}${frame[:-2]}${frame[:]}", "abcd", "cdababcd"},
		{"${frame[2:-1]}", "abcd", "c"},
		{"${frame[2:-2]}", "abcd", ""},
		{"${frame[0]}${frame[-1]}", "abcd", "ad"},
		{"${frame[0:2]|hex}.", "\x00\xab", "00AB."},
		{"${len},${len|hex}", "abcdefghijkl", "12,3132"},
		{"${clientid}/${username}@${unix}", "", "dev-7/me@1700000000"},
	}
	for _, tt := range tests {
		tmpl, err := privtcp.ParseTemplate(tt.text)
		require.NoError(t, err, tt.text)
		out, err := tmpl.Append([]byte("kept"), []byte(tt.frame), vars)
		require.NoError(t, err, tt.text)
		require.Equal(t, "kept"+tt.want, string(out), tt.text)
	}
	for _, text := range []string{"x${frame[1:3]}", "${frame[2]}", "${frame[-3:]}", "${frame[:-3]}", "${frame[1:-2]}"} {
		tmpl, err := privtcp.ParseTemplate(text)
		require.NoError(t, err)
		out, err := tmpl.Append([]byte("kept"), []byte("ab"), vars)
		require.ErrorIs(t, err, privtcp.ErrShort, text)
		require.Equal(t, "kept", string(out))
	}
}

func TestTemplateRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"${frame":          "${ without }",
		"${}":              "${}: unknown field",
		"${password}":      "${password}: unknown field",
		"${len|HEX}":       `${len|HEX}: unknown form "HEX"`,
		"${len[1]}":        "${len[1]}: only frame can be cut",
		"${frame[]}":       "${frame[]}: [] needs a number",
		"${frame[1:2}":     "${frame[1:2}: [ without ]",
		"${frame[x]}":      `${frame[x]}: "x" is no position`,
		"${frame[0:1:2]}":  `${frame[0:1:2]}: "1:2" is no position`,
		"${frame[2:2]}":    "${frame[2:2]}: the end must lie behind the beginning",
		"${frame[-1:-2]}":  "${frame[-1:-2]}: the end must lie behind the beginning",
		"${frame[1<<40:]}": `${frame[1<<40:]}: "1<<40" is no position`,
		`\x0`:              `\x needs two hexadecimal digits`,
		`\xg0`:             `\x needs two hexadecimal digits`,
		`\q`:               `unknown escape "\\q"`,
		`a\`:               `a \ at the end; write \\`,
	} {
		_, err := privtcp.ParseTemplate(text)
		require.EqualError(t, err, want, text)
	}
}

func TestParseBytes(t *testing.T) {
	b, err := privtcp.ParseBytes(`\x7E\xff\r\nab$\$é`)
	require.NoError(t, err)
	require.Equal(t, "\x7e\xff\r\nab$$é", string(b))
	_, err = privtcp.ParseBytes("a${len}")
	require.EqualError(t, err, `${ has no meaning here; write \${`)
	_, err = privtcp.ParseBytes(`\z`)
	require.Error(t, err)
}
