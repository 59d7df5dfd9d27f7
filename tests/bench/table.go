package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
)

// rounds are the results of one load on one server.
type rounds []result

// median of what get takes; zero when it was not measured.
func (rs rounds) median(get func(result) float64) float64 {
	var all []float64
	for _, r := range rs {
		all = append(all, get(r))
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// cost is what servers are compared by: CPU, or memory where nothing is done.
func (rs rounds) cost() float64 {
	if cpu := rs.median(func(r result) float64 { return r.CPU }); cpu > 0 {
		return cpu
	}
	return rs.median(func(r result) float64 { return r.RSS })
}

// lost sums up over all rounds: a median would hide it.
func (rs rounds) lost() (n, of int64) {
	for _, r := range rs {
		n += r.Lost
		of += r.N + r.Lost
	}
	return n, of
}

// table prints medians; the first server of each load is what the others are
// compared to.
func table(file string, out io.Writer) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var loads []string
	servers := map[string][]string{}
	results := map[[2]string]rounds{}
	for d := json.NewDecoder(f); ; {
		var r result
		if err := d.Decode(&r); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		if !slices.Contains(loads, r.Load) {
			loads = append(loads, r.Load)
		}
		if !slices.Contains(servers[r.Load], r.Server) {
			servers[r.Load] = append(servers[r.Load], r.Server)
		}
		at := [2]string{r.Load, r.Server}
		results[at] = append(results[at], r)
	}
	fmt.Fprintln(out, "| load | server | per second | CPU µs each | lowest to highest | p50 ms | p99 ms | p99.9 ms | RSS KB each | lost | other work, % of CPU | cost, sluice = 1 |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, load := range loads {
		name := load
		for _, server := range servers[load] {
			row(out, name, server, results[[2]string{load, server}], results[[2]string{load, servers[load][0]}].cost())
			name = ""
		}
	}
	return nil
}

func row(out io.Writer, load, server string, rs rounds, base float64) {
	show := func(digits int, get func(result) float64) string {
		if v := rs.median(get); v != 0 {
			return strconv.FormatFloat(v, 'f', digits, 64)
		}
		return "–"
	}
	span, others := "–", "–"
	if low, high := rs[0].CPU, rs[0].CPU; low > 0 {
		for _, r := range rs {
			low, high = min(low, r.CPU), max(high, r.CPU)
		}
		others = strconv.FormatFloat(rs.median(func(r result) float64 { return r.Others }), 'f', 0, 64)
		span = fmt.Sprintf("%.1f to %.1f", low, high)
	}
	lost := "–"
	if n, all := rs.lost(); n > 0 {
		lost = fmt.Sprintf("%d of %d", n, all)
	}
	fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %.1f |\n", load, server,
		show(0, func(r result) float64 { return r.PerSec }), show(1, func(r result) float64 { return r.CPU }), span,
		show(2, func(r result) float64 { return r.P50 }), show(2, func(r result) float64 { return r.P99 }),
		show(2, func(r result) float64 { return r.P999 }), show(1, func(r result) float64 { return r.RSS }),
		lost, others, rs.cost()/base)
}
