#!/usr/bin/env bash
# A device on one edge subscribes, a device on the other publishes.
set -euo pipefail
login='CONNECT\naccept-version:1.2\nhost:x\nlogin:guest\npasscode:guest\n\n\0'
exec 3<>/dev/tcp/127.0.0.1/61613 4<>/dev/tcp/127.0.0.1/61614
printf "${login}SUBSCRIBE\nid:1\nreceipt:s\ndestination:check/+\n\n\0" >&3
sleep 1
printf "${login}SEND\ndestination:check/1\nreceipt:p\n\nacross edges\0" >&4
got=$(timeout 3 cat <&3 | tr '\0' '\n' || true)
grep -q 'across edges' <<<"$got" || { echo "not delivered: $got" >&2; exit 1; }
grep -q 'receipt-id:p' <<<"$(timeout 2 cat <&4 | tr '\0' '\n' || true)" || { echo "no receipt" >&2; exit 1; }
echo "ok: a message went from one edge to the other"
