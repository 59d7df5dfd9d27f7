package mqttsn

import "encoding/json"

// memory is what the session service keeps of a device for the edge. It is read
// by other nodes, of newer and older versions.
type memory struct {
	V        int               `json:"v"`
	Clean    bool              `json:"clean,omitempty"`
	Lifetime uint16            `json:"keepalive,omitempty"`
	Nap      uint16            `json:"sleep,omitempty"`
	Will     *will             `json:"will,omitempty"`
	Topics   map[uint16]string `json:"topics,omitempty"` // that it knows
	Held     []uint16          `json:"held,omitempty"`   // QoS 2 message ids without PUBREL
}

const (
	memoryVersion = 1
	// maxRemembered bounds the names; a device whose topic is not among them is
	// answered "invalid topic id", and registers it again.
	maxRemembered = 64 << 10
)

// memory is of a device that sleeps, or of one that goes and comes with a fresh
// registry.
func (c *conn) memory(asleep bool) []byte {
	m := memory{V: memoryVersion, Will: c.will}
	if c.in != nil {
		m.Held = c.in.held
	}
	if asleep {
		m.Clean, m.Lifetime, m.Nap = c.clean, c.lifetime, c.nap
		m.Topics = c.topics.remember()
	} else if m.Will == nil && len(m.Held) == 0 {
		return nil
	}
	b, err := json.Marshal(m)
	if err != nil { // of plain fields: a fault of ours
		c.srv.env.Log.Error("state of a device", "client", c.id, "error", err)
		return nil
	}
	return b
}

// recall reads a memory; what cannot be read is forgotten.
func recall(b []byte) (m memory) {
	if len(b) == 0 {
		return memory{}
	}
	if err := json.Unmarshal(b, &m); err != nil || m.V != memoryVersion {
		return memory{}
	}
	return m
}

func (m memory) inbound() *inbound {
	if len(m.Held) == 0 {
		return nil
	}
	return &inbound{held: m.Held[max(0, len(m.Held)-maxHeld):]}
}

// remember is what the device knows.
func (t *topics) remember() map[uint16]string {
	if t == nil {
		return nil
	}
	out, size := map[uint16]string{}, 0
	for i, e := range t.list {
		if e.known && size+len(e.name) <= maxRemembered {
			out[firstTopicID+uint16(i)] = e.name
			size += len(e.name)
		}
	}
	return out
}

// topics are those that the device knows, with their ids.
func (m memory) topics(max int) *topics {
	t := &topics{}
	for id, name := range m.Topics {
		i := int(id) - firstTopicID
		if i < 0 || i >= max || name == "" {
			continue
		}
		for len(t.list) <= i {
			t.list = append(t.list, topic{own: true}) // free for the next
		}
		t.list[i] = topic{name: name, known: true}
	}
	if len(t.list) == 0 {
		return nil
	}
	return t
}
