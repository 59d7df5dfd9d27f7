package stomp

import (
	"strconv"
	"strings"
	"time"
)

// MaxHeartBeat is the longest interval that ParseHeartBeat returns. A longer
// one is as good as none, and cutting it keeps timers far from overflow.
const MaxHeartBeat = 24 * time.Hour

// HeartBeat is what one side declares in its heart-beat header; zero means
// "cannot" or "does not want" (STOMP 1.2 "Heart-beating").
type HeartBeat struct {
	Send time.Duration // it can send something at least this often
	Want time.Duration // it wants to receive something at least this often
}

// ParseHeartBeat reads the value of a heart-beat header: two non-negative
// decimal numbers of milliseconds with a comma between and nothing else. A
// missing header is the zero HeartBeat; do not call ParseHeartBeat for it.
func ParseHeartBeat(s string) (HeartBeat, error) {
	send, want, ok := strings.Cut(s, ",")
	if !ok {
		return HeartBeat{}, ErrBadHeartBeat
	}
	var (
		h              HeartBeat
		sendOK, wantOK bool
	)
	h.Send, sendOK = parseMillis(send)
	h.Want, wantOK = parseMillis(want)
	if !sendOK || !wantOK {
		return HeartBeat{}, ErrBadHeartBeat
	}
	return h, nil
}

func parseMillis(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	var d time.Duration
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		d = min(d*10+time.Duration(s[i]-'0')*time.Millisecond, MaxHeartBeat)
	}
	return d, true
}

// String returns the value for a heart-beat header, in milliseconds.
func (h HeartBeat) String() string {
	return strconv.FormatInt(h.Send.Milliseconds(), 10) + "," + strconv.FormatInt(h.Want.Milliseconds(), 10)
}

// Negotiate returns how often something must pass in each direction, zero
// meaning never: the larger of what the sender can and the receiver wants,
// when neither is zero (STOMP 1.2 "Heart-beating").
func Negotiate(client, server HeartBeat) (toServer, toClient time.Duration) {
	return interval(client.Send, server.Want), interval(server.Send, client.Want)
}

func interval(can, wants time.Duration) time.Duration {
	if can == 0 || wants == 0 {
		return 0
	}
	return max(can, wants)
}
