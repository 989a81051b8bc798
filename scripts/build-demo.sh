#!/usr/bin/env bash
# build-demo.sh [FILE] — checks the types of the demo front end, and bundles it with
# the TypeScript client into FILE (default: where it is embedded from). Needs the
# tools of api/typescript (npm ci there).
set -euo pipefail

out=${1:-server/web/demo/demo.js} # in the repository
cd "$(dirname "$0")/.."
tools=api/typescript/node_modules/.bin

"$tools/tsc" --project server/web/demo
"$tools/esbuild" server/web/demo/src/main.ts --bundle --format=esm --target=es2022 --charset=utf8 --log-level=warning \
  --banner:js='// Built from server/web/demo/src and api/typescript/src by make demo-page: change those.' --outfile="$out"
