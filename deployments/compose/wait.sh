#!/usr/bin/env bash
# Waits until both STOMP edges answer.
set -euo pipefail
for port in 61613 61614; do
  for try in $(seq 100); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port"; printf 'CONNECT\naccept-version:1.2\nhost:x\nlogin:guest\npasscode:guest\n\n\0' >&3
        IFS= read -r -t 2 line <&3 && [ "$line" = CONNECTED ]) 2>/dev/null; then continue 2; fi
    sleep 0.2
  done
  echo "the STOMP edge on port $port does not answer" >&2
  exit 1
done
