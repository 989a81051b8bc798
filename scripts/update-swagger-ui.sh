#!/bin/sh
# Re-creates server/web/docs/swagger-ui/ from the published npm package.
#
#   scripts/update-swagger-ui.sh           write the files
#   scripts/update-swagger-ui.sh --check   write nothing; exit 1 if the files differ from the package
#
# To change the version, edit the two lines below. The digest is the output of
# `npm view swagger-ui-dist@VERSION dist.integrity` without "sha512-".
set -eu

version=5.35.0
integrity=U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ==

root=$(cd "$(dirname "$0")/.." && pwd)
target=$root/server/web/docs/swagger-ui
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The package has a dependency for telemetry. "npm pack" only downloads the package: it installs no
# dependencies and runs no install scripts.
(cd "$work" && npm pack --silent --ignore-scripts "swagger-ui-dist@$version" >/dev/null)
archive=$work/swagger-ui-dist-$version.tgz

got=$(openssl dgst -sha512 -binary "$archive" | openssl base64 -A)
if [ "$got" != "$integrity" ]; then
	echo "swagger-ui-dist $version has sha512-$got, expected sha512-$integrity" >&2
	exit 1
fi
tar -xzf "$archive" -C "$work"

new=$work/new
mkdir "$new"
for file in swagger-ui-bundle.js swagger-ui.css; do
	# -n omits name and time, so that the same input gives the same bytes.
	gzip -n -9 -c "$work/package/$file" >"$new/$file.gz"
done
cp "$work/package/LICENSE" "$work/package/NOTICE" "$work/package/swagger-ui-bundle.js.LICENSE.txt" "$new/"
chmod 0644 "$new"/*
echo "$version" >"$new/VERSION"

if [ "${1:-}" = --check ]; then
	# Compares unpacked contents, because another gzip may compress them differently.
	mkdir "$work/want" "$work/have"
	cp "$new"/* "$work/want/"
	cp "$target"/* "$work/have/"
	gunzip "$work/want"/*.gz "$work/have"/*.gz
	diff -rq "$work/want" "$work/have"
	echo "swagger-ui-dist $version: files are those of the package"
	exit 0
fi

rm -rf "$target"
mkdir -p "$target"
cp "$new"/* "$target/"
echo "swagger-ui-dist $version written to server/web/docs/swagger-ui"
