#!/usr/bin/env bash
# scripts/demo.sh [CAPTURE]
#
# Shows perimeter at work: a gateway and a client in network namespaces of their own, a real policy, a capture sent over
# the wire, and what arrived behind the filter. Every claim on the way is checked; one that does not hold ends the demo
# with status 1. Needs root, and takes sudo where it has to; touches no interface of this machine; cleans up, after ^C too.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly POLICY=rules/gateway.yaml CAPTURE=${1:-pcaps/gateway.pcap}
readonly GATEWAY=perimeter-demo-gw CLIENT=perimeter-demo-client

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi

step() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
show() { printf '%s$ %s%s\n' "$dim" "$*" "$plain"; }
fail() { printf '\ndemo: %s\n' "$*" >&2; exit 1; }

# holds CLAIM ACTUAL EXPECTED
holds() {
    [ "$2" = "$3" ] || fail "this should hold and does not: $1 (found $2, expected $3)"
    printf '   holds: %s (%s)\n' "$1" "$2"
}

# --- the stage --------------------------------------------------------------------------------------------------------

clean_up() {
    trap '' INT TERM
    [ -n "${work:-}" ] || return 0
    step "clean up: the namespaces, the kernel objects and the files of this demo"
    [ -z "${sniffer:-}" ] || kill "$sniffer" 2>/dev/null || true
    ip netns del "$CLIENT" 2>/dev/null || true
    ip netns del "$GATEWAY" 2>/dev/null || true
    ! mountpoint -q "$work/bpf" || umount "$work/bpf"
    rm -rf "$work"
}

in_gateway() { nsenter --net="/run/netns/$GATEWAY" "$@"; }
in_client() { nsenter --net="/run/netns/$CLIENT" "$@"; }

# Runs perimeter in the gateway; shows the command as a person types it.
perimeter() {
    show "perimeter $*"
    in_gateway "$program" "$@"
}

# A veth pair, `wan0` in the gateway and `lan0` in the client. No addresses and no IPv6: what crosses it is the capture
# and nothing else. The client's end hands over whole frames with their tags: what would be merged, split or stripped
# on the way is off. Room for the capture's oversized frames.
make_stage() {
    [ ! -e "/run/netns/$GATEWAY" ] && [ ! -e "/run/netns/$CLIENT" ] \
        || fail "another demo seems to run; if not: ip netns del $GATEWAY; ip netns del $CLIENT"
    work=$(mktemp -d)
    mkdir "$work/bpf" "$work/state"
    mount -t bpf bpf "$work/bpf"
    export PERIMETER_STATE_DIR=$work/state PERIMETER_BPFFS=$work/bpf/perimeter
    ip netns add "$GATEWAY"
    ip netns add "$CLIENT"
    local namespace
    for namespace in "$GATEWAY" "$CLIENT"; do
        nsenter --net="/run/netns/$namespace" sh -c \
            'for conf in all default; do echo 1 >/proc/sys/net/ipv6/conf/$conf/disable_ipv6; done' 2>/dev/null || true
    done
    ip -n "$GATEWAY" link add wan0 mtu 3000 type veth peer name lan0 netns "$CLIENT" mtu 3000
    in_client ethtool -K lan0 tx off tso off gso off txvlan off >/dev/null 2>&1 || true
    ip -n "$GATEWAY" link set wan0 up
    ip -n "$CLIENT" link set lan0 arp off up
}

# --- what it shows ----------------------------------------------------------------------------------------------------

# Sends the capture from the client while a sniffer in the gateway writes down what the network stack is handed.
send_capture() {
    : >"$work/tcpdump.log"
    nsenter --net="/run/netns/$GATEWAY" tcpdump -i wan0 -Q in --immediate-mode -U -w "$work/arrived.pcap" 2>"$work/tcpdump.log" &
    sniffer=$!
    timeout 10 sh -c "until grep -q listening '$work/tcpdump.log'; do sleep 0.1; done" || fail "tcpdump does not start"
    show "tcpreplay --intf1=lan0 --pps=2000 $CAPTURE      (in the client)"
    in_client tcpreplay --intf1=lan0 --pps=2000 "$CAPTURE" >"$work/tcpreplay.log" 2>&1 \
        || { cat "$work/tcpreplay.log" >&2; fail "tcpreplay could not send the capture"; }
    sent=$(awk '/Successful packets:/ { print $3 }' "$work/tcpreplay.log")
    sleep 0.5
    kill "$sniffer"
    wait "$sniffer" || true
    sniffer=''
    arrived=$(awk '/packets? captured/ { print $1 }' "$work/tcpdump.log")
}

# summary FIELD: of the last line of `replay --json`
summary() { sed -n "\$s/.*\"$1\":\([0-9]*\).*/\1/p" "$work/replay.jsonl"; }

trap clean_up EXIT
trap 'exit 130' INT TERM

# counter FIELD: packets of wan0, as `counters --json` tells
counter() { tr -d ' \n' <"$work/counters.json" | sed -n "s/^[^[]*\[{[^[]*\"$1\":{\"packets\":\([0-9]*\).*/\1/p"; }

step "set up, and build in release"
if [ "$(id -u)" -ne 0 ]; then
    have sudo || fail "network namespaces and XDP need root, and there is no sudo: run this as root"
    exec sudo "$PWD/scripts/demo.sh" "$@"
fi
scripts/setup.sh demo
show "cargo build --release"
cargo build --release --locked --quiet --package perimeter
program=$(realpath "${CARGO_TARGET_DIR:-target}/release/perimeter")

step "a gateway with wan0, joined by a cable (veth) to a client; each in a network namespace of its own"
make_stage
ip -n "$GATEWAY" -brief link show wan0

step "check: is the policy right?"
perimeter check "$POLICY"

step "replay, without any privilege: what will the policy do with the capture?"
perimeter replay "$POLICY" "$CAPTURE"
"$program" replay --json "$POLICY" "$CAPTURE" >"$work/replay.jsonl"

step "plan: what would change in the kernel?"
perimeter plan "$POLICY"
status=0
in_gateway "$program" plan --detailed-exitcode "$POLICY" >/dev/null || status=$?
holds "plan --detailed-exitcode says that something would" "$status" 2

step "apply: make it so (--yes, since nobody is asked here; it shows the same plan, then what it did)"
show "perimeter apply --yes $POLICY"
in_gateway "$program" apply --yes "$POLICY" >"$work/applied.txt" || fail "apply failed"
sed -n '$p' "$work/applied.txt"

step "send the capture over the wire; a sniffer behind the filter writes down what arrives"
send_capture
printf '   %s frames sent, %s arrived behind the filter\n' "$sent" "$arrived"

step "status: what is enforced now?"
perimeter status

step "counters: what has it passed and dropped?"
perimeter counters
in_gateway "$program" counters --json >"$work/counters.json"
holds "every frame of the capture was sent" "$sent" "$(summary frames)"
holds "every frame sent was counted" "$(counter received)" "$sent"
holds "what was counted as passed is what arrived" "$arrived" "$(counter passed)"
holds "received = passed + dropped" "$(counter received)" "$(($(counter passed) + $(counter dropped)))"
holds "the kernel passed what replay said it would" "$(counter passed)" "$(summary passed)"
holds "the kernel dropped what replay said it would" "$(counter dropped)" "$(summary dropped)"

step "apply again: nothing to do"
perimeter apply --yes "$POLICY" | tee "$work/again.txt"
grep -qi '^no changes' "$work/again.txt" || fail "this should hold and does not: a second apply changes nothing"
printf '   holds: a second apply changes nothing\n'

step "detach: stop enforcing (--allow-open: yes, everything may enter from now on)"
perimeter detach --yes --allow-open
send_capture
printf '   %s frames sent, %s arrived: nothing is filtered any more\n' "$sent" "$arrived"
[ "$arrived" -gt "$(summary passed)" ] || fail "this should hold and does not: without the filter more arrives"

step "everything held"
