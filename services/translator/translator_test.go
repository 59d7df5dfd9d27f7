package translator

import (
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/jt808"
	"sluice/streams"
)

func bytesOf(s string) io.Reader { return strings.NewReader(s) }

func numbers(from, to int) (all []int) {
	for i := from; i <= to; i++ {
		all = append(all, i)
	}
	return all
}

func TestTranslates(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start("t1")
	seq := h.report("139", at(t, "139", 7), "2013")
	m := h.await("jt808.139.139.up", 1)[0]
	require.JSONEq(t, `{"header":{"msg_id":512,"encrypt":0,"len":34,"phone":"000000000139","msg_sn":7},
		"body":{"alarm":0,"status":3,"latitude":1,"longitude":2,"altitude":3,"speed":4,"direction":5,"time":"261124100000","extra":{"mileage":7}}}`, string(m.Data()))
	head := m.Headers()
	require.Equal(t, "jt808", head.Get(streams.HdrProto))
	require.Equal(t, "139", head.Get(streams.HdrClient))
	require.Equal(t, "application/json", head.Get(streams.HdrContentType))
	require.Equal(t, "2026-11-24T10:00:00.000Z", head.Get(streams.HdrTs))
	require.Equal(t, strconv.Itoa(key("139").Partition())+"."+strconv.FormatUint(seq, 10), head.Get(streams.HdrRaw))
}

// TestWhatCannotBeDecoded is never dropped.
func TestWhatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start("t1")
	bad := []byte("\x7e no frame of JT/T 808\r\n\x7e")
	h.report("139", bad, "")
	h.report("139", at(t, "139", 1), "")
	m := h.await("jt808.139.139.up.raw", 1)[0]
	require.Equal(t, bad, m.Data())
	require.NotEmpty(t, m.Headers().Get(streams.HdrReason))
	require.Equal(t, "application/octet-stream", m.Headers().Get(streams.HdrContentType))
	h.await("jt808.139.139.up", 1)
}

// TestLongMessages come together, also over a restart in the middle; pictures lie
// in the object store.
func TestLongMessages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.start("t1")
	phone, err := jt808.ParsePhone("139", false)
	require.NoError(t, err)
	picture := make([]byte, 5000)
	for i := range picture {
		picture[i] = byte(i * 7)
	}
	body := append(make([]byte, jt808.MediaHead), picture...)
	body[3] = 9 // its id
	packets, err := jt808.Packets(jt808.Header{ID: 0x0801, Phone: phone, Serial: 20}, body)
	require.NoError(t, err)
	for _, i := range []int{3, 0, 0, 4} {
		h.report("139", frame(t, packets[i]), "2013")
	}
	h.report("139", at(t, "139", 1), "2013") // between them
	h.await("jt808.139.139.up", 1)
	time.Sleep(200 * time.Millisecond) // some checkpoints
	p.stop()
	h.start("t2")
	h.report("139", frame(t, packets[1]), "2013")
	last := h.report("139", frame(t, packets[2]), "2013")
	m := h.await("jt808.139.139.up", 2)[1]
	name := key("139").String() + "/" + strconv.FormatUint(last, 10)
	require.Contains(t, string(m.Data()), `"multimedia":"","object":"`+name+`","size":5000}`)
	store, err := h.js.ObjectStore(t.Context(), streams.Media)
	require.NoError(t, err)
	got, err := store.GetBytes(t.Context(), name)
	require.NoError(t, err)
	require.Equal(t, picture, got)
}

// TestNothingIsLostOrDoubled over ends, with and without a goodbye, of processes
// that share the work, and although JetStream forgets ids at once.
func TestNothingIsLostOrDoubled(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.forgetful()
	phones := []string{"1", "2", "3", "4", "5"}
	const rounds, each = 6, 60
	rnd := rand.New(rand.NewPCG(3, 4))
	a, b := h.start("a"), h.start("b")
	for round := range rounds {
		for i := range each {
			for _, phone := range phones {
				h.report(phone, at(t, phone, round*each+i), "2013")
			}
			if i == each/2 {
				if rnd.IntN(2) == 0 {
					a.kill()
				} else {
					a.stop()
				}
				a, b = b, h.start("n"+strconv.Itoa(round))
			}
		}
	}
	a.stop()
	b.kill()
	h.report("1", at(t, "1", rounds*each), "2013") // nobody is there
	time.Sleep(300 * time.Millisecond)
	h.start("last")
	for _, phone := range phones {
		n := rounds * each
		if phone == "1" {
			n++
		}
		require.Equal(t, numbers(0, n-1), miles(t, h.await("jt808."+phone+"."+phone+".up", n)), phone)
	}
	require.Empty(t, h.got("jt808.*.*.up.raw"))
}

// TestCheckpointThatIsOld: what was published after it is found in GW_DATA.
func TestCheckpointThatIsOld(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.forgetful()
	p := h.start("t1", func(c *Config) { c.SaveEvery = time.Hour }) // it writes none
	for i := range 20 {
		h.report("139", at(t, "139", i), "2013")
	}
	h.await("jt808.139.139.up", 20)
	p.kill()
	time.Sleep(300 * time.Millisecond) // the ids are forgotten
	h.start("t2")
	h.report("139", at(t, "139", 20), "2013")
	require.Equal(t, numbers(0, 20), miles(t, h.await("jt808.139.139.up", 21)))
}

func TestSharesAreEven(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a := h.start("a")
	require.Equal(t, 64, a.Owned())
	b := h.start("b")
	require.Eventually(t, func() bool { return a.Owned() == 32 && b.Owned() == 32 }, patience, 10*time.Millisecond)
	a.stop()
	require.Eventually(t, func() bool { return b.Owned() == 64 }, patience, 10*time.Millisecond)
}

// TestIncompleteMessages are given up in time, and their packets are kept raw.
func TestIncompleteMessages(t *testing.T) {
	d := newJT808()
	packets, err := jt808.Packets(jt808.Header{ID: 0x0801, Serial: 5}, make([]byte, 3000))
	require.NoError(t, err)
	now := time.Unix(1000, 0)
	require.Empty(t, d.decode(Raw{Seq: 8, At: now, Frame: frame(t, packets[2])}))
	require.Empty(t, d.decode(Raw{Seq: 9, At: now, Frame: frame(t, packets[0])}))
	seq, waits := d.oldest()
	require.True(t, waits)
	require.EqualValues(t, 8, seq)
	require.False(t, d.idle())
	require.Empty(t, d.expire(now.Add(keepFor-time.Second)))
	out := d.expire(now.Add(keepFor))
	require.Len(t, out, 2)
	require.Equal(t, frame(t, packets[0]), out[0].Body)
	require.ErrorContains(t, out[0].Err, "2 of 3 packets of message 0x0801 came")
	require.True(t, d.idle())
	out = d.decode(Raw{Seq: 10, At: now, Frame: at(t, "1", 1)})
	require.NoError(t, out[0].Err)
}
