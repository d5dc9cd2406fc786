//! What is counted beside the verdicts agrees with what was sent, to the packet and to the byte, across an apply.

use serde_json::Value;

use crate::world::{self, World, tagged, udp};

const POLICY: &str = "
version: 1
interfaces:
  wan0: { vlans: [untagged, mgmt, 20-29], mtu: 1000, oversize: count, fragments: stateless }
vlans: { mgmt: { id: 10 } }
allow:
  - { id: web, service: udp/8000 }
  - { id: pmtu, bundle: pmtu }
";

/// An IPv4 packet of `protocol` in an Ethernet frame; `fragment` is the field of flags and offset.
fn ipv4(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0];
    frame.extend((20 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 1]);
    frame.extend(fragment.to_be_bytes());
    frame.extend([64, protocol, 0, 0, 192, 0, 2, 1, 203, 0, 113, 10]);
    frame.extend(payload);
    frame.resize(frame.len().max(60), 0);
    frame
}

/// UDP to port 8000 with so many bytes of payload.
fn datagram(bytes: usize) -> Vec<u8> {
    let length = (8 + bytes as u16).to_be_bytes();
    [&[0x9c, 0x40, 0x1f, 0x40, length[0], length[1], 0, 0][..], &vec![0; bytes]].concat()
}

/// Packet too big: an ICMP message that announces `mtu`.
fn too_big(mtu: u8) -> Vec<u8> {
    [&[3, 4, 0, 0, 0, 0, 5, mtu][..], &[0; 28]].concat()
}

/// Frames, how often each is sent, and the label of its VLAN.
fn cases() -> Vec<(Vec<u8>, u64, &'static str)> {
    let web = udp([192, 0, 2, 1], 8000);
    vec![
        (web.clone(), 30, "untagged"),
        (tagged(&web, 10), 20, "mgmt"),
        (tagged(&udp([192, 0, 2, 1], 9), 10), 7, "mgmt"),
        (tagged(&web, 25), 5, "20-29"),
        (tagged(&web, 40), 4, "other"),
        (tagged(&ipv4(17, 0, &datagram(1200)), 25), 3, "20-29"),
        (ipv4(17, 0x2000, &datagram(56)), 6, "untagged"),
        (ipv4(17, 0x2008, &[0; 64]), 8, "untagged"),
        (ipv4(17, 0x0010, &[0; 5]), 9, "untagged"),
        (ipv4(17, 0x2000, &[]), 2, "untagged"),
        (ipv4(1, 0, &too_big(0x78)), 2, "untagged"),
        (ipv4(1, 0, &too_big(0x14)), 1, "untagged"),
        (ipv4(1, 0, &too_big(0x50)), 1, "untagged"),
    ]
}

fn accounting(world: &World) -> Value {
    world.json(&["counters"])["accounting"][0].clone()
}

fn label<'a>(accounting: &'a Value, label: &str) -> &'a Value {
    accounting["vlans"].as_array().unwrap().iter().find(|vlan| vlan["vlan"] == label).unwrap()
}

#[test]
fn every_series_agrees_with_what_was_sent() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("a.yaml", POLICY), "--yes"]);
    let zero = accounting(&world);
    assert_eq!(
        (&zero["vlans"][0]["vlan"], &zero["fragments"]["tiny"]["packets"]),
        (&"20-29".into(), &0.into())
    );

    let all: u64 = cases().iter().map(|case| case.1).sum();
    let send = || cases().iter().for_each(|(frame, count, _)| world.send("wan0", frame, *count));
    send();
    world.settled("wan0", all);
    world.ok(&["apply", &world.policy("b.yaml", &POLICY.replace("web, ", "web, owner: me, ")), "--yes"]);
    send();
    let counters = world.settled("wan0", 2 * all);
    let now = accounting(&world);

    for name in ["untagged", "mgmt", "20-29", "other"] {
        let of = |sum: fn(&(Vec<u8>, u64, &str)) -> u64| -> u64 {
            2 * cases().iter().filter(|case| case.2 == name).map(sum).sum::<u64>()
        };
        let (passed, dropped) = (&label(&now, name)["passed"], &label(&now, name)["dropped"]);
        let sum = |field: &str| passed[field].as_u64().unwrap() + dropped[field].as_u64().unwrap();
        assert_eq!(sum("packets"), of(|case| case.1), "{name}: {now:#}");
        assert_eq!(sum("bytes"), of(|case| case.1 * case.0.len() as u64), "{name}: {now:#}");
    }
    assert_eq!(label(&now, "mgmt")["dropped"]["packets"], 14);
    assert_eq!(
        (&label(&now, "20-29")["oversize"]["packets"], &label(&now, "mgmt")["oversize"]["packets"]),
        (&6.into(), &0.into())
    );
    let kinds =
        ["first", "middle", "last", "tiny"].map(|kind| now["fragments"][kind]["packets"].as_u64().unwrap());
    assert_eq!(kinds, [12, 16, 18, 4]);
    assert_eq!((&now["pmtu"][0]["packets"], &now["pmtu"][0]["smallest"]), (&8.into(), &0x514.into()));
    assert_eq!(now["sizes"]["total"], counters["received"], "every frame has a size");
    let buckets: Vec<u64> =
        now["sizes"]["buckets"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    let longer = |from: usize, to: usize| {
        2 * cases().iter().filter(|case| (from..=to).contains(&case.0.len())).map(|case| case.1).sum::<u64>()
    };
    assert_eq!(buckets[..6], [longer(1, 64), longer(65, 128), 0, 0, 0, longer(1025, 1536)]);
    let hit: jiff::Timestamp = now["last_hits"]["web"].as_str().unwrap().parse().unwrap();
    let ago = jiff::Timestamp::now().duration_since(hit).as_secs();
    assert!((0..60).contains(&ago), "{now:#}");
}

/// The same packet with four bytes of IPv4 options, which nothing asks for.
fn with_options(frame: &[u8]) -> Vec<u8> {
    let mut with = [&frame[..34], &[1; 4], &frame[34..]].concat();
    with[14] = 0x46;
    with[17] += 4;
    with
}

/// Goal: what XDP passes and nftables drops behind it is counted as dropped on its VLAN. Method: options, which nftables drops
/// whatever the policy says; what comes through is counted behind both, one VLAN at a time.
#[test]
fn behind_xdp_each_vlan_counts_what_became_of_its_frames() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let policy = "
version: 1
interfaces: { wan0: { mode: both, ip_options: pass, vlans: [untagged, mgmt, 20-29, 100/200] } }
vlans: { mgmt: { id: 10 } }
allow: [{ id: web, service: udp/8000 }]
";
    world.ok(&["apply", &world.policy("a.yaml", policy), "--yes"]);
    let (web, other) = (udp([192, 0, 2, 1], 8000), udp([192, 0, 2, 1], 9));
    let options = with_options(&web);
    let pair = tagged(&tagged(&web, 200), 100);
    // Frames, how many, their label, and whether they come through.
    let cases = [
        (&web, 3, "untagged", true),
        (&tagged(&web, 0), 1, "untagged", true),
        (&options, 2, "untagged", false),
        (&tagged(&web, 10), 5, "mgmt", true),
        (&tagged(&other, 10), 2, "mgmt", false),
        (&tagged(&web, 25), 6, "20-29", true),
        (&tagged(&options, 25), 4, "20-29", false),
        (&pair, 7, "100/200", true),
        (&tagged(&tagged(&options, 200), 100), 3, "100/200", false),
        (&tagged(&web, 40), 2, "other", false),
    ];
    let mut through = [world.behind("wan0", 0x0800), world.behind("wan0", 0x8100)];
    let mut sent = 0;
    for (frame, count, label, passes) in cases {
        world.send("wan0", frame, count);
        sent += count;
        world.settled("wan0", sent);
        let came: u64 = through.iter_mut().map(|receiver| world::drained(&mut **receiver)).sum();
        assert_eq!(came, if passes { count } else { 0 }, "{label}");
    }
    let now = accounting(&world);
    for name in ["untagged", "mgmt", "20-29", "100/200", "other"] {
        let of = |passes: bool, bytes: bool| -> u64 {
            let here = cases.iter().filter(|case| case.2 == name && case.3 == passes);
            here.map(|case| case.1 * if bytes { case.0.len() as u64 } else { 1 }).sum()
        };
        for (verdict, passes) in [("passed", true), ("dropped", false)] {
            let told = &label(&now, name)[verdict];
            let told = (told["packets"].as_u64().unwrap(), told["bytes"].as_u64().unwrap());
            assert_eq!(told, (of(passes, false), of(passes, true)), "{name} {verdict}: {now:#}");
        }
    }
}

#[test]
fn what_is_switched_off_is_absent() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let policy = POLICY.replace("mtu: 1000", "mtu: 1000, accounting: [size]");
    world.ok(&["apply", &world.policy("a.yaml", &policy), "--yes"]);
    world.send("wan0", &udp([192, 0, 2, 1], 8000), 3);
    world.settled("wan0", 3);
    let now = accounting(&world);
    assert_eq!(now["sizes"]["total"]["packets"], 3);
    for absent in ["vlans", "fragments", "pmtu", "last_hits"] {
        assert!(now[absent].is_null(), "{absent}: {now:#}");
    }
}
