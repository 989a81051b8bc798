#!/usr/bin/env bash
# get-mysql97.sh [DIR] — unpacks Oracle MySQL 9.7 from Debian's unstable suite into DIR
# (.cache/mysql97). Prints the path of a runnable mysqld. Installs nothing and does not need root.
#
# DEBIAN_MIRROR sets the mirror if the host's package sources do not name one.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-$here/../.cache/mysql97}
# shellcheck source=scripts/unpacked-server.sh
. "$here/unpacked-server.sh"

if [ ! -e "$dir/root/.complete" ]; then
  mirror=${DEBIAN_MIRROR:-$(grep -rhE '^(deb |URIs:)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
    grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ' || true)}
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  if [ -z "$mirror" ] || [ ! -e "$keyring" ]; then
    echo "get-mysql97: no Debian mirror among the host's package sources (set DEBIAN_MIRROR), or no $keyring (package debian-archive-keyring)" >&2
    exit 1
  fi
  echo "get-mysql97: unpacking mysql-server-core into $dir (once)" >&2
  list=$(mktemp)
  trap 'rm -f "$list"' EXIT
  echo "deb [signed-by=$keyring] $mirror sid main" >"$list"
  "$here/unpack-debs.sh" "$dir" mysql-server-core "$list"
fi
dir=$(cd "$dir" && pwd)

write_server_wrapper "$dir" usr/sbin/mysqld --basedir=ROOT/usr \
  --lc-messages-dir=ROOT/usr/share/mysql --character-sets-dir=ROOT/usr/share/mysql/charsets \
  --plugin-dir=ROOT/usr/lib/mysql/plugin --secure-file-priv=NULL
version=$("$dir/mysqld" --no-defaults --version)
case $version in
  *" 9.7."*) ;;
  *) echo "get-mysql97: note: the suite now has another version: ${version#* }" >&2 ;;
esac
echo "$dir/mysqld"
