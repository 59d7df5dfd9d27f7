package gateway

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
)

func TestReadAck(t *testing.T) {
	for _, c := range []struct {
		ack  string
		want verdict
		kind string // of a refusal
	}{
		{"", foreign, ""},
		{"ok", foreign, ""},
		{`{"ok":true}`, foreign, ""},
		{`{"error":"no"}`, foreign, ""},
		{`{"error":`, foreign, ""},
		{`{"error":{"code":400}}`, foreign, ""},
		{`{"stream":"MINE","seq":1}`, foreign, ""},
		{`{"stream":"GW_DATA"}`, foreign, ""},
		{`{"stream":"GW_DATA","seq":0}`, foreign, ""},
		{`{"stream":"GW_DATA", "domain":"hub","seq":7}`, stored, ""},
		{`{"stream":"KV_GW_CLIENTS","seq":7}`, stored, ""},
		{`{"stream":"GW_DATA","seq":1}`, stored, ""},
		{`{"stream":"GW_DATA","seq":1,"duplicate":true}`, stored, ""},
		{`{"stream":"GW_error","seq":1}`, stored, ""},
		{`{"error":{"code":400,"err_code":10201,"description":"duplicate in batch"}}`, stored, ""},
		{`{"error":{"code":400,"err_code":10176,"description":"batch is incomplete"}}`, again, ""},
		{`{"error":{"code":429,"err_code":10210,"description":"too many inflight"}}`, again, ""},
		{`{"error":{"code":503,"err_code":10008,"description":"temporarily unavailable"}}`, again, ""},
		{`{"error":{"code":503,"err_code":10077,"description":"maximum messages per subject exceeded"}}`, refused, "busy"},
		{`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 3"}}`, refused, "busy"},
		{`{"error":{"code":500,"err_code":10000,"description":"disk on fire"}}`, refused, "unavailable"},
	} {
		v, err := readAck(&nats.Msg{Data: []byte(c.ack)})
		require.Equal(t, c.want, v, c.ack)
		if c.kind == "" {
			require.NoError(t, err, c.ack)
			continue
		}
		require.Equal(t, c.kind, api.KindOf(err).String(), c.ack)
	}
	v, err := readAck(noResponders(""))
	require.NoError(t, err)
	require.Equal(t, again, v)
}

// noResponders is how the server says that nobody listens.
func noResponders(subj string) *nats.Msg {
	return &nats.Msg{Subject: subj, Header: nats.Header{"Status": {"503"}}}
}

// TestPublisherIgnoresStrangeAcks: anybody may publish to an inbox.
func TestPublisherIgnoresStrangeAcks(t *testing.T) {
	p := idle()
	require.NoError(t, p.publish(msg("iot.a", 1), true, func(err error) { require.NoError(t, err) }))
	for _, number := range []string{"", "0", "2", "zz", "-1", "ffffffffffffffffffff"} {
		p.onAck(&nats.Msg{Subject: p.prefix + number, Data: []byte(`{"stream":"GW_DATA","seq":1}`)})
		require.Equal(t, 1, p.pending(), number)
	}
	for range 2 {
		p.onAck(&nats.Msg{Subject: p.prefix + "1", Data: []byte(`{"stream":"GW_DATA","seq":1}`)})
		require.Zero(t, p.pending())
	}
}

// TestPublisherNoResponders: no leader now; the message and all after it wait.
func TestPublisherNoResponders(t *testing.T) {
	p := idle()
	p.holding = false
	p.ring[1] = &unacked{id: 1, batch: []*nats.Msg{msg("iot.a", 1)}}
	p.next, p.count = 2, 1
	p.onAck(noResponders(p.prefix + "1"))
	require.True(t, p.holding)
	require.Equal(t, 1, p.pending())
	require.NoError(t, p.publish(msg("iot.a", 2), true, nil))
	require.Zero(t, p.ring[2].sent)
}
