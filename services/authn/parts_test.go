package authn

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func mustJS(t *testing.T, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}

func TestProofsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProofs()
		x := p.of("global.ann", 7, "pw")
		require.False(t, p.has(x))
		p.add(x)
		time.Sleep(proofTTL)
		require.True(t, p.has(x))
		time.Sleep(time.Nanosecond)
		require.False(t, p.has(x))
		require.Empty(t, p.until.items)
	})
}

func TestProofsDiffer(t *testing.T) {
	p := newProofs()
	x := p.of("global.ann", 7, "pw")
	require.Equal(t, x, p.of("global.ann", 7, "pw"))
	require.NotEqual(t, x, p.of("global.ann", 8, "pw"), "revision")
	require.NotEqual(t, x, p.of("global.an", 7, "npw"), "fields do not run together")
	require.NotEqual(t, x, newProofs().of("global.ann", 7, "pw"), "another process")
}

func TestBudgetRefills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudgets()
		for range failureBurst {
			require.True(t, b.allow("a"))
			b.fail("a")
		}
		require.False(t, b.allow("a"))
		require.True(t, b.allow("b"))
		time.Sleep(time.Second / failureRate)
		require.True(t, b.allow("a"))
		b.fail("a")
		require.False(t, b.allow("a"))
		time.Sleep(time.Hour)
		require.InDelta(t, failureBurst, b.refilled("a").left, 0, "never more than full")
	})
}

func TestLRUDropsTheOldest(t *testing.T) {
	l := newLRU[string, int](2)
	l.put("a", 1)
	l.put("b", 2)
	l.get("a")
	l.put("c", 3)
	_, ok := l.get("b")
	require.False(t, ok)
	v, ok := l.get("a")
	require.True(t, ok)
	require.Equal(t, 1, v)
	require.Len(t, l.items, l.order.Len())
}

func TestAddressOf(t *testing.T) {
	for peer, want := range map[string]string{
		"192.0.2.1:5": "192.0.2.1", "192.0.2.1": "192.0.2.1", "[::ffff:192.0.2.1]:5": "192.0.2.1",
		"[2001:db8:1:2:3::4]:5": "2001:db8:1:2::/64", "[fe80::1%eth0]:5": "fe80::/64", "pipe": "pipe", "": "",
	} {
		require.Equal(t, want, addressOf(peer), peer)
	}
}

func TestUserKeys(t *testing.T) {
	require.Equal(t, "global.ann", UserKey(Global, "ann"))
	require.Equal(t, "stomp=2Edefault.a=2Eb", UserKey(Scope("stomp", "default"), "a.b"))
	for _, c := range [][2]string{{Global, "ann"}, {"stomp.a.b", "x y"}, {"", ""}} {
		scope, user, err := ParseUserKey(UserKey(c[0], c[1]))
		require.NoError(t, err)
		require.Equal(t, c, [2]string{scope, user})
	}
	for _, bad := range []string{"", "a", "a.b.c", "=.=4", "=2.b"} {
		_, _, err := ParseUserKey(bad)
		require.Error(t, err, bad)
	}
	for _, bad := range [][2]string{{"stomp", "u"}, {".x", "u"}, {"x.", "u"}, {Global, ""}, {"a.b", strings.Repeat("u", 257)}} {
		_, err := checkUser("op", bad[0], bad[1])
		require.Error(t, err, bad)
	}
}
