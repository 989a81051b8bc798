#!/usr/bin/env bash
# check-readme.sh — checks the links of the README and runs its shell blocks. A fenced block in sh
# is run if the line before it is one of
#
#   <!-- run -->          the block must succeed
#   <!-- serve URL -->    the block is started and left running; URL must respond within
#                         two minutes; it is stopped after the last block
#
# Blocks run in order, each in a new shell, in a fresh clone in a temporary folder. The clone
# contains uncommitted changes.
#
#   check-readme.sh [FILE]
set -euo pipefail

cd "$(dirname "$0")/.."
readme=${1:-README.md}

node scripts/check-links.mjs

work=$(mktemp -d)
servers=()
stop() {
  local status=$? pid
  trap - EXIT INT TERM
  for pid in ${servers[@]+"${servers[@]}"}; do kill -TERM -- "-$pid" 2>/dev/null || true; done
  for pid in ${servers[@]+"${servers[@]}"}; do wait "$pid" 2>/dev/null || true; done
  chmod -R u+w "$work" && rm -rf "$work"
  exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# one file per block, NNN.run or NNN.serve, whose first line is a comment with its name
awk -v out="$work" -v readme="$readme" '
  /^<!-- run -->[ \t]*$/                  { kind = "run"; next }
  /^<!-- serve [^ ]+ -->[ \t]*$/          { kind = "serve"; url = $3; next }
  kind && !inside && /^```sh[ \t]*$/      { inside = 1; file = sprintf("%s/%03d.%s", out, ++blocks, kind)
                                            print "# " readme ":" NR (kind == "serve" ? " " url : "") >file; next }
  inside && /^```[ \t]*$/                 { inside = 0; kind = ""; close(file); next }
  inside                                  { print >file; next }
  kind && NF                              { print readme ":" NR ": a marked block must start here with ```sh"; bad = 1; kind = "" }
  END                                     { exit bad }
' "$readme"

shopt -s nullglob
blocks=("$work"/*.run "$work"/*.serve)
[ ${#blocks[@]} != 0 ] || { echo "check-readme: $readme marks no shell block to run"; exit 1; }

git clone --quiet --no-hardlinks . "$work/clone" 2>&1 | grep -v 'empty repository' || true
git ls-files -z --deleted | (cd "$work/clone" && xargs -0 rm -f --)
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
  if [ -e "$file" ]; then printf '%s\0' "$file"; fi
done | tar --create --null --files-from=- | tar --extract --directory="$work/clone"

# variables that are not set in the shell of a new user
for name in $(compgen -e | grep -E '^(ACCOUNTS_|TEST_|MYSQL_|MAKE|MFLAGS|CGO_ENABLED)' || true); do unset "$name"; done

run_block() {
  (cd "$work/clone" && bash -euo pipefail "$1" </dev/null)
}

serve_block() {
  local url=$2
  if curl -so /dev/null --max-time 2 "$url"; then echo "something answers at $url already: stop it first"; return 1; fi
  set -m # a separate process group, so that make and its children end together
  (cd "$work/clone" && exec bash -euo pipefail "$1" </dev/null) &
  local pid=$!
  set +m
  servers+=("$pid")
  for _ in {1..240}; do
    if curl -fso /dev/null --max-time 2 "$url"; then return; fi
    kill -0 "$pid" 2>/dev/null || { echo "it ended"; return 1; }
    sleep 0.5
  done
  echo "$url does not answer"
  return 1
}

# in the order of their numbers, as in the README
while IFS= read -r block; do
  read -r _ place url <"$block"
  echo "== $place"
  sed 1d "$block"
  case $block in
    *.run) run_block "$block" ;;
    *.serve) serve_block "$block" "$url" ;;
  esac || { echo "check-readme: the block at $place failed"; exit 1; }
done < <(printf '%s\n' "${blocks[@]}" | sort)
echo "check-readme: ${#blocks[@]} blocks ran"
