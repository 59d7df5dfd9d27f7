package stomp

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/stomp"
)

func TestHeartBeatNegotiation(t *testing.T) {
	for _, c := range []struct {
		version, theirs, header string
		keepalive               time.Duration
	}{
		{"1.2", "", "10000,10000", 0},
		{"1.2", "0,0", "10000,10000", 0},
		{"1.2", "5000,5000", "10000,10000", 10 * time.Second},
		{"1.1", "30000,0", "10000,10000", 30 * time.Second},
		{"1.2", "1,1", "10000,10000", 10 * time.Second},
		{"1.2", "99999999999999999999,0", "10000,10000", stomp.MaxHeartBeat},
		{"1.0", "5000,5000", "0,0", 0},
	} {
		dialogue(t, func(r *rig) {
			var headers []string
			if c.theirs != "" {
				headers = []string{"heart-beat", c.theirs}
			}
			require.Equal(r, c.header, r.connect(c.version, headers...).Get("heart-beat"))
			require.Equal(r, c.keepalive, r.door.Hellos()[0].Keepalive)
		})
	}
	for _, bad := range []string{"", "1", "a,b", "-1,0", "1,2,3", " 1,2"} {
		dialogue(t, func(r *rig) {
			r.send(stomp.CmdConnect, "accept-version", "1.2", "host", "h", "heart-beat", bad)
			r.refused("heart-beat must be")
		})
	}
}

func TestHeartBeatOut(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2", "heart-beat", "0,20000")
		start := time.Now()
		time.Sleep(15 * time.Second)
		r.publish("x", "destination", "a", "receipt", "1")
		r.receipt("1") // puts the heart-beat off
		time.Sleep(45 * time.Second)
		synctest.Wait()
		var after []time.Duration
		for _, at := range r.heartBeats() {
			after = append(after, at.Sub(start))
		}
		require.Equal(r, []time.Duration{35 * time.Second, 55 * time.Second}, after)
	})
}

func TestHeartBeatIn(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2", "heart-beat", "10000,0")
		for range 5 {
			time.Sleep(19 * time.Second) // one interval of grace
			r.raw("\n")
		}
		last := time.Now()
		time.Sleep(15 * time.Second)
		r.raw("SE") // any byte counts, not only frames
		require.Equal(r, 15*time.Second, time.Since(last))
		last = time.Now()
		r.refused("keepalive timeout")
		require.Equal(r, 20*time.Second+linger, time.Since(last))
		_, reason := r.client().Closed()
		require.ErrorIs(r, reason, gateway.ErrKeepalive)
	})
}

func TestHeartBeatServerSaysNone(t *testing.T) {
	dialogue(t, func(r *rig) {
		require.Equal(r, "0,0", r.connect("1.2", "heart-beat", "1000,1000").Get("heart-beat"))
		time.Sleep(time.Hour)
		r.nothing()
		require.Empty(r, r.heartBeats())
	}, func(r *rig) { r.conf.HeartBeat = HeartBeat{} })
}
