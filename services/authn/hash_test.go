package authn

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
)

func phc(m, t, p int, salt, key []byte) string {
	enc := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", m, t, p, enc(salt), enc(key))
}

func TestHashPassword(t *testing.T) {
	a, err := HashPassword("sesame")
	require.NoError(t, err)
	b, err := HashPassword("sesame")
	require.NoError(t, err)
	require.NotEqual(t, a, b, "the salt is random")
	require.True(t, strings.HasPrefix(a, "$argon2id$v=19$m=19456,t=2,p=1$"), a)
	h, err := parseHash(a)
	require.NoError(t, err)
	require.True(t, h.verify("sesame"))
	require.False(t, h.verify("Sesame"))
	require.False(t, h.verify(""))
	for _, bad := range []string{"", strings.Repeat("x", maxPassword+1)} {
		_, err := HashPassword(bad)
		require.Error(t, err)
	}
}

// The vector is that of the reference implementation: echo -n password |
// argon2 somesalt -id -t 2 -m 16 -p 1 -l 32 (phc-winner-argon2, test.c).
func TestVerifiesForeignHashes(t *testing.T) {
	h, err := parseHash("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	require.NoError(t, err)
	require.True(t, h.verify("password"))
	require.False(t, h.verify("passwort"))

	made, err := bcrypt.GenerateFromPassword([]byte("sesame"), bcrypt.MinCost)
	require.NoError(t, err)
	for _, prefix := range []string{"$2a$", "$2b$", "$2y$"} {
		h, err := parseHash(prefix + string(made[4:]))
		require.NoError(t, err)
		require.True(t, h.verify("sesame"), prefix)
		require.False(t, h.verify("other"), prefix)
	}
}

func TestStoredParametersAreBounded(t *testing.T) {
	salt, key := make([]byte, 16), make([]byte, 32)
	bad := map[string]string{
		"memory":        phc(4<<20, 2, 1, salt, key),
		"memory over":   phc(maxMemory+1, 1, 1, salt, key),
		"memory under":  phc(7, 1, 1, salt, key),
		"memory wraps":  "$argon2id$v=19$m=4294967304,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"time":          phc(8, 1_000_000, 1, salt, key),
		"time zero":     phc(8, 0, 1, salt, key),
		"threads":       phc(65536, 1, 255, salt, key),
		"threads zero":  phc(64, 1, 0, salt, key),
		"threads wrap":  phc(65536, 1, 257, salt, key),
		"work":          phc(maxMemory, 16, 1, salt, key),
		"salt short":    phc(64, 1, 1, salt[:4], key),
		"salt long":     phc(64, 1, 1, make([]byte, 65), key),
		"key short":     phc(64, 1, 1, salt, key[:4]),
		"key long":      phc(64, 1, 1, salt, make([]byte, 1<<20)),
		"version":       strings.Replace(phc(64, 1, 1, salt, key), "v=19", "v=16", 1),
		"order":         strings.Replace(phc(64, 1, 1, salt, key), "m=64,t=1", "t=1,m=64", 1),
		"negative":      strings.Replace(phc(64, 1, 1, salt, key), "t=1", "t=-1", 1),
		"parameter":     strings.Replace(phc(64, 1, 1, salt, key), "p=1", "p=1,x=1", 1),
		"padding":       phc(64, 1, 1, salt, key) + "=",
		"no key":        "$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA",
		"argon2i":       strings.Replace(phc(64, 1, 1, salt, key), "argon2id", "argon2i", 1),
		"plain":         "sesame",
		"empty":         "",
		"md5":           "$1$abc$def",
		"bcrypt cost":   "$2b$31$" + strings.Repeat("a", 53),
		"bcrypt short":  "$2b$10$abc",
		"bcrypt longer": "$2b$10$" + strings.Repeat("a", 54),
	}
	start := time.Now()
	for name, s := range bad {
		h, err := parseHash(s)
		require.ErrorIs(t, err, errHash, name)
		require.False(t, h.usable(), name)
		require.False(t, h.verify(""), name)
	}
	require.Less(t, time.Since(start), time.Second, "none was computed")
	_, err := parseHash(phc(65536, 3, 4, salt, key)) // RFC 9106, second recommended option
	require.NoError(t, err)
}

func FuzzParseHash(f *testing.F) {
	f.Add(phc(64, 1, 1, make([]byte, 16), make([]byte, 32)))
	f.Add("$2b$10$" + strings.Repeat("a", 53))
	f.Add("$argon2id$$$$")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parseHash(s)
		if err != nil {
			return
		}
		require.True(t, h.usable())
		require.LessOrEqual(t, uint64(h.memory)*uint64(h.time), uint64(maxWork))
	})
}

func BenchmarkVerify(b *testing.B) {
	h := ownHash()
	b.ReportAllocs()
	for b.Loop() {
		h.verify("sesame")
	}
}
