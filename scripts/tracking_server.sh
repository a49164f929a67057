#!/usr/bin/env bash
# An MLflow server over a PostgreSQL of its own, until Ctrl-C or SIGTERM; all that it keeps is in one folder.
#
#   scripts/tracking_server.sh FOLDER [option of `mlflow server` ...]
#   scripts/tracking_server.sh /srv/mlflow --host tracking.lan --allowed-hosts 'tracking.lan:5000'
#
# FOLDER/postgres is the database (made if missing), FOLDER/artifacts the files, FOLDER/*.log what was said.
# Needs PostgreSQL's own programs (Debian: apt-get install postgresql) and the Python package psycopg.
set -euo pipefail

fail() { echo "$*" >&2; exit 2; }

[ $# -ge 1 ] && [ "${1#-}" = "$1" ] || fail "usage: $0 FOLDER [option of mlflow server ...]"
mkdir -p "$1"
folder=$(cd "$1" && pwd -P)
shift
data=$folder/postgres

# Debian keeps the server's programs off the PATH, a folder a version.
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1) || true
PATH=${bin:+$bin:}$PATH
command -v pg_ctl >/dev/null || fail "PostgreSQL is not installed; on Debian: apt-get install postgresql"
python=${PYTHON:-python}
"$python" -c 'import mlflow, psycopg' 2>/dev/null ||
  fail "$python lacks mlflow or psycopg; name another with PYTHON=..., or: pip install -e '.[server]'"
[ ${#data} -le 80 ] || fail "$folder is too long a name: a socket's path has at most 107 characters"

# PostgreSQL refuses to run as root. Its only user is whoever runs this script, known to it by the socket: no password,
# no port.
me=$(id -un)
as() { "$@"; }
if [ "$(id -u)" = 0 ]; then
  id postgres >/dev/null 2>&1 || fail "root needs the user postgres, which the system's package makes"
  as() { runuser -u postgres -- "$@"; }
fi
umask 022
exec 9>"$folder/lock"  # held by this script and by the MLflow that it starts
flock --nonblock 9 || fail "a server of $folder runs already"
if [ ! -f "$data/PG_VERSION" ]; then
  mkdir -p "$data"
  [ "$(id -u)" != 0 ] || chown postgres: "$data"
  as initdb --pgdata="$data" --username="$me" --auth=peer --encoding=UTF8 --locale=C >"$folder/initdb.log" 2>&1 ||
    fail "initdb failed; see $folder/initdb.log (each folder above $data must be open to the user postgres)"
fi

server=
stop() {
  trap - EXIT INT TERM
  # First the server, so that the database has no clients left.
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  as pg_ctl --pgdata="$data" --mode=fast --wait stop >/dev/null 2>&1 || true
}
trap stop EXIT
trap 'exit 0' INT TERM

as pg_ctl --pgdata="$data" --mode=fast --wait stop >/dev/null 2>&1 || true  # left over by a server that was killed
as pg_ctl --pgdata="$data" --log="$data/server.log" --wait --timeout=60 \
  --options="-c listen_addresses='' -c unix_socket_directories='$data' -c max_connections=200" start >/dev/null 9>&- ||
  fail "PostgreSQL does not start; see $data/server.log"
psql --host="$data" --username="$me" --dbname=postgres --tuples-only --no-align \
  --command="select 1 from pg_database where datname = 'mlflow'" | grep -q 1 ||
  createdb --host="$data" --username="$me" mlflow

# The job runner (for GenAI evaluations) would cost half a gigabyte and half a minute at start, and do nothing here.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true
# Each worker is a process with 5 to 15 connections to PostgreSQL; two keep up with some hundred runs at once.
"$python" -m mlflow server --workers 2 \
  --backend-store-uri "postgresql+psycopg://$me@/mlflow?host=$data" \
  --artifacts-destination "file://$folder/artifacts" "$@" >>"$folder/mlflow.log" 2>&1 &
server=$!
echo "MLflow on PostgreSQL in $folder; its log is $folder/mlflow.log"
wait "$server"
