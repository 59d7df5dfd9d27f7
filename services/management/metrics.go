package management

import (
	"context"

	"sluice/pkg/api"
)

// MetricsRequest asks for the counters of a gateway, or of everything.
type MetricsRequest struct {
	Gateway string `json:"gateway,omitempty"` // stomp.default, stomp, or "" for all
}

// Metrics are counters by name, summed over the nodes.
type Metrics struct {
	Data    map[string]float64 `json:"data"`
	Missing []string           `json:"missing,omitempty"` // nodes that did not answer: their share is not in the sums
}

func (s *Service) metrics(ctx context.Context, r MetricsRequest) (Metrics, error) {
	const op = "metrics"
	if r.Gateway != "" {
		if _, _, err := splitName(op, r.Gateway); err != nil {
			return Metrics{}, err
		}
	}
	nodes, err := s.leases(ctx, op)
	if err != nil {
		return Metrics{}, err
	}
	answers, missing := scatter[MetricsRequest, map[string]float64](ctx, s, nodes, "metrics", r)
	out := Metrics{Data: map[string]float64{}, Missing: names(missing)}
	for _, a := range answers {
		for name, v := range a {
			out.Data[name] += v
		}
	}
	if len(out.Data) > 0 {
		return out, nil
	}
	if len(missing) > 0 {
		return out, silent(op, "no metrics are known", missing)
	}
	if r.Gateway != "" {
		return out, api.Errorf(api.NotFound, op, "no gateway %s", r.Gateway)
	}
	return out, nil
}
