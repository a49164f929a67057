#!/usr/bin/env bash
# Installs what the checks need from the system's packages where it may, and says what is left out where it may not.
set -u
has() { command -v "$1" >/dev/null || ls /usr/lib/postgresql/*/bin/"$1" >/dev/null 2>&1; }
has pg_ctl && exit 0
root=
[ "$(id -u)" = 0 ] || root="sudo --non-interactive"
if command -v apt-get >/dev/null && $root true 2>/dev/null; then
  # Only the programs: no database of the system's own is made or started.
  $root mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] ||
    echo "create_main_cluster = false" | $root tee /etc/postgresql-common/createcluster.conf >/dev/null
  { $root apt-get update && $root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    postgresql; } >/dev/null && has pg_ctl && exit 0
  echo "apt-get could not install postgresql: the checks of the tracking server are skipped" >&2
else
  echo "PostgreSQL is missing, and neither root nor apt-get is at hand: the checks of the tracking server are skipped" >&2
fi
