// Package sim has device-side clients, one small file set a protocol, built on
// pkg/wire. The conformance suite, the end-to-end tests, the benchmarks and the
// simulators of sluicectl use them; no server does.
package sim
