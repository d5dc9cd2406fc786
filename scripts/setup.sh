#!/usr/bin/env bash
# Installs what building and testing perimeter needs; what is there stays as it is.
#
#   scripts/setup.sh         to build
#   scripts/setup.sh test    and the tools of scripts/test.sh
#   scripts/setup.sh demo    and the tools of scripts/demo.sh
#   scripts/setup.sh vm      and the tools of scripts/vm.sh
#
# Rust comes from rustup where that is there, else from Debian (rustc-web). The compiler for the BPF target is rustup's
# nightly with rust-src, or Debian's rustc-web with its prebuilt core: the same choice, in the same order, as
# controller/build.rs makes. Root is needed only to install packages. Says one line for each step that does something.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly BPF_LINKER_VERSION=0.13.0
readonly DEBIAN_CORE=/usr/lib/rustlib/bpfel-unknown-none/lib
readonly DEBIAN_RUST=(rustc-web cargo-web rust-web-clippy rustfmt-web)

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# --- packages ---------------------------------------------------------------------------------------------------------

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"
    elif have sudo; then sudo "$@"
    else die "not root, and no sudo: as root, run: $*"
    fi
}

# Reads the package lists once a run, and only when a package is needed.
package_lists() {
    [ -z "${lists_read:-}" ] || return 0
    lists_read=yes
    as_root apt-get -qq update || say "the package lists could not all be read; going on with what is there"
}

# offers PACKAGE...: whether the machine's package sources have them all.
offers() {
    have apt-get || return 1
    package_lists
    local package
    for package; do
        apt-cache policy "$package" 2>/dev/null | grep -q 'Candidate: [0-9]' || return 1
    done
}

packages() {
    have apt-get || die "missing here, and there is no apt-get to install it: $*"
    package_lists
    say "installing from Debian: $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null \
        || die "apt-get could not install: $*"
}

# tool COMMAND PACKAGE
tool() { have "$1" || packages "$2"; }

# Prometheus and promtool, which the tests run by themselves: unpacked below target/, never installed, so that no service
# comes up.
prometheus() {
    local to=target/prometheus
    have promtool && have prometheus || [ -x "$to/usr/bin/promtool" ] && return
    have apt-get && have dpkg || die "missing here, and there is no apt-get to fetch it: prometheus"
    package_lists
    say "unpacking Debian's prometheus below $to"
    rm -rf "$to"
    mkdir -p "$to"
    (cd "$to" && apt-get -qq download prometheus >/dev/null 2>&1) && dpkg -x "$to"/prometheus_*.deb "$to" \
        || die "apt-get could not fetch the package prometheus"
    rm "$to"/prometheus_*.deb
}

# --- Rust -------------------------------------------------------------------------------------------------------------

# Whether cargo runs here and its compiler is as new as Cargo.toml asks.
rust_is_new_enough() {
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    found=$(rustc --version 2>/dev/null | cut -d' ' -f2) || return 1
    [ -n "$found" ] && cargo --version >/dev/null 2>&1 \
        && [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n1)" = "$wanted" ]
}

# Debian's rustc-web cannot stand beside Debian's own rustup package; beside rustup from elsewhere it can.
debian_rust_fits() {
    ! dpkg-query -W -f='${Status}' rustup 2>/dev/null | grep -q 'ok installed' && offers libstd-rust-web-dev-bpf
}

host_rust() {
    rust_is_new_enough && return
    if have rustup; then
        say "installing Rust (stable) with rustup"
        rustup -q toolchain install stable --profile minimal --component rustfmt --component clippy
        rustup -q default stable
    elif debian_rust_fits; then
        packages "${DEBIAN_RUST[@]}"
        hash -r
    elif offers rustup; then
        packages rustup
        host_rust
    fi
    rust_is_new_enough || die "no Rust as new as Cargo.toml asks could be installed: get rustup (https://rustup.rs), then run this again"
}

# rust_tool CARGO-COMMAND DEBIAN-PACKAGE RUSTUP-COMPONENT
rust_tool() {
    cargo "$1" --version >/dev/null 2>&1 && return
    if have rustup; then rustup -q component add "$3"; else packages "$2"; fi
}

# --- the BPF target ---------------------------------------------------------------------------------------------------

debian_has_core() { [ -x /usr/bin/rustc ] && compgen -G "$DEBIAN_CORE/libcore-*" >/dev/null; }

bpf_compiler() {
    nightly_has_source || debian_has_core && return
    if debian_rust_fits; then
        packages "${DEBIAN_RUST[@]}" libstd-rust-web-dev-bpf
    elif have rustup; then
        say "installing Rust (nightly, with the sources of core) with rustup"
        rustup -q toolchain install nightly --profile minimal --component rust-src --component clippy
    fi
    nightly_has_source || debian_has_core \
        || die "no compiler for BPF could be installed: run \`rustup toolchain install nightly --component rust-src\`"
}

# The LLVM of the compiler for BPF: the linker reads what that compiler wrote.
bpf_llvm() {
    local compiler=(/usr/bin/rustc)
    ! nightly_has_source || compiler=(rustup run nightly rustc)
    "${compiler[@]}" --version --verbose | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p'
}

bpf_linker() {
    have bpf-linker && return
    local llvm prefix
    llvm=$(bpf_llvm)
    prefix=/usr/lib/llvm-$llvm
    if offers "llvm-$llvm-dev"; then
        packages "llvm-$llvm-dev" "libpolly-$llvm-dev" libzstd-dev zlib1g-dev libxml2-dev g++
    fi
    [ -x "$prefix/bin/llvm-config" ] \
        || die "bpf-linker is missing and LLVM $llvm is not here to build it: install llvm-$llvm-dev, or bpf-linker itself"
    say "building bpf-linker $BPF_LINKER_VERSION with LLVM $llvm (takes a minute or two)"
    LLVM_PREFIX=$prefix cargo install -q bpf-linker --version "$BPF_LINKER_VERSION" --locked \
        --no-default-features --features "llvm-$llvm"
    have bpf-linker || die "bpf-linker was built but is not in PATH"
}

# --- all of it --------------------------------------------------------------------------------------------------------

[ -e /etc/ssl/certs/ca-certificates.crt ] || [ -e /etc/ssl/cert.pem ] || [ -d /etc/pki/tls ] || packages ca-certificates
tool cc gcc
tool ip iproute2
tool ethtool ethtool
tool nsenter util-linux
tool pkg-config pkg-config
pkg-config --exists 'libnftnl >= 1.2.4' libmnl || packages libnftnl-dev libmnl-dev
case "${1:-}" in
'') ;;
test)
    tool bpftool bpftool
    tool nft nftables
    tool strace strace
    tool curl curl
    tool openssl openssl
    tool tmux tmux
    tool chromium chromium
    prometheus
    ;;
demo) tool tcpdump tcpdump && tool tcpreplay tcpreplay ;;
vm)
    tool qemu-system-x86_64 qemu-system-x86
    tool busybox busybox-static
    tool depmod kmod
    apt-cache show linux-image-amd64 >/dev/null 2>&1 || package_lists
    ;;
*) die "unknown word: $1; the words are test, demo and vm" ;;
esac
host_rust
rust_tool fmt rustfmt-web rustfmt
rust_tool clippy rust-web-clippy clippy
bpf_compiler
bpf_linker
say "ready: $(rustc --version | cut -d' ' -f1,2), BPF by $(nightly_has_source && echo "rustup's nightly" || echo "Debian's $(/usr/bin/rustc --version | cut -d' ' -f1,2)"), $(bpf-linker --version)"
