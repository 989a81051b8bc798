#!/usr/bin/env bash
# get-galera.sh [DIR] — unpacks the package galera-4 of Debian or Ubuntu into DIR (.cache/galera).
# Prints the path of the wsrep provider, a library that MariaDB loads. Installs nothing and does not
# need root.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-$here/../.cache/galera}
[ -e "$dir/root/.complete" ] || echo "get-galera: unpacking galera-4 into $dir (once)" >&2
"$here/unpack-debs.sh" "$dir" galera-4
provider=$(cd "$dir" && pwd)/root/usr/lib/galera/libgalera_smm.so
[ -e "$provider" ] || { echo "get-galera: no $provider" >&2; exit 1; }
echo "$provider"
