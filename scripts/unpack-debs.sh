#!/usr/bin/env bash
# unpack-debs.sh — unpacks a Debian package, with all its dependencies down to libc, into a folder.
# Installs nothing on the host and does not need root: apt uses a separate state, index and cache.
#
#   unpack-debs.sh DIR PACKAGE [SOURCES_LIST]
#
# The files are in DIR/root afterward. SOURCES_LIST replaces the host's package sources. If the
# folder is complete already, the script does nothing.
set -euo pipefail

if [ $# -lt 2 ]; then sed -n '2,10p' "$0" >&2; exit 2; fi
dir=$1 package=$2 sources=${3:-}

[ ! -e "$dir/root/.complete" ] || exit 0
for tool in apt-get dpkg-deb; do
  command -v "$tool" >/dev/null || { echo "unpack-debs: no $tool: this host is neither Debian nor Ubuntu" >&2; exit 1; }
done

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
exec 9>"$dir/lock"
if command -v flock >/dev/null; then flock 9; fi # two test runs may start at once
[ ! -e "$dir/root/.complete" ] || exit 0

work=$dir/apt
rm -rf "$work" "$dir/root" "$dir/root.part"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/empty" "$dir/root.part"
: >"$work/status" # no package counts as installed, so every library is downloaded too

options=(-q -o "Dir::State=$work" -o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache"
  -o Debug::NoLocking=1 -o APT::Sandbox::User=root -o Acquire::Retries=3 -o Acquire::Languages=none)
if [ -n "$sources" ]; then
  cp "$sources" "$work/sources.list"
  options+=(-o "Dir::Etc::sourcelist=$work/sources.list" -o "Dir::Etc::sourceparts=$work/empty" -o "Dir::Etc::preferencesparts=$work/empty")
fi

download() {
  apt-get "${options[@]}" update && apt-get "${options[@]}" -y --no-install-recommends --download-only install "$package"
}
if ! download >"$work/log" 2>&1; then
  tail -n 20 "$work/log" >&2
  echo "unpack-debs: could not download $package" >&2
  exit 1
fi

for deb in "$work"/cache/archives/*.deb; do
  dpkg-deb -x "$deb" "$dir/root.part"
done
touch "$dir/root.part/.complete"
mv "$dir/root.part" "$dir/root"
rm -rf "$work"
