package mqttsn

import (
	"context"
	"errors"
	"fmt"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/wire/mqttsn"
)

// codeFor is the one table from the kinds of the house to return codes
// (MQTT-SN 1.2 §5.3.10). Congestion means: try later.
func codeFor(err error) mqttsn.ReturnCode {
	if err == nil {
		return mqttsn.Accepted
	}
	switch api.KindOf(err) {
	case api.Busy, api.Unavailable, api.Internal, api.Conflict:
		return mqttsn.Congestion
	case api.NotFound:
		return mqttsn.InvalidTopicID
	case api.Denied, api.Invalid, api.TooLarge:
	}
	return mqttsn.NotSupported
}

// farewells are the reasons with which the house ends a device.
func farewells() []error {
	return []error{
		gateway.ErrTakenOver, gateway.ErrKicked, gateway.ErrBanned, gateway.ErrExpired,
		gateway.ErrLeaseLost, gateway.ErrShutdown,
	}
}

// farewell is a reason of the house; any that it has no word for is a shutdown.
func farewell(cause error) error {
	for _, known := range farewells() {
		if errors.Is(cause, known) {
			return cause
		}
	}
	if cause == nil || errors.Is(cause, context.Canceled) {
		return gateway.ErrShutdown
	}
	return fmt.Errorf("%w: %w", gateway.ErrShutdown, cause)
}

// bequeaths tells whether a device that ends for this reason has its will
// published: it did not go by itself, and it is not for us to come back.
func bequeaths(why error) bool {
	return why != nil && !errors.Is(why, gateway.ErrAsleep) && !errors.Is(why, gateway.ErrShutdown) && !errors.Is(why, gateway.ErrLeaseLost)
}
