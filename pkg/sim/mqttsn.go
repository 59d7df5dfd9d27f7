package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"sluice/pkg/wire/mqttsn"
)

// MQTTSNOptions say how a simulated MQTT-SN device connects.
type MQTTSNOptions struct {
	ClientID   string
	Clean      bool
	Keepalive  uint16 // s, 0 = none
	Will       *MQTTSNWill
	Predefined map[uint16]string
	Node       []byte                                      // wireless node id: everything goes wrapped as by a forwarder (§5.5)
	Retry      time.Duration                               // default 2 s
	Retries    int                                         // default 4
	AutoAck    bool                                        // messages of QoS 1 and 2 are acknowledged on arrival
	Dial       func(ctx context.Context) (net.Conn, error) // of datagrams: UDP, DTLS
	Trace      func(out bool, datagram []byte)             // sees all that goes over the link
}

// MQTTSNWill is what is published when the device is lost.
type MQTTSNWill struct {
	Topic   string
	Payload []byte
	QoS     int8
	Retain  bool
}

// MQTTSNMessage is a message that came to the device.
type MQTTSNMessage struct {
	Topic   string
	Payload []byte
	QoS     int8
	Retain  bool
	DUP     bool
	MsgID   uint16
	TopicID uint16
}

// MQTTSN is a device that speaks MQTT-SN 1.2. One goroutine reads, ended by
// Close; it answers REGISTER and PUBREL by itself.
type MQTTSN struct {
	Messages chan MQTTSNMessage

	o    MQTTSNOptions
	done chan struct{}

	mu       sync.Mutex
	conn     net.Conn
	waiting  map[question]chan mqttsn.Packet
	ids      map[string]uint16 // topics that have an id
	names    map[uint16]string
	received map[uint16]bool // QoS 2, between PUBLISH and PUBREL
	msgID    uint16
	err      error
}

// question is what an answer belongs to.
type question struct {
	answer mqttsn.Type
	id     uint16
}

// MQTTSNError is a return code other than accepted.
type MQTTSNError struct {
	Type mqttsn.Type
	Code mqttsn.ReturnCode
}

func (e *MQTTSNError) Error() string { return fmt.Sprintf("mqttsn: %s: %s", e.Type, e.Code) }

// Later tells whether the device is to try again later.
func (e *MQTTSNError) Later() bool { return e.Code == mqttsn.Congestion }

// Why a device's wait is over.
var (
	ErrSentAway = errors.New("mqttsn: DISCONNECT from the gateway")
	ErrNoAnswer = errors.New("mqttsn: no answer")
)

// DialMQTTSN connects and waits for CONNACK (§6.2).
func DialMQTTSN(ctx context.Context, o MQTTSNOptions) (*MQTTSN, error) {
	d, err := OpenMQTTSN(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := d.Connect(ctx); err != nil {
		d.Cut()
		return nil, err
	}
	return d, nil
}

// OpenMQTTSN has a link, and says nothing.
func OpenMQTTSN(ctx context.Context, o MQTTSNOptions) (*MQTTSN, error) {
	if o.Retry == 0 {
		o.Retry = 2 * time.Second
	}
	if o.Retries == 0 {
		o.Retries = 4
	}
	conn, err := o.Dial(ctx)
	if err != nil {
		return nil, err
	}
	d := &MQTTSN{
		o: o, conn: conn, done: make(chan struct{}), Messages: make(chan MQTTSNMessage, 1024),
		waiting: map[question]chan mqttsn.Packet{}, ids: map[string]uint16{}, names: map[uint16]string{}, received: map[uint16]bool{},
	}
	go d.read()
	return d, nil
}

// Connect sends CONNECT and, if there is one, the will.
func (d *MQTTSN) Connect(ctx context.Context) error {
	d.mu.Lock()
	d.ids, d.names = map[string]uint16{}, map[uint16]string{}
	d.mu.Unlock()
	p := mqttsn.Packet{Type: mqttsn.Connect, ProtocolID: 1, Duration: d.o.Keepalive, Name: []byte(d.o.ClientID)}
	p.Flags.Clean, p.Flags.Will = d.o.Clean, d.o.Will != nil
	got, err := d.ask(ctx, p, question{answer: mqttsn.Connack})
	return accepted(got, err)
}

// Close says goodbye and waits for the answer (§6.12).
func (d *MQTTSN) Close(ctx context.Context) error {
	_, err := d.ask(ctx, mqttsn.Packet{Type: mqttsn.Disconnect}, question{answer: mqttsn.Disconnect})
	d.Cut()
	if errors.Is(err, ErrSentAway) {
		return nil
	}
	return err
}

// Cut drops the link without a word.
func (d *MQTTSN) Cut() {
	_ = d.conn.Close()
	<-d.done
}

// Ended is closed when the device knows that it is over: the gateway has sent it
// away, or the link is cut.
func (d *MQTTSN) Ended() <-chan struct{} { return d.done }

// Err is why it is over.
func (d *MQTTSN) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// ask sends a packet until its answer comes. Repeated PUBLISH and SUBSCRIBE have
// DUP.
func (d *MQTTSN) ask(ctx context.Context, p mqttsn.Packet, q question) (mqttsn.Packet, error) {
	answer := make(chan mqttsn.Packet, 1)
	d.mu.Lock()
	d.waiting[q] = answer
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.waiting, q)
		d.mu.Unlock()
	}()
	for try := 0; try <= d.o.Retries; try++ {
		p.Flags.DUP = try > 0 && (p.Type == mqttsn.Publish || p.Type == mqttsn.Subscribe)
		if err := d.Send(p); err != nil {
			return mqttsn.Packet{}, err
		}
		again := time.NewTimer(d.o.Retry)
		select {
		case got := <-answer:
			again.Stop()
			return got, nil
		case <-ctx.Done():
			again.Stop()
			return mqttsn.Packet{}, context.Cause(ctx)
		case <-d.done:
			again.Stop()
			return mqttsn.Packet{}, d.Err()
		case <-again.C:
		}
	}
	return mqttsn.Packet{}, fmt.Errorf("%w to %s", ErrNoAnswer, p.Type)
}

func accepted(p mqttsn.Packet, err error) error {
	if err == nil && p.ReturnCode != mqttsn.Accepted {
		return &MQTTSNError{p.Type, p.ReturnCode}
	}
	return err
}

// Send sends one packet.
func (d *MQTTSN) Send(p mqttsn.Packet) error {
	b, err := p.Append(nil)
	if err != nil {
		return err
	}
	return d.Write(b)
}

// Write sends bytes, wrapped if the device is behind a forwarder.
func (d *MQTTSN) Write(b []byte) error {
	if len(d.o.Node) > 0 {
		head, err := mqttsn.Forward{NodeID: d.o.Node}.Append(nil)
		if err != nil {
			return err
		}
		b = append(head, b...)
	}
	if d.o.Trace != nil {
		d.o.Trace(true, b)
	}
	_, err := d.conn.Write(b)
	return err
}

// nextID is a message id that is not in use.
func (d *MQTTSN) nextID() uint16 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.msgID++; d.msgID == 0 {
		d.msgID = 1
	}
	return d.msgID
}
