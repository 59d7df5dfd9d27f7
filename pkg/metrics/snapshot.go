package metrics

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// Snapshot is the gw_ series as name{labels} => value, for people. A proto and
// an instance that are given select, and their labels are left out; without a
// proto the process's own series are there too. A histogram is its _count and
// its _sum.
func (m *Metrics) Snapshot(proto, instance string) map[string]float64 {
	out := map[string]float64{}
	if m == nil {
		return out
	}
	// An error of one collector leaves the others' families in place.
	all, _ := m.reg.Gather()
	want := map[string]string{"proto": proto, "instance": instance}
	maps.DeleteFunc(want, func(_, v string) bool { return v == "" })
	for _, f := range all {
		if !strings.HasPrefix(f.GetName(), "gw_") {
			continue
		}
		for _, s := range f.GetMetric() {
			if labels, ok := selected(s.GetLabel(), want); ok {
				flatten(out, f.GetName(), labels, s)
			}
		}
	}
	return out
}

// selected is the labels that were not asked for, in braces; ok is false when
// one that was asked for is missing or different.
func selected(pairs []*dto.LabelPair, want map[string]string) (labels string, ok bool) {
	var rest []string
	found := 0
	for _, p := range pairs {
		v, asked := want[p.GetName()]
		switch {
		case !asked:
			rest = append(rest, p.GetName()+"="+strconv.Quote(p.GetValue()))
		case v == p.GetValue():
			found++
		}
	}
	if found != len(want) {
		return "", false
	}
	if len(rest) == 0 {
		return "", true
	}
	slices.Sort(rest)
	return "{" + strings.Join(rest, ",") + "}", true
}

func flatten(out map[string]float64, name, labels string, s *dto.Metric) {
	switch {
	case s.GetHistogram() != nil:
		out[name+"_count"+labels] = float64(s.GetHistogram().GetSampleCount())
		out[name+"_sum"+labels] = s.GetHistogram().GetSampleSum()
	case s.GetGauge() != nil:
		out[name+labels] = s.GetGauge().GetValue()
	case s.GetCounter() != nil:
		out[name+labels] = s.GetCounter().GetValue()
	}
}
