#!/usr/bin/env bash
# Kills perimeter before every system call of apply, rollback and detach, and lets every call fail in every plausible
# way, while frames arrive; prints how many points held.
#
#   scripts/crash-test.sh            every point: hours on two cores
#   scripts/crash-test.sh POINTS     as many points a command, evenly spread; CI takes 4
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

scripts/setup.sh test
PERIMETER_CRASH_POINTS="${1:-all}" cargo test --locked --package perimeter --test netns crash -- --nocapture --test-threads=1
