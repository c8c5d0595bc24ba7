#!/usr/bin/env bash
# Usage: healthcheck.sh [PATH]
#
# Exits 0 when the hub in this container answers PATH (/livez) with 200. The image has no curl, nor needs one.
set -euo pipefail

exec 3<>"/dev/tcp/127.0.0.1/${MADE_OPEN_BIND##*:}"
printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "${1:-/livez}" >&3
IFS=' ' read -r -t 4 _ status _ <&3
[ "$status" = 200 ]
