# Sourced by the other scripts: stand in the project, find what cargo installed, know the compiler for BPF.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/sbin:/sbin"

have() { command -v "$1" >/dev/null 2>&1; }

# Whether rustup's nightly can build `core` for BPF by itself; where it cannot, Debian's compiler is used. The same choice
# as in controller/build.rs.
nightly_has_source() {
    local sysroot
    sysroot=$(rustup run nightly rustc --print sysroot 2>/dev/null) && [ -d "$sysroot/lib/rustlib/src/rust/library/core" ]
}
