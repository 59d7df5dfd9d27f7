package mqttsn

import (
	"errors"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/mqttsn"
)

// lose ends a device that has not said goodbye: its will is published, and it is
// told if it can hear.
func (c *conn) lose(why error) {
	if c.state == gone {
		return
	}
	c.bequeath(why)
	c.send(mqttsn.Packet{Type: mqttsn.Disconnect})
	c.end(why)
}

// displace ends a device whose address is another's now, or nobody's.
func (c *conn) displace() {
	if c.state == gone {
		return
	}
	c.bequeath(gateway.ErrClosed)
	c.forget(gateway.ErrClosed)
}

// end forgets the device, and the link if nobody else is there. A DTLS
// association outlives sleep: the next one would cost the device a handshake.
func (c *conn) end(why error) {
	if c.state == gone {
		return
	}
	known := c.client != nil
	if empty := c.forget(why); !empty || !known {
		return // a stranger's link goes by itself
	}
	if errors.Is(why, gateway.ErrAsleep) && c.at.secure() {
		return
	}
	c.at.link.Close()
}

// forget gives back all that the device has here; empty tells that nobody is on
// its link any more.
func (c *conn) forget(why error) (empty bool) {
	c.part(why)
	c.state = gone
	c.srv.wheel.Stop(&c.timer)
	c.srv.remove(c)
	c.login, c.wake, c.will = nil, nil, nil
	c.srv.env.Log.Debug("device ended", "client", c.id, "peer", c.at.link.String(), "reason", why)
	return c.at.leave(c)
}

// part closes the client, and with it what depends on it. The client goes first:
// the other way round, a queue would send here again what is given back.
func (c *conn) part(why error) {
	c.gen++
	c.calling, c.ops, c.dozing = false, nil, 0
	if c.client != nil {
		if !errors.Is(why, gateway.ErrAsleep) && !c.clean {
			c.client.Leave(c.memory(false))
		}
		c.client.Close(why)
		c.client = nil
	}
	if c.out != nil {
		c.out.giveUp()
	}
	c.topics, c.subs, c.in, c.out = nil, nil, nil, nil
}

// bequeath publishes the will, if that is how the device ends (MQTT 3.1.1
// §3.1.2.5).
func (c *conn) bequeath(why error) {
	if c.will == nil || c.client == nil || !bequeaths(why) {
		return
	}
	if err := c.client.Publish(c.srv.life, c.will.message()); err != nil {
		c.srv.env.Log.Info("will not published", "client", c.id, "topic", c.will.Topic, "error", err)
	}
}
