#!/usr/bin/env bash
# Runs formatting, lints (the BPF crate included), the documentation and all tests; installs what is missing first.
#
# CI runs exactly this. The last line is `N passed, N failed` over every test binary. Tests that need the kernel make
# network namespaces of their own and need root; as another user they are left out, and CI=true refuses to leave any out. The
# same goes for an older kernel under emulation (scripts/vm.sh), where qemu is not installed.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"
# What is built once gains nothing from being cut small, and nobody steps through it.
[ "${CI:-}" != true ] || export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=false

step() { printf '\n== %s   (after %s s)\n' "$*" "$SECONDS"; }

# Clippy for the BPF target, with the compiler that controller/build.rs takes.
lint_bpf() {
    local clippy=(clippy --locked --quiet --package perimeter-xdp --target bpfel-unknown-none --target-dir target/bpf-lint)
    if nightly_has_source; then
        cargo +nightly "${clippy[@]}" -Z build-std=core -- -D warnings
    else
        PATH="/usr/bin:$PATH" RUSTC_BOOTSTRAP=aya_ebpf cargo "${clippy[@]}" -- -D warnings
    fi
}

# Sums the closing lines of the test binaries; fails where one failed, or none ran.
closing_line() {
    awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
         END { if (ignored) printf "%d ignored\n", ignored
               printf "%d passed, %d failed\n", passed, failed
               exit failed > 0 || passed == 0 }' "$1"
}

other_kernels() {
    if [ "${CI:-}" != true ] && ! have qemu-system-x86_64; then
        echo "skipped: there is no qemu-system-x86_64; \`scripts/setup.sh vm\` installs it"
        return
    fi
    VM_BRIEF=1 exec nice -n 5 setsid scripts/vm.sh 6.1
}

scripts/setup.sh test

step "formatting"
for manifest in Cargo.toml */fuzz/Cargo.toml */*/fuzz/Cargo.toml; do
    cargo fmt --all --check --manifest-path "$manifest"
done

step "lints: host and BPF"
# Side by side: each waits for one crate at a time, and they build into folders of their own.
lint_bpf &
bpf=$!
cargo clippy --locked --quiet --all-targets -- -D warnings
wait "$bpf"

step "tests: building those of the kernel"
cargo test --locked --no-run --package perimeter --test kernel

# The guest keeps one processor busy for minutes, and much of what is done here waits: both at once, the guest behind.
log=$(mktemp) guest_log=$(mktemp)
other_kernels >"$guest_log" 2>&1 &
guest=$!
trap 'kill -- -"$guest" 2>/dev/null || true; rm -f "$log" "$guest_log"' EXIT

# It asks cargo where its program and tests are, and would wait for the next build to end.
until grep -q '^vm: booting' "$guest_log" || ! kill -0 "$guest" 2>/dev/null; do sleep 1; done

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --quiet --no-deps --document-private-items

step "tests: building the others"
cargo test --locked --no-run
step "tests"
failed=0
cargo test --locked --no-fail-fast 2>&1 | tee "$log" || failed=1

step "an older kernel"
wait "$guest" || failed=1
cat "$guest_log"
closing_line "$log" || failed=1
exit "$failed"
