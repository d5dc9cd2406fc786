#!/usr/bin/env bash
# Fuzzes the classifier (against the oracle), the policy reader and the capture reader: scripts/fuzz.sh [SECONDS]
#
# SECONDS each, 60 unless told. Needs a nightly compiler and cargo-fuzz (cargo install cargo-fuzz). What is found new goes
# to target/fuzz, the committed corpora stay as they are; a crash prints the input and the command that repeats it.
# `cargo test --test corpora` runs the committed corpora on any compiler. Without a sanitizer: what is fuzzed has no unsafe
# code, and builds and runs several times as fast. The XDP program, which is not fuzzed, is left out.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

export AYA_BUILD_SKIP=1
seconds="${1:-60}"
[[ "$seconds" =~ ^[1-9][0-9]*$ ]] || { echo "fuzz.sh: SECONDS is a number, not $seconds" >&2; exit 1; }
cargo +nightly fuzz --version >/dev/null 2>&1 ||
    { echo "fuzz.sh: needs a nightly compiler and cargo-fuzz: cargo install cargo-fuzz" >&2; exit 1; }

fuzz() {
    local folder="$1" target="$2" found="target/fuzz/$2"
    printf '\n== %s, %s s\n' "$target" "$seconds"
    mkdir -p "$found"
    cargo +nightly fuzz run --sanitizer none --fuzz-dir "$folder" --target-dir target/fuzz-build "$target" "$found" "$folder/corpus/$target" -- \
        -max_total_time="$seconds" -max_len="$3" -print_final_stats=1
}

fuzz xdp/classifier/fuzz frame 400
fuzz controller/fuzz policy 4096
fuzz controller/fuzz capture 4096
