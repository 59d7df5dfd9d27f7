package stomp

import (
	"strings"

	"sluice/pkg/wire/stomp"
)

const (
	topicPrefix = "/topic/"
	queuePrefix = "/queue/"
)

// destination is what a destination header names. To STOMP it is opaque
// (STOMP 1.2 "SEND"); here it is a topic or a work queue.
type destination struct {
	prefix string // as the device wrote it; "" for a bare topic
	name   string
	queue  bool
}

func parseDestination(f stomp.Frame) (destination, error) {
	s, err := required(f, "destination")
	if err != nil {
		return destination{}, err
	}
	d := destination{name: s}
	if name, ok := strings.CutPrefix(s, topicPrefix); ok {
		d = destination{prefix: topicPrefix, name: name}
	} else if name, ok := strings.CutPrefix(s, queuePrefix); ok {
		d = destination{prefix: queuePrefix, name: name, queue: true}
	}
	if d.name == "" {
		return d, violation("destination %q names nothing", s)
	}
	return d, nil
}

func (d destination) String() string { return d.prefix + d.name }

// of is a delivered topic in the form in which the device subscribed.
func (d destination) of(topic string) string {
	switch d.prefix {
	case "":
		return topic
	case queuePrefix:
		return d.prefix + d.name
	}
	return d.prefix + topic
}
