#!/usr/bin/env bash
# check.sh — checks the refresh-token protocol exhaustively with spin, for small bounds.
#
#   check.sh [CASE...]      runs the named cases, without names the quick ones, with --all all;
#                           --list prints them
#   check.sh --decisions    prints the results of the model's decision table, for decisions.txt
#
# Each case has an expected result: "holds", or "broken" if the case breaks the protocol on purpose
# or violates its assumptions. A case that exceeds the time or memory limit fails. TRACE=1 prints
# the traces of the broken cases. Needs spin and a C compiler.
set -uo pipefail

cd "$(dirname "$0")" || exit 1
model=$PWD/refresh.pml
limit=${LIMIT:-300} # seconds per case

# name | quick? | expected result | description | parameters [| LTL formula]
# R: time from a rotation to the first response with the new generation in the jar. Q: from sending
# a request to the decision. P: from the decision to applying Set-Cookie. W = 6 or 4 ticks, M = 2,
# clocks are wrong by up to M/2 either way, two requests in flight (NS).
cases='
I6-R2Q2P1     |quick|holds |6: no false detection while R+Q <= W-M and R+Q+P < W       |-DNS=2 -DR=2 -DQ=2 -DP=1
I6-R1Q3P1     |     |holds |6: another boundary of that condition                        |-DNS=2 -DR=1 -DQ=3 -DP=1
I6-R1Q1P3     |     |holds |6: another boundary of that condition                        |-DNS=2 -DR=1 -DQ=1 -DP=3
I6-R0Q4P1     |     |holds |6: another boundary of that condition                        |-DNS=2 -DR=0 -DQ=4 -DP=1
I6-split      |     |holds |6: read and guarded update are separate steps               |-DNS=2 -DSPLIT=1 -DR=2 -DQ=2 -DP=1
I6-noabandon  |quick|holds |6: each call gets a response within R, none is aborted      |-DNS=2 -DOBL=1 -DABANDON=0 -DR=2 -DQ=1 -DP=1
I6-one-tab    |quick|holds |6: late recovery by the attempt, one request in flight      |-DNS=2 -DTABS=1 -DOBL=0 -DATT=2 -DCONN=1 -DQ=1 -DP=1
I7-thief      |quick|holds |1, 2, 7, 15 with a thief                                     |-DNS=2 -DTABS=1 -DTHIEF=1 -DOBL=0 -DW=4 -DQ=2 -DP=2
I7-attempt    |     |holds |7: the honest client has an attempt                          |-DNS=2 -DTABS=1 -DTHIEF=1 -DOBL=0 -DATT=1 -DW=4 -DQ=1 -DP=1
I7-split      |     |holds |7: read and update are separate steps                        |-DNS=2 -DTABS=1 -DTHIEF=1 -DSPLIT=1 -DOBL=0 -DW=4 -DQ=2 -DP=0
I7-by-turns   |quick|holds |7: after a theft, at most three alternating refreshes        |-DNS=2 -DTABS=1 -DTHIEF=1 -DOBL=0 -DSEP=1 -DW=4 -DQ=0 -DP=0
I7-two-tabs   |quick|holds |7: the same with two tabs and an attempt                     |-DNS=2 -DTABS=2 -DTHIEF=1 -DOBL=0 -DSEP=1 -DATT=1 -DW=4 -DQ=0 -DP=0
I7-ends       |quick|holds |7: if client and thief continue, the session is revoked      |-DNS=2 -DTABS=1 -DTHIEF=1 -DSEP=1 -DOBL=0 -DW=4 -DQ=0 -DP=0|LTL7
I3-logout     |     |holds |3: a logout at any time, a thief                            |-DNS=2 -DTABS=1 -DTHIEF=1 -DLOGOUT=1 -DOBL=0 -DW=4 -DQ=1 -DP=0 -DLOSS=0
I3-split      |quick|holds |3: a logout at any time, separate read and update           |-DNS=2 -DTABS=1 -DLOGOUT=1 -DSPLIT=1 -DOBL=0 -DW=4 -DQ=2 -DP=2
I15-rotates   |quick|holds |15: with responses and time, rotations continue              |-DNS=2 -DTABS=1 -DOBL=2 -DW=4 -DR=1 -DQ=1 -DP=0|LTL15
strict-thief  |quick|holds |strict profile: superseded tokens are rejected               |-DSTRICT=1 -DTHIEF=1 -DW=0 -DM=0 -DH=1 -DNS=2 -DOBL=0 -DQ=1 -DP=1
strict-tab    |quick|holds |strict profile: no false detection with one tab, no loss     |-DSTRICT=1 -DW=0 -DM=0 -DH=1 -DNS=2 -DTABS=1 -DOBL=0 -DQ=2 -DP=2 -DLOSS=0 -DABANDON=0
slow-R        |quick|broken|6 without its assumption: R+Q = W-M+1                        |-DNS=2 -DR=3 -DQ=2 -DP=0
slow-Q        |     |broken|6 without its assumption: R+Q = W-M+1                        |-DNS=2 -DR=2 -DQ=3 -DP=0
slow-P        |quick|broken|6 without its assumption: R+Q+P = W, the jar is outdated     |-DNS=2 -DR=2 -DQ=2 -DP=2
given-up      |quick|broken|6: an aborted request rotates after its retry completed      |-DNS=2 -DTABS=1 -DOBL=1 -DLOSS=0 -DR=2 -DQ=1 -DP=1
own-attempts  |quick|broken|6: a lost response, and each tab has its own attempt         |-DNS=2 -DOBL=0 -DATT=1 -DABANDON=0 -DCONN=1 -DQ=1 -DP=1
two-in-flight |     |broken|6: late recovery with two requests in flight                 |-DNS=2 -DOBL=0 -DATT=2 -DCONN=1 -DQ=1 -DP=1
strict-tabs   |quick|broken|strict profile: two tabs end the session, by design          |-DSTRICT=1 -DW=0 -DM=0 -DH=1 -DNS=2 -DTABS=2 -DOBL=0 -DQ=2 -DP=2 -DLOSS=0 -DABANDON=0
strict-loss   |quick|broken|strict profile: a lost response ends it, by design           |-DSTRICT=1 -DW=0 -DM=0 -DH=1 -DNS=2 -DTABS=1 -DOBL=0 -DQ=2 -DP=2 -DABANDON=0
strict-age    |quick|broken|strict profile with an age in row 3: no row applies          |-DSTRICT=2 -DW=0 -DM=0 -DH=1 -DNS=2 -DTABS=1 -DOBL=0 -DQ=2 -DP=2 -DLOSS=0 -DABANDON=0
break-cookies |quick|broken|row 4 sets cookies again                                     |-DMUT=1 -DNS=2 -DR=1 -DQ=1 -DP=3
break-grace   |quick|broken|grace before the revoked check                               |-DMUT=2 -DLOGOUT=1 -DNS=2 -DTABS=1 -DOBL=0 -DW=4 -DQ=2 -DP=2
break-early   |quick|broken|rotation at age W                                            |-DMUT=3 -DNS=2 -DR=2 -DQ=2 -DP=1
break-sibling |quick|broken|row 5 creates a second generation                            |-DMUT=4 -DNS=2 -DR=2 -DQ=2 -DP=1
break-guard   |quick|broken|the UPDATE without the generation                            |-DMUT=5 -DSPLIT=1 -DNS=2 -DR=2 -DQ=2 -DP=1
break-clock   |quick|broken|no clock guard                                               |-DMUT=6 -DSPLIT=1 -DTHIEF=1 -DTABS=1 -DOBL=0 -DNS=2 -DQ=INF -DP=0 -DW=4
break-margin  |quick|broken|row 5 requires an age of at least 0                          |-DMUT=7 -DNS=2 -DR=2 -DQ=2 -DP=1
break-null    |quick|broken|no attempt matches no attempt                                |-DMUT=8 -DATT=1 -DTHIEF=1 -DTABS=1 -DOBL=0 -DNS=2 -DQ=1 -DP=1 -DW=4
break-revoke  |quick|broken|row 6 returns tokens instead of revoking                     |-DMUT=10 -DNS=2 -DTABS=1 -DTHIEF=1 -DSEP=1 -DOBL=0 -DW=4 -DQ=0 -DP=0|LTL7
break-rotate  |quick|broken|tokens never rotate                                          |-DMUT=11 -DNS=2 -DTABS=1 -DOBL=2 -DW=4 -DR=1 -DQ=1 -DP=0|LTL15
'

# check NAME WANT PARAMETERS FORMULA builds and runs a case in a new folder and prints its result.
check() {
  local name=$1 want=$2 words=$3 parameters=$4 formula=$5 dir=$scratch/$1 start=$SECONDS safety=(-DSAFETY -DNOCLAIM) run=(-E) got
  mkdir "$dir" && cd "$dir" || return
  if [ -n "$formula" ]; then
    parameters+=" -D$formula -DEV=1" safety=() run=(-a -N "${formula/LTL/i}")
  fi
  # shellcheck disable=SC2086 # several parameters
  { spin -a $parameters "$model" && gcc -O2 -w "${safety[@]}" -DMEMLIM=4000 -DCOLLAPSE -o pan pan.c &&
    timeout "$limit" ./pan "${run[@]}" -m4000000; } >out 2>&1
  if grep -qE 'errors: [1-9]' out; then got=broken
  elif grep -q 'errors: 0' out && ! grep -qE 'MEMLIM bound|too small|out of memory' out; then got=holds
  else got=unfinished; fi
  printf '%-14s %-10s %9s states %4d s  %s\n' "$name" "$got" "$(awk '/states, stored/ { print $1 }' out)" $((SECONDS - start)) "$words"
  grep -oE -m1 'assertion violated .*|acceptance cycle' out | sed -E 's/ \(at depth.*//; s/^/    /'
  if [ "$got" = broken ] && [ -n "${TRACE:-}" ]; then
    # shellcheck disable=SC2086
    spin -t -p -T $parameters "$model" 2>/dev/null | grep -E '^ +(tick|tab|thief|#|logout)' | sed 's/^/    /'
  fi
  [ "$got" = "$want" ] || { echo "    want: $want"; tail -5 out; return 1; }
}

# decisions prints a line for each input of the decision table: the profile, whether the session is
# revoked, the number of generations behind, the age of the current generation, the attempts of the
# request and of the rotation (0: none), and the row that applies. A second is a tick: W = 6, M = 2.
decisions() {
  local profile
  for profile in grace strict; do
    spin -T -DTABLE -DATT=1 -DNS=2 -DSTRICT="$([ $profile = strict ] && echo 1 || echo 0)" refresh.pml |
      awk -v profile=$profile '/^ *[01] [012] / { $1 = $1; print profile, $0 }'
  done
}

if [ "${1:-}" = --list ]; then sed '/^$/d' <<<"$cases"; exit 0; fi
for tool in spin gcc; do
  command -v $tool >/dev/null || { echo "model: $tool is missing (Debian's package $tool)" >&2; exit 1; }
done
if [ "${1:-}" = --decisions ]; then decisions; exit; fi
decisions | cmp - decisions.txt || { echo 'model: the decision table differs from decisions.txt' >&2; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

ran=0 failed=0
while IFS='|' read -r name quick want words parameters formula; do
  name=${name// /} want=${want// /}
  [ -n "$name" ] || continue
  case " $* " in
    '  ') [ "${quick// /}" = quick ] || continue ;;
    *' --all '* | *" $name "*) ;;
    *) continue ;;
  esac
  ran=$((ran + 1))
  (check "$name" "$want" "$words" "$parameters" "${formula:-}") || failed=$((failed + 1))
done <<<"$cases"
[ $ran != 0 ] || { echo "model: no such case (see check.sh --list)" >&2; exit 2; }
echo "model: $((ran - failed)) of $ran cases have the expected result, in $SECONDS s"
[ $failed = 0 ]
