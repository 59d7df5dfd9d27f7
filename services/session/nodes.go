package session

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/subject"
	"sluice/streams"
)

// watchNodes has the clients of an edge that died counted as gone: nothing may
// be on its way to them by which it would show.
func (s *Service) watchNodes(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.watchNodesOnce(ctx); ctx.Err() == nil {
			s.trouble.report("watch "+streams.Nodes, err)
			pause(ctx, hurry)
		}
	}
}

func (s *Service) watchNodesOnce(ctx context.Context) error {
	kv, err := s.JS.KeyValue(ctx, streams.Nodes)
	if err != nil {
		return err
	}
	w, err := kv.WatchAll(ctx, jetstream.UpdatesOnly())
	if err != nil {
		return err
	}
	defer func() { _ = w.Stop() }() // fails only when it has ended already
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e, ok := <-w.Updates():
			if !ok {
				return errors.New("session: the watch of nodes ended")
			}
			if e != nil && e.Operation() != jetstream.KeyValuePut {
				if node, err := subject.Untoken(e.Key()); err == nil {
					s.nodeDied(node)
				}
			}
		}
	}
}

// nodeDied ends delivery to all clients that were on a node; workers write it
// down.
func (s *Service) nodeDied(node string) {
	for _, q := range s.handles.all() {
		q.mu.Lock()
		died := q.live != nil && q.live.node == node && q.live.f.Attached()
		if died {
			q.live.gone()
		}
		q.mu.Unlock()
		if died {
			s.pool.wake(q)
		}
	}
}
