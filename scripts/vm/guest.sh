#!/usr/bin/env bash
# What runs in a guest of scripts/vm.sh, as root, on the host's files: the verifier's instruction counts, the tests of the
# kernel, the captures, and traffic over VLAN sub-interfaces, on veth and on virtio_net. Every claim is checked; only the
# last line says that all of them held.
set -euo pipefail
source "$VM_PROJECT/scripts/common.sh"

export PERIMETER_STATE_DIR=/run/perimeter PERIMETER_BPFFS=/sys/fs/bpf/perimeter
readonly POLICY=/tmp/policy.yaml

step() { printf '\n== %s   (after %s s)\n' "$*" "$(cut -d. -f1 /proc/uptime)"; }
fail() { printf 'guest: %s\n' "$*"; exit 1; }

# holds CLAIM ACTUAL EXPECTED
holds() {
    [ "$2" = "$3" ] || fail "this should hold and does not: $1 (found $2, expected $3)"
    printf '   holds: %s (%s)\n' "$1" "$2"
}

# await COMMAND...: until it succeeds, a minute long: what is emulated on a busy machine takes its time.
await() {
    local deadline=$((SECONDS + 60))
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}

# --- the stage --------------------------------------------------------------------------------------------------------

in_gateway() { nsenter --net=/run/netns/gateway "$@"; }
in_client() { nsenter --net=/run/netns/client "$@"; }
perimeter() { in_gateway timeout 180 "$VM_PROGRAM" "$@"; }

# The drivers of the stage; what nf_tables is made of the kernel asks for by itself, as everywhere.
load_drivers() {
    local module
    for module in veth 8021q virtio_net tun nf_tables; do modprobe -d "$VM_MODULES" "$module"; done
}

make_namespaces() {
    local side
    for side in gateway client; do
        ip netns add "$side"
        nsenter --net="/run/netns/$side" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'
    done
}

# The virtio NIC whose address ends in $1, wherever it is now.
nic() { ip -o link | awk -v mac="52:54:00:00:00:$1" '$0 ~ mac { sub(/:$/, "", $2); print $2 }'; }

# stage veth|virtio|old: wan0 in the gateway and lan0 in the client, on one cable. The client hands over whole frames.
stage() {
    make_namespaces
    case $1 in
    veth) ip -n gateway link add wan0 type veth peer name lan0 netns client ;;
    virtio) place 01 gateway wan0 && place 02 client lan0 ;;
    old) place 03 gateway wan0 && place 02 client lan0 ;;
    esac
    in_client ethtool -K lan0 tx off tso off gso off txvlan off tx-vlan-stag-hw-insert off >/dev/null 2>&1 || true
    furnish gateway wan0 1
    furnish client lan0 2
    meet gateway wan0 2 client lan0
    meet client lan0 1 gateway wan0
}

# place ADDRESS NAMESPACE NAME
place() { ip link set "$(nic "$1")" netns "$2" name "$3"; }

# furnish NAMESPACE DEVICE HOST: sub-interfaces of four VLANs and of a stacked pair, with addresses 10.0.VLAN.HOST.
furnish() {
    local namespace=$1 device=$2 vlan
    ip -n "$namespace" link set "$device" arp off up
    ip -n "$namespace" address add "10.0.0.$3/24" dev "$device"
    for vlan in 10 20 30; do
        ip -n "$namespace" link add link "$device" name "$device.$vlan" type vlan id "$vlan"
    done
    ip -n "$namespace" link add link "$device.20" name "$device.40" type vlan id 10
    for vlan in 10 20 30 40; do
        ip -n "$namespace" link set "$device.$vlan" arp off up
        ip -n "$namespace" address add "10.0.$vlan.$3/24" dev "$device.$vlan"
    done
}

# meet NAMESPACE DEVICE HOST ELSEWHERE PEER: neighbours are told, not asked for, so that every frame is accounted for.
meet() {
    local mac vlan
    mac=$(ip -n "$4" -o link show "$5" | sed -n 's/.*link\/ether \([^ ]*\).*/\1/p')
    ip -n "$1" neighbour add "10.0.0.$3" lladdr "$mac" dev "$2" nud permanent
    for vlan in 10 20 30 40; do
        ip -n "$1" neighbour add "10.0.$vlan.$3" lladdr "$mac" dev "$2.$vlan" nud permanent
    done
}

# A NIC goes back to the first namespace when its own ends, a little later.
clear_stage() {
    ip netns del gateway
    ip netns del client
    [ "$1" = veth ] || await nics_are_back || fail "the NICs did not come back"
}
nics_are_back() { [ "$(ip -o link | grep -c 52:54:00)" -eq 3 ]; }

# The rule `overlooked` is credited where a tag is not seen.
write_policy() {
    cat >"$POLICY" <<END
version: 1
interfaces:
  wan0: { mode: $1, vlans: [untagged, office, plant] }
vlans:
  office: { id: 10, sources: [10.0.10.0/24] }
  plant: { id: 20, sources: [10.0.20.0/24] }
allow:
  - { id: office-ping, vlan: office, service: icmp/echo-request }
  - { id: plant-files, vlan: plant, service: tcp/9000 }
  - { id: overlooked, vlan: untagged, service: any }
END
}

# counted NAME: packets of a rule or of a drop reason, when the counters were last read.
counted() {
    awk -v name="$1" 'n == "" && $1 == name { n = $2 } n == "" && $2 == name { n = $3 }
                      END { gsub(",", "", n); print n + 0 }' /tmp/counters
}

# ping NAME TARGET [SOURCE]: three echo requests, not waited for; `answered NAME` tells how many had an answer.
ping() { in_client timeout 60 busybox ping -c 3 -W 5 ${3:+-I "$3"} "$2" >"/tmp/ping.$1" 2>&1 || true; }
answered() { awk '/packets received/ { print $4 }' "/tmp/ping.$1"; }

# --- what it tries ----------------------------------------------------------------------------------------------------

# Beside what follows, on the other processor: what is emulated takes its time. What the kernel has no part in is left out.
start_kernel_tests() {
    timeout 900 "$VM_KERNEL_TESTS" --nocapture --test-threads=1 --skip beyond_the_section >/tmp/tests.log 2>&1 &
    kernel_tests=$!
}

await_kernel_tests() {
    step "the tests of the kernel, and the verifier's count for each policy"
    wait "$kernel_tests" \
        || { cut -c -300 /tmp/tests.log | tail -n 100; fail "the tests of the kernel fail here"; }
    sed -n '/verified instructions/,/^ok$/p' /tmp/tests.log | grep -v '^ok$'
    holds "the verifier counted for every policy" \
        "$(grep -cE '^ +[0-9]+ +(\(|rules/|pcaps/)' /tmp/tests.log)" "$(verified_policies)"
    grep '^test result: ok. [1-9]' /tmp/tests.log || fail "the tests do not say that they passed"
}

# The two rule sets of the tests, and each interface of each policy; one policy has two.
verified_policies() { echo $((3 + $(find rules pcaps -name '*.yaml' | wc -l))); }

# Each capture beside its policy, as pcaps/README.md tells: "POLICY CAPTURE".
captures() {
    awk '/^## / { capture = $2 }
         match($0, /Policy: `[^`]*`/) { print substr($0, RSTART + 9, RLENGTH - 10), capture }' pcaps/README.md
}

try_captures() {
    local policy frames
    step "the captures, through the kernel"
    for policy in $(captures | cut -d' ' -f1 | sort -u); do
        local files=() expected=()
        mapfile -t files < <(captures | awk -v policy="$policy" '$1 == policy { print "pcaps/" $2 }')
        mapfile -t expected < <(printf '%s\n' "${files[@]}" | sed 's/\.pcap\(ng\)\?$/.expected.jsonl/')
        cat "${expected[@]}" >/tmp/expected.jsonl
        frames=$(wc -l </tmp/expected.jsonl)
        timeout 300 "$VM_PROGRAM" replay "$policy" "${files[@]}" --engine all \
            --expect /tmp/expected.jsonl --json >/tmp/replay.jsonl \
            || { tail -n 20 /tmp/replay.jsonl; fail "$policy: a verdict is not the expected one"; }
        holds "$policy: judged by" "$(sed -n '$s/.*"engines":\[\([^]]*\)\].*/\1/p' /tmp/replay.jsonl)" '"model","xdp","nft"'
        holds "$policy: every frame as expected" "$(sed -n '$s/.*"frames":\([0-9]*\).*/\1/p' /tmp/replay.jsonl)" "$frames"
    done
}

# apply_mode MODE ENGINE
apply_mode() {
    write_policy "$1"
    perimeter apply --yes "$POLICY" >/tmp/applied.txt || { cat /tmp/applied.txt; fail "mode $1: apply failed"; }
    sed -n '$p' /tmp/applied.txt
    holds "mode $1 is enforced by" \
        "$(perimeter status | sed -n 's/^wan0 .*enforcing   \([a-z]* XDP\|nftables\).*/\1/p')" "$2"
}

# Traffic that a kernel makes by itself, over the sub-interfaces, all of it at once.
cross() {
    ping allowed 10.0.10.1 &
    ping no-rule 10.0.20.1 &
    ping not-allowed 10.0.30.1 &
    ping stacked 10.0.40.1 &
    ping mismatch 10.0.10.1 10.0.20.2 &
    transfer
    wait
    perimeter counters >/tmp/counters
    holds "VLAN 10: pings are answered, and credited to their rule" "$(answered allowed) $(counted office-ping)" "3 3"
    holds "VLAN 20: pings are not, for want of a rule" "$(answered no-rule) $(counted no_rule)" "0 3"
    holds "VLAN 30 and the pair 20/10: not, since neither is allowed" \
        "$(answered not-allowed) $(answered stacked) $(counted vlan_not_allowed)" "0 0 6"
    holds "VLAN 10 with an address of VLAN 20: not, since it does not belong there" \
        "$(answered mismatch) $(counted vlan_source_mismatch)" "0 3"
    holds "VLAN 20: a file arrives whole, none of its packets over the MTU" \
        "$(cmp -s /tmp/sent /tmp/received && echo whole) $(counted oversize)" "whole 0"
    [ "$(counted plant-files)" -ge 180 ] || fail "262,144 bytes came in $(counted plant-files) packets"
    holds "no tag was overlooked" "$(counted overlooked)" 0
}

# A quarter of a megabyte of TCP.
transfer() {
    head -c 262144 /dev/urandom >/tmp/sent
    in_gateway timeout 120 busybox nc -l -p 9000 -e /bin/sh -c 'cat >/tmp/received' &
    await listens || fail "nobody listens"
    in_client timeout 120 busybox nc 10.0.20.1 9000 </tmp/sent || fail "the file could not be sent"
}
listens() { in_gateway ss -Hltn "sport = 9000" | grep -q .; }

# try_traffic STAGE MODE ENGINE
try_traffic() {
    step "VLAN sub-interfaces on $1, mode $2"
    stage "$1"
    apply_mode "$2" "$3"
    cross
    perimeter detach --yes --allow-open >/dev/null
    clear_stage "$1"
}

# A NIC that cannot do native XDP: `native` says so and changes nothing, `auto` goes on with generic XDP.
try_refusal() {
    step "a NIC that refuses native XDP"
    stage old
    write_policy native
    local status=0
    perimeter apply --yes "$POLICY" >/tmp/applied.txt 2>&1 || status=$?
    holds "mode native is an error there" "$status" 1
    sed -n '$p' /tmp/applied.txt
    holds "and nothing is attached" "$(in_gateway ip -o link show wan0 | grep -c xdp)" 0
    apply_mode auto "generic XDP"
    cross
    perimeter detach --yes --allow-open >/dev/null
    clear_stage old
}

# A veth whose other end would keep tags out of the frame, where XDP does not see them: `apply` switches that off there, and
# `detach` on again.
try_hidden_tags() {
    step "a veth peer that keeps tags out of the frame"
    stage veth
    in_client ethtool -K lan0 txvlan on
    holds "txvlan is on at the other end" "$(txvlan)" on
    apply_mode auto "native XDP"
    holds "apply switches it off" "$(txvlan)" off
    cross
    perimeter detach --yes --allow-open >/dev/null
    holds "detach switches it on again" "$(txvlan)" on
    clear_stage veth
}
txvlan() { in_client ethtool -k lan0 | awk '/^tx-vlan-offload:/ { print $2 }'; }

# Two NICs under a bond. What comes in by a member that the policy does not name is told of; the bond itself is refused for
# as long as a member would hide tags from it.
try_bond() {
    step "a bond, and its members"
    modprobe -d "$VM_MODULES" bonding max_bonds=0
    make_namespaces
    ip -n gateway link add bond0 type bond mode active-backup
    local number status=0
    for number in 0 1; do
        ip -n gateway link add "wan$number" type veth peer name "lan$number" netns client
        ip -n gateway link set "wan$number" master bond0
        ip -n client link set "lan$number" up
    done
    ip -n gateway link set bond0 up
    apply_mode native "native XDP"
    holds "of the other member is told" "$(unjudged)" "wan1 is not judged"
    perimeter detach --yes --allow-open >/dev/null
    sed -i 's/^  wan0: /  bond0: /' "$POLICY"
    perimeter apply --yes "$POLICY" >/tmp/applied.txt 2>&1 || status=$?
    holds "a bond whose members take tags out is refused" \
        "$status $(grep -c 'bond0: its member wan[01] has rxvlan' /tmp/applied.txt)" "1 2"
    for number in 0 1; do
        in_gateway ethtool -K "wan$number" rxvlan off rx-vlan-stag-hw-parse off
        in_client ethtool -K "lan$number" txvlan off tx-vlan-stag-hw-insert off
    done
    perimeter apply --yes "$POLICY" >/tmp/applied.txt || { cat /tmp/applied.txt; fail "the bond cannot be enforced"; }
    sed -n '$p' /tmp/applied.txt
    in_gateway ethtool -K wan0 rxvlan on
    perimeter status >/tmp/status.txt || status=$?
    holds "and it is drift when one does so again" "$status $(grep -c '! its member wan0 has rxvlan' /tmp/status.txt)" "2 1"
    perimeter detach --yes --allow-open >/dev/null
    clear_stage veth
}
unjudged() { perimeter status | sed -n 's/.*a member of bond0 (bond), and what comes in by \(.* is not judged\).*/\1/p'; }

# A trial whose keeper is killed at once, where systemd is process 1: its timer takes it back, within a second of the
# deadline. What systemd is told to run is this alone; it sees the files and the devices of the guest.
try_timer() {
    step "a trial without its keeper, under systemd"
    # Its generations are counted from 1.
    local -x PERIMETER_STATE_DIR=/run/perimeter-systemd
    # systemd and what it starts see the mounts that there are when it begins.
    stage veth
    start_systemd
    write_policy native
    under_systemd apply --yes "$POLICY" >/tmp/applied.txt || { cat /tmp/applied.txt; fail "apply failed under systemd"; }
    sed -i 's/service: any/service: udp/' "$POLICY"
    local began earliest latest
    earliest=$(($(boottime) + 20000))
    under_systemd apply --yes "$POLICY" --confirm-within 20s >/tmp/applied.txt || { cat /tmp/applied.txt; fail "no trial"; }
    latest=$(($(boottime) + 21000))
    pkill -KILL -f -- ' keeper --generation 2 .*--within ' || fail "there is no keeper to kill"
    tail -n 2 /tmp/applied.txt
    holds "a timer of systemd stands by" "$(grep -c 'no timer' /tmp/applied.txt)" 0
    await reverting || { journal; fail "nothing takes it back"; }
    began=$(boottime)
    await is_reverted || { journal; fail "it is not taken back"; }
    # Under emulation a debug build takes seconds for what it then does: when it begins is what can be held against it.
    printf '   it begins %s ms before a second after the deadline, and takes %s ms\n' \
        $((latest - began)) $(($(boottime) - began))
    [ "$earliest" -le "$began" ] && [ "$began" -le "$latest" ] || fail "it begins at $began, not from $earliest to $latest"
    holds "what was before is in force" "$(under_systemd history | grep -c 'in force')" 3
    under_systemd detach --yes --allow-open >/dev/null
    kill -KILL "$systemd"
    clear_stage veth
}
boottime() { awk '{ print int($1 * 1000) }' /proc/uptime; }
journal() { cat "$PERIMETER_STATE_DIR"/journal.jsonl "$PERIMETER_STATE_DIR"/keeper.log; }
reverting() { grep -q '"event":"reverting"' "$PERIMETER_STATE_DIR/journal.jsonl"; }
is_reverted() { grep -q '"event":"in_force","generation":3' "$PERIMETER_STATE_DIR/journal.jsonl"; }

# systemd as the first process of a namespace, with no unit but those that every other waits for; `systemd` is its number.
start_systemd() {
    local units=/run/stage-units unit
    mkdir -p "$units"
    for unit in stage sysinit basic shutdown timers; do
        printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' "$unit" >"$units/$unit.target"
    done
    SYSTEMD_UNIT_PATH=$units SYSTEMD_GENERATOR_PATH=/run/none SYSTEMD_LOG_TARGET=console container=vm \
        unshare --pid --mount --fork --mount-proc /lib/systemd/systemd --system --unit=stage.target \
        </dev/null 2>/dev/null &
    await is_booted || fail "systemd does not start: see the console"
    systemd=$(pgrep -P $! -x systemd)
}
is_booted() { [ -S /run/systemd/private ]; }
under_systemd() {
    timeout 180 nsenter --target "$systemd" --pid --mount --root --net=/run/netns/gateway "$VM_PROGRAM" "$@"
}

# try STAGE...
try() {
    local stage
    for stage; do "try_$stage"; done
}

load_drivers
if [ -n "$VM_STAGES" ]; then
    # shellcheck disable=SC2086 # they are words
    try $VM_STAGES
    step "done"
    printf 'vm: everything held under %s\n' "$(uname -r)"
    exit
fi
start_kernel_tests
try_captures
await_kernel_tests
try_traffic veth native "native XDP"
# The NIC that refuses native XDP is judged by generic XDP too.
[ -n "$VM_BRIEF" ] || try_traffic veth generic "generic XDP"
try_traffic virtio auto "native XDP"
try_traffic veth nft nftables
try_refusal
try_hidden_tags
[ -n "$VM_BRIEF" ] || try bond timer
step "done"
printf 'vm: everything held under %s\n' "$(uname -r)"
