package mqttsn

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/gateway/gatewaytest"
	"sluice/pkg/wire/mqttsn"
)

// FuzzEdge feeds datagrams, and what the house does meanwhile, to an edge: one
// step is a first byte that says what, and for datagrams its length and bytes.
// Nothing panics, every client is closed once and every delivery answered once,
// and nothing is left at the end.
func FuzzEdge(f *testing.F) {
	add := func(steps ...[]byte) {
		var all []byte
		for _, s := range steps {
			all = append(all, s...)
		}
		f.Add(all)
	}
	say := func(from byte, p mqttsn.Packet) []byte {
		b, err := p.Append(nil)
		require.NoError(f, err)
		return append([]byte{from, byte(len(b))}, b...)
	}
	enter := say(0, connectPacket("a", true, 60))
	sub := say(0, mqttsn.Packet{Type: mqttsn.Subscribe, MsgID: 1, Name: []byte("#"), Flags: mqttsn.Flags{QoS: 2}})
	add(enter, sub, []byte{2, 9, 10, 3}, say(0, mqttsn.Packet{Type: mqttsn.Regack, TopicID: 1025, MsgID: 1}), []byte{3}, say(0, ackPacket(mqttsn.Pubrec, 1)), say(0, ackPacket(mqttsn.Pubcomp, 1)))
	add(enter, sub, say(0, sleepPacket(60)), say(0, wakePacket("a")), []byte{2, 3, 4, 3}, say(0, sleepPacket(9)), say(0, publishPacket(1025, 1, 1, "x")), []byte{5})
	add(say(0, withWill(connectPacket("a", false, 60))), say(0, willTopic(mqttsn.WillTopic, "w")), say(0, mqttsn.Packet{Type: mqttsn.WillMsg, Data: []byte("x")}), []byte{6, 7})
	add(enter, say(1, connectPacket("b", false, 60)), say(0, wakePacket("b")), say(1, qosMinus1("x")), say(0, connectPacket("b", true, 1)), []byte{3, 3, 3})
	add([]byte{0, 10, 4, 0xFE, 0, 1, 6, 4, 4, 1, 0, 1}, []byte{8, 9})
	f.Fuzz(func(t *testing.T, script []byte) {
		defer time.AfterFunc(10*time.Second, func() { panic(fmt.Sprintf("hangs: %x", script)) }).Stop() // in real time
		dialogue(t, func(r *rig) {
			p := &play{rig: r, devices: []*device{r.device("192.0.2.1:1"), r.device("192.0.2.2:1")}}
			for n, rest := 0, script; len(rest) > 0 && n < 200; n++ {
				rest = p.step(rest)
			}
			p.end()
		}, func(r *rig) {
			r.conf.Predefined = []PredefinedTopic{{1, "pre"}}
			r.conf.AllowEmptyClientID, r.conf.MaxTopics = true, 4
			r.door.Found = gateway.Session{Present: true, State: []byte(`{"v":1,"sleep":60,"topics":{"1025":"a"}}`)}
		})
	})
}

// play is one run of a script.
type play struct {
	*rig
	devices  []*device
	clients  []*gatewaytest.Client
	outcomes []*gatewaytest.Outcome
	seq      uint64
}

func (p *play) step(script []byte) []byte {
	what, rest := script[0]%10, script[1:]
	c := p.last()
	switch {
	case what <= 1:
		if len(rest) == 0 {
			return nil
		}
		n := min(int(rest[0]), len(rest)-1)
		d := p.devices[what]
		d.link.node = nil
		d.link.t = nil
		d.receiveAnything(rest[1 : 1+n])
		return rest[1+n:]
	case what == 3:
		time.Sleep(11 * time.Second)
	case c == nil:
	case what == 2:
		p.seq++
		p.outcomes = append(p.outcomes, c.Deliver(api.MainQueue, "t/"+string(rune('a'+p.seq%7)), message("x", byte(p.seq%3)), numbered(p.seq)))
	case what == 4:
		c.Drained()
	case what == 5:
		c.Resend(api.MainQueue, p.seq, 2)
	case what == 6:
		p.outcomes = append(p.outcomes, c.Deliver("#", "tt", message("x", 1)))
	case what == 7:
		c.Kick(gateway.ErrKicked)
	case what == 8:
		p.srv.gone(p.devices[0].link)
	case what == 9:
		synctest.Wait()
	}
	return rest
}

// receiveAnything sends, and forgets what comes back.
func (d *device) receiveAnything(b []byte) {
	d.raw(b)
	for len(d.got) > 0 {
		<-d.got
	}
}

// last is the client that was let in last.
func (p *play) last() *gatewaytest.Client {
	synctest.Wait()
	c := p.client()
	if c != nil && (len(p.clients) == 0 || p.clients[len(p.clients)-1] != c) {
		p.clients = append(p.clients, c)
	}
	return c
}

func (p *play) end() {
	p.last()
	p.stop()
	for _, c := range p.clients {
		calls, _ := c.Closed()
		require.Equal(p, 1, calls)
	}
	for _, o := range p.outcomes {
		calls, _ := o.Result()
		require.Equal(p, 1, calls)
	}
}
