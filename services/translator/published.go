package translator

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/streams"
)

// published are the raw sequences of this partition, behind the checkpoint, whose
// message is in GW_DATA. JetStream knows a repeat by its id only for a minute;
// this holds however long ago it was.
func (p *partition) published(ctx context.Context) (map[uint64]bool, error) {
	found := map[uint64]bool{}
	cons, err := p.JS.CreateConsumer(ctx, streams.Data, jetstream.ConsumerConfig{
		FilterSubjects: p.Topics, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: p.saved.Data + 1,
		AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true, MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return nil, fmt.Errorf("translator: look for what was published: %w", err)
	}
	prefix := strconv.Itoa(p.n) + "."
	for left := cons.CachedInfo().NumPending; left > 0; {
		batch, err := cons.Fetch(int(min(left, lookAtOnce)), jetstream.FetchMaxWait(lookFor))
		if err != nil {
			return nil, fmt.Errorf("translator: look for what was published: %w", err)
		}
		n := uint64(0)
		for m := range batch.Messages() {
			n++
			text, mine := strings.CutPrefix(m.Headers().Get(streams.HdrRaw), prefix)
			if seq, err := strconv.ParseUint(text, 10, 64); mine && err == nil && seq > p.saved.Raw {
				found[seq] = true
			}
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if n == 0 {
			return nil, errors.Join(errors.New("translator: look for what was published: nothing comes"), batch.Error())
		}
		left -= min(n, left)
	}
	return found, nil
}

const (
	lookAtOnce = 500
	lookFor    = 3 * time.Second
)
