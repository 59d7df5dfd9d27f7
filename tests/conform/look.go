package conform

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/streams"
)

// messages are those of a stream whose subject matches, in order.
func (h *House) messages(ctx context.Context, stream, filter string) (all []*jetstream.RawStreamMsg, err error) {
	s, err := h.js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	for seq := uint64(1); ; {
		m, err := s.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(filter))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, m)
		seq = m.Sequence + 1
	}
}

// Stored are the messages of GW_DATA below a subject, in order.
func (h *House) Stored(t *testing.T, filter string) []*jetstream.RawStreamMsg {
	t.Helper()
	all, err := h.messages(within(t), streams.Data, filter)
	require.NoError(t, err)
	return all
}

// payloads are the bodies of Stored.
func (h *House) payloads(t *testing.T, filter string) []string {
	t.Helper()
	out := []string{}
	for _, m := range h.Stored(t, filter) {
		out = append(out, string(m.Data))
	}
	return out
}

// events are what gw.evt says of a client of the room.
func (r *Room) events(t *testing.T, event, client string) (out []api.Event) {
	t.Helper()
	all, err := r.messages(within(t), streams.Events, streams.EventSubject(r.stage.Kind.Proto, r.Name, event, client))
	require.NoError(t, err)
	for _, m := range all {
		var e api.Event
		require.NoError(t, json.Unmarshal(m.Data, &e))
		require.Equal(t, event, e.Event)
		require.Equal(t, client, e.Client)
		out = append(out, e)
	}
	return out
}

// awaitEnd waits for the disconnected event of a client with a reason.
func (r *Room) awaitEnd(t *testing.T, client, reason string) (found api.Event) {
	t.Helper()
	await(t, "no event that "+client+" was disconnected because of "+reason, func() bool {
		for _, e := range r.events(t, api.EventDisconnected, client) {
			if e.Reason == reason {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// owner is the record of a client in GW_CLIENTS; the epoch is 0 without one.
func (r *Room) owner(t *testing.T, client string) (o api.Owner, epoch uint64) {
	t.Helper()
	kv, err := r.js.KeyValue(within(t), streams.Clients)
	require.NoError(t, err)
	e, err := kv.Get(within(t), r.key(client).String())
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return o, 0
	}
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(e.Value(), &o))
	return o, e.Revision()
}

// awaitGone waits until a client has left no record.
func (r *Room) awaitGone(t *testing.T, client string) {
	t.Helper()
	await(t, "an owner record is left of client "+client, func() bool {
		_, epoch := r.owner(t, client)
		return epoch == 0
	})
}

// clients is what management shows of the room.
func (r *Room) clients(t *testing.T) []api.ClientInfo {
	t.Helper()
	page, err := call[api.ListResponse](t, r.House, "mgmt", "clients.list", api.ListRequest{Gateway: r.gateway()})
	require.NoError(t, err)
	require.Empty(t, page.Missing)
	require.Equal(t, len(page.Data), page.Count)
	return page.Data
}

// metric is a series of the room, over both nodes.
func (r *Room) metric(series string) (sum float64) {
	for _, n := range r.nodes {
		if n != nil {
			sum += n.metrics.Snapshot(r.stage.Kind.Proto, r.Name)[series]
		}
	}
	return sum
}

// noSecretIn looks for passwords in the log.
func (h *House) noSecretIn(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.secrets {
		for _, line := range h.Log.Lines(s) {
			t.Errorf("a password is in the log: %s", strings.ReplaceAll(line, s, "<password>"))
		}
	}
}
