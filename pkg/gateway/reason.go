package gateway

import (
	"errors"

	"sluice/pkg/api"
)

// reasonLabel makes a small enum of a reason, for metrics.
func reasonLabel(err error) string {
	for _, r := range [...]struct {
		err   error
		label string
	}{
		{nil, "normal"}, {ErrTakenOver, "taken_over"}, {ErrKicked, "kicked"}, {ErrBanned, "banned"},
		{ErrExpired, "expired"}, {ErrLeaseLost, "lease_lost"}, {ErrShutdown, "shutdown"},
		{ErrKeepalive, "keepalive"}, {ErrIdle, "idle"}, {ErrSlow, "slow"}, {ErrProtocol, "protocol"}, {ErrClosed, "closed"},
		{ErrAsleep, "asleep"}, {ErrNoAck, "no_ack"},
	} {
		if errors.Is(err, r.err) {
			return r.label
		}
	}
	return "error"
}

func reasonText(err error) string {
	if label := reasonLabel(err); label != "error" {
		return label
	}
	return api.PeerText(err)
}
