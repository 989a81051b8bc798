#!/usr/bin/env bash
# sbom.sh BINARY [VERSION] — prints the bill of materials of a binary of accountsd as CycloneDX
# JSON. It lists the Go modules of the binary, found by cyclonedx-gomod (pinned in
# scripts/tools/cyclonedx), and the npm packages whose code is embedded. Fails if a module of the
# binary is missing.
set -euo pipefail

binary=$(realpath "$1")
cd "$(dirname "$0")/.."
# shellcheck source=scripts/go-flags.sh
. scripts/go-flags.sh

version=$(go -C scripts/tools/cyclonedx list -m -f '{{.Version}}' github.com/CycloneDX/cyclonedx-gomod)
tool=$PWD/.cache/bin/cyclonedx-gomod-$version
if [ ! -x "$tool" ]; then
  echo "building cyclonedx-gomod $version (takes a minute) …" >&2
  go -C scripts/tools/cyclonedx build -o "$tool" github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
fi

"$tool" bin -json -noserial -notimestamp -std ${2:+-version "$2"} "$binary" | go run ./scripts/sbom "$binary"
