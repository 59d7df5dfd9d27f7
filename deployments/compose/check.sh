#!/usr/bin/env bash
# A device on one edge subscribes, a device on the other publishes, and then a
# sensor does, with QoS 1: it has its PUBACK only when the message is stored.
set -euo pipefail
login='CONNECT\naccept-version:1.2\nhost:x\nlogin:guest\npasscode:guest\n\n\0'
exec 3<>/dev/tcp/127.0.0.1/61613 4<>/dev/tcp/127.0.0.1/61614
printf "${login}SUBSCRIBE\nid:1\nreceipt:s\ndestination:check/+\n\n\0SUBSCRIBE\nid:2\nreceipt:k\ndestination:ck\n\n\0" >&3
sleep 1
printf "${login}SEND\ndestination:check/1\nreceipt:p\n\nacross edges\0" >&4
sensor() { # one datagram, which must have no line feed: send it, and print the answer in hex
  printf "$1" >&5
  timeout 5 dd bs=512 count=1 status=none <&5 | od -An -v -tx1 | tr -d ' \n' || true
}
exec 5<>/dev/udp/127.0.0.1/1884
for _ in $(seq 5); do # a datagram may be lost, and the edge may not be ready yet
  connack=$(sensor '\x0c\x04\x04\x01\x00\x3csensor') # CONNECT, clean session, 60 s
  [ -z "$connack" ] || break
done
puback=$(sensor '\x14\x0c\x22ck\x00\x02from a sensor') # PUBLISH, QoS 1, the short topic ck
[ "$connack" = 030500 ] && [ "$puback" = 070d636b000200 ] || { echo "sensor: CONNACK $connack, PUBACK $puback" >&2; exit 1; }
# A terminal of JT/T 808 authenticates and says where it is: 0x8001 with result 0 for each.
exec 6<>/dev/tcp/127.0.0.1/6207
for frame in 7e010200090139123456780002616e6f6e796d6f75734b7e \
  7e02000022013912345678000300000000000000000000000000000000000000000000261124100000010400000063767e; do
  printf "$(sed 's/../\\x&/g' <<<"$frame")" >&6
done
answers=$(timeout 3 cat <&6 | od -An -v -tx1 | tr -d ' \n' || true)
grep -q 0002010200 <<<"$answers" && grep -q 0003020000 <<<"$answers" || { echo "terminal: $answers" >&2; exit 1; }
got=$(timeout 3 cat <&3 | tr '\0' '\n' || true)
grep -q 'from a sensor' <<<"$got" || { echo "the sensor's message was not delivered: $got" >&2; exit 1; }
grep -q 'across edges' <<<"$got" || { echo "not delivered: $got" >&2; exit 1; }
grep -q 'receipt-id:p' <<<"$(timeout 2 cat <&4 | tr '\0' '\n' || true)" || { echo "no receipt" >&2; exit 1; }
echo "ok: messages went from one STOMP edge, and from a sensor, to a device on the other; the location of a terminal was stored"
