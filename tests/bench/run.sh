#!/usr/bin/env bash
# Measures sluice, and RabbitMQ's STOMP plugin beside it, with the same loads in
# turn on this machine, and prints a Markdown table of medians. Nothing else
# should run meanwhile. Five and a half minutes.
#   ROUNDS=3 SECONDS_EACH=4 IDLE=10000   how much
#   RABBIT=0                             sluice alone; nothing is installed
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-4} idle=${IDLE:-10000}
work=$(mktemp -d)
# All ports are below 32768: above, one of the many clients may have it.
ours="" theirs="" epmd=""
ulimit -n "$(ulimit -H -n)" 2>/dev/null || true

# The process and all below it; only what this script has started.
tree() { local c; for c in $(pgrep -P "$1" || true); do tree "$c"; done; echo "$1"; }
end() {
  local all; all=$(tree "$1")
  # shellcheck disable=SC2086 # several ids
  kill $all 2>/dev/null || true
  wait "$1" 2>/dev/null || true
  for _ in $(seq 100); do
    # shellcheck disable=SC2086
    kill -0 $all 2>/dev/null || return 0
    sleep 0.1
  done
  # shellcheck disable=SC2086
  kill -9 $all 2>/dev/null || true
}
stop() {
  if [ -n "$ours" ]; then end "$ours"; ours=""; fi
  if [ -n "$theirs" ]; then end "$theirs"; theirs=""; fi
}
finish() {
  stop
  [ -z "$epmd" ] || end "$epmd"
  rm -rf "$work"
}
trap finish EXIT
up() { # port log: until something listens there
  for _ in $(seq 300); do (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return; sleep 0.2; done
  echo "nothing listens on port $1" >&2
  tail -20 "$2" >&2
  exit 1
}

go build -o "$work/" ./cmd/sluice ./tests/bench
cat >"$work/sluice.conf" <<CONF
nats { port: -1, mqtt_port: 0 }
http.bind: "127.0.0.1:0"
gateway.stomp.default {
  allow_anonymous: true
  listener.tcp.default { bind: "127.0.0.1:21613", max_connections: 20000, max_conn_rate: 100000 }
}
CONF
start_sluice() {
  rm -rf "$work/data"
  "$work/sluice" run -c "$work/sluice.conf" --data "$work/data" >"$work/sluice.log" 2>&1 &
  ours=$!
  up 21613 "$work/sluice.log"
}

find_rabbit() { ls -d /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin 2>/dev/null | tail -1; }
rabbit=""
if [ "${RABBIT:-1}" != 0 ]; then
  # RUNLEVEL=1 keeps Debian from starting the service.
  find_rabbit >/dev/null || { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null &&
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends rabbitmq-server >"$work/apt.log" 2>&1; } || true
  rabbit=$(find_rabbit || true)
  [ -n "$rabbit" ] || { echo "RabbitMQ is not here and could not be installed (apt-get install rabbitmq-server): sluice is measured alone" >&2; [ ! -f "$work/apt.log" ] || tail -3 "$work/apt.log" >&2; }
fi
if [ -n "$rabbit" ]; then
  export ERL_EPMD_PORT=23674
  epmd -port 23674 -address 127.0.0.1 >/dev/null 2>&1 &
  epmd=$!
  echo '[rabbitmq_stomp].' >"$work/plugins"
  printf 'listeners.tcp.default = 127.0.0.1:23672\nstomp.listeners.tcp.1 = 127.0.0.1:23613\n' >"$work/rabbitmq.conf"
fi
start_rabbit() {
  rm -rf "$work/rabbit"
  mkdir "$work/rabbit"
  env HOME="$work/rabbit" RABBITMQ_NODENAME="bench$$@localhost" RABBITMQ_CONFIG_FILE="$work/rabbitmq" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$work/plugins" RABBITMQ_MNESIA_BASE="$work/rabbit/db" RABBITMQ_LOG_BASE="$work/rabbit" \
    RABBITMQ_DIST_PORT=23673 ERL_CRASH_DUMP=/dev/null "$rabbit/rabbitmq-server" >"$work/rabbit.log" 2>&1 &
  theirs=$!
  up 23613 "$work/rabbit.log"
}

measure() { # server load-name bench-flags...
  local server=$1 load=$2; shift 2
  local flags=(-json -server "$server" -load "$load" -seconds "$seconds")
  case $server in
    sluice) flags+=(-addr 127.0.0.1:21613 -pid "$ours" -dest bench/) ;;
    rabbit-topic) flags+=(-addr 127.0.0.1:23613 -pid "$theirs" -login guest -passcode guest -dest /topic/bench.) ;;
    rabbit-queue) flags+=(-addr 127.0.0.1:23613 -pid "$theirs" -login guest -passcode guest -dest /queue/bench. -persistent) ;;
  esac
  "$work/bench" "${flags[@]}" "$@" | tee -a "$work/lines" >&2
}
rows() { # load-name servers bench-flags...
  local load=$1 servers=$2 server; shift 2
  for _ in $(seq "$rounds"); do
    for server in $servers; do
      case $server in rabbit-*) [ -n "$rabbit" ] || continue ;; esac
      measure "$server" "$load" "$@"
    done
  done
}
start_sluice
[ -z "$rabbit" ] || start_rabbit
rows "SEND with receipt, window 32" "sluice rabbit-topic rabbit-queue" -window 32
rows "SEND with receipt, window 1" "sluice rabbit-topic rabbit-queue" -window 1
rows "delivery, 1 → 10" "sluice rabbit-topic" -scenario fanout -clients 10
rows "delivery, 1 → 100" "sluice rabbit-topic" -scenario fanout -clients 100
rows "end to end, 2,000 a second, 1 → 1" "sluice rabbit-topic" -scenario latency
stop
for _ in $(seq "$rounds"); do # fresh servers: used ones have memory to spare
  start_sluice
  measure sluice "idle TCP client, $idle of them" -scenario idle -clients "$idle"
  stop
  [ -n "$rabbit" ] || continue
  start_rabbit
  measure rabbit-topic "idle TCP client, $idle of them" -scenario idle -clients "$idle"
  stop
done

version=""
[ -z "$rabbit" ] || version=", RabbitMQ $(basename "$(dirname "$rabbit")" | sed 's/.*-//') on Erlang $(erl -noshell -eval 'io:format("~s", [erlang:system_info(otp_release)]), halt().')"
echo "Machine: $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(nproc) cores, Linux $(uname -r), $(go version | cut -d' ' -f3)$version"
echo "sluice: $(git rev-parse --short HEAD 2>/dev/null || echo "no git")$(git diff --quiet HEAD -- cmd pkg services streams 2>/dev/null || echo ", changed since")"
echo "Command: ROUNDS=$rounds SECONDS_EACH=$seconds tests/bench/run.sh, $(date -u +%F)"
echo
"$work/bench" -table "$work/lines"
