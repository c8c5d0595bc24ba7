#!/usr/bin/env bash
# Usage: entrypoint.sh [ARGUMENTS OF made-open]
#
# Starts the hub in its container. Where the database's password comes as a file (DATABASE_PASSWORD_FILE),
# DATABASE_URL is put together here from it and DATABASE_HOST, so that no password stands in compose.yml.
set -euo pipefail

if [ -n "${DATABASE_PASSWORD_FILE:-}" ]; then
  password=$(<"$DATABASE_PASSWORD_FILE")
  # What docker/secrets.sh makes; other characters would have to be escaped inside a URL.
  if [[ ! $password =~ ^[A-Za-z0-9._-]+$ ]]; then
    echo "entrypoint: $DATABASE_PASSWORD_FILE must hold one word of letters, digits, dot, dash and underscore" >&2
    exit 1
  fi
  export DATABASE_URL="postgresql://made_open:$password@${DATABASE_HOST:-database}:5432/made_open"
  unset DATABASE_PASSWORD_FILE DATABASE_HOST password
fi
exec made-open "$@"
