package gateway

import (
	"crypto/rand"
	"encoding/json"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/streams"
)

// event publishes what happened to this client on gw.evt.>.
func (c *client) event(name string, more func(*api.Event)) {
	e := api.Event{
		ClientKey: c.info.ClientKey, Event: name, Epoch: c.info.Epoch, Username: c.info.Username,
		Peer: c.info.Peer, Listener: c.info.Listener, ProtoVer: c.info.ProtoVer,
	}
	if more != nil {
		more(&e)
	}
	c.node.event(e)
}

// event publishes without waiting; a node that is cut off from NATS may lose
// events, never messages.
func (n *Node) event(e api.Event) {
	e.Node, e.At = n.ID, time.Now().UTC()
	data, err := json.Marshal(e)
	if err == nil {
		m := &nats.Msg{Subject: streams.EventSubject(e.Proto, e.Instance, e.Event, e.Client), Data: data}
		err = n.pub.publish(m, false, nil)
	}
	if err != nil {
		n.Log.Debug("event not published", "event", e.Event, "error", err)
	}
}

func (n *Node) eventKey(key, name, reason string) {
	if k, err := api.ParseClientKey(key); err == nil {
		n.event(api.Event{ClientKey: k, Event: name, Reason: reason})
	}
}

// newID is 128 random bits in lower case letters and digits.
func newID() string { return strings.ToLower(rand.Text()) }
