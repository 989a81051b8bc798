#!/usr/bin/env bash
# sbom.sh BINARY [VERSION] — prints the bill of materials of a binary of accountsd as CycloneDX
# JSON. It lists the Go modules of the binary, found by cyclonedx-gomod (pinned in
# scripts/tools/cyclonedx), and the npm packages whose code is embedded. Fails if a module of the
# binary is missing.
set -euo pipefail

binary=$(realpath "$1")
cd "$(dirname "$0")/.."
export CGO_ENABLED=0

version=$(go -C scripts/tools/cyclonedx list -m -f '{{.Version}}' github.com/CycloneDX/cyclonedx-gomod)
tool=$PWD/.cache/bin/cyclonedx-gomod-$version
[ -x "$tool" ] || go -C scripts/tools/cyclonedx build -trimpath -o "$tool" github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

"$tool" bin -json -noserial -notimestamp -std ${2:+-version "$2"} "$binary" | go run ./scripts/sbom "$binary"
