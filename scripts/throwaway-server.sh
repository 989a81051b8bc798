# throwaway-server.sh — common functions, sourced by with-mysql.sh and with-galera.sh. They define
# say and die.
# shellcheck shell=bash

# find_program NAME... prints the first of the names on PATH or in an sbin folder.
find_program() {
  local name
  for name; do
    PATH=$PATH:/usr/sbin:/usr/local/sbin command -v "$name" && return
  done
  return 1
}

# install_program MYSQLD prints MariaDB's mariadb-install-db: next to the server, or on PATH.
install_program() {
  local bin
  bin=$(dirname "$1")
  for bin in "$bin" "$bin/../bin" "$bin/../scripts"; do
    if [ -x "$bin/mariadb-install-db" ]; then echo "$bin/mariadb-install-db"; return; fi
  done
  find_program mariadb-install-db mysql_install_db
}

# init_sql DATABASE USER PASSWORD HOST... prints the SQL that creates the database, and the user at
# each HOST.
init_sql() {
  local db=$1 user=$2 pass=$3 host
  shift 3
  echo "CREATE DATABASE IF NOT EXISTS $db;"
  for host; do
    echo "CREATE USER IF NOT EXISTS '$user'@'$host' IDENTIFIED BY '$pass';"
    echo "GRANT ALL PRIVILEGES ON *.* TO '$user'@'$host' WITH GRANT OPTION;"
  done
}

# unprivileged prints the user for a server started by root, because servers refuse to run as root.
# Otherwise it prints nothing.
unprivileged() {
  [ "$(id -u)" = 0 ] || return 0
  local drop=${WITH_MYSQL_USER:-mysql}
  id "$drop" >/dev/null 2>&1 || drop=nobody
  echo "$drop"
}

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port [FROM] prints an unused port among the thousand from FROM (33000).
free_port() {
  local p
  for _ in {1..50}; do
    p=$((${1:-33000} + RANDOM % 1000))
    if ! listening "$p"; then echo "$p"; return; fi
  done
  die "no free port"
}
