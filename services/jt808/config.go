package jt808

import (
	"errors"
	"fmt"
	"time"

	"sluice/pkg/config"
	"sluice/pkg/gateway"
	"sluice/pkg/subject"
	"sluice/pkg/wire/jt808"
)

// Config is the configuration of a JT/T 808 instance.
type Config struct {
	gateway.InstanceConfig

	MaxPacketSize config.Size   `conf:"max_packet_size" doc:"bytes of one frame, unescaped"`
	Keepalive     time.Duration `conf:"keepalive" doc:"a terminal that sends nothing for so long is gone"`
	WriteTimeout  time.Duration `conf:"write_timeout" doc:"a terminal that takes no bytes for so long is cut off"`
	Frame         Frame         `conf:"frame"`
	Proto         Proto         `conf:"proto"`
	Packets       Packets       `conf:"packets"`
}

// Frame is how frames are read.
type Frame struct {
	StringEncoding string `conf:"string_encoding" doc:"gbk, as the standard says, or utf8"`
}

// Proto is what the protocol leaves to the platform.
type Proto struct {
	UpTopic    string        `conf:"up_topic" doc:"where messages of terminals go; ${clientid} and ${phone} are filled in"`
	DownTopic  string        `conf:"dn_topic" doc:"where applications publish commands"`
	AuthSecret config.Secret `conf:"auth_secret" doc:"registration gives a code made with it, and authentication needs that; without it any code will do where anonymous terminals may come"`
	Edition    string        `conf:"edition" doc:"2011 or 2013: of terminals without the mark of 2019 that do not register"`
	AnswerAll  bool          `conf:"answer_all" doc:"a general response also to answers of the terminal, but for 0x0001"`
}

// Packets is how long messages are put together.
type Packets struct {
	Wait   time.Duration `conf:"wait" doc:"without a packet, before missing ones are asked for"`
	Rounds int           `conf:"rounds" doc:"so often; then the message is given up"`
	Open   int           `conf:"max_open" doc:"incomplete messages of one terminal"`
}

// DefaultConfig is a new configuration with all defaults.
func DefaultConfig() *Config {
	c := &Config{
		InstanceConfig: gateway.DefaultInstance(),
		MaxPacketSize:  8192, Keepalive: 3 * time.Minute, WriteTimeout: 15 * time.Second,
		Frame:   Frame{StringEncoding: "gbk"},
		Proto:   Proto{UpTopic: "jt808/${clientid}/${phone}/up", DownTopic: "jt808/${clientid}/${phone}/dn", Edition: "2013"},
		Packets: Packets{Wait: 5 * time.Second, Rounds: 3, Open: 4},
	}
	c.Mountpoint = ""
	c.QueueWindow, c.RetxInterval = 1, 8*time.Second // in order; as users of such gateways know it
	return c
}

// Validate implements [gateway.Config].
func (c *Config) Validate() error {
	var errs []error
	wrong := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: "+format, append([]any{key}, args...)...))
	}
	if n := int64(c.MaxPacketSize); n < 32 || n > 1<<20 {
		wrong("max_packet_size", "must be from 32 to %d", 1<<20)
	}
	for key, d := range map[string]time.Duration{"keepalive": c.Keepalive, "write_timeout": c.WriteTimeout, "packets.wait": c.Packets.Wait} {
		if d < 100*time.Millisecond {
			wrong(key, "must be at least 100ms")
		}
	}
	if e := c.Frame.StringEncoding; e != "gbk" && e != "utf8" {
		wrong("frame.string_encoding", "%q is neither gbk nor utf8", e)
	}
	if e := c.Proto.Edition; e != "2011" && e != "2013" {
		wrong("proto.edition", "%q is neither 2011 nor 2013", e)
	}
	if c.Packets.Rounds < 0 || c.Packets.Open < 1 || c.Packets.Open > 64 {
		wrong("packets", "rounds must not be below 0, and max_open from 1 to 64")
	}
	for key, template := range map[string]string{"proto.up_topic": c.Proto.UpTopic, "proto.dn_topic": c.Proto.DownTopic} {
		if _, err := subject.Pattern(template); err != nil {
			wrong(key, "%w", err)
		}
	}
	if c.Mountpoint != "" {
		wrong("mountpoint", "topics are taken as proto.up_topic and proto.dn_topic are written: put it there")
	}
	return errors.Join(errs...)
}

// Topics implements [gateway.Topical].
func (c *Config) Topics() (up, down []string) {
	return []string{c.Proto.UpTopic}, []string{c.Proto.DownTopic}
}

func (c *Config) edition() jt808.Edition {
	if c.Proto.Edition == "2011" {
		return jt808.Edition2011
	}
	return jt808.Edition2013
}
