package jt808

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

const schemas = "../../../docs/schemas/jt808"

// TestSchemasAreInTheDocs: UPDATE_SCHEMAS=1 writes them.
func TestSchemasAreInTheDocs(t *testing.T) {
	write := os.Getenv("UPDATE_SCHEMAS") != ""
	if write {
		require.NoError(t, os.MkdirAll(schemas, 0o755))
	}
	for _, m := range Messages() {
		want, err := m.SchemaJSON()
		require.NoError(t, err)
		want = append(want, '\n')
		path := filepath.Join(schemas, fmt.Sprintf("%04x.json", m.ID))
		if write {
			require.NoError(t, os.WriteFile(path, want, 0o644))
		}
		have, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), string(have), "run UPDATE_SCHEMAS=1 go test ./pkg/wire/jt808")
	}
	files, err := os.ReadDir(schemas)
	require.NoError(t, err)
	require.Len(t, files, len(Messages()))
}

// TestMessagesFollowTheirSchemas: all that the vectors decode to.
func TestMessagesFollowTheirSchemas(t *testing.T) {
	compiled := map[uint16]*jsonschema.Schema{}
	for _, m := range Messages() {
		text, err := m.SchemaJSON()
		require.NoError(t, err)
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		require.NoError(t, err)
		c := jsonschema.NewCompiler()
		require.NoError(t, c.AddResource(m.Name, doc))
		compiled[m.ID], err = c.Compile(m.Name)
		require.NoError(t, err, m.Name)
	}
	n := 0
	for _, v := range vectors(t) {
		f, ok := wholes(t, v)
		if !ok || v.Expect != "ok" || f.Encrypt != 0 || compiled[f.ID] == nil {
			continue
		}
		text, err := AppendJSON(nil, f, GuessEdition(f.Header, f.Body), Options{GBK: true})
		require.NoError(t, err)
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		require.NoError(t, err)
		require.NoError(t, compiled[f.ID].Validate(doc), "%s: %s", v.Name, text)
		n++
	}
	require.Greater(t, n, 200)
}
