#!/usr/bin/env bash
# Random policies and adversarial frames through every engine, each against the oracle: model, XDP and nftables give the
# same verdict, rule and reason, but for the published divergences of nftables.
#
#   scripts/equivalence.sh              a million frames an engine, from a seed of its own
#   scripts/equivalence.sh FRAMES       as many frames; `scripts/test.sh` judges 50,000 with nftables, more with the others
#   PERIMETER_SEED=N scripts/equivalence.sh FRAMES    the policies and frames of an earlier run
#
# A difference prints the seed, the policy and the frame, made small, and the command that repeats it. Needs root.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

frames="${1:-1000000}"
frames="${frames//_/}"
[[ "$frames" =~ ^[1-9][0-9]*$ ]] || { echo "equivalence.sh: FRAMES is a number, not $frames" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || { echo "equivalence.sh: needs root, for XDP and nftables: sudo $0 $*" >&2; exit 1; }

# Policies get a thousand frames each: there are more kinds of them than of frames.
export PERIMETER_FRAMES="$frames" PERIMETER_POLICIES="${PERIMETER_POLICIES:-$(((frames + 999) / 1000))}"
export PERIMETER_SEED="${PERIMETER_SEED:-$RANDOM$RANDOM}" CI=true
echo "seed $PERIMETER_SEED: $PERIMETER_POLICIES policies, $PERIMETER_FRAMES frames an engine"

scripts/setup.sh test
cargo test --locked --package perimeter --test equivalence agree -- --nocapture --test-threads=1
echo "model, XDP, nftables and the oracle agree (seed $PERIMETER_SEED)"
