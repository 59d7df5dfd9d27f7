package authn

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

const (
	proofTTL  = time.Minute
	maxProofs = 10_000
)

// proof stands for "this password was right for this revision of this user".
type proof [sha256.Size]byte

// proofs remembers successful checks for a minute. The password is only in the
// HMAC, whose key never leaves the process; the revision in it makes a changed
// user miss, also when the check was under way while the change came.
type proofs struct {
	secret [32]byte

	mu    sync.Mutex
	until *lru[proof, time.Time]
}

func newProofs() *proofs {
	p := &proofs{until: newLRU[proof, time.Time](maxProofs)}
	_, _ = rand.Read(p.secret[:]) // never fails
	return p
}

func (p *proofs) of(key string, revision uint64, pw string) (out proof) {
	m := hmac.New(sha256.New, p.secret[:])
	var n [16]byte // lengths keep the fields apart
	binary.BigEndian.PutUint64(n[:8], uint64(len(key)))
	binary.BigEndian.PutUint64(n[8:], revision)
	for _, part := range [][]byte{n[:], []byte(key), []byte(pw)} {
		_, _ = m.Write(part) // a hash.Hash never fails
	}
	m.Sum(out[:0])
	return out
}

func (p *proofs) has(x proof) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	until, ok := p.until.get(x)
	if ok && time.Now().After(until) {
		p.until.remove(x)
		return false
	}
	return ok
}

func (p *proofs) add(x proof) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until.put(x, time.Now().Add(proofTTL))
}
