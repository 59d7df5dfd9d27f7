package sim

import (
	"context"

	"sluice/pkg/wire/mqttsn"
)

// Publish sends a message and waits until the gateway has it, as far as its
// quality of service says (§6.6). A name that has no id is registered first.
func (d *MQTTSN) Publish(ctx context.Context, topic string, payload []byte, qos int8, retain bool) error {
	id, err := d.Register(ctx, topic)
	if err != nil {
		return err
	}
	return d.publish(ctx, mqttsn.Packet{Flags: mqttsn.Flags{QoS: qos, Retain: retain}, TopicID: id, Data: payload})
}

// PublishPredefined uses an id that needs no registration.
func (d *MQTTSN) PublishPredefined(ctx context.Context, id uint16, payload []byte, qos int8) error {
	return d.publish(ctx, mqttsn.Packet{Flags: mqttsn.Flags{QoS: qos, TopicIDType: mqttsn.Predefined}, TopicID: id, Data: payload})
}

// PublishShort uses a name of two bytes.
func (d *MQTTSN) PublishShort(ctx context.Context, name string, payload []byte, qos int8) error {
	return d.publish(ctx, mqttsn.Packet{Flags: mqttsn.Flags{QoS: qos, TopicIDType: mqttsn.Short}, Name: []byte(name), Data: payload})
}

func (d *MQTTSN) publish(ctx context.Context, p mqttsn.Packet) error {
	p.Type = mqttsn.Publish
	switch p.Flags.QoS {
	case 1:
		p.MsgID = d.nextID()
		return accepted(d.ask(ctx, p, question{mqttsn.Puback, p.MsgID}))
	case 2:
		p.MsgID = d.nextID()
		got, err := d.ask(ctx, p, question{mqttsn.Pubrec, p.MsgID})
		if err != nil || got.Type == mqttsn.Puback {
			return accepted(got, err)
		}
		_, err = d.ask(ctx, mqttsn.Packet{Type: mqttsn.Pubrel, MsgID: p.MsgID}, question{mqttsn.Pubcomp, p.MsgID})
		return err
	}
	return d.Send(p)
}

// Register has the gateway give a name an id (§6.5).
func (d *MQTTSN) Register(ctx context.Context, topic string) (uint16, error) {
	d.mu.Lock()
	id, ok := d.ids[topic]
	d.mu.Unlock()
	if ok {
		return id, nil
	}
	p := mqttsn.Packet{Type: mqttsn.Register, MsgID: d.nextID(), Name: []byte(topic)}
	got, err := d.ask(ctx, p, question{mqttsn.Regack, p.MsgID})
	if err := accepted(got, err); err != nil {
		return 0, err
	}
	d.know(topic, got.TopicID)
	return got.TopicID, nil
}

func (d *MQTTSN) know(topic string, id uint16) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ids[topic], d.names[id] = id, topic
}

// Subscribe asks for the messages of a filter (§6.9).
func (d *MQTTSN) Subscribe(ctx context.Context, filter string, qos int8) (granted int8, err error) {
	got, err := d.subscribe(ctx, mqttsn.Packet{Flags: mqttsn.Flags{QoS: qos}, Name: []byte(filter)})
	if err == nil && got.TopicID != 0 {
		d.know(filter, got.TopicID)
	}
	return got.Flags.QoS, err
}

// SubscribePredefined is Subscribe by an id that needs no registration.
func (d *MQTTSN) SubscribePredefined(ctx context.Context, id uint16, qos int8) error {
	_, err := d.subscribe(ctx, mqttsn.Packet{Flags: mqttsn.Flags{QoS: qos, TopicIDType: mqttsn.Predefined}, TopicID: id})
	return err
}

func (d *MQTTSN) subscribe(ctx context.Context, p mqttsn.Packet) (mqttsn.Packet, error) {
	p.Type, p.MsgID = mqttsn.Subscribe, d.nextID()
	got, err := d.ask(ctx, p, question{mqttsn.Suback, p.MsgID})
	return got, accepted(got, err)
}

// Unsubscribe ends a subscription.
func (d *MQTTSN) Unsubscribe(ctx context.Context, filter string) error {
	p := mqttsn.Packet{Type: mqttsn.Unsubscribe, MsgID: d.nextID(), Name: []byte(filter)}
	_, err := d.ask(ctx, p, question{mqttsn.Unsuback, p.MsgID})
	return err
}

// Ping is a sign of life (§6.11).
func (d *MQTTSN) Ping(ctx context.Context) error {
	_, err := d.ask(ctx, mqttsn.Packet{Type: mqttsn.Pingreq}, question{answer: mqttsn.Pingresp})
	return err
}

// Sleep has the gateway keep everything for so many seconds (§6.14).
func (d *MQTTSN) Sleep(ctx context.Context, seconds uint16) error {
	_, err := d.ask(ctx, mqttsn.Packet{Type: mqttsn.Disconnect, HasDuration: true, Duration: seconds}, question{answer: mqttsn.Disconnect})
	return err
}

// Wake fetches what waits: it comes on Messages before Wake returns.
func (d *MQTTSN) Wake(ctx context.Context) error {
	_, err := d.ask(ctx, mqttsn.Packet{Type: mqttsn.Pingreq, Name: []byte(d.o.ClientID)}, question{answer: mqttsn.Pingresp})
	return err
}

// SearchGw looks for gateways (§6.1), and gives the id of one.
func (d *MQTTSN) SearchGw(ctx context.Context) (uint8, error) {
	got, err := d.ask(ctx, mqttsn.Packet{Type: mqttsn.SearchGw}, question{answer: mqttsn.GwInfo})
	return got.GwID, err
}

// UpdateWill changes the will (§6.4); nil deletes it.
func (d *MQTTSN) UpdateWill(ctx context.Context, w *MQTTSNWill) error {
	if w == nil {
		return accepted(d.ask(ctx, mqttsn.Packet{Type: mqttsn.WillTopicUpd, Empty: true}, question{answer: mqttsn.WillTopicResp}))
	}
	p := mqttsn.Packet{Type: mqttsn.WillTopicUpd, Flags: mqttsn.Flags{QoS: w.QoS, Retain: w.Retain}, Name: []byte(w.Topic)}
	if err := accepted(d.ask(ctx, p, question{answer: mqttsn.WillTopicResp})); err != nil {
		return err
	}
	return accepted(d.ask(ctx, mqttsn.Packet{Type: mqttsn.WillMsgUpd, Data: w.Payload}, question{answer: mqttsn.WillMsgResp}))
}

// Next waits for a message.
func (d *MQTTSN) Next(ctx context.Context) (MQTTSNMessage, error) {
	select {
	case m := <-d.Messages:
		return m, nil
	default:
	}
	select {
	case m := <-d.Messages:
		return m, nil
	case <-d.done:
		return MQTTSNMessage{}, d.Err()
	case <-ctx.Done():
		return MQTTSNMessage{}, context.Cause(ctx)
	}
}
