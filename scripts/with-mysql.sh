#!/usr/bin/env bash
# with-mysql.sh — runs a command with a throwaway MariaDB or MySQL server.
#
#   with-mysql.sh [--fast|--durable] [--mysql97] [--keep DIR] [--port N] -- COMMAND ARGS...
#   with-mysql.sh [--fast|--durable]      no command: print the URL, run until Ctrl-C
#
#   --fast     (default) a crash of the machine may lose the last second
#   --durable  every commit reaches the disk, as in production: for benchmarks
#   --mysql97  Oracle MySQL 9.7, regardless of other servers (get-mysql97.sh: Debian only)
#   --keep     create the data in DIR and do not delete it
#   --port     this port of 127.0.0.1 instead of a free one
#
# Environment of COMMAND: TEST_MYSQL_URL (mysql://app:app@127.0.0.1:PORT/app?tls=false) and its
# parts MYSQL_HOST, MYSQL_PORT, MYSQL_SOCKET, MYSQL_USER, MYSQL_PASSWORD and MYSQL_DATABASE. The
# user may create databases. The exit status is that of COMMAND.
#
# The server is the first of these that exists; the script fails if there is none:
#   1. $MYSQLD, the path of a mariadbd or an Oracle mysqld
#   2. mariadbd or mysqld on PATH or in an sbin folder
#   3. a container, where a Docker engine answers
#   4. Debian's or Ubuntu's package, unpacked into .cache/ without installing it
# WITH_MYSQL_FIND=path, docker or unpack tries only that one.
#
# Other variables: WITH_MYSQL_ARGS (more server flags), WITH_MYSQL_TIMEOUT (seconds to start, 60),
# WITH_MYSQL_IMAGE (mariadb:11.8), WITH_MYSQL_USER (the user for a server started by root, default
# `mysql` or `nobody`).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
db=app user=app pass=app
timeout=${WITH_MYSQL_TIMEOUT:-60}

say() { echo "with-mysql: $*" >&2; }
die() { say "$*"; exit 1; }
# shellcheck source=scripts/throwaway-server.sh
. "$here/throwaway-server.sh"
# shellcheck source=scripts/go-flags.sh
. "$here/go-flags.sh" # for COMMAND

# ---- options ---------------------------------------------------------------

mode=fast keep='' port=''
while [ $# -gt 0 ]; do
  case $1 in
    --fast | --durable) mode=${1#--} ;;
    --mysql97) MYSQLD=$("$here/get-mysql97.sh") || die "MySQL 9.7 cannot be had here" ;;
    --keep) keep=${2:?--keep needs a folder}; shift ;;
    --port) port=${2:?--port needs a number}; shift ;;
    --) shift; break ;;
    -h | --help) sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p;}' "$0"; exit 0 ;;
    -*) say "unknown option $1"; exit 2 ;;
    *) break ;;
  esac
  shift
done

# ---- finding a server ------------------------------------------------------

docker_answers() { command -v docker >/dev/null && docker info >/dev/null 2>&1; }

# find_server sets mysqld to a server program, or to the word docker.
find_server() {
  local only=${WITH_MYSQL_FIND:-any}
  mysqld=${MYSQLD:-}
  [ -z "$mysqld" ] || return 0
  case $only in any | path | docker | unpack) ;; *) die "WITH_MYSQL_FIND is path, docker or unpack" ;; esac
  if [[ $only =~ any|path ]] && mysqld=$(find_program mariadbd mysqld); then return; fi
  if [[ $only =~ any|docker ]] && docker_answers; then mysqld=docker; return; fi
  if [[ $only =~ any|unpack ]] && mysqld=$("$here/get-mariadb.sh"); then return; fi
  say "no MariaDB or MySQL server found (looked for: $only). To get one, type:"
  if command -v apt-get >/dev/null; then
    say "  apt-get install -y --no-install-recommends mariadb-server"
  elif command -v brew >/dev/null; then
    say "  brew install mariadb"
  else
    say "  dnf install -y mariadb-server      (or your system's package of MariaDB)"
  fi
  exit 127
}

# ---- a server program on this host -----------------------------------------

pid='' container='' base='' socket_dir=''

# prepare_folders creates the server's folder, and sets the user that it runs as.
prepare_folders() {
  base=${keep:-$(mktemp -d "${TMPDIR:-/tmp}/with-mysql.XXXXXX")}
  mkdir -p "$base"
  base=$(cd "$base" && pwd)
  data=$base/data log=$base/server.log socket=$base/s.sock
  # the path of a unix socket must stay under 108 bytes
  if [ ${#socket} -gt 100 ]; then
    socket_dir=$(mktemp -d /tmp/with-mysql.XXXXXX)
    socket=$socket_dir/s.sock
  fi
  as_user=()
  local drop
  drop=$(unprivileged)
  if [ -n "$drop" ]; then
    as_user=(--user="$drop")
    : >>"$log"
    chown "$drop" "$base" "$log" ${socket_dir:+"$socket_dir"}
    chmod 755 "$base" ${socket_dir:+"$socket_dir"}
  fi
}

# server_flags sets flags: the same behavior in every version, and no connections from other hosts.
server_flags() {
  flags=(--datadir="$data" --tmpdir="$base" --socket="$socket" --pid-file="$base/server.pid"
    --log-error="$log" --init-file="$base/init.sql" --bind-address=127.0.0.1 --skip-name-resolve)
  case $flavour in
    mariadb) flags+=(--secure-file-priv="$base") ;;
    mysql)   flags+=(--secure-file-priv=NULL --mysqlx=OFF --skip-log-bin) ;;
  esac
  tuning_flags
  # shellcheck disable=SC2206 # several words are wanted
  flags+=("${tuning[@]}" "${as_user[@]+"${as_user[@]}"}" ${WITH_MYSQL_ARGS:-})
}

tuning_flags() {
  tuning=(--character-set-server=utf8mb4 --max-connections=300 --innodb-buffer-pool-size=256M --default-time-zone=+00:00)
  case $mode in
    durable) tuning+=(--innodb-flush-log-at-trx-commit=1 --sync-binlog=1) ;;
    fast)    tuning+=(--innodb-flush-log-at-trx-commit=2 --sync-binlog=0 --innodb-doublewrite=0) ;;
  esac
}

create_data() {
  [ ! -d "$data/mysql" ] || return 0
  local install
  case $flavour in
    mariadb)
      install=$(install_program "$mysqld") || die "found $mysqld, but no mariadb-install-db"
      install=("$install" --no-defaults --auth-root-authentication-method=normal --skip-test-db) ;;
    mysql) install=("$mysqld" --no-defaults --initialize-insecure) ;;
  esac
  "${install[@]}" --datadir="$data" "${as_user[@]+"${as_user[@]}"}" >"$base/install.log" 2>&1 </dev/null ||
    { tail -n 30 "$base/install.log" >&2; die "could not create the data folder"; }
}

# wait_ready succeeds when the server accepts connections, and fails when it has ended.
wait_ready() {
  local deadline=$((SECONDS + timeout))
  while kill -0 "$pid" 2>/dev/null; do
    # the log line follows the init file; the port check makes sure that it accepts TCP
    if grep -q 'ready for connections' "$log" && listening "$try_port"; then return; fi
    if [ $SECONDS -ge $deadline ]; then tail -n 20 "$log" >&2; die "not ready after $timeout s"; fi
    sleep 0.05
  done
  wait "$pid" 2>/dev/null || true
  pid=''
  return 1
}

start_server() {
  case $("$mysqld" --no-defaults --version 2>/dev/null) in
    *MariaDB*) flavour=mariadb ;;
    *Ver*) flavour=mysql ;;
    *) die "$mysqld does not run" ;;
  esac
  prepare_folders
  create_data
  init_sql "$db" "$user" "$pass" 127.0.0.1 localhost >"$base/init.sql"
  chmod 644 "$base/init.sql"
  server_flags
  for _ in 1 2 3 4 5; do
    try_port=${port:-$(free_port)} # a lost race is tried again
    : >"$log"
    "$mysqld" --no-defaults "${flags[@]}" --port="$try_port" </dev/null >"$base/stdout.log" 2>&1 &
    pid=$!
    if wait_ready; then port=$try_port; return; fi
    grep -qiE 'bind on tcp|address already in use' "$log" || break
    [ -z "$port" ] || die "port $port is taken"
  done
  tail -n 20 "$log" "$base/stdout.log" >&2
  die "the server did not start"
}

# ---- a server in a container -----------------------------------------------

start_container() {
  local image=${WITH_MYSQL_IMAGE:-mariadb:11.8} deadline
  [ -z "$keep" ] || die "--keep does not go with a container"
  tuning_flags
  # shellcheck disable=SC2206 # several words are wanted
  tuning+=(${WITH_MYSQL_ARGS:-})
  base=$(mktemp -d "${TMPDIR:-/tmp}/with-mysql.XXXXXX")
  init_sql "$db" "$user" "$pass" % >"$base/init.sql"
  chmod 755 "$base"
  chmod 644 "$base/init.sql"
  container=$(docker run --detach --rm --publish "127.0.0.1:$port:3306" --volume "$base/init.sql:/docker-entrypoint-initdb.d/init.sql:ro" \
    --env MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1 "$image" "${tuning[@]}") || die "docker could not start $image"
  port=$(docker port "$container" 3306/tcp | sed -n 's/^127\.0\.0\.1://p')
  # the image starts once without a network for the init file, so test TCP
  deadline=$((SECONDS + timeout))
  until docker exec "$container" mariadb --protocol=tcp --host=127.0.0.1 --user="$user" --password="$pass" --execute='SELECT 1' "$db" >/dev/null 2>&1; do
    if [ $SECONDS -ge $deadline ]; then docker logs --tail 20 "$container" >&2; die "not ready after $timeout s"; fi
    sleep 0.3
  done
}

# ---- main -------------------------------------------------------------------

stop_server() {
  kill -TERM "$pid" 2>/dev/null || true # a clean shutdown
  for _ in {1..150}; do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

cleanup() {
  local status=$?
  trap - EXIT INT TERM HUP
  [ -z "$pid" ] || stop_server
  [ -z "$container" ] || docker stop --time 10 "$container" >/dev/null 2>&1 || true
  [ -z "$socket_dir" ] || rm -rf "$socket_dir"
  [ -z "$base" ] || [ -n "$keep" ] || rm -rf "$base"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

find_server
if [ "$mysqld" = docker ]; then socket=''; start_container; else start_server; fi

export MYSQL_HOST=127.0.0.1 MYSQL_PORT=$port MYSQL_TCP_PORT=$port MYSQL_SOCKET=$socket
export MYSQL_USER=$user MYSQL_PASSWORD=$pass MYSQL_DATABASE=$db
export TEST_MYSQL_URL="mysql://$user:$pass@127.0.0.1:$port/$db?tls=false"

if [ $# -gt 0 ]; then
  "$@" || exit
  exit 0
fi
echo "$TEST_MYSQL_URL"
if [ -n "$container" ]; then
  docker wait "$container" >/dev/null
else
  wait "$pid" || true
fi
die "the server has ended"
