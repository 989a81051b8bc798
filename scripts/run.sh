#!/usr/bin/env bash
# run.sh TOOL ARGS... — builds and runs the tool in scripts/TOOL, in the root of the repository.
set -euo pipefail

cd "$(dirname "$0")/.."
# shellcheck source=scripts/go-flags.sh
. scripts/go-flags.sh

tool=${1:?run.sh needs the name of a folder in scripts}
shift
echo "building scripts/$tool (the first build takes a minute or two) …" >&2
exec go run "./scripts/$tool" "$@"
