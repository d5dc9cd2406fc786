#!/usr/bin/env bash
# Boots other kernels under emulation and tries perimeter there: scripts/vm.sh [VERSION...]
#
# VERSION is 6.1 and 6.12 unless told: the newest of Debian's kernels that begins so. Kernels are fetched into target/vm and
# unpacked there; nothing is installed but the tools (scripts/setup.sh vm). Each guest sees this machine's files, read-only,
# and no network; scripts/vm/guest.sh runs in it. What it has to say at the end is the judge, and silence is a failure: a
# guest that hangs is ended after VM_SECONDS (1200), and its console is shown. Needs no root and no KVM. VM_BRIEF=1
# leaves out bonds, systemd and generic XDP on veth, for which CI has no time; VM_STAGES='bond timer' tries these two alone.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly STORE=$PWD/target/vm
readonly SECONDS_GIVEN=${VM_SECONDS:-1200}
# What the first process needs to see the host's files; the rest is loaded from there.
readonly FIRST_MODULES=(virtio_pci 9pnet_virtio 9p)
readonly HELD='vm: everything held'

say() { printf 'vm: %s\n' "$*"; }
fail() { printf 'vm: %s\n' "$*" >&2; exit 1; }

# --- the kernel -------------------------------------------------------------------------------------------------------

# newest VERSION: the name of the newest package; the cloud and real-time flavours lack drivers or differ in scheduling.
newest() {
    apt-cache search --names-only "^linux-image-${1//./\\.}\\.[0-9].*-amd64\$" | cut -d' ' -f1 \
        | grep -v -e '-cloud-amd64$' -e '-rt-amd64$' | sort -V | tail -n1
}

# Fetches and unpacks a kernel, whole or not at all; `kernel` is its folder afterwards, `release` its name.
provide() {
    local package partial=$STORE/partial
    package=$(newest "$1")
    if [ -n "$package" ]; then
        release=${package#linux-image-}
    else
        release=$(basename "$(find "$STORE" -maxdepth 1 -name "$1.*-amd64" | sort -V | tail -n1)")
        [ -n "$release" ] || fail "Debian offers no kernel $1 here, and none was fetched before"
    fi
    kernel=$STORE/$release
    [ ! -d "$kernel" ] || return 0
    say "fetching $package"
    rm -rf "$partial"
    mkdir -p "$partial"
    (cd "$partial" && timeout 300 apt-get -qq download "$package" 2>fetched.log) \
        || { cat "$partial/fetched.log" >&2; fail "$package could not be fetched; try \`apt-get update\`"; }
    dpkg -x "$partial"/*.deb "$partial"
    rm -f "$partial"/*.deb
    depmod -b "$partial" "$release"
    mv "$partial" "$kernel"
}

# modules NAME...: their files and those they need, each once, in the order to load them.
modules() {
    local name
    for name; do modprobe -d "$kernel" -S "$release" --show-depends "$name"; done \
        | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

# What the kernel unpacks before it starts anything: busybox, the first modules, the first process.
make_initramfs() {
    local root=$1/initramfs file
    mkdir -p "$root"/{bin,dev,host,modules}
    cp "$(command -v busybox)" "$root/bin/busybox"
    install -m 755 scripts/vm/init "$root/init"
    for file in $(modules "${FIRST_MODULES[@]}"); do
        # Those of 6.12 are compressed, which costs seconds to undo under emulation.
        case $file in
        *.xz) busybox unxz -c "$file" >"$root/modules/$(basename "$file" .xz)" ;;
        *) cp "$file" "$root/modules/" ;;
        esac
        basename "$file" .xz >>"$root/modules/order"
    done
    environment >"$root/environment"
    (cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) | gzip -1 >"$1/initramfs.gz"
}

# What the guest is told.
environment() {
    printf 'export %q\n' "PATH=$PATH" "HOME=/run" "CI=true" \
        "VM_PROJECT=$PWD" "VM_MODULES=$kernel" "VM_PROGRAM=$program" "VM_KERNEL_TESTS=$tests" \
        "VM_BRIEF=${VM_BRIEF:-}" "VM_STAGES=${VM_STAGES:-}"
}

# --- the machine ------------------------------------------------------------------------------------------------------

# Two NICs on one cable, and one that native XDP refuses: it cannot take the header and the frame in one buffer. The
# addresses tell them apart.
nics() {
    local card=virtio-net-pci,romfile=,mac=52:54:00:00:00
    printf '%s\n' \
        -netdev hubport,id=near,hubid=0 -device "$card:01,netdev=near" \
        -netdev hubport,id=far,hubid=0 -device "$card:02,netdev=far" \
        -netdev hubport,id=old,hubid=0 -device "$card:03,netdev=old,disable-modern=on,disable-legacy=off,any_layout=off"
}

# boot FOLDER: runs the guest to its end; `said` is what its script printed, `console` what its kernel did.
boot() {
    local machine=(
        -machine pc -accel "tcg,thread=multi" -cpu "max,la57=off" -smp 2 -m 1500
        -nodefaults -display none -no-reboot
        -kernel "$kernel/boot/vmlinuz-$release" -initrd "$1/initramfs.gz"
        -append "console=ttyS0 quiet loglevel=5 panic=-1 mitigations=off"
        -serial "file:$1/console" -serial stdio
        -fsdev "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"
        -device "virtio-9p-pci,fsdev=host,mount_tag=host"
    )
    local nic
    mapfile -t nic < <(nics)
    timeout --kill-after=5 "$SECONDS_GIVEN" qemu-system-x86_64 "${machine[@]}" "${nic[@]}" </dev/null 2>&1 \
        | sed -u -e 's/\r//' -e '/is not connected to host network/d' | tee "$1/said"
}

# try VERSION
try() {
    local work started=$SECONDS status=0
    provide "$1"
    work=$(mktemp -d "$STORE/run.XXXXXX")
    running=$work
    make_initramfs "$work"
    say "booting $release"
    boot "$work" || status=$?
    if [ "$status" -ne 0 ] || ! grep -qxF "$HELD under $release" "$work/said"; then
        printf '\nvm: the last of the console of %s:\n' "$release" >&2
        tail -n 60 "$work/console" >&2 || true
        [ "$status" -ne 124 ] || fail "$release did not end within $SECONDS_GIVEN s"
        fail "$release: not everything held, or the guest did not come to its end"
    fi
    rm -rf "$work"
    running=''
    say "$release: everything held, in $((SECONDS - started)) s"
}

# --- what it tries ----------------------------------------------------------------------------------------------------

# Builds the program and the tests of the kernel, with the profile of the tests: what `cargo test` has built is there.
build() {
    local made
    made=$(cargo test --locked --no-run --quiet --package perimeter --test kernel --message-format json \
        | grep -o '"executable":"[^"]*"' | cut -d'"' -f4)
    program=$(grep -m1 '/perimeter$' <<<"$made")
    tests=$(grep -m1 '/kernel-[0-9a-f]*$' <<<"$made")
}

[ "$(uname -m)" = x86_64 ] || fail "the guests are those of x86-64; this machine is $(uname -m)"
scripts/setup.sh vm
mkdir -p "$STORE"
trap '[ -z "${running:-}" ] || rm -rf "$running"' EXIT
build
[ $# -gt 0 ] || set -- 6.1 6.12
for version; do try "$version"; done
