package authn

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Parameters of new hashes: OWASP Password Storage Cheat Sheet, argon2id.
const (
	argonMemory  = 19456 // KiB
	argonTime    = 2
	argonThreads = 1
	saltLen      = 16
	keyLen       = 32
)

// Bounds of stored hashes. A record is not ours to trust: one with m=4GB would
// take the process down, one with t=1000000 a processor. The second recommended
// option of RFC 9106 (64 MiB, t=3, p=4) is well inside.
const (
	maxMemory  = 128 << 10 // KiB
	maxTime    = 16
	maxThreads = 16
	maxWork    = 512 << 10 // KiB times passes, about half a second
	minSalt    = 8         // as PHC says for salts; what is computed is bounded above
	maxSalt    = 64
	minKey     = 16
	maxKey     = 64
	maxCost    = 14 // of bcrypt, about a second
)

// errHash never says what is wrong with the text of a hash beyond its kind.
var errHash = errors.New("authn: password hash is not usable")

// passwordHash is a parsed hash within bounds. The zero value verifies nothing.
type passwordHash struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
	bcrypt       []byte
}

// HashPassword makes an argon2id hash in PHC format. The password may be
// anything from 1 to 4096 bytes.
func HashPassword(pw string) (string, error) {
	if pw == "" || len(pw) > maxPassword {
		return "", fmt.Errorf("authn: password must have 1 to %d bytes", maxPassword)
	}
	h := ownHash()
	h.key = h.derive(pw)
	enc := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, h.memory, h.time, h.threads, enc(h.salt), enc(h.key)), nil
}

// ownHash has our parameters, a random salt and a random key that no password
// is known for.
func ownHash() passwordHash {
	h := passwordHash{memory: argonMemory, time: argonTime, threads: argonThreads, salt: make([]byte, saltLen), key: make([]byte, keyLen)}
	_, _ = rand.Read(h.salt) // crypto/rand never fails: it ends the process
	_, _ = rand.Read(h.key)
	return h
}

// parseHash reads a PHC string of argon2id or a bcrypt hash, and refuses what
// would cost too much to verify.
func parseHash(s string) (passwordHash, error) {
	switch {
	case strings.HasPrefix(s, "$argon2id$"):
		return parseArgon(strings.Split(s, "$"))
	case strings.HasPrefix(s, "$2a$"), strings.HasPrefix(s, "$2b$"), strings.HasPrefix(s, "$2y$"):
		cost, err := bcrypt.Cost([]byte(s))
		if err != nil || len(s) != 60 || cost > maxCost {
			return passwordHash{}, fmt.Errorf("%w: bcrypt malformed, or its cost is over %d", errHash, maxCost)
		}
		return passwordHash{bcrypt: []byte(s)}, nil
	}
	return passwordHash{}, fmt.Errorf("%w: neither argon2id nor bcrypt", errHash)
}

// parseArgon takes "", "argon2id", "v=19", "m=..,t=..,p=..", salt, key.
func parseArgon(parts []string) (h passwordHash, err error) {
	if len(parts) != 6 || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return h, fmt.Errorf("%w: argon2id malformed or not version %d", errHash, argon2.Version)
	}
	var p [3]uint32
	params := strings.Split(parts[3], ",")
	for i, name := range []string{"m=", "t=", "p="} {
		if len(params) != len(p) || !strings.HasPrefix(params[i], name) {
			return h, fmt.Errorf("%w: argon2id parameters malformed", errHash)
		}
		n, err := strconv.ParseUint(params[i][2:], 10, 32)
		if err != nil {
			return h, fmt.Errorf("%w: argon2id parameters malformed", errHash)
		}
		p[i] = uint32(n)
	}
	if m, t, c := p[0], p[1], p[2]; c < 1 || c > maxThreads || t < 1 || t > maxTime || m < 8*c || m > maxMemory || uint64(m)*uint64(t) > maxWork {
		return h, fmt.Errorf("%w: argon2id parameters out of bounds (m<=%d, t<=%d, p<=%d, m*t<=%d)", errHash, maxMemory, maxTime, maxThreads, maxWork)
	}
	h = passwordHash{memory: p[0], time: p[1], threads: uint8(p[2])}
	salt, serr := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	key, kerr := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if serr != nil || kerr != nil || len(salt) < minSalt || len(salt) > maxSalt || len(key) < minKey || len(key) > maxKey {
		return passwordHash{}, fmt.Errorf("%w: argon2id salt or key malformed or of odd length", errHash)
	}
	h.salt, h.key = salt, key
	return h, nil
}

func (h passwordHash) derive(pw string) []byte {
	return argon2.IDKey([]byte(pw), h.salt, h.time, h.memory, h.threads, uint32(len(h.key)))
}

// verify takes its full time for any password.
func (h passwordHash) verify(pw string) bool {
	if h.bcrypt != nil {
		return bcrypt.CompareHashAndPassword(h.bcrypt, []byte(pw)) == nil
	}
	if len(h.key) == 0 {
		return false
	}
	return subtle.ConstantTimeCompare(h.derive(pw), h.key) == 1
}

func (h passwordHash) usable() bool { return h.bcrypt != nil || len(h.key) > 0 }
