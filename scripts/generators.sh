#!/usr/bin/env bash
# generators.sh — generates a client from the contract with each of the common generators, compiles
# it with tsc --strict or go build, and prints a table. Fails if one of them fails.
#
#   generators.sh [--contract FILE] [--pinned] [NAME...]   all generators, or those with the prefix NAME
#
# The generators are installed into .cache/generators in the versions below, without running install
# scripts. Their output is kept there: out/NAME, with the log out/NAME.log. Needs Node, npm and Go,
# and uses the npm registry and the Go module proxy on first use. With --pinned, the generators are
# those of scripts/package-lock.json, and the output is in .cache/typescript/generators.
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
root=$PWD at=$PWD/.cache/generators contract=$PWD/openapi.yaml
# shellcheck source=scripts/go-flags.sh
. scripts/go-flags.sh
if [ "${1:-}" = --contract ]; then contract=$(realpath "$2") || exit; shift 2; fi
pinned=
if [ "${1:-}" = --pinned ]; then pinned=yes at=$PWD/.cache/typescript/generators; shift; fi

# axios: orval 7 does not compile with the types of axios 1.21, with any contract.
packages='
typescript@5.9.3
openapi-typescript@7.13.0 openapi-fetch@0.17.0
@hey-api/openapi-ts@0.95.0
orval@7.13.2
swagger-typescript-api@13.13.0
@kubb/cli@3.18.3 @kubb/core@3.18.3 @kubb/plugin-oas@3.18.3 @kubb/plugin-ts@3.18.3 @kubb/plugin-client@3.18.3
oazapfts@7.5.0 @oazapfts/runtime@1.2.0
ng-openapi-gen@1.1.0 @angular/core@20 @angular/common@20 rxjs@7.8.2
openapi-zod-client@1.18.3 @zodios/core@10.9.6
@rtk-query/codegen-openapi@2.2.0 @reduxjs/toolkit@2.15.0
zod@4.6.7 axios@1.13.2 swr@2.5.1 @tanstack/react-query@5.108.4 react@19.3.1 @types/react@19.3.3
'
oapi_codegen=github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2

install() {
  mkdir -p "$at"
  if [ $pinned ]; then ln -sfn "$root/scripts/node_modules" "$at/node_modules"; return; fi
  [ "$(cat "$at/packages" 2>/dev/null)" = "$packages" ] && return
  echo '{"name": "accounts-generators", "private": true, "type": "module"}' >"$at/package.json"
  # shellcheck disable=SC2086 # one word a package
  npm --prefix "$at" install --ignore-scripts --no-audit --no-fund --loglevel=error --save-exact --legacy-peer-deps $packages >/dev/null &&
    echo "$packages" >"$at/packages"
}

bin() { "$at/node_modules/.bin/$1" "${@:2}"; }

# strict DIR [OPTION...] compiles the TypeScript in DIR in strict mode.
strict() {
  [ -n "$(find "$1" -name '*.ts' -print -quit)" ] || { echo "nothing was generated in $1"; return 1; }
  cat >"$1/tsconfig.json" <<JSON
{"compilerOptions": {"strict": true, "noEmit": true, "skipLibCheck": true, "target": "es2022", "lib": ["es2022", "dom", "dom.iterable"],
  "module": "esnext", "moduleResolution": "bundler", "jsx": "react-jsx", "experimentalDecorators": true, "allowImportingTsExtensions": true, "types": []}, "include": ["**/*.ts"]}
JSON
  bin tsc --project "$1" "${@:2}"
}

# orval DIR OPTIONS generates and compiles a client; OPTIONS are those of `output`, as JSON without
# braces.
orval() {
  echo "module.exports = {api: {input: '$contract', output: {target: '$1/api.ts'${2:+, $2}}}}" >"$1/orval.config.cjs"
  (cd "$1" && bin orval --config orval.config.cjs) && strict "$1"
}

# kubb DIR PLUGINS generates and compiles a client; PLUGINS is the code of the plugins.
kubb() {
  cat >"$1/kubb.config.mjs" <<JS
import { defineConfig } from "@kubb/core";
import { pluginOas } from "@kubb/plugin-oas";
import { pluginTs } from "@kubb/plugin-ts";
import { pluginClient } from "@kubb/plugin-client";
export default defineConfig({ root: "$1", input: { path: "$contract" }, output: { path: "./gen" }, plugins: [pluginOas({ validate: false }), $2] });
JS
  (cd "$1" && bin kubb generate --config kubb.config.mjs) && strict "$1"
}

# go_client DIR GENERATE generates and compiles a Go client in a separate module.
go_client() {
  cat >"$1/go.mod" <<MOD
module example.com/generated

go 1.26.0
MOD
  (cd "$1" && go run "$oapi_codegen" -generate "$2" -package generated -o generated.go "$contract" && go mod tidy && go build ./... && go vet ./...)
}

# ---- one function per generator; $1 is an empty folder -----------------------

gen_openapi_typescript() { bin openapi-typescript "$contract" --output "$1/schema.d.ts" && strict "$1" --skipLibCheck false; }
gen_openapi_typescript_enum() { bin openapi-typescript "$contract" --enum --output "$1/schema.ts" && strict "$1"; }
gen_hey_api() { bin openapi-ts --input "$contract" --output "$1/gen" --no-log-file && strict "$1"; }
gen_hey_api_zod() { bin openapi-ts --input "$contract" --output "$1/gen" --no-log-file --plugins @hey-api/client-fetch @hey-api/typescript @hey-api/sdk zod && strict "$1"; }
gen_hey_api_react_query() { bin openapi-ts --input "$contract" --output "$1/gen" --no-log-file --plugins @hey-api/client-fetch @hey-api/typescript @hey-api/sdk @tanstack/react-query && strict "$1"; }
gen_orval_default() { orval "$1"; }
gen_orval_fetch() { orval "$1" "client: 'fetch'"; }
gen_orval_react_query() { orval "$1" "client: 'react-query'"; }
gen_orval_swr() { orval "$1" "client: 'swr'"; }
gen_orval_zod() { orval "$1" "client: 'zod'"; }
gen_swagger_typescript_api_fetch() { bin swagger-typescript-api generate --path "$contract" --output "$1" --name api.ts && strict "$1"; }
gen_swagger_typescript_api_axios() { bin swagger-typescript-api generate --axios --path "$contract" --output "$1" --name api.ts && strict "$1"; }
gen_kubb_ts() { kubb "$1" 'pluginTs()'; }
gen_kubb_client() { kubb "$1" 'pluginTs(), pluginClient()'; }
gen_oazapfts() { bin oazapfts "$contract" "$1/api.ts" && strict "$1"; }
gen_ng_openapi_gen() { bin ng-openapi-gen --input "$contract" --output "$1/gen" && strict "$1"; }
gen_openapi_zod_client() { bin openapi-zod-client "$contract" --output "$1/api.ts" && strict "$1"; }
gen_rtk_query() {
  echo 'import { createApi, fetchBaseQuery } from "@reduxjs/toolkit/query/react"; export const emptyApi = createApi({ baseQuery: fetchBaseQuery({ baseUrl: "/" }), endpoints: () => ({}) });' >"$1/empty.ts"
  echo "module.exports = {schemaFile: '$contract', apiFile: './empty.ts', apiImport: 'emptyApi', outputFile: './api.ts', hooks: true}" >"$1/rtk.config.cjs"
  (cd "$1" && bin rtk-query-codegen-openapi rtk.config.cjs) && strict "$1"
}
gen_oapi_codegen_client() { go_client "$1" types,client; }
gen_oapi_codegen_gin() { go_client "$1" types,gin,spec; }
gen_oapi_codegen_chi() { go_client "$1" types,chi-server,spec; }
gen_oapi_codegen_std_http() { go_client "$1" types,std-http,spec; }
gen_oapi_codegen_strict() { go_client "$1" types,std-http,strict-server; }

# ---- main ---------------------------------------------------------------------

install || exit
failed=()
for name in $(declare -F | sed -n 's/^declare -f gen_//p' | sort); do
  if [ $# != 0 ]; then
    wanted=
    for prefix; do case $name in "$prefix"*) wanted=yes ;; esac; done
    [ "$wanted" ] || continue
  fi
  dir=$at/out/$name started=$SECONDS
  rm -rf "$dir" && mkdir -p "$dir"
  if ("gen_$name" "$dir") >"$dir.log" 2>&1 </dev/null; then verdict=ok; else verdict=FAILED failed+=("$name"); fi
  printf '%-30s %-6s %3d s\n' "$name" "$verdict" $((SECONDS - started))
  [ $verdict = ok ] || tail -n 15 "$dir.log" | cut -c1-300 | sed 's/^/    /'
done
if [ ${#failed[@]} != 0 ]; then echo "generators: failed: ${failed[*]}" >&2; exit 1; fi
echo "generators: all compiled (logs in ${at#"$root/"}/out)"
