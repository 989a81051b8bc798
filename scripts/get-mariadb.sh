#!/usr/bin/env bash
# get-mariadb.sh [DIR] — unpacks the package mariadb-server-core of Debian or Ubuntu into DIR
# (.cache/mariadb). Prints the path of a runnable mysqld; mariadb-install-db is in the same folder.
# Installs nothing and does not need root.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-$here/../.cache/mariadb}
# shellcheck source=scripts/unpacked-server.sh
. "$here/unpacked-server.sh"

[ -e "$dir/root/.complete" ] || echo "get-mariadb: unpacking mariadb-server-core into $dir (once)" >&2
"$here/unpack-debs.sh" "$dir" mariadb-server-core
dir=$(cd "$dir" && pwd)

write_server_wrapper "$dir" usr/sbin/mariadbd --basedir=ROOT/usr \
  --lc-messages-dir=ROOT/usr/share/mysql --character-sets-dir=ROOT/usr/share/mysql/charsets \
  --plugin-dir=ROOT/usr/lib/mysql/plugin

# Debian's mariadb-install-db runs its programs by absolute path, with the host's libraries. This is
# the short part of it that a throwaway server needs.
cat >"$dir/mariadb-install-db" <<'W'
#!/bin/sh
# written by scripts/get-mariadb.sh: creates the system tables in the --datadir given
here=$(cd "$(dirname "$0")" && pwd)
share=$here/root/usr/share/mysql
set -eu
if [ "${1:-}" = --no-defaults ]; then shift; fi
for arg; do
  shift
  case $arg in
    --datadir=*) mkdir -p "${arg#*=}"; data=${arg#*=} ;;
    --user=*)    user=${arg#*=} ;;
    --auth-root-authentication-method=* | --skip-test-db) continue ;;
  esac
  set -- "$@" "$arg"
done
if [ -n "${user:-}" ]; then chown "$user" "$data"; fi
{
  printf '%s\n' 'CREATE DATABASE mysql;' 'USE mysql;' 'SET @auth_root_socket = NULL;'
  for part in system_tables performance_tables system_tables_data; do
    cat "$share"/m[ya]*_"$part.sql" # mysql_ until 10.11, mariadb_ in later versions
  done
} | "$here/mysqld" --no-defaults "$@" --bootstrap
W
chmod 755 "$dir/mariadb-install-db"
echo "$dir/mysqld"
