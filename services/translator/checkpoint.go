package translator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// checkpoint is up to where a partition is done.
type checkpoint struct {
	Raw  uint64    `json:"raw"`  // sequence of GW_RAW: this frame and all before it are translated
	Data uint64    `json:"data"` // sequence of GW_DATA: messages of later frames come after it
	At   time.Time `json:"at"`
}

// refreshAfter is how old the checkpoint of a partition gets for which nothing
// comes: who takes it over need not look at all of GW_DATA since its last frame.
const refreshAfter = 30 * time.Second

func checkpointKey(n int) string { return leasePrefix + "pos." + strconv.Itoa(n) }

// resume finds where to go on, and what is done behind that.
func (p *partition) resume(ctx context.Context) error {
	e, err := p.positions.Get(ctx, checkpointKey(p.n))
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
	case err != nil:
		return fmt.Errorf("translator: checkpoint of partition %d: %w", p.n, err)
	default:
		if err := json.Unmarshal(e.Value(), &p.saved); err != nil {
			return fmt.Errorf("translator: checkpoint of partition %d: %w", p.n, err)
		}
	}
	p.read = p.saved.Raw
	p.marks = []checkpoint{p.saved}
	p.done, err = p.published(ctx)
	return err
}

// save writes down up to where everything is done. A long message of which some
// packets are missing is not done: reading goes on before its first packet.
func (p *partition) save(ctx context.Context) error {
	now := p.out.floor(p.read)
	if now.Raw > p.marks[len(p.marks)-1].Raw {
		p.marks = append(p.marks, now)
	}
	limit := now.Raw
	for _, d := range p.decoders {
		if seq, waits := d.oldest(); waits {
			limit = min(limit, seq-1)
		}
	}
	at := 0
	for i, m := range p.marks {
		if m.Raw <= limit {
			at = i
		}
	}
	p.marks = p.marks[at:]
	quiet := len(p.marks) == 1 && limit == now.Raw && now.Data > p.saved.Data && time.Since(p.saved.At) > refreshAfter
	if p.marks[0].Raw == p.saved.Raw && !quiet {
		return nil
	}
	if !p.lease.Valid() {
		return errLeaseOver
	}
	next := p.marks[0]
	if quiet {
		next.Data = now.Data
	}
	next.At = time.Now().UTC()
	value, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if _, err := p.positions.Put(ctx, checkpointKey(p.n), value); err != nil {
		return fmt.Errorf("translator: write the checkpoint: %w", err)
	}
	p.saved = next
	return nil
}
