package gateway

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/listen"
	"sluice/streams"
)

// arrive connects a device with a session, or wakes it up.
func arrive(t testing.TB, i *Instance, h Hello) (*client, error) {
	t.Helper()
	no := false
	h.Session, h.Peer = true, "127.0.0.1:1"
	c, err := i.door(listen.Config{Type: "udp", Name: "default", EnableAuthn: &no}).Connect(t.Context(), h)
	if err != nil {
		return nil, err
	}
	return c.(*client), nil
}

func mainSub(filter string) Subscription {
	return Subscription{ID: filter, Filter: filter, QoS: 1, Durable: true, Main: true}
}

// offline waits until the session service knows of a goodbye, which is a notice:
// a device that is back elsewhere at once may be faster.
func (h *house) offline(c *client) {
	h.t.Helper()
	kv, err := h.js.KeyValue(h.t.Context(), streams.Sessions)
	require.NoError(h.t, err)
	require.Eventually(h.t, func() bool {
		var rec api.Session
		e, err := kv.Get(h.t.Context(), streams.SessionKey(c.info.ClientKey))
		return err == nil && json.Unmarshal(e.Value(), &rec) == nil && rec.State == api.Offline
	}, patience, 5*time.Millisecond)
}

func (h *house) store(subj, body string) {
	h.t.Helper()
	_, err := h.js.Publish(h.t.Context(), subj, []byte(body))
	require.NoError(h.t, err)
}

// TestSleepAndWake is the life of a sleeping device: what comes is kept, it
// fetches it elsewhere, sleeps on, and its state goes with it.
func TestSleepAndWake(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.sessions()
	a, b := h.instance(h.node("a"), "i", ""), h.instance(h.node("b"), "i", "")
	c, err := arrive(t, a, Hello{ClientID: "dev"})
	require.NoError(t, err)
	require.False(t, c.Session().Present)
	require.NoError(t, c.Subscribe(t.Context(), mainSub("t/+")))
	_, err = arrive(t, b, Hello{ClientID: "dev", Wake: true})
	wantKind(t, api.NotFound, err) // and nobody is sent away for it
	require.Empty(t, c.kicked)
	require.NoError(t, c.Sleep(t.Context(), Sleep{For: time.Minute, State: []byte("ids")}))
	c.Close(ErrAsleep)
	h.store("iot.t.x", "1")
	h.store("iot.t.y", "2")
	require.Eventually(t, func() bool { return h.queued() == 2 }, patience, 5*time.Millisecond, "both wait for it")
	for round := range 2 {
		w, err := arrive(t, b, Hello{ClientID: "dev", Wake: true})
		require.NoError(t, err)
		require.Equal(t, "ids", string(w.Session().State))
		require.Equal(t, "t/+", w.Session().Subs[0].Filter)
		var got []string
		for drained := false; !drained; {
			for _, e := range w.Take(nil) {
				if e.Kind == Delivered {
					got = append(got, e.Delivery.Topic+" "+string(e.Delivery.Msg.Payload))
					e.Delivery.Done(nil)
				}
				drained = drained || e.Kind == Drained
			}
			if !drained {
				select {
				case <-w.Wake():
				case <-time.After(patience):
					require.FailNow(t, "not drained", "%v", got)
				}
			}
		}
		if round == 0 {
			require.Equal(t, []string{"t/x 1", "t/y 2"}, got)
		} else {
			require.Empty(t, got, "once is enough")
		}
		require.NoError(t, w.Sleep(t.Context(), Sleep{For: time.Minute, State: []byte("ids")}))
		w.Close(ErrAsleep)
	}
}

// TestCleanSessionOfASleeper survives a wake-up that was cut off, and ends with
// a goodbye.
func TestCleanSessionOfASleeper(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.sessions()
	i := h.instance(h.node("a"), "i", "")
	c, err := arrive(t, i, Hello{ClientID: "dev", Clean: true})
	require.NoError(t, err)
	require.NoError(t, c.Subscribe(t.Context(), plain("t", "t")))
	require.NoError(t, c.Sleep(t.Context(), Sleep{For: time.Minute}))
	c.Close(ErrAsleep)
	h.store("iot.t", "1")
	w, err := arrive(t, i, Hello{ClientID: "dev", Wake: true})
	require.NoError(t, err)
	w.Close(ErrShutdown)
	require.Eventually(t, func() bool {
		w, err = arrive(t, i, Hello{ClientID: "dev", Wake: true})
		return err == nil
	}, patience, 10*time.Millisecond, "it sleeps on")
	require.EqualValues(t, 1, h.queued())
	w.Close(nil)
	require.Eventually(t, func() bool { return h.queued() == 0 }, patience, 10*time.Millisecond)
	_, err = arrive(t, i, Hello{ClientID: "dev", Wake: true})
	wantKind(t, api.NotFound, err)
}

// TestSessionIsResumed: subscriptions come back with a connection that is not
// clean, elsewhere too, and a clean one ends them.
func TestSessionIsResumed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.sessions()
	a, b := h.instance(h.node("a"), "i", ""), h.instance(h.node("b"), "i", "")
	c, err := arrive(t, a, Hello{ClientID: "dev"})
	require.NoError(t, err)
	require.NoError(t, c.Subscribe(t.Context(), mainSub("t")))
	require.NoError(t, c.Subscribe(t.Context(), mainSub("u")))
	require.NoError(t, c.Unsubscribe(t.Context(), "u", false))
	c.Leave([]byte("left"))
	c.Close(nil)
	h.offline(c)
	h.store("iot.t", "kept")
	h.store("iot.u", "nobody's")
	c, err = arrive(t, b, Hello{ClientID: "dev"})
	require.NoError(t, err)
	require.Equal(t, Session{Present: true, State: []byte("left"), Subs: []Subscription{mainSub("t")}}, c.Session())
	e := next(t, c)
	require.Equal(t, "kept", string(e.Delivery.Msg.Payload))
	e.Delivery.Done(nil)
	c.Close(nil)
	c, err = arrive(t, a, Hello{ClientID: "dev", Clean: true})
	require.NoError(t, err)
	require.False(t, c.Session().Present)
	c.Close(nil)
	c, err = arrive(t, a, Hello{ClientID: "dev"})
	require.NoError(t, err)
	require.False(t, c.Session().Present)
	c.Close(nil)
}
