#!/usr/bin/env bash
# check-readme.sh checks the links of all Markdown files, counts the words of the README, and runs
# the shell blocks of the README and the guides. The line before each fenced block in sh is one of
#
#   <!-- run -->              the block must succeed
#   <!-- serve URL -->        the block is started and left running; URL must respond within two
#                             minutes; it is stopped after the last block of the file
#   <!-- not run: REASON -->  the block is not run
#   <!-- apply -->            scripts/recipe runs the block; see the step "recipe" of verify.sh
#
# The blocks of a file run in order, each in a new shell, in a fresh clone in a temporary folder. The
# clone contains uncommitted changes. Its bin folder is in the PATH, so that a guide can call
# accountsd after make build. The program is linked only once: make finds that it is up to date.
#
#   check-readme.sh [FILE...]   default: README.md and all guides
set -euo pipefail

cd "$(dirname "$0")/.."
most_words=1500 # of README.md

if [ $# = 0 ]; then set -- README.md server/web/docs/guides/*.md; fi

node scripts/check-links.mjs

words=$(wc -w <README.md)
echo "README.md has $words words, at most $most_words"
[ "$words" -le $most_words ] || { echo "check-readme: README.md is too long: move details to a guide"; exit 1; }

work=$(mktemp -d)
servers=()
stop_servers() {
  local pid
  for pid in ${servers[@]+"${servers[@]}"}; do kill -TERM -- "-$pid" 2>/dev/null || true; done
  for pid in ${servers[@]+"${servers[@]}"}; do wait "$pid" 2>/dev/null || true; done
  servers=()
}
stop() {
  local status=$?
  trap - EXIT INT TERM
  stop_servers
  chmod -R u+w "$work" && rm -rf "$work"
  exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# split FILE FOLDER writes one file per block to run, NNN.run or NNN.serve, whose first line is a
# comment with its place. Fails if a block is not marked.
split() {
  awk -v out="$2" -v file="$1" '
    function fault(text) { print file ":" NR ": " text; bad = 1 }

    { line = $0; sub(/^[ \t]+/, "", line); sub(/[ \t]+$/, "", line) }

    inside && line ~ /^```$/ { inside = 0; kind = ""; if (block) close(block); block = ""; next }
    inside && block {
      text = $0
      if (substr(text, 1, length(indent)) == indent) text = substr(text, length(indent) + 1)
      print text >block
      next
    }
    inside { next }

    line ~ /^```/ {
      language = substr(line, 4)
      shell = language ~ /^(sh|bash|shell|console|zsh)([^a-z]|$)/
      if (shell && language != "sh") fault("the language of a shell block is sh, not " language)
      if (kind && language != "sh" && !(kind == "apply" && language == "diff")) fault("a marked block must start with ```sh")
      if (shell && !kind) fault("a shell block must have a mark: <!-- run -->, <!-- serve URL -->, <!-- apply --> or <!-- not run: REASON -->")
      inside = 1
      match($0, /^[ \t]*/); indent = substr($0, 1, RLENGTH)
      if (kind == "run" || kind == "serve") {
        block = sprintf("%s/%03d.%s", out, ++blocks, kind)
        print "# " file ":" NR (kind == "serve" ? " " url : "") >block
      }
      next
    }

    kind && line != "" { fault("a marked block must start here with ```sh"); kind = "" }

    line ~ /^<!-- run -->$/              { kind = "run"; next }
    line ~ /^<!-- serve [^ ]+ -->$/      { kind = "serve"; url = $3; next }
    line ~ /^<!-- not run: [^ ].* -->$/  { kind = "not run"; next }
    line ~ /^<!-- apply -->$/            { kind = "apply"; next }
    line ~ /^<!-- (run|serve|not run)[ :]/ { fault("the mark " line " is not complete") }

    END { if (kind) fault("a marked block must follow"); exit bad }
  ' "$1"
}

# copy FOLDER makes a clone with the uncommitted changes.
copy() {
  git clone --quiet --no-hardlinks . "$1" 2>&1 | grep -v 'empty repository' || true
  git ls-files -z --deleted | (cd "$1" && xargs -0 rm -f --)
  git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    if [ -e "$file" ]; then printf '%s\0' "$file"; fi
  done | tar --create --null --files-from=- | tar --extract --directory="$1"
}

# variables that are not set in the shell of a new user
for name in $(compgen -e | grep -E '^(ACCOUNTS_|TEST_|MYSQL_|MAKE|MFLAGS|CGO_ENABLED)' || true); do unset "$name"; done

# run_block BLOCK FOLDER
run_block() {
  (cd "$2" && PATH=$2/bin:$PATH exec bash -euo pipefail "$1" </dev/null)
}

# lend_program BLOCK FOLDER adds the program of an earlier clone before a block that builds it.
lend_program() {
  if [ -d "$work/bin" ] && grep -qE '^make (run|build)' "$1"; then mv "$work/bin" "$2/bin"; fi
}

# serve_block BLOCK FOLDER URL
serve_block() {
  if curl -so /dev/null --max-time 2 "$3"; then echo "a program already responds at $3: stop it first"; return 1; fi
  set -m # a separate process group, so that make and its children end together
  run_block "$1" "$2" &
  local pid=$!
  set +m
  servers+=("$pid")
  for _ in {1..240}; do
    if curl -fso /dev/null --max-time 2 "$3"; then return; fi
    kill -0 "$pid" 2>/dev/null || { echo "the program exited"; return 1; }
    sleep 0.5
  done
  echo "$3 does not respond"
  return 1
}

# All marks are checked before the first block runs.
for file; do
  mkdir -p "$work/blocks/$file"
  split "$file" "$work/blocks/$file" || failed=1
done
[ -z "${failed:-}" ] || exit 1

shopt -s nullglob
ran=0
for file; do
  blocks=("$work/blocks/$file"/*)
  [ ${#blocks[@]} != 0 ] || continue
  rm -rf "$work/clone" && copy "$work/clone"
  for block in "${blocks[@]}"; do # in the order of their numbers
    read -r _ place url <"$block"
    echo "== $place"
    sed 1d "$block"
    lend_program "$block" "$work/clone"
    case $block in
      *.run) run_block "$block" "$work/clone" ;;
      *.serve) serve_block "$block" "$work/clone" "$url" ;;
    esac || { echo "check-readme: the block at $place failed"; exit 1; }
    ran=$((ran + 1))
  done
  stop_servers
  if [ -d "$work/clone/bin" ]; then rm -rf "${work:?}/bin" && mv "$work/clone/bin" "$work/bin"; fi
done
[ $ran != 0 ] || { echo "check-readme: no shell block is marked to run"; exit 1; }
echo "check-readme: $ran blocks ran in $SECONDS s"
