package mqttsn

import (
	"sluice/pkg/subject"
	"sluice/pkg/wire/mqttsn"
)

// firstTopicID is that of the first topic that is registered.
const firstTopicID = maxPredefined + 1

// topic is a registered one. Its id is its place in the list.
type topic struct {
	name    string
	known   bool // the device knows the id
	own     bool // the gateway has begun it
	refused bool // the device does not want it
}

// topics are what one device has registered, or was told (MQTT-SN 1.2 §6.5).
type topics struct {
	list   []topic
	byName map[string]uint16 // made when looking through the list would take long
	next   int               // where the search for one to reuse goes on
}

// smallList is searched one by one.
const smallList = 16

// name is what an id stands for; false unless the device knows it.
func (t *topics) name(id uint16) (string, bool) {
	if e := t.entry(id); e != nil && e.known {
		return e.name, true
	}
	return "", false
}

func (t *topics) entry(id uint16) *topic {
	if t == nil || id < firstTopicID || int(id-firstTopicID) >= len(t.list) {
		return nil
	}
	return &t.list[id-firstTopicID]
}

// find looks a name up.
func (t *topics) find(name string) (uint16, *topic) {
	if t == nil {
		return 0, nil
	}
	if t.byName != nil {
		id, ok := t.byName[name]
		if !ok {
			return 0, nil
		}
		return id, t.entry(id)
	}
	for i := range t.list {
		if t.list[i].name == name {
			return firstTopicID + uint16(i), &t.list[i]
		}
	}
	return 0, nil
}

// add registers a name that is not there. When max are there, one that the
// gateway has begun makes room; false when there is none, or it is in use.
func (t *topics) add(name string, max int, inUse func(id uint16) bool) (uint16, *topic, bool) {
	i := len(t.list)
	if i < max {
		t.list = append(t.list, topic{name: name})
	} else if i = t.reusable(inUse); i < 0 {
		return 0, nil, false
	} else {
		delete(t.byName, t.list[i].name)
		t.list[i] = topic{name: name}
	}
	id := firstTopicID + uint16(i)
	switch {
	case t.byName != nil:
		t.byName[name] = id
	case len(t.list) > smallList:
		t.byName = make(map[string]uint16, 2*smallList)
		for i, e := range t.list {
			t.byName[e.name] = firstTopicID + uint16(i)
		}
	}
	return id, &t.list[i], true
}

func (t *topics) reusable(inUse func(uint16) bool) int {
	for range t.list {
		i := t.next % len(t.list)
		t.next = i + 1
		if t.list[i].own && !inUse(firstTopicID+uint16(i)) {
			return i
		}
	}
	return -1
}

// register finds or adds a topic.
func (c *conn) register(name string) (uint16, *topic, bool) {
	if id, e := c.topics.find(name); e != nil {
		return id, e, true
	}
	if c.topics == nil {
		c.topics = &topics{}
	}
	return c.topics.add(name, c.srv.edge.conf.MaxTopics, func(id uint16) bool {
		return c.out != nil && c.out.uses(id)
	})
}

// resolve is the name of a PUBLISH's topic (MQTT-SN 1.2 §5.3.11).
func (c *conn) resolve(p *mqttsn.Packet) (string, mqttsn.ReturnCode) {
	switch p.Flags.TopicIDType {
	case mqttsn.Normal:
		if name, ok := c.topics.name(p.TopicID); ok {
			return name, mqttsn.Accepted
		}
	default:
		return c.srv.edge.static(p)
	}
	return "", mqttsn.InvalidTopicID
}

// static is the name of a topic that needs no registration.
func (e *edge) static(p *mqttsn.Packet) (string, mqttsn.ReturnCode) {
	switch p.Flags.TopicIDType {
	case mqttsn.Predefined:
		if name, ok := e.predefined.names[p.TopicID]; ok {
			return name, mqttsn.Accepted
		}
		return "", mqttsn.InvalidTopicID
	case mqttsn.Short:
		return string(p.Name), mqttsn.Accepted
	default:
	}
	return "", mqttsn.NotSupported
}

// topicID is the field as it stands in a packet: of short names the two bytes.
func topicID(p *mqttsn.Packet) uint16 {
	if p.Flags.TopicIDType == mqttsn.Short && len(p.Name) == 2 {
		return uint16(p.Name[0])<<8 | uint16(p.Name[1])
	}
	return p.TopicID
}

// maxTopicName keeps names within what the house can carry, and the registry of
// a device small.
const maxTopicName = 1024

// onRegister gives a name an id (MQTT-SN 1.2 §6.5).
func (c *conn) onRegister(p *mqttsn.Packet) {
	answer := mqttsn.Packet{Type: mqttsn.Regack, MsgID: p.MsgID, ReturnCode: mqttsn.NotSupported}
	if _, err := subject.FromTopic(string(p.Name)); err == nil && len(p.Name) <= maxTopicName {
		if id, e, ok := c.register(string(p.Name)); ok {
			e.known, e.own, e.refused = true, false, false
			answer.TopicID, answer.ReturnCode = id, mqttsn.Accepted
		}
	}
	c.send(answer)
}
