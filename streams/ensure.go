package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/subject"
)

// Ensure makes all streams and buckets as o says, or updates them. It may run
// in every process at once: the last writer's options stand, and all processes
// of one deployment are started with the same. It waits while JetStream has no
// leader yet, until ctx ends.
func Ensure(ctx context.Context, js jetstream.JetStream, o Options) error {
	if err := Check(o); err != nil {
		return err
	}
	for _, c := range streamConfigs(o) {
		if err := eventually(ctx, func() error { return ensureStream(ctx, js, c, o.Keep) }); err != nil {
			return fmt.Errorf("streams: %s: %w", c.Name, err)
		}
	}
	media := jetstream.ObjectStoreConfig{Bucket: Media, Description: "data of devices that is not for JSON", Storage: jetstream.FileStorage, Replicas: o.Replicas, TTL: o.DataMaxAge}
	if err := eventually(ctx, func() error { return ensureMedia(ctx, js, media, o.Keep) }); err != nil {
		return fmt.Errorf("streams: %s: %w", Media, err)
	}
	for _, c := range bucketConfigs(o) {
		if err := eventually(ctx, func() error { return ensureBucket(ctx, js, c, o.Keep) }); err != nil {
			return fmt.Errorf("streams: %s: %w", c.Bucket, err)
		}
	}
	return nil
}

// Check tells whether streams can be made so, before they are.
func Check(o Options) error {
	return errors.Join(CheckRoots(o.Roots), checkCommands(o))
}

// CheckRoots refuses roots that GW_DATA cannot take: none, wildcard first, the
// control plane, or two that overlap.
func CheckRoots(roots []string) error {
	if len(roots) == 0 {
		return errors.New("streams: GW_DATA needs at least one root: give an instance a mountpoint with a literal first level, or set data.roots")
	}
	for i, r := range roots {
		if !isFilter(r) {
			return fmt.Errorf("streams: root %q is not a subject", r)
		}
		if subject.Reserved(r) {
			return fmt.Errorf("streams: root %q is reserved or begins with a wildcard", r)
		}
		for _, other := range roots[:i] {
			if subject.Overlap(r, other) {
				return fmt.Errorf("streams: roots %q and %q overlap", other, r)
			}
		}
	}
	return nil
}

// checkCommands refuses topics of commands that GW_DATA would store as well.
func checkCommands(o Options) error {
	for _, c := range o.Commands {
		if !isFilter(c) || subject.Reserved(c) {
			return fmt.Errorf("streams: topic of commands %q is not a subject, is reserved or begins with a wildcard", c)
		}
		for _, r := range o.Roots {
			if subject.Overlap(c, r) {
				return fmt.Errorf("streams: topic of commands %q overlaps %q, where data goes", c, r)
			}
		}
	}
	return nil
}

// isFilter tells whether a stream can take s as a subject.
func isFilter(s string) bool {
	tokens := strings.Split(s, ".")
	for i, t := range tokens {
		if t == "" || strings.ContainsFunc(t, unicode.IsSpace) || t == ">" && i < len(tokens)-1 {
			return false
		}
	}
	return true
}

// MergeRoots drops roots that another one covers, in a stable order.
func MergeRoots(roots []string) []string {
	roots = slices.Compact(slices.Sorted(slices.Values(roots)))
	var out []string
	for _, r := range roots {
		covered := slices.ContainsFunc(roots, func(o string) bool {
			return o != r && subject.Covers(o, r)
		})
		if !covered {
			out = append(out, r)
		}
	}
	return out
}

// ensureStream creates first: a start on an empty store, or on one that is
// right already, then costs one request a stream.
func ensureStream(ctx context.Context, js jetstream.JetStream, c jetstream.StreamConfig, keep bool) error {
	_, err := js.CreateStream(ctx, c)
	if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return err
	}
	if c.Name == Data || c.Name == Commands { // another process may have added roots of its own instances
		s, err := js.Stream(ctx, c.Name)
		if err != nil {
			return err
		}
		there := s.CachedInfo().Config
		roots := MergeRoots(append(slices.Clone(there.Subjects), c.Subjects...))
		if keep {
			slices.Sort(there.Subjects)
			if slices.Equal(roots, there.Subjects) {
				return nil
			}
			c, keep = there, false
		}
		c.Subjects = roots
	}
	if keep {
		return nil
	}
	_, err = js.UpdateStream(ctx, c)
	return err
}

func ensureBucket(ctx context.Context, js jetstream.JetStream, c jetstream.KeyValueConfig, keep bool) error {
	_, err := js.CreateKeyValue(ctx, c)
	if errors.Is(err, jetstream.ErrBucketExists) && keep {
		return nil
	}
	if errors.Is(err, jetstream.ErrBucketExists) {
		_, err = js.UpdateKeyValue(ctx, c)
	}
	return err
}

func ensureMedia(ctx context.Context, js jetstream.JetStream, c jetstream.ObjectStoreConfig, keep bool) error {
	_, err := js.CreateObjectStore(ctx, c)
	if errors.Is(err, jetstream.ErrBucketExists) && !keep {
		_, err = js.UpdateObjectStore(ctx, c)
	}
	if errors.Is(err, jetstream.ErrBucketExists) {
		return nil
	}
	return err
}

// eventually repeats while JetStream is still electing: a cluster that starts
// together with us answers "no responders" or times out for some seconds.
func eventually(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil || !temporary(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func temporary(err error) bool {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return api.Code == 503
	}
	return errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders)
}
