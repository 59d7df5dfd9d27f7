package gateway

import (
	"bytes"
	"encoding/json"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
)

// JetStream error codes that say something to a device (server errors.json).
const (
	codeIncompleteBatch   = 10176 // a part was lost with the connection: nothing is stored
	codeBatchesInflight   = 10210 // too many batches of others are under way: nothing is stored
	codeDuplicateInBatch  = 10201 // the whole batch is stored already
	codeMaxMsgsPerSubject = 10077 // with the reason in the text: also other limits
)

// verdict is what an answer to a publish means.
type verdict uint8

const (
	foreign verdict = iota // not of JetStream: a NATS application has answered a device's message
	stored                 // by one of our streams
	again                  // JetStream could not answer now: publish once more
	refused                // with the reason
)

// readAck reads an answer to a publish. Only what one of our streams, or the
// server itself, has said counts: whoever subscribes to a device's topic can
// answer too, and a device must not be told "stored" for that.
func readAck(m *nats.Msg) (verdict, error) {
	if len(m.Data) == 0 {
		if m.Header.Get("Status") == "503" { // no responders: no leader yet
			return again, nil
		}
		return foreign, nil
	}
	if acknowledged(m.Data) {
		return stored, nil
	}
	e := failureOf(m.Data)
	switch {
	case e.Code == 0 || e.ErrCode == 0:
		return foreign, nil
	case e.ErrCode == codeDuplicateInBatch:
		return stored, nil
	case e.ErrCode == codeMaxMsgsPerSubject:
		return refused, api.Errorf(api.Busy, "publish", "queue is full")
	case e.Code == 503, e.ErrCode == codeIncompleteBatch, e.ErrCode == codeBatchesInflight:
		return again, nil
	case e.Code == 400:
		return refused, api.Errorf(api.Busy, "publish", "not stored: %s", e.Description)
	default:
		return refused, api.Errorf(api.Unavailable, "publish", "not stored: %s", e.Description)
	}
}

// failure is the error of JetStream's answer, zero when it has none.
type failure struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func failureOf(b []byte) failure {
	var r struct {
		Error failure `json:"error"`
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return failure{}
	}
	return r.Error
}

// acknowledged tells an acknowledgement of one of our streams, without the cost
// of JSON: {"stream":"GW_DATA","seq":1...}, with the domain between them if any.
func acknowledged(b []byte) bool {
	name, ok := bytes.CutPrefix(b, []byte(`{"stream":"`))
	if !ok || !bytes.HasPrefix(name, []byte("GW_")) && !bytes.HasPrefix(name, []byte("KV_GW_")) {
		return false
	}
	_, seq, ok := bytes.Cut(name, []byte(`"seq":`))
	return ok && len(seq) > 0 && seq[0] >= '1' && seq[0] <= '9'
}
