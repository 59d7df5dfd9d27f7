package mqttsn

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"sluice/pkg/config"
	"sluice/pkg/gateway"
	"sluice/pkg/subject"
)

// Config is the configuration of an MQTT-SN instance.
type Config struct {
	gateway.InstanceConfig

	GatewayID          int               `conf:"gateway_id" doc:"in ADVERTISE and GWINFO"`
	Broadcast          Broadcast         `conf:"broadcast"`
	EnableQoS3         bool              `conf:"enable_qos3" doc:"take PUBLISH with QoS -1 from devices that are not connected"`
	QoS3ClientID       string            `conf:"qos3_clientid" doc:"QoS -1 is published by a client of this name, with a suffix"`
	SubsResume         bool              `conf:"subs_resume" doc:"after a session is resumed, REGISTER the topics it has subscribed to before the first message"`
	Predefined         []PredefinedTopic `conf:"predefined" doc:"topic ids that devices know without REGISTER"`
	MaxTopics          int               `conf:"max_topics" doc:"topic ids of one client"`
	MaxPayload         config.Size       `conf:"max_payload" doc:"bytes of one PUBLISH or will message"`
	AllowEmptyClientID bool              `conf:"allow_empty_clientid" doc:"give devices without client id one; they cannot sleep"`
}

// Broadcast is how the gateway makes itself known.
type Broadcast struct {
	Enable   bool          `conf:"enable"`
	Address  string        `conf:"address" doc:"ADVERTISE goes there: a broadcast or multicast address with port"`
	Interval time.Duration `conf:"interval" doc:"T_ADV of the specification"`
}

// PredefinedTopic is a topic id that needs no registration.
type PredefinedTopic struct {
	ID    int    `conf:"id"`
	Topic string `conf:"topic"`
}

// DefaultConfig is a new configuration with all defaults.
func DefaultConfig() *Config {
	c := &Config{
		InstanceConfig: gateway.DefaultInstance(),
		GatewayID:      1,
		Broadcast:      Broadcast{Address: "255.255.255.255:1884", Interval: 15 * time.Minute},
		EnableQoS3:     true, QoS3ClientID: "qos3",
		MaxTopics: 1024, MaxPayload: 8192,
	}
	c.QueueWindow = 1 // MQTT-SN 1.2 §6.6
	return c
}

const (
	// maxPredefined is the highest pre-defined topic id; those of REGISTER and
	// SUBACK are above, so that no device can take one for the other.
	maxPredefined = 1024
	maxTopics     = 0xFFFE - maxPredefined
	// maxSend is the longest datagram that UDP can carry over IPv4.
	maxSend   = 65507
	maxWindow = 64
)

// Validate implements [gateway.Config].
func (c *Config) Validate() error {
	var errs []error
	within := func(key string, v, low, high int64) {
		if v < low || v > high {
			errs = append(errs, fmt.Errorf("%s: must be from %d to %d", key, low, high))
		}
	}
	within("gateway_id", int64(c.GatewayID), 0, 255)
	within("max_topics", int64(c.MaxTopics), 1, maxTopics)
	within("max_payload", int64(c.MaxPayload), 1, maxSend)
	within("queue_window", int64(c.QueueWindow), 1, maxWindow)
	if c.EnableQoS3 && c.QoS3ClientID == "" {
		errs = append(errs, errors.New("qos3_clientid: must not be empty"))
	}
	if b := c.Broadcast; b.Enable {
		if _, err := netip.ParseAddrPort(b.Address); err != nil {
			errs = append(errs, fmt.Errorf("broadcast.address: must be ip:port: %w", err))
		}
		within("broadcast.interval", int64(b.Interval/time.Second), 1, 0xFFFF)
	}
	return errors.Join(append(errs, c.checkPredefined()...)...)
}

func (c *Config) checkPredefined() (errs []error) {
	ids, topics := map[int]bool{}, map[string]bool{}
	for i, p := range c.Predefined {
		key := fmt.Sprintf("predefined[%d]", i)
		switch _, err := subject.FromTopic(p.Topic); {
		case p.ID < 1 || p.ID > maxPredefined:
			errs = append(errs, fmt.Errorf("%s.id: must be from 1 to %d", key, maxPredefined))
		case ids[p.ID]:
			errs = append(errs, fmt.Errorf("%s.id: %d is given twice", key, p.ID))
		case topics[p.Topic]:
			errs = append(errs, fmt.Errorf("%s.topic: %q is given twice", key, p.Topic))
		case err != nil:
			errs = append(errs, fmt.Errorf("%s.topic: %w", key, err))
		}
		ids[p.ID], topics[p.Topic] = true, true
	}
	return errs
}

// predefined are the topics of the configuration, both ways.
type predefined struct {
	names map[uint16]string
	ids   map[string]uint16
}

func newPredefined(topics []PredefinedTopic) predefined {
	p := predefined{map[uint16]string{}, map[string]uint16{}}
	for _, t := range topics {
		p.names[uint16(t.ID)], p.ids[t.Topic] = t.Topic, uint16(t.ID)
	}
	return p
}
