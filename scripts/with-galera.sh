#!/usr/bin/env bash
# with-galera.sh — runs a command with a throwaway MariaDB Galera cluster.
#
#   with-galera.sh [--fast|--durable] [--nodes N] [--keep DIR] -- COMMAND ARGS...
#
#   --fast     (default) a crash of the machine may lose the last second
#   --durable  every commit reaches the disk, as in production: for benchmarks
#   --nodes    1 to 9 nodes on 127.0.0.1 instead of 3
#   --keep     create data and logs in DIR and do not delete them
#
# Environment of COMMAND:
#   TEST_GALERA_URLS  URLs of the nodes, separated by spaces: mysql://app:app@127.0.0.1:PORT/app?tls=false …
#   TEST_MYSQL_URL    the first URL
#   TEST_GALERA_DIR   a folder with node1, node2 … each of which contains
#       url           the node's URL
#       pid           the process id while the node runs: kill -9 "$(cat pid)" is a crash
#       start         a program that starts the node again and returns when it is synchronized;
#                     start --wsrep-new-cluster makes it the first node, if no other node runs
#       server.log
# The user may create databases. A node that returns gets the missed writes from the write-set cache
# of another node (64 MB). It cannot return if more is missing, or if its data is lost. The exit
# status is that of COMMAND. The last line on standard error says how the nodes ended.
#
# The server is $MYSQLD, or a mariadbd on PATH or in an sbin folder, or Debian's, unpacked. The
# provider is $GALERA_LIB, or that of the package galera-4, or Debian's, unpacked. Other variables:
# WITH_GALERA_ARGS (more server flags), WITH_GALERA_TIMEOUT (seconds for a node to start, 60),
# WITH_MYSQL_USER (the user for servers started by root, default `mysql` or `nobody`).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
db=app user=app pass=app
timeout=${WITH_GALERA_TIMEOUT:-60}

say() { echo "with-galera: $*" >&2; }
die() { say "$*"; exit 1; }
# shellcheck source=scripts/throwaway-server.sh
. "$here/throwaway-server.sh"
# shellcheck source=scripts/go-flags.sh
. "$here/go-flags.sh" # for COMMAND

# ---- options ---------------------------------------------------------------

mode=fast nodes=3 keep=''
while [ $# -gt 0 ]; do
  case $1 in
    --fast | --durable) mode=${1#--} ;;
    --nodes) nodes=${2:?--nodes needs a number}; shift ;;
    --keep) keep=${2:?--keep needs a folder}; shift ;;
    --) shift; break ;;
    -h | --help) sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p;}' "$0"; exit 0 ;;
    -*) say "unknown option $1"; exit 2 ;;
    *) break ;;
  esac
  shift
done
[[ $nodes =~ ^[1-9]$ ]] || { say "--nodes is 1 to 9"; exit 2; }
[ $# -gt 0 ] || { say "no command (see --help)"; exit 2; }
[ ! -e "${keep:-/}/node1" ] || die "$keep holds a cluster already"

# ---- finding a server and a provider ---------------------------------------

find_server() {
  mysqld=${MYSQLD:-$(find_program mariadbd || "$here/get-mariadb.sh")} || die "no MariaDB server can be had here"
  case $("$mysqld" --no-defaults --version 2>/dev/null) in
    *MariaDB*) ;;
    *) die "$mysqld is no MariaDB server that runs" ;;
  esac
  provider=${GALERA_LIB:-}
  [ -n "$provider" ] || for provider in /usr/lib/galera/libgalera_smm.so /usr/lib64/galera-4/libgalera_smm.so; do
    [ ! -e "$provider" ] || return 0
  done
  provider=${GALERA_LIB:-$("$here/get-galera.sh")} || die "no Galera can be had here"
}

# ---- the nodes -------------------------------------------------------------

# create_data creates the data of the first node, with the database and its user.
create_data() {
  local install
  install=$(install_program "$mysqld") || die "found $mysqld, but no mariadb-install-db"
  {
    "$install" --no-defaults --auth-root-authentication-method=normal --skip-test-db --datadir="$base/node1/data" ${drop:+"--user=$drop"} </dev/null &&
      { echo 'FLUSH PRIVILEGES;'; init_sql "$db" "$user" "$pass" 127.0.0.1 localhost; } |
        "$mysqld" --no-defaults --bootstrap --datadir="$base/node1/data" ${drop:+"--user=$drop"}
  } >"$base/install.log" 2>&1 || { tail -n 30 "$base/install.log" >&2; die "could not create the data folder"; }
}

# start_nodes starts the first node as a new cluster, and the others with copies of its data.
# Without these, the cluster would have to transfer all data to each node, which requires a separate
# tool.
start_nodes() {
  local i
  "$base/node1/start" --wsrep-new-cluster || die "node1 did not start"
  stop_node 1
  rm "$base/node1/data/galera.cache"
  for ((i = 2; i <= nodes; i++)); do cp -pR "$base/node1/data" "$base/node$i/data"; done
  "$base/node1/start" --wsrep-new-cluster || die "node1 did not start"
  for ((i = 2; i <= nodes; i++)); do "$base/node$i/start" || die "node$i did not start"; done
}

# write_programs writes the program start of each node, and the script with which a node reports its
# position to another.
write_programs() {
  local i peers='' flush=2
  [ "$mode" = fast ] || flush=1
  for ((i = 1; i <= nodes; i++)); do
    # separate ranges below the ephemeral ports, because the ports are used only seconds later
    sql_port[i]=$(free_port $((21000 + 1000 * i))) group_port[i]=$(free_port $((11000 + 1000 * i))) transfer_port[i]=$(free_port $((2000 + 1000 * i)))
    peers+=${peers:+,}127.0.0.1:${group_port[i]}
  done
  mkdir "$base/bin" "$base/handed"
  cat >"$base/bin/wsrep_sst_place" <<W
#!/bin/sh
# written by scripts/with-galera.sh: the only state transfer. A node gets missed writes from the
# write-set cache of another node, so the script only transfers the position (GTID).
while [ \$# -gt 0 ]; do
  case \$1 in
    --role) role=\$2 ;;
    --address) address=\$2 ;;
    --gtid) place=\$2 ;;
    --bypass) bypass=1 ;;
  esac
  shift
done
file="$base/handed/\$(echo "\$address" | tr -c 'a-zA-Z0-9.\n' _)"
case \$role in
  joiner)
    rm -f "\$file"
    echo "ready \$address"
    until [ -e "\$file" ]; do sleep 0.05; done
    cat "\$file" ;;
  donor)
    [ -n "\${bypass:-}" ] || { echo 'the node is too far behind the write-set cache' >&2; exit 1; }
    echo continue
    echo "\$place" >"\$file.part" && mv "\$file.part" "\$file"
    echo "done \$place" ;;
esac
W
  chmod 755 "$base/bin/wsrep_sst_place"
  for ((i = 1; i <= nodes; i++)); do
    echo "mysql://$user:$pass@127.0.0.1:${sql_port[i]}/$db?tls=false" >"$base/node$i/url"
    cat >"$base/node$i/start" <<W
#!/usr/bin/env bash
# written by scripts/with-galera.sh: starts this node; arguments are additional flags
set -euo pipefail
cd "$base/node$i"
export PATH="$base/bin:\$PATH"
fail() { tail -n 20 recover.log server.log stdout.log >&2; echo "node$i: \$*" >&2; exit 1; }
# checks the command line: a killed process that still exists may have none
runs() { [ -e pid ] && tr '\0' ' ' 2>/dev/null <"/proc/\$(cat pid)/cmdline" | grep -qF -- "--datadir=\$PWD/data"; }
for _ in {1..50}; do runs || break; sleep 0.1; done
if runs; then echo "node$i is already running" >&2; exit 1; fi
rm -f pid
case " \$* " in *" --wsrep-new-cluster "*) [ ! -e data/grastate.dat ] || sed -i 's/^safe_to_bootstrap:.*/safe_to_bootstrap: 1/' data/grastate.dat ;; esac
flags=(--datadir="$base/node$i/data" --tmpdir="$base/node$i" --socket="$base/node$i/s" --pid-file="$base/node$i/pid" --bind-address=127.0.0.1
  --port=${sql_port[i]} ${drop:+--user=$drop} --skip-name-resolve --secure-file-priv="$base" --default-time-zone=+00:00 --character-set-server=utf8mb4
  --max-connections=300 --innodb-buffer-pool-size=128M --innodb-flush-log-at-trx-commit=$flush --innodb-autoinc-lock-mode=2 --binlog-format=ROW
  --wsrep-on=ON --wsrep-provider="$provider" --wsrep-cluster-name="$(basename "$base")" --wsrep-cluster-address="gcomm://$peers"
  --wsrep-node-name=node$i --wsrep-node-address=127.0.0.1 --wsrep-sst-method=place --wsrep-sst-receive-address=127.0.0.1:${transfer_port[i]}
  --wsrep-provider-options="gmcast.listen_addr=tcp://127.0.0.1:${group_port[i]};ist.recv_addr=127.0.0.1:${transfer_port[i]};ist.recv_bind=127.0.0.1:${transfer_port[i]};gcache.size=64M;gcache.recover=yes"
  ${WITH_GALERA_ARGS:-})
for log in server.log recover.log; do # a log for each start; earlier ones are kept
  if [ -s \$log ]; then cat \$log >>\$log.before; fi
  : >\$log
  ${drop:+chown $drop \$log}
done
# after a crash, only InnoDB knows the position of the node
"$mysqld" --no-defaults "\${flags[@]}" --log-error="\$PWD/recover.log" --skip-networking --wsrep-recover </dev/null >stdout.log 2>&1 || fail "does not recover"
place=\$(sed -n 's/.*Recovered position: *//p' recover.log | tail -n 1)
setsid "$mysqld" --no-defaults "\${flags[@]}" --log-error="\$PWD/server.log" --wsrep-start-position="\$place" "\$@" </dev/null >stdout.log 2>&1 &
pid=\$!
deadline=\$((SECONDS + $timeout))
until grep -q 'Synchronized with group, ready for connections' server.log && grep -q 'mariadbd: ready for connections\\|mysqld: ready for connections' server.log; do
  kill -0 \$pid 2>/dev/null || fail "did not start"
  if [ \$SECONDS -ge \$deadline ]; then kill -KILL \$pid; fail "not in step after $timeout s"; fi
  sleep 0.05
done
W
    chmod 755 "$base/node$i/start"
  done
}

# running N prints the process id of node N, if the node runs. Checks the command line, because
# process ids are reused.
running() {
  local pid
  pid=$(cat "$base/node$1/pid" 2>/dev/null) && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "--datadir=$base/node$1/data" && echo "$pid"
}

# stop_node N stops node N and sets ended to a description of the result.
stop_node() {
  local pid
  ended="node$1 was not running"
  pid=$(running "$1") || return 0
  kill -TERM "$pid" 2>/dev/null || true
  for _ in {1..150}; do
    running "$1" >/dev/null || break
    sleep 0.1
  done
  ended="node$1 stopped"
  if running "$1" >/dev/null && kill -KILL "$pid" 2>/dev/null; then ended="node$1 killed: it did not stop"; fi
}

stop_nodes() {
  local i all=''
  for ((i = nodes; i >= 1; i--)); do
    stop_node "$i"
    all="$ended${all:+, $all}"
  done
  say "$all"
}

base=''
cleanup() {
  local status=$?
  trap - EXIT INT TERM HUP
  if [ -n "$base" ]; then
    stop_nodes
    [ -n "$keep" ] || rm -rf "$base"
  fi
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

find_server
drop=$(unprivileged)
base=${keep:-$(mktemp -d "${TMPDIR:-/tmp}/with-galera.XXXXXX")}
mkdir -p "$base"
base=$(cd "$base" && pwd)
[ ${#base} -le 90 ] || die "the path $base is too long for a socket in it"
chmod 755 "$base"
for ((i = 1; i <= nodes; i++)); do mkdir "$base/node$i"; done
sql_port=() group_port=() transfer_port=()
create_data
write_programs
[ -z "$drop" ] || chown -R "$drop" "$base"
start_nodes

TEST_GALERA_URLS=$(cat "$base"/node*/url | paste -sd ' ' -)
export TEST_GALERA_URLS TEST_MYSQL_URL=${TEST_GALERA_URLS%% *} TEST_GALERA_DIR=$base
"$@" || exit
