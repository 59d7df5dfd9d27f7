package conform

import (
	"context"
	"fmt"
	"time"
)

// Login is as whom a device connects.
type Login struct {
	ClientID  string
	Username  string
	Password  string
	Keepalive time.Duration // 0 = the device announces none
}

// Publication is a message that a device sends.
type Publication struct {
	Topic   string // without the mountpoint; the name of a work queue with Queue
	Queue   bool
	Payload string
}

// Subscription is what a device asks for.
type Subscription struct {
	Filter  string // wildcards as in MQTT; the name of a work queue with Queue
	Queue   bool
	Durable bool // the same Filter resumes it
}

// Received is a message that came to a device.
type Received struct {
	Topic   string
	Payload string
	Again   bool // the server says that it may have come before
	// Ack returns when the server has taken the acknowledgement; it does nothing
	// for messages that need none.
	Ack func(ctx context.Context) error
}

// Device is a simulated device, connected. It sends nothing by itself: no
// keep-alive, no acknowledgement that [Received.Ack] should make.
type Device interface {
	// Publish returns nil only when the server has confirmed the message.
	Publish(ctx context.Context, p Publication) error
	// Subscribe returns nil when the server has confirmed the subscription.
	Subscribe(ctx context.Context, s Subscription) error
	// Next waits for a message; ctx's error when none came.
	Next(ctx context.Context) (Received, error)
	// Write sends bytes as they are.
	Write(b []byte) error
	// Deaf stops or resumes reading from the network.
	Deaf(yes bool)
	// Close says goodbye as the protocol does, and waits for the answer.
	Close(ctx context.Context) error
	// Cut drops the connection, as lost networks do; twice is no fault.
	Cut()
	// Ended is closed when the device knows that its connection is over.
	Ended() <-chan struct{}
	// Err is why it is over: a [Refused] when the server said so.
	Err() error
}

// Refused is the error of a device whose server said no, or told it to go.
type Refused struct {
	Later bool // it said: try later
	Text  string
}

func (r *Refused) Error() string {
	if r.Later {
		return fmt.Sprintf("refused, try later: %s", r.Text)
	}
	return "refused: " + r.Text
}
