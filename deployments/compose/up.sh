#!/usr/bin/env bash
# Builds the image from scratch and brings the stack up: two STOMP edges, an
# MQTT-SN and a JT/T 808 edge, authn, session, translator, management and NATS, each its own
# container. Needs Go and docker.
#   up.sh          build and start
#   up.sh check    also send a message from one edge to the other
#   up.sh down     stop, and remove the stored messages
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

compose() {
  if docker compose version >/dev/null 2>&1; then docker compose -p sluice -f "$here/docker-compose.yml" "$@"
  else docker-compose -p sluice -f "$here/docker-compose.yml" "$@"; fi
}

if [ "${1:-}" = down ]; then compose down -v; exit; fi

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
version=$(git -C "$root" describe --tags --always --dirty 2>/dev/null || echo dev)
export CGO_ENABLED=0
(cd "$root" && go build -trimpath -ldflags "-s -w -X main.version=$version" -o "$context/" ./cmd/sluice ./cmd/sluicectl &&
  go build -trimpath -ldflags "-s -w" -o "$context/nats-server" github.com/nats-io/nats-server/v2)
mkdir "$context/data"
cp "$here/Dockerfile" "$context/"
DOCKER_BUILDKIT=0 docker build -q -t sluice:local "$context"
compose up -d --scale stomp=2

"$here/wait.sh"
compose ps
if [ "${1:-}" = check ]; then "$here/check.sh"; fi
