#!/usr/bin/env bash
# Kills perimeter before every system call of apply, confirm, rollback, detach and the keeper's revert, under XDP, under
# nftables and on the way between them, and lets every call fail in every plausible way, while 60,000 frames a second
# arrive; prints how many points held, and how many frames it were.
#
#   scripts/crash-test.sh            every point: hours on two cores
#   scripts/crash-test.sh changes    a kill before every call that changes something: every state that one can leave
#   scripts/crash-test.sh POINTS     as many points a command, evenly spread; CI takes 2
#   scripts/crash-test.sh POINTS 'first apply'     of one scenario alone
#
# PERIMETER_PROGRAM=target/release/perimeter makes each point three times as fast.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

scripts/setup.sh test
[ $# -lt 2 ] || export PERIMETER_CRASH_SCENARIO=$2
PERIMETER_CRASH_POINTS="${1:-all}" cargo test --locked --package perimeter --test netns crash -- --nocapture --test-threads=1
