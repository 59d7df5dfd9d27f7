#!/usr/bin/env bash
# Measures sluice, and RabbitMQ's STOMP plugin where it is installed, in turn on
# this machine, and prints a Markdown table: medians of ROUNDS rounds (default 3).
# It takes the same load to both. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-4}
work=$(mktemp -d)
ours="" theirs="" beam=""
finish() {
  [ -z "$ours" ] || { kill "$ours" 2>/dev/null && wait "$ours" 2>/dev/null; } || true
  [ -z "$theirs" ] || { kill ${beam:-} "$theirs" 2>/dev/null && wait "$theirs" 2>/dev/null; } || true
  rm -rf "$work"
}
trap finish EXIT
ulimit -n "$(ulimit -H -n)" 2>/dev/null || true

go build -o "$work/" ./cmd/sluice ./tests/bench
cat >"$work/sluice.conf" <<CONF
nats { port: -1, mqtt_port: 0 }
http.bind: "127.0.0.1:0"
data.dir: "$work/data"
gateway.stomp.default {
  allow_anonymous: true
  listener.tcp.default { bind: "127.0.0.1:41613", max_connections: 20000, max_conn_rate: 100000 }
}
CONF
"$work/sluice" run -c "$work/sluice.conf" >"$work/sluice.log" 2>&1 &
ours=$!

rabbit=$(ls -d /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin 2>/dev/null | tail -1 || true)
if [ -n "$rabbit" ]; then
  mkdir -p "$work/rabbit"
  echo '[rabbitmq_stomp].' >"$work/rabbit/plugins"
  printf 'listeners.tcp.default = 127.0.0.1:45672\nstomp.listeners.tcp.1 = 127.0.0.1:45613\nloopback_users.guest = true\n' >"$work/rabbit/rabbitmq.conf"
  command -v epmd >/dev/null && epmd -daemon
  env HOME="$work/rabbit" RABBITMQ_NODENAME=bench@localhost RABBITMQ_CONFIG_FILE="$work/rabbit/rabbitmq" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$work/rabbit/plugins" RABBITMQ_MNESIA_BASE="$work/rabbit/db" RABBITMQ_LOG_BASE="$work/rabbit" \
    RABBITMQ_DIST_PORT=45673 ERL_CRASH_DUMP=/dev/null "$rabbit/rabbitmq-server" >"$work/rabbit/out" 2>&1 &
  theirs=$!
else
  echo "RabbitMQ is not installed (apt-get install rabbitmq-server): sluice is measured alone" >&2
fi

up() { for _ in $(seq 300); do (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return; sleep 0.2; done; echo "nothing on port $1" >&2; cat "$work"/rabbit/out >&2 || true; exit 1; }
up 41613
[ -z "$theirs" ] || up 45613
[ -z "$theirs" ] || beam=$(for p in /proc/[0-9]*; do grep -qsa "RABBITMQ_NODENAME=bench@localhost" "$p/environ" && grep -qs beam "$p/comm" && basename "$p"; done | head -1 || true)

measure() { # name server-flags... -- scenario-flags...
  local server=$1; shift
  case $server in
    sluice) "$work/bench" -addr 127.0.0.1:41613 -pid "$ours" -dest bench/ -for "${seconds}s" "$@" ;;
    rabbit-topic) "$work/bench" -addr 127.0.0.1:45613 -pid "$beam" -login guest -passcode guest -dest /topic/bench. -for "${seconds}s" "$@" ;;
    rabbit-queue) "$work/bench" -addr 127.0.0.1:45613 -pid "$beam" -login guest -passcode guest -dest /queue/bench. -persistent -for "${seconds}s" "$@" ;;
  esac
}
for round in $(seq "$rounds"); do
  for server in sluice ${beam:+rabbit-topic rabbit-queue}; do
    for s in "send -window 32" "send -window 1" "fanout -clients 10" "fanout -clients 100" latency; do
      case "$server $s" in "rabbit-queue fanout"* | "rabbit-queue latency") continue ;; esac
      # shellcheck disable=SC2086 # words of a scenario
      echo "$server|$s|$(measure "$server" -scenario $s)" | tee -a "$work/lines" >&2
    done
  done
done
for server in sluice ${beam:+rabbit-topic}; do
  echo "$server|idle|$(measure "$server" -scenario idle -clients "${IDLE:-10000}")" | tee -a "$work/lines" >&2
done

echo "Machine: $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(nproc) cores, Linux $(uname -r), $(go version | cut -d' ' -f3)${beam:+, RabbitMQ $(dpkg-query -W -f '${Version}' rabbitmq-server 2>/dev/null)}"
echo "Command: ROUNDS=$rounds SECONDS_EACH=$seconds tests/bench/run.sh, $(date -u +%F)"
echo
python3 - "$work/lines" <<'PY'
import json, statistics, sys
rows = {}
for line in open(sys.argv[1]):
    server, scenario, text = line.rstrip("\n").split("|", 2)
    rows.setdefault(scenario, {}).setdefault(server, []).append(json.loads(text))
def mid(rs, key): return statistics.median(r.get(key, 0) for r in rs)
print("| load | server | per second | CPU µs each | CPU against sluice | p50 ms | p99 ms | RSS KB each |")
print("|---|---|---|---|---|---|---|---|")
for scenario, servers in rows.items():
    base = mid(servers["sluice"], "cpu_us")
    for server, rs in servers.items():
        c = mid(rs, "cpu_us")
        show = lambda v, f: format(v, f) if v else "–"
        print(f"| {scenario} | {server} | {show(mid(rs,'per_sec'),',.0f')} | {show(c,'.1f')} | {show(c/base if base else 0,'.1f')} | "
              f"{show(mid(rs,'p50_ms'),'.2f')} | {show(mid(rs,'p99_ms'),'.2f')} | {show(mid(rs,'rss_kb'),'.1f')} |")
PY
