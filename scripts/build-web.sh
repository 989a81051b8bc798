#!/usr/bin/env bash
# build-web.sh [DIR] — type-checks the front ends below server/web, which are the demo and the
# console, and bundles each with the TypeScript client into DIR/NAME.js. The default is the folder
# from which the server embeds it. Needs the tools of api/typescript (npm ci there).
set -euo pipefail

cd "$(dirname "$0")/.."
dir=${1:-} # relative to the repository
tools=api/typescript/node_modules/.bin

for name in demo console; do
  at=server/web/$name
  "$tools/tsc" --project "$at"
  "$tools/esbuild" "$at/src/main.ts" --bundle --format=esm --target=es2022 --charset=utf8 --log-level=warning \
    --banner:js="// Built from $at/src, server/web/parts and api/typescript/src by make web: change those." --outfile="${dir:-$at}/$name.js"
done
