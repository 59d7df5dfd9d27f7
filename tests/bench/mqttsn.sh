#!/usr/bin/env bash
# Measures MQTT-SN and sleeping sessions on this machine, and prints a Markdown
# table. Nothing else should run meanwhile. Twelve minutes, of which the million
# sleeping sessions take eight.
#   ROUNDS=3 SECONDS_EACH=4    how much
#   IDLE=50000                 idle clients; SLEEPERS=1000000 sleeping sessions, 0 = none
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-4} idle=${IDLE:-50000} sleepers=${SLEEPERS:-1000000}
each=15000 # idle clients of one load generator: a process has so many sockets
work=$(mktemp -d)
server=""
ulimit -n "$(ulimit -H -n)" 2>/dev/null || true

stop() { # SIGNAL
  [ -n "$server" ] || return 0
  kill -"${1:-TERM}" "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  server=""
}
finish() { stop KILL; rm -rf "$work"; }
trap finish EXIT

go build -o "$work/" ./cmd/sluice ./tests/bench
cat >"$work/sluice.conf" <<CONF
nats { host: "127.0.0.1", port: 24222, mqtt_port: 0 }
http.bind: "127.0.0.1:0"
gateway.mqttsn.default {
  allow_anonymous: true
  listener.udp.default { bind: "127.0.0.1:21884", max_connections: 100000, max_conn_rate: 100000 }
}
CONF
run() { # on the data that is there
  "$work/sluice" run -c "$work/sluice.conf" --data "$work/data" >"$work/log" 2>&1 &
  server=$!
}
fresh() {
  stop
  rm -rf "$work/data"
  run
  for _ in $(seq 300); do grep -q '^sluice .* ready' "$work/log" && return; sleep 0.1; done
  cat "$work/log" >&2
  exit 1
}
bench() { "$work/bench" -json -server sluice -addr 127.0.0.1:21884 -nats nats://127.0.0.1:24222 -seconds "$seconds" "$@" | tee -a "$work/lines" >&2; }
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$server/status"; }

fresh
for _ in $(seq "$rounds"); do
  bench -pid "$server" -load "QoS 1 publish, 64 clients" -scenario sn-qos1 -clients 64
  bench -pid "$server" -load "QoS 0 publish, 32 clients" -scenario sn-qos0 -clients 32
  bench -pid "$server" -load "QoS 0 delivery, 1 → 100" -scenario sn-fanout -clients 100
done
for _ in $(seq "$rounds"); do
  fresh
  bench -pid "$server" -load "wake-up with one message" -scenario sn-drain -clients 10000 -window 64
done

fresh
before=$(rss)
loads=()
for first in $(seq 0 "$each" $((idle - 1))); do
  n=$((idle - first < each ? idle - first : each))
  "$work/bench" -pid "$server" -addr 127.0.0.1:21884 -scenario sn-idle -first "$first" -clients "$n" -seconds 60 >"$work/idle.$first" &
  loads+=($!)
done
sleep 55
connected=$(curl -s "$(grep -o 'http://[^ ]*/metrics' "$work/log")" | awk '/^gw_connections[^_]/ { n += $2 } END { print n }' || true)
idle_kb=$(awk -v a="$before" -v b="$(rss)" -v n="$idle" 'BEGIN { printf "%.1f", (b - a) / n }')
wait "${loads[@]}"

sleeping=""
if [ "$sleepers" != 0 ]; then
  fresh
  before=$(rss)
  bench -pid "$server" -load "sleeping sessions are given a message each" -scenario sleepers -clients "$sleepers" -window 256
  sleeping_kb=$(awk -v a="$before" -v b="$(rss)" -v n="$sleepers" 'BEGIN { printf "%.1f", (b - a) / n }')
  stop KILL
  run
  bench -load "the first of each partition wakes up after kill -9" -scenario awaken -clients "$sleepers"
  sleep 60
  sleeping="$sleepers sleeping sessions with a message each: $sleeping_kb KB RSS each; $(($(rss) / 1024)) MB a minute after the restart"
fi

echo "Machine: $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(nproc) cores, Linux $(uname -r), $(go version | cut -d' ' -f3)"
echo "sluice: $(git rev-parse --short HEAD 2>/dev/null || echo "no git")$(git diff --quiet HEAD -- cmd pkg services streams 2>/dev/null || echo ", changed since")"
echo "Command: ROUNDS=$rounds SECONDS_EACH=$seconds IDLE=$idle SLEEPERS=$sleepers tests/bench/mqttsn.sh, $(date -u +%F)"
echo
"$work/bench" -table "$work/lines"
echo
echo "$idle idle clients (connections by its metric: $connected): $idle_kb KB RSS each"
[ -z "$sleeping" ] || echo "$sleeping"
