package api

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClientKey(t *testing.T) {
	for text, k := range map[string]ClientKey{
		"stomp.default.car-7":       {"stomp", "default", "car-7"},
		"stomp.a=2Eb.car=207=2E=3E": {"stomp", "a.b", "car 7.>"},
		"=.=.=":                     {},
		"p.i.=C3=A9=3D=2A=00":       {"p", "i", "é=*\x00"},
	} {
		require.Equal(t, text, k.String())
		back, err := ParseClientKey(text)
		require.NoError(t, err)
		require.Equal(t, k, back)
	}
	for _, bad := range []string{"", "a", "a.b", "a.b.c.d", "a.b.", "..", "a.b.c d", "a.b.=2", "a.b.=2e", "a.b.=41", "a.b.>", "a.*.c"} {
		_, err := ParseClientKey(bad)
		require.ErrorContains(t, err, "client key", bad)
	}
}

func FuzzClientKey(f *testing.F) {
	f.Add("stomp", "default", "car-7")
	f.Add("", ".", "=\xff>")
	f.Fuzz(func(t *testing.T, proto, instance, client string) {
		k := ClientKey{proto, instance, client}
		back, err := ParseClientKey(k.String())
		require.NoError(t, err)
		require.Equal(t, k, back)
		require.False(t, strings.ContainsAny(k.String(), " *>\x00"))
		require.GreaterOrEqual(t, k.Partition(), 0)
		require.Less(t, k.Partition(), Partitions)
	})
}

// Queues are on disk under these numbers: they may never change.
func TestPartitionIsStable(t *testing.T) {
	for client, want := range map[string]int{"": 48, "car-7": 17, "ünï 漢字": 24} {
		require.Equal(t, want, ClientKey{"stomp", "default", client}.Partition(), client)
	}
	require.NotEqual(t, ClientKey{"stomp", "a", "x"}.String(), ClientKey{"stomp", "b", "x"}.String())
}

// Clients with names in a row are spread over all partitions.
func TestPartitionSpreads(t *testing.T) {
	var count [Partitions]int
	for i := range 6400 {
		count[ClientKey{"stomp", "default", "device-" + strings.Repeat("x", i%3) + string(rune('a'+i%26)) + strconv.Itoa(i)}.Partition()]++
	}
	for p, n := range count {
		require.Greater(t, n, 50, "partition %d", p)
		require.Less(t, n, 200, "partition %d", p)
	}
}

func TestQueueSubject(t *testing.T) {
	k := ClientKey{"stomp", "default", "car-7"}
	require.Equal(t, "gw.q.17.stomp.default.car-7.sub=2E1", k.QueueSubject("sub.1"))
}

// An edge's answers are compared by prefix and by text: no one may begin another.
func TestDeliveryAnswers(t *testing.T) {
	answers := []string{DeliverAck, DeliverNak, DeliverGap, DeliverGone}
	require.Equal(t, []string{"+ACK", "-NAK", "-GAP", "-GONE"}, answers)
	for i, a := range answers {
		for j, b := range answers {
			require.Equal(t, i == j, strings.HasPrefix(a, b))
		}
	}
}
