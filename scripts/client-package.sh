#!/usr/bin/env bash
# client-package.sh [FOLDER] — builds the TypeScript client into FOLDER/accounts-client-VERSION.tgz,
# a package that npm installs without this repository. VERSION is that of the contract. The default
# of FOLDER is bin. Prints the path of the package.
set -euo pipefail

cd "$(dirname "$0")/.."
folder=${1:-bin} client=api/typescript

version=$(awk '/^info:/ { info = 1 } info && $1 == "version:" { print $2; exit }' openapi.yaml)
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+ ]] || { echo "client-package: openapi.yaml has no version in info" >&2; exit 1; }

npm --prefix "$client" ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
rm -rf "$client/dist" # without files of deleted sources
npm --prefix "$client" run --silent build >&2

# The package is made from a copy, because package.json in the repository has no version. It stays
# private, so that npm publish rejects it: the name on the public registry is not this project's.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -R "$client/dist" "$client/README.md" LICENSE "$copy/"
manifest='const { scripts, devDependencies, ...rest } = JSON.parse(require("fs").readFileSync(0)); console.log(JSON.stringify({ ...rest, version: process.argv[1] }, null, 2))'
node --eval "$manifest" "$version" <"$client/package.json" >"$copy/package.json"
mkdir -p "$folder"
npm pack "$copy" --ignore-scripts --loglevel=error --pack-destination "$folder" >/dev/null
echo "$folder/accounts-client-$version.tgz"
