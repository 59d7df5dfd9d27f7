package mqttsn

import (
	"strings"
	"sync"
	"time"

	"sluice/pkg/listen"
)

// link is a [listen.Peer], or what stands for one in tests.
type link interface {
	Send(b []byte) error
	Prove()
	Close()
	String() string
	Listener() string
	Identity() listen.Identity
	Value() any
	SetValue(v any)
}

// station hangs on a link: whom its datagrams are for.
type station struct {
	mu     sync.Mutex
	direct *conn
	nodes  map[string]*conn // behind a forwarder, by wireless node id

	// Answers to datagrams of nobody are counted: two gateways that are made to
	// answer each other would do so for ever.
	answers uint8
	since   time.Duration // of the first that counts; on the server's clock
}

// Unasked answers per station.
const (
	maxAnswers  = 8
	answersTime = 10 * time.Second
)

// maxNodes bounds the devices behind one forwarder.
const maxNodes = 10_000

// place is where a device is: a link, and the node behind it if it is a
// forwarder.
type place struct {
	link    link
	station *station
	node    string // wireless node id; "" = not forwarded
}

// at finds the place of a datagram.
func at(l link, node []byte) place {
	st, ok := l.Value().(*station)
	if !ok { // datagrams of one link come one after another
		st = &station{}
		l.SetValue(st)
	}
	return place{l, st, string(node)}
}

// conn is the device that is there now.
func (p place) conn() *conn {
	p.station.mu.Lock()
	defer p.station.mu.Unlock()
	if p.node == "" {
		return p.station.direct
	}
	return p.station.nodes[p.node]
}

// put makes c the device that is there; old is who was. It reports false when
// there is no room.
func (p place) put(c *conn) (old *conn, ok bool) {
	st := p.station
	st.mu.Lock()
	defer st.mu.Unlock()
	if p.node == "" {
		old, st.direct = st.direct, c
		return old, true
	}
	old = st.nodes[p.node]
	if old == nil && len(st.nodes) >= maxNodes {
		return nil, false
	}
	if st.nodes == nil {
		st.nodes = map[string]*conn{}
	}
	st.nodes[p.node] = c
	return old, true
}

// leave takes c away if it is there, and reports whether the station is empty.
func (p place) leave(c *conn) (empty bool) {
	st := p.station
	st.mu.Lock()
	defer st.mu.Unlock()
	if p.node == "" && st.direct == c {
		st.direct = nil
	}
	if p.node != "" && st.nodes[p.node] == c {
		if delete(st.nodes, p.node); len(st.nodes) == 0 {
			st.nodes = nil
		}
	}
	return st.direct == nil && st.nodes == nil
}

// all are the devices of a link.
func (st *station) all() []*conn {
	st.mu.Lock()
	defer st.mu.Unlock()
	var out []*conn
	if st.direct != nil {
		out = append(out, st.direct)
	}
	for _, c := range st.nodes {
		out = append(out, c)
	}
	return out
}

// mayAnswer tells whether one more unasked answer is within bounds.
func (st *station) mayAnswer(now time.Duration) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.answers == 0 || now-st.since >= answersTime {
		st.answers, st.since = 0, now
	}
	if st.answers >= maxAnswers {
		return false
	}
	st.answers++
	return true
}

// secure tells whether a DTLS association is between, whose records are shorter
// than datagrams.
func (p place) secure() bool { return strings.HasPrefix(p.link.Listener(), listen.DTLS) }

// key is by what a sleeping device is remembered.
func (p place) key() string {
	if p.node == "" {
		return p.link.String()
	}
	return p.link.String() + "#" + p.node
}
