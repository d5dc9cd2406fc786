//! Another version of perimeter in force: it judges until it is replaced by one update of its link, and nothing ends it
//! silently.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use aya::maps::{Map, MapData, PerCpuArray, PerCpuValues};
use aya_obj::generated::{bpf_insn, bpf_map_type};
use perimeter::backend::xdp::sys::{self, LinkInfo, MapSpec, ProgramSpec};
use perimeter_classifier::abi::{ABI_VERSION, COUNTER_SLOTS, MAGIC, name};

use crate::world::{World, ip, udp};

const MINIMUM: &str = "version: 1\ninterfaces: { wan0: }\nallow: [{ id: web, service: udp/8000 }]\n";

/// A program that drops every frame, with a record of another layout.
fn other_version() -> OwnedFd {
    let record = [MAGIC, ABI_VERSION + 1, 7, 7].map(u32::to_ne_bytes).concat();
    let kind = bpf_map_type::BPF_MAP_TYPE_ARRAY;
    let size = record.len() as u32;
    let info =
        sys::map_create(MapSpec { name: name::INFO, kind, value_size: size, entries: 1, flags: 0 }).unwrap();
    sys::map_update(info.as_fd(), 0, &record).unwrap();
    let word = |code, source, imm| bpf_insn {
        code,
        _bitfield_align_1: [],
        _bitfield_1: bpf_insn::new_bitfield_1(0, source),
        off: 0,
        imm,
    };
    // r0 = the map, so that the program uses it; r0 = XDP_DROP; exit.
    let fd = std::os::fd::AsRawFd::as_raw_fd(&info);
    let instructions = [word(0x18, 1, fd), word(0, 0, 0), word(0xb7, 0, 1), word(0x95, 0, 0)];
    let license = CString::new("GPL").unwrap();
    // BPF_F_XDP_HAS_FRAGS, as every program of perimeter.
    let spec =
        ProgramSpec { name: name::PROGRAM, instructions: &instructions, license: &license, flags: 1 << 5 };
    sys::program_load(spec, None).unwrap()
}

fn link(world: &World, interface: &str) -> OwnedFd {
    sys::open_pin(Path::new(&world.pin(interface, "link"))).unwrap()
}

fn running(world: &World, interface: &str) -> LinkInfo {
    sys::link_info(link(world, interface).as_fd()).unwrap()
}

/// A world where another version enforces on wan0, and the id of its program.
fn world() -> Option<(World, u32)> {
    let world = World::new(&["wan0"])?;
    world.ok(&["apply", &world.policy("a.yaml", MINIMUM), "--yes"]);
    let (link, other) = (link(&world, "wan0"), other_version());
    let ours = sys::program_by_id(running(&world, "wan0").program).unwrap();
    sys::link_update(link.as_fd(), other.as_fd(), ours.as_fd()).unwrap();
    let program = sys::program_info(other.as_fd()).unwrap().id;
    assert_eq!(running(&world, "wan0").program, program);
    Some((world, program))
}

#[test]
fn it_is_named_and_replaced_by_one_update_of_its_link() {
    let Some((world, _)) = world() else { return };
    let said = world.perimeter(&["status"]);
    let names_it = format!("another version of perimeter enforces here (ABI {})", ABI_VERSION + 1);
    assert!(said.code == 2 && said.out.contains(&names_it), "{said:?}");
    assert!(said.out.contains("enforcing   native XDP"), "{said:?}");
    let policy = world.policy("b.yaml", &MINIMUM.replace("8000", "8001"));
    assert_eq!(world.json(&["plan", &policy])["interfaces"][0]["step"], "replace");
    let before = running(&world, "wan0").id;
    world.ok(&["apply", &policy, "--yes"]);
    assert_eq!(running(&world, "wan0").id, before, "the link has stayed");
    assert_eq!(world.json(&["status"])["in_sync"], true);
    world.send("wan0", &udp([192, 0, 2, 1], 8001), 5);
    assert_eq!(world.settled("wan0", 5)["passed"]["packets"], 5);
}

#[test]
fn its_end_needs_to_be_allowed() {
    let Some((world, program)) = world() else { return };
    let shadow = world.policy("b.yaml", &MINIMUM.replace("wan0:", "wan0: { enforce: false }"));
    for args in [&["apply", &shadow, "--yes"][..], &["detach", "--yes"]] {
        let said = world.perimeter(args);
        assert!(said.code == 1 && said.err.contains("--allow-open"), "{said:?}");
    }
    assert_eq!(running(&world, "wan0").program, program);
    world.ok(&["detach", "--yes", "--allow-open"]);
    assert_eq!(world.perimeter(&["status"]).out, "No interface is enforced in this network namespace.\n");
}

#[test]
fn a_failed_apply_leaves_it_as_it_was() {
    let Some((world, program)) = world() else { return };
    ip(&["-n", &world.namespace("gw"), "link", "add", "wan1", "type", "vxlan", "id", "5", "dstport", "4789"]);
    let text = MINIMUM.replace("wan0:", "wan0: , wan1: { mode: native }");
    let said = world.perimeter(&["apply", &world.policy("b.yaml", &text), "--yes"]);
    assert!(said.code == 1 && said.err.contains("is enforced again"), "{said:?}");
    assert_eq!(running(&world, "wan0").program, program);
}

#[test]
fn what_an_earlier_version_counted_goes_on_to_count() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("a.yaml", MINIMUM), "--yes"]);
    let folder = Path::new(&world.pin("wan0", "link")).ancestors().nth(3).unwrap().to_owned();
    fs::remove_file(folder.join("cpu_counters")).unwrap();
    // As ABI 3 laid them out: every slot has 7 packets of 700 bytes in all on each CPU.
    let kind = bpf_map_type::BPF_MAP_TYPE_PERCPU_ARRAY;
    let spec = MapSpec { name: "counters", kind, value_size: 16, entries: COUNTER_SLOTS, flags: 0 };
    let old = sys::map_create(spec).unwrap();
    sys::pin(old.as_fd(), &folder.join("counters")).unwrap();
    let cpus = aya::util::nr_cpus().unwrap();
    let map = Map::PerCpuArray(MapData::from_fd(old).unwrap());
    let mut map = PerCpuArray::<_, [u64; 2]>::try_from(map).unwrap();
    for slot in 0..200 {
        map.set(slot, PerCpuValues::try_from(vec![[7, 700]; cpus]).unwrap(), 0).unwrap();
    }

    let each = 7 * cpus as u64;
    let web = || world.json(&["counters", "--rule", "web"])["rules"][0]["packets"].clone();
    assert_eq!(web(), each, "whoever looks before the first apply sees what was counted");
    world.ok(&["apply", &world.policy("b.yaml", &MINIMUM.replace("8000", "8001")), "--yes"]);
    assert_eq!(web(), each);
    let received = world.counters("wan0")["received"]["packets"].as_u64().unwrap();
    assert!(received > each && received % each == 0, "{received}");
    world.send("wan0", &udp([192, 0, 2, 1], 8001), 5);
    world.settled("wan0", received + 5);
    assert_eq!(web(), each + 5);
    world.ok(&["detach", "--yes", "--allow-open"]);
    assert!(!folder.join("counters").exists());
}

#[test]
fn its_counters_are_never_told_as_nothing() {
    let Some((world, _)) = world() else { return };
    let keys = Path::new(&world.pin("wan0", "link")).ancestors().nth(3).unwrap().join("counter-keys");
    fs::remove_file(keys).unwrap();
    let said = world.perimeter(&["counters"]);
    assert!(said.code == 1 && said.err.contains("wan0 is enforced, and what it has counted"), "{said:?}");
    world.send("wan0", &udp([192, 0, 2, 1], 8000), 5);
    world.ok(&["apply", &world.policy("a.yaml", MINIMUM), "--yes"]);
    assert_eq!(
        world.counters("wan0")["received"]["packets"],
        0,
        "what stood in slots belongs to no rule now"
    );
}
