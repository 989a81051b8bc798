#!/usr/bin/env bash
# contract.sh — compares openapi.yaml with the contract as released, api/released.yaml.
#
#   contract.sh breaking    fail if openapi.yaml breaks clients of the released one;
#                           with two files, if the second breaks clients of the first
#   contract.sh diff        describe the differences
#   contract.sh release     make openapi.yaml the released one; api/CHANGELOG.md
#                           must have an entry of its version
#
# The section "Compatibility" of openapi.yaml defines breaking changes. scripts/oasdiff.txt adds
# checks to those that oasdiff reports as breaking by default.
set -euo pipefail

cd "$(dirname "$0")/.."
# shellcheck source=scripts/go-flags.sh
. scripts/go-flags.sh
released=api/released.yaml changelog=api/CHANGELOG.md contract=openapi.yaml

version_of() { sed -n 's/^  version: *//p' "$1"; }
title_of() { grep -F "## [$1]" "$changelog"; }

oasdiff() {
  local version tool
  version=$(go -C scripts/tools/oasdiff list -m -f '{{.Version}}' github.com/oasdiff/oasdiff)
  tool=$PWD/.cache/bin/oasdiff-$version
  if [ ! -x "$tool" ]; then
    echo "building oasdiff $version (takes a minute) …" >&2
    go -C scripts/tools/oasdiff build -o "$tool" github.com/oasdiff/oasdiff
  fi
  "$tool" "$@"
}

breaking() {
  local from to status=0
  from=$(version_of "$released") to=$(version_of "$contract")
  oasdiff breaking --fail-on ERR --severity-levels scripts/oasdiff.txt "$released" "$contract" || status=$?
  # oasdiff ignores the level in scripts/oasdiff.txt for this check
  if [ $status = 0 ] && oasdiff changelog "$released" "$contract" | grep -A 2 -F '[api-global-security-removed]'; then status=1; fi
  [ $status = 1 ] || return $status # 0, or the comparison failed
  if ((${to%%.*} > ${from%%.*})); then
    echo "These changes break clients of $from. The new major version $to allows this."
    return
  fi
  cat <<EOF

These changes break programs that were written for $from. Either
  - keep what they use: add beside it instead of changing or removing it, and mark the old as deprecated; or
  - release a new major version: raise info.version in openapi.yaml from $from, and say in $changelog what
    clients have to change; or
  - if $from is marked as unpublished there, no client uses it yet: make contract-release.
EOF
  return 1
}

release() {
  local from to title
  from=$(version_of "$released") to=$(version_of openapi.yaml)
  title=$(title_of "$to") || { echo "$changelog has no entry that begins with: ## [$to]"; return 1; }
  cmp --silent openapi.yaml "$released" && { echo "$to is already the released contract"; return; }
  if [ "$from" = "$to" ] && [[ $title != *unpublished* ]]; then
    echo "$to is already published and must not change: increase info.version in openapi.yaml"
    return 1
  fi
  [ "$from" = "$to" ] || breaking || return
  cp openapi.yaml "$released"
  echo "released: $to"
}

case ${1:-} in
  breaking) released=${2:-$released} contract=${3:-$contract}; breaking ;;
  diff) oasdiff changelog --severity-levels scripts/oasdiff.txt "$released" openapi.yaml ;;
  release) release ;;
  *) sed -n '2,/^set/{/^#/p}' "$0" | cut -c3- >&2; exit 2 ;;
esac
