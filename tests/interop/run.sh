#!/usr/bin/env bash
# Real clients against a running sluice: stompit, stomp.js, stomp.py, mosquitto, mqtt.js.
# No MQTT-SN client is in a package registry: there the simulated device is the
# client, and tshark reads what both sides put on the wire.
#
# Builds sluice, starts it on free ports of loopback with a configuration of its
# own, runs each client's script and ends the server with SIGTERM. One line a
# check: "ok  <client>  <what>", or "FAIL ...". Works from any directory.
#
# It installs what is missing: Debian packages (as root, or with sudo that asks
# no password), and npm packages into a temporary directory. If that cannot be
# done the script fails: at once when CI=true, otherwise after it has run the
# clients that are there.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
npm_packages=(stompit@1.0.0 @stomp/stompjs@7.5.0 @stomp/tcp-wrapper@1.0.1 ws@8.23.0 mqtt@5.16.0)
client_timeout=60 # seconds for one script; each takes below 20 on an idle machine

tmp=$(mktemp -d "${TMPDIR:-/tmp}/sluice-interop.XXXXXX")
pid=
not_run=()

cleanup() {
  if [ -n "$pid" ]; then kill -KILL "$pid" 2>/dev/null || true; fi
  rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

die() { printf 'interop: %s\n' "$*" >&2; exit 1; }

# missing notes a client that cannot be tested; in CI that is an error at once.
missing() {
  [ "${CI:-}" != true ] || die "CI=true and $1 cannot be tested: $2"
  printf 'NOT RUN: %s: %s\n' "$1" "$2"
  not_run+=("$1")
}

# apt installs Debian packages; an old package list is renewed once.
apt() {
  local get=(env DEBIAN_FRONTEND=noninteractive apt-get -y -q --no-install-recommends)
  command -v apt-get >/dev/null || return 1
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || return 1
    get=(sudo -n "${get[@]}")
  fi
  { "${get[@]}" install "$@" || { "${get[@]}" update && "${get[@]}" install "$@"; }; } >"$tmp/apt.log" 2>&1 ||
    { tail -n 5 "$tmp/apt.log" >&2; return 1; }
}

need() { command -v "$1" >/dev/null || apt "${@:2}"; }

python_client() { /usr/bin/python3 -c 'import stomp' 2>/dev/null || apt python3 python3-stomp; }
mosquitto_client() { need mosquitto_pub mosquitto-clients && need mosquitto_sub mosquitto-clients && python_client; }

node_clients() {
  need node nodejs && need npm npm || return 1
  mkdir "$tmp/js" && cp "$here"/*.mjs "$tmp/js/" # beside node_modules: imports look there
  (cd "$tmp/js" && npm install --no-audit --no-fund --no-save --ignore-scripts --loglevel=error "${npm_packages[@]}") \
    >"$tmp/npm.log" 2>&1 || { tail -n 5 "$tmp/npm.log" >&2; return 1; }
}

wireshark() { need tshark tshark && need /usr/bin/python3 python3; }

certificate() {
  need openssl openssl || die "openssl is missing and cannot be installed"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=sluice-interop \
    -addext "subjectAltName=IP:127.0.0.1,DNS:localhost" -keyout "$tmp/key.pem" -out "$tmp/cert.pem" 2>"$tmp/openssl.log" ||
    { cat "$tmp/openssl.log" >&2; die "no certificate"; }
}

configuration() {
  cat <<EOF
nats { host: "127.0.0.1", port: -1, mqtt_port: -1 }
data.dir: "$tmp/data"
http.bind: "127.0.0.1:0"
gateway.stomp.default {
  allow_anonymous: true
  heart_beat { send: "1s", want: "1s" }
  listener {
    tcp.default.bind: "127.0.0.1:0"
    ws.default.bind: "127.0.0.1:0"
    tls.default { bind: "127.0.0.1:0", ssl_options { certfile: "$tmp/cert.pem", keyfile: "$tmp/key.pem" } }
    wss.default { bind: "127.0.0.1:0", ssl_options { certfile: "$tmp/cert.pem", keyfile: "$tmp/key.pem" } }
  }
}
gateway.mqttsn.default {
  allow_anonymous: true
  listener.udp.default.bind: "127.0.0.1:0"
}
EOF
}

# address finds a listener in the table that sluice prints when it is ready.
address() { awk -v what="$1" 'index($0, "  " what " ") == 1 && match($0, /127\.0\.0\.1:[0-9]+/) { print substr($0, RSTART, RLENGTH); exit }' "$tmp/sluice.out"; }

ready() { # ready HOST:PORT
  local status
  exec 3<>"/dev/tcp/${1%:*}/${1#*:}" || return 1
  printf 'GET /readyz HTTP/1.0\r\nHost: %s\r\n\r\n' "$1" >&3
  IFS= read -r -t 5 status <&3 || true
  exec 3>&-
  [[ "$status" == HTTP/*" 200 "* ]]
}

start_server() {
  configuration >"$tmp/sluice.conf"
  (cd "$tmp" && exec "$tmp/sluice" run --config "$tmp/sluice.conf") >"$tmp/sluice.out" 2>"$tmp/sluice.log" &
  pid=$!
  local management=
  for _ in $(seq 300); do
    kill -0 "$pid" 2>/dev/null || server_failed "sluice ended early"
    management=$(address management)
    if [ -n "$management" ] && (ready "$management") 2>/dev/null; then
      STOMP_TCP=$(address "stomp.default tcp") STOMP_WS=$(address "stomp.default ws")
      STOMP_TLS=$(address "stomp.default tls") STOMP_WSS=$(address "stomp.default wss")
      MQTT=$(address "mqtt (nats-server)") STOMP_CA=$tmp/cert.pem
      MQTTSN=$(address "mqttsn.default udp") SNECHO=$tmp/snecho
      export MQTTSN SNECHO STOMP_TCP STOMP_WS STOMP_TLS STOMP_WSS MQTT STOMP_CA
      return
    fi
    sleep 0.1
  done
  server_failed "sluice is not ready after 30 s"
}

server_failed() {
  cat "$tmp/sluice.out" "$tmp/sluice.log" >&2
  die "$*"
}

# run CLIENT COMMAND...: its script must also say that it came to its end.
run() {
  local client=$1 code=0
  shift
  timeout -k 5 "$client_timeout" "$@" >"$tmp/out" 2>"$tmp/err" || code=$?
  grep -E '^(ok|FAIL)  ' "$tmp/out" | tee -a "$tmp/results" || true
  if [ "$code" = 0 ] && grep -qx "end  $client" "$tmp/out"; then return; fi
  if ! grep -q '^FAIL  ' "$tmp/out" || ! grep -qx "end  $client" "$tmp/out"; then
    printf 'FAIL  %s  the script did not come to its end (exit code %s; 124 = timed out)\n' "$client" "$code" | tee -a "$tmp/results"
  fi
  sed 's/^/      | /' "$tmp/err"
}

# mqttsn has the simulated device go through every exchange, and tshark read it.
mqttsn() {
  if ! timeout -k 5 "$client_timeout" "$tmp/sntrace" "$(address "mqttsn.default udp")" >"$tmp/trace" 2>"$tmp/err"; then
    printf 'FAIL  mqttsn  every exchange\n' | tee -a "$tmp/results"
    sed 's/^/      | /' "$tmp/err"
    return
  fi
  printf 'ok  mqttsn  every exchange\n' | tee -a "$tmp/results"
  run tshark /usr/bin/python3 -B "$here/mqttsn_tshark.py" "$tmp/sluice" "$tmp/trace"
}

# stop_server also reads the log; the one error that mosquitto.py provokes is expected.
stop_server() {
  local code=0
  kill -TERM "$pid"
  for _ in $(seq 300); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  if kill -0 "$pid" 2>/dev/null; then
    kill -KILL "$pid"
    echo "FAIL  sluice  ends within 30 s of SIGTERM" | tee -a "$tmp/results"
  fi
  wait "$pid" || code=$?
  pid=
  if [ "$code" = 0 ]; then echo "ok  sluice  SIGTERM, exit code 0"; else echo "FAIL  sluice  SIGTERM, exit code $code"; fi | tee -a "$tmp/results"
  if grep -E 'level=ERROR|panic' "$tmp/sluice.log" | grep -v 'character not supported for MQTT topics' >"$tmp/errors"; then
    echo "FAIL  sluice  no errors in its log: $(head -n 1 "$tmp/errors")"
  else
    echo "ok  sluice  no errors in its log"
  fi | tee -a "$tmp/results"
}

main() {
  : >"$tmp/results"
  (cd "$root" && CGO_ENABLED=0 go build -o "$tmp/sluice" ./cmd/sluice) || die "sluice does not compile"
  (cd "$root" && CGO_ENABLED=0 go build -o "$tmp/sntrace" ./tests/interop/sntrace) || die "sntrace does not compile"
  (cd "$root" && CGO_ENABLED=0 go build -o "$tmp/snecho" ./tests/interop/snecho) || die "snecho does not compile"
  certificate
  local node=yes python=yes mosquitto=yes tshark=yes
  node_clients || { node=; missing "stompit, stomp.js, mqtt.js" "node, npm or the packages ${npm_packages[*]} cannot be installed"; }
  python_client || { python=; missing "stomp.py" "the Debian package python3-stomp cannot be installed"; }
  mosquitto_client || { mosquitto=; missing "mosquitto" "the Debian packages mosquitto-clients and python3-stomp cannot be installed"; }
  wireshark || { tshark=; missing "tshark" "the Debian package tshark cannot be installed"; }
  start_server
  if [ -n "$node" ]; then
    run stompit node "$tmp/js/stompit.mjs"
    run stomp.js node "$tmp/js/stompjs.mjs"
    run mqtt.js node "$tmp/js/mqttjs.mjs"
  fi
  if [ -n "$python" ]; then run stomp.py /usr/bin/python3 -B "$here/stomp_py.py"; fi
  if [ -n "$mosquitto" ]; then run mosquitto /usr/bin/python3 -B "$here/mosquitto.py"; fi
  if [ -n "$tshark" ]; then mqttsn; fi
  stop_server

  local ok failed
  ok=$(grep -c '^ok  ' "$tmp/results" || true)
  failed=$(grep -c '^FAIL  ' "$tmp/results" || true)
  printf '\n%s checks ok, %s failed\n' "$ok" "$failed"
  if [ "$failed" != 0 ]; then printf 'last lines of the log of sluice:\n'; tail -n 20 "$tmp/sluice.log"; fi
  for client in "${not_run[@]+"${not_run[@]}"}"; do printf 'NOT RUN: %s\n' "$client"; done
  [ "$failed" = 0 ] && [ "${#not_run[@]}" = 0 ]
}

main
