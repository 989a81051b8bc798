#!/usr/bin/env bash
# verify.sh runs the checks that are not part of make test. It prints one line with
# the time for each step, and at the end fails with the list of failed steps.
#
#   verify.sh [STEP...]     run all steps or the named ones; verify.sh --list prints them
#
# The output of a step is printed if it fails, and kept in .cache/verify/STEP.log.
# Needs Go, a C compiler, Node, Chromium, spin and Debian's Django.
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
root=$PWD logs=$PWD/.cache/verify
# shellcheck source=scripts/go-flags.sh
. scripts/go-flags.sh
unset MAKEFLAGS MAKELEVEL MFLAGS

steps='
shell      shell scripts parse, and shellcheck reports nothing if it is installed
generated  api/ matches openapi.yaml
supply     modules match go.sum, a second build has the same bytes, and the bill of materials names every module
imports    packages import only what the import table allows
prose      the rates of idioms that are hard to read are below their bounds
house      functions, files, types and the README are within the limits of their size
lint       golangci-lint; its first build takes minutes
redocly    redocly lints the contract
spectral   spectral lints the contract, with rules of this project
breaking   the contract does not break clients of the released contract
mutations  each decision about the contract, broken on purpose, is caught by the linter, the format check or oasdiff
types      generated clients and the code of the guides compile in strict mode; those of the guide run in a real browser
client     the TypeScript client: types, tests in Node and in eight tabs of a real browser, its package in a React project; demo and console match their sources
model      spin checks the refresh protocol exhaustively, and detects deliberate defects
swagger    the embedded Swagger UI is the published package
browser    the pages in a real browser: documentation, account pages, demo, and console with 100,000 users
django     users imported from a real Django service keep their passwords and sessions
torture    the refresh protocol keeps every guarantee while servers are killed and disconnected for a minute
readme     links and shell blocks of the README and the guides, and the length of the README
recipe     the guides "Add a field to the user" and "Add an endpoint", applied to copies, pass tests
race       all tests under the race detector
'

# ---- one function per step ---------------------------------------------------

step_shell() {
  local file scripts=()
  while IFS= read -r file; do scripts+=("$file"); done < <(git ls-files -co --exclude-standard 'scripts/*.sh' .ci/run)
  for file in "${scripts[@]}"; do bash -n "$file" || return; done
  if ! command -v shellcheck >/dev/null; then echo 'shellcheck is not installed: the scripts were only parsed'; return; fi
  shellcheck --external-sources --severity=warning "${scripts[@]}"
}

# Works in a copy, because the tree can have uncommitted changes and must not be modified.
step_generated() {
  local copy status
  copy=$(mktemp -d)
  cp -R go.mod go.sum openapi.yaml oapi-codegen.yaml api "$copy/"
  go -C "$copy" generate ./api && diff -r api "$copy/api"
  status=$?
  rm -rf "$copy"
  [ $status = 0 ] || echo 'api/ does not match openapi.yaml: run make generate'
  return $status
}

# Builds twice, the second time from a copy in another folder and without the cache, and compares
# the binaries. Then checks the bill of materials.
step_supply() {
  local copy status
  go mod verify && go mod tidy -diff || return
  copy=$(mktemp -d)
  git ls-files -z -co --exclude-standard | tar --null --ignore-failed-read -T - -cf - | tar -xf - -C "$copy"
  go build -buildvcs=false -o "$copy/first" ./server/cmd/accountsd &&
    go -C "$copy" build -a -buildvcs=false -o second ./server/cmd/accountsd &&
    cmp "$copy/first" "$copy/second" && complete_bill "$copy/first"
  status=$?
  rm -rf "$copy"
  return $status
}

# complete_bill BINARY checks that the bill of materials contains each module of go version -m, and
# that it is reproducible.
complete_bill() {
  local kind module version rest
  scripts/sbom.sh "$1" >"$1.json" && scripts/sbom.sh "$1" | cmp - "$1.json" || return
  while read -r kind module version rest; do
    case $kind in dep | '=>') ;; *) continue ;; esac
    grep -qF "\"bom-ref\": \"pkg:golang/$module@$version?type=module\"" "$1.json" ||
      { echo "the bill of materials does not contain $module $version $rest"; return 1; }
  done < <(go version -m "$1")
  go version -m "$1" # print the modules for the log
}

step_imports() { scripts/check-imports.sh; }

step_prose() { scripts/run.sh prose; }
step_house() { scripts/run.sh house; }

step_lint() {
  local version tool
  version=$(go -C scripts/tools list -m -f '{{.Version}}' github.com/golangci/golangci-lint/v2) || return
  tool=$root/.cache/bin/golangci-lint-$version
  if [ ! -x "$tool" ]; then
    echo "building golangci-lint $version (takes minutes) …"
    go -C scripts/tools build -o "$tool" github.com/golangci/golangci-lint/v2/cmd/golangci-lint || return
  fi
  "$tool" run ./...
}

# node_tools installs what package-lock.json pins, without running install scripts of packages.
node_tools() {
  [ scripts/node_modules/.package-lock.json -nt scripts/package-lock.json ] ||
    npm --prefix scripts ci --ignore-scripts --no-audit --no-fund --loglevel=error
}

# REDOCLY_TELEMETRY=off sends no data. The notice about updates would send a request to a registry.
step_redocly() {
  node_tools && REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
    scripts/node_modules/.bin/redocly lint openapi.yaml --config scripts/redocly.yaml
}

step_spectral() {
  node_tools && scripts/node_modules/.bin/spectral lint openapi.yaml --ruleset scripts/spectral.yaml --fail-severity=warn
}

step_breaking() { scripts/contract.sh breaking; }

step_mutations() { node_tools && scripts/run.sh contract-mutations; }

step_types() {
  node_tools &&
    scripts/node_modules/.bin/openapi-typescript openapi.yaml --output .cache/typescript/schema.d.ts &&
    scripts/node_modules/.bin/tsc --project scripts/typescript &&
    scripts/node_modules/.bin/openapi-ts --input openapi.yaml --output .cache/typescript/hey-api --no-log-file &&
    scripts/node_modules/.bin/tsc --project scripts/typescript/tsconfig.hey-api.json &&
    scripts/node_modules/.bin/orval --config scripts/typescript/orval.config.cjs &&
    scripts/node_modules/.bin/tsc --project scripts/typescript/tsconfig.orval.json &&
    scripts/generators.sh --pinned swagger_typescript_api_fetch kubb_client &&
    guide_types
}

# guide_types runs the generators as the guide to front ends does, compiles the code of the README
# and of all guides, and runs the generated clients in a browser against a server.
guide_types() {
  local project=.cache/typescript/guide bin=$root/scripts/node_modules/.bin
  rm -rf "$project" && mkdir -p "$project" && cp openapi.yaml "$project/" && ln -s "$root/scripts/node_modules" "$project/" &&
    node scripts/typescript/guide.mjs "$project" README.md server/web/docs/guides/*.md &&
    (cd "$project" &&
      "$bin/openapi-typescript" openapi.yaml --output src/schema.ts &&
      "$bin/openapi-ts" --input openapi.yaml --output src/accounts --no-log-file &&
      "$bin/orval") &&
    "$bin/tsc" --project scripts/typescript/tsconfig.guide.json &&
    "$bin/esbuild" scripts/typescript/recipes.tsx --bundle --jsx=automatic --log-level=warning --outfile="$project/recipes.js" &&
    make --silent build && node scripts/browser/recipes.mjs "$project/recipes.js"
}

step_client() {
  local bytes
  npm --prefix api/typescript ci --ignore-scripts --no-audit --no-fund --loglevel=error || return
  api/typescript/node_modules/.bin/openapi-typescript openapi.yaml --output .cache/typescript/client.ts >/dev/null &&
    cmp api/typescript/src/schema.ts .cache/typescript/client.ts ||
    { echo 'api/typescript/src/schema.ts does not match openapi.yaml: run make generate'; return 1; }
  scripts/build-web.sh .cache/typescript &&
    cmp server/web/demo/demo.js .cache/typescript/demo.js && cmp server/web/console/console.js .cache/typescript/console.js ||
    { echo 'a front end in server/web does not match its sources: run make web'; return 1; }
  npm --prefix api/typescript run --silent check && npm --prefix api/typescript run --silent build || return
  bytes=$(npm --prefix api/typescript run --silent size)
  [ "$bytes" -lt 6500 ] || { echo "the client has $bytes bytes, minified and gzipped; its README says less than 6500"; return 1; }
  echo "bytes, minified and gzipped: $bytes"
  make --silent build && node_tools && node scripts/browser/client.mjs && react_project
}

# react_project makes the React project of the guide to front ends, as its reader would: from the
# template of Vite and the package of make client-package, but with the versions that
# scripts/react/package-lock.json pins. It builds the project, and runs it in a browser.
react_project() {
  local work=$root/.cache/typescript/react package
  package=$(scripts/client-package.sh .cache/typescript/package) || return
  rm -rf "$work" && mkdir -p "$work" &&
    node scripts/typescript/guide.mjs "$work/guide" server/web/docs/guides/front-ends.md &&
    (cd "$work" && "$root/scripts/node_modules/.bin/create-vite" my-app --template react-ts --no-interactive) || return
  mkdir "$work/my-app/vendor" && cp "$package" "$work/my-app/vendor/" &&
    cp scripts/react/package.json scripts/react/package-lock.json "$work/my-app/" &&
    cp "$work/guide/src/client.ts" "$work/guide/src/App.tsx" "$work/my-app/src/" &&
    npm --prefix "$work/my-app" ci --ignore-scripts --no-audit --no-fund --loglevel=error &&
    (cd "$work/my-app" && npm install --ignore-scripts --no-audit --no-fund --loglevel=error ./vendor/*.tgz) &&
    node scripts/browser/react.mjs "$work/my-app"
}

step_model() { scripts/model/check.sh; }

step_swagger() { scripts/update-swagger-ui.sh --check; }

step_browser() { make --silent build && node_tools && node scripts/browser/docs.mjs && VIEW=light node scripts/browser/pages.mjs && node scripts/browser/demo.mjs && node scripts/browser/console.mjs && node scripts/browser/access.mjs; }

step_django() { scripts/with-mysql.sh --fast -- scripts/run.sh django; }

step_torture() {
  local engine
  go build -o .cache/verify/torture ./scripts/torture || return
  for engine in sqlite mariadb; do .cache/verify/torture -engine "$engine" -minutes 0.5 || return; done
}

step_readme() { scripts/check-readme.sh; }

step_recipe() { scripts/run.sh recipe server/web/docs/guides/add-a-field.md server/web/docs/guides/add-an-endpoint.md; }

step_race() { scripts/with-mysql.sh --fast -- env CGO_ENABLED=1 go test -race -timeout 35m ./...; }

# ---- main --------------------------------------------------------------------

names() { awk 'NF { print $1 }' <<<"$steps"; }
title() { awk -v step="$1" '$1 == step { $1 = ""; print substr($0, 2) }' <<<"$steps"; }

run_step() {
  local name=$1 start=$SECONDS status
  printf '%-10s %s … ' "$name" "$(title "$name")"
  ("step_$name") >"$logs/$name.log" 2>&1 </dev/null
  status=$?
  if [ $status = 0 ]; then echo "ok ($((SECONDS - start)) s)"; return; fi
  echo "FAILED ($((SECONDS - start)) s)"
  sed 's/^/    /' "$logs/$name.log"
  return $status
}

if [ "${1:-}" = --list ]; then echo "$steps" | sed '/^$/d'; exit 0; fi
if [ $# = 0 ]; then
  # shellcheck disable=SC2046 # one word a step
  set -- $(names)
fi

mkdir -p "$logs"
failed=()
for name; do
  if ! declare -F "step_$name" >/dev/null; then echo "verify: unknown step $name: run verify.sh --list" >&2; exit 2; fi
  run_step "$name" || failed+=("$name")
done

if [ ${#failed[@]} != 0 ]; then
  echo "verify: failed steps: ${failed[*]}"
  exit 1
fi
echo "verify: all of $# steps passed in $SECONDS s"
