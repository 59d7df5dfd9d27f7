package gatewaytest

import (
	"context"
	"sync"
	"time"

	"sluice/pkg/gateway"
)

// Door is a scripted [gateway.Door]. The zero Door lets everybody in. Its
// exported fields are set before the edge is started.
type Door struct {
	Deny   error         // refuse with this
	Delay  time.Duration // answer only after this
	Block  bool          // do not answer before ctx ends
	Window int           // of publishes in flight, for new clients; 0 = 256
	Manual bool          // new clients leave publishes unanswered until Ack
	// Found is the session that the next clients have.
	Found gateway.Session

	mu      sync.Mutex
	hellos  []gateway.Hello
	clients []*Client
}

// Connect implements [gateway.Door].
func (d *Door) Connect(ctx context.Context, h gateway.Hello) (gateway.Client, error) {
	d.mu.Lock()
	d.hellos = append(d.hellos, h)
	d.mu.Unlock()
	if err := d.wait(ctx); err != nil {
		return nil, err
	}
	if d.Deny != nil {
		return nil, d.Deny
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c := NewClient(h)
	c.manual, c.session = d.Manual, d.Found
	for _, s := range c.session.Subs {
		c.live[s.ID] = true
	}
	if d.Window > 0 {
		c.window = d.Window
	}
	d.clients = append(d.clients, c)
	return c, nil
}

func (d *Door) wait(ctx context.Context) error {
	var after <-chan time.Time
	switch {
	case d.Block:
	case d.Delay > 0:
		t := time.NewTimer(d.Delay)
		defer t.Stop()
		after = t.C
	default:
		return nil
	}
	select {
	case <-after:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Hellos are all attempts to come in, oldest first.
func (d *Door) Hellos() []gateway.Hello {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]gateway.Hello(nil), d.hellos...)
}

// Client is the client that was let in last, nil when there was none.
func (d *Door) Client() *Client {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.clients) == 0 {
		return nil
	}
	return d.clients[len(d.clients)-1]
}
