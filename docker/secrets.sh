#!/usr/bin/env bash
# Usage: docker/secrets.sh
#
# Makes the passwords that compose.yml hands to the containers, as files in docker/secrets. Run it once,
# before the first start; a file that exists is left as it is.
set -euo pipefail
cd "$(dirname "$0")"

# The folder keeps others out. The files are readable because a container's user reads them, and Docker
# gives a mounted file the owner that it has outside.
mkdir -p -m 700 secrets
for name in postgres-password hub-password; do
  [ -e "secrets/$name" ] && continue
  (umask 022 && head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"secrets/$name")
  echo "made docker/secrets/$name"
done
