#!/usr/bin/env bash
# Installs what the checks need from the system's packages where it may, and says what is left out where it may not.
set -u
root=
[ "$(id -u)" = 0 ] || root="sudo --non-interactive"

# provide PROGRAM PACKAGE...
provide() {
  local program=$1
  shift
  has "$program" && return
  if ! command -v apt-get >/dev/null || ! $root true 2>/dev/null; then
    echo "skipped: what needs $program, which is missing; installing it takes root and apt-get" >&2
  elif ! { $root env DEBIAN_FRONTEND=noninteractive dpkg --configure -a && $root apt-get update && $root env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --no-install-recommends "$@"; } >/dev/null || ! has "$program"; then
    echo "skipped: what needs $program, because apt-get could not install $*" >&2
  fi
}
has() { command -v "$1" >/dev/null || ls /usr/lib/postgresql/*/bin/"$1" >/dev/null 2>&1; }

if ! has pg_ctl && $root true 2>/dev/null && [ ! -e /etc/postgresql-common ]; then
  # The programs are enough: without this Debian's package makes a database of the system's own and starts it.
  $root mkdir /etc/postgresql-common
  echo "create_main_cluster = false" | $root tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
provide pg_ctl postgresql
provide slurmctld slurmctld slurmd slurm-client munge
exit 0
