package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/services/session/fanout"
	"sluice/streams"
)

// sendCopy publishes one copy. The id makes it single, whoever sends it again
// within the duplicate window of the stream.
func (s *Service) sendCopy(p fanout.Parcel, id uint64) error {
	to := p.To.Owner.(*sub)
	if !to.cl.p.lease.Valid() {
		return errLeaseOver
	}
	reply := s.inbox + ".q." + strconv.FormatUint(id, 10)
	m := nats.NewMsg(p.To.Name)
	m.Header, m.Data, m.Reply = copyHeader(p.Message), p.Message.Data, reply
	m.Header.Set(nats.MsgIdHdr, strconv.FormatUint(p.Message.Seq, 10)+"."+p.To.Name)
	if ttl, ok := remaining(p.Message, time.Now()); ok {
		if ttl < time.Second { // the shortest that JetStream knows
			return s.NC.Publish(reply, []byte(expiredAnswer))
		}
		m.Header.Set(jetstream.MsgTTLHeader, strconv.Itoa(int(ttl/time.Second))+"s")
	}
	err := s.NC.PublishMsg(m)
	if errors.Is(err, nats.ErrMaxPayload) {
		// No answer will come: give one ourselves, from the queue of answers.
		return s.NC.Publish(reply, []byte(tooLargeAnswer))
	}
	return err
}

// Answers that we give ourselves, in JetStream's words.
const (
	tooLargeAnswer = `{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"}}`
	expiredAnswer  = `{"error":{"code":400,"err_code":1,"description":"expired"}}`
)

// remaining is what is left of the time that the publisher gave a message.
func remaining(m *fanout.Message, now time.Time) (time.Duration, bool) {
	v := m.Header.Get(jetstream.MsgTTLHeader)
	if v == "" || v == "never" {
		return 0, false
	}
	d, err := time.ParseDuration(v)
	if seconds, serr := strconv.ParseInt(v, 10, 32); serr == nil {
		d, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil {
		return 0, false
	}
	return m.Stored.Add(d).Sub(now), true
}

func copyHeader(m *fanout.Message) nats.Header {
	out := ownHeader(m.Header)
	out.Set(streams.HdrSubject, m.Subject)
	out.Set(streams.HdrSeq, strconv.FormatUint(m.Seq, 10))
	return out
}

// onStored takes the answer of GW_QUEUE for a copy. It runs in the goroutine of
// its subscription and does not wait for anything.
func (s *Service) onStored(m *nats.Msg) {
	id, err := strconv.ParseUint(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:], 10, 64)
	if err != nil {
		return
	}
	o, seq, why := readAck(m)
	if o == fanout.Retry {
		s.trouble.report("store in GW_QUEUE", why)
	}
	p, settled := s.lanes.Answered(id, o, time.Now())
	if !settled {
		return
	}
	to := p.To.Owner.(*sub)
	switch o {
	case fanout.Kept:
		s.trouble.clear("store in GW_QUEUE")
		if to.stored(&queued{seq: seq, subj: p.To.Name, header: copyHeader(p.Message), data: p.Message.Data}, seq) {
			s.pool.wake(to)
		}
	case fanout.Before: // it may be delivered and deleted already: the queue itself must tell
		if to.stored(nil, seq) {
			s.pool.wake(to)
		}
	case fanout.Full:
		to.dropped("queue_full")
	case fanout.Refused:
		if errors.Is(why, errExpired) {
			to.dropped("expired")
			return
		}
		to.dropped("refused")
		s.trouble.report("store one message in GW_QUEUE", why)
	case fanout.Retry: // not settled
	}
}

var errExpired = errors.New("session: expired")

// readAck reads a publish acknowledgement.
func readAck(m *nats.Msg) (o fanout.Outcome, seq uint64, why error) {
	const (
		codeStoreFailed = 10077 // with the reason in the text
		codeExpired     = 1     // our own
	)
	var r struct {
		Seq       uint64              `json:"seq"`
		Duplicate bool                `json:"duplicate"`
		Error     *jetstream.APIError `json:"error"`
	}
	if len(m.Data) == 0 {
		return fanout.Retry, 0, nats.ErrNoResponders
	}
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return fanout.Retry, 0, fmt.Errorf("session: unreadable acknowledgement: %w", err)
	}
	switch e := r.Error; {
	case e == nil && r.Seq == 0:
		return fanout.Retry, 0, errors.New("session: an acknowledgement without a sequence")
	case e == nil && r.Duplicate:
		return fanout.Before, r.Seq, nil
	case e == nil:
		return fanout.Kept, r.Seq, nil
	case e.ErrorCode == codeStoreFailed && strings.Contains(e.Description, "per subject"):
		return fanout.Full, 0, e
	case e.ErrorCode == codeExpired:
		return fanout.Refused, 0, errExpired
	case e.ErrorCode == codeStoreFailed || e.Code != 400:
		return fanout.Retry, 0, e
	default:
		return fanout.Refused, 0, e
	}
}
