use super::*;
use crate::compile::compile;
use crate::policy::read;

fn sessions() -> Sessions {
    let holder = |index, name: &str, vlan, address: &str| Holder {
        index,
        name: name.into(),
        vlan,
        controller: None,
        addresses: vec![address.parse().unwrap()],
    };
    let connection =
        |peer: &str, local: &str| Connection { peer: peer.parse().unwrap(), local: local.parse().unwrap() };
    let mut port = holder(5, "wan1", None, "192.0.2.200");
    port.controller = Some(4);
    Sessions {
        own: Some(connection("198.51.100.44:51514", "203.0.113.10:22")),
        established: vec![
            connection("198.51.100.44:51514", "203.0.113.10:22"),
            connection("10.0.10.9:5000", "10.0.10.1:443"),
            connection("192.0.2.9:179", "192.0.2.1:40000"),
            connection("203.0.113.10:7", "203.0.113.10:8"),
            connection("[2001:db8::9]:5", "[2001:db8::77]:22"),
        ],
        devices: vec![
            holder(2, "wan0", None, "203.0.113.10"),
            holder(3, "wan0.10", Some((2, 10)), "10.0.10.1"),
            holder(4, "br0", None, "192.0.2.1"),
            port,
        ],
    }
}

fn cut(rules: &str) -> Vec<String> {
    let text = format!("version: 1\ninterfaces:\n  wan0: {{ vlans: [untagged, 10] }}\n  wan1:\n{rules}");
    let at = "2026-11-21T00:00:00Z".parse().unwrap();
    let ruleset = read("p", text.as_bytes(), &mut |_| Ok(Vec::new()), at).ruleset.unwrap();
    let images: Vec<_> = (0..2).map(|at| compile(&ruleset, at).unwrap()).collect();
    let shown = |cut: Cut| format!("{} {} {}", cut.interface, cut.vlan, cut.peer);
    cuts(&ruleset, &images, &sessions()).into_iter().map(shown).collect()
}

#[test]
fn what_no_rule_passes_is_cut_where_its_address_is_held() {
    let all = ["wan0 untagged 198.51.100.44:51514", "wan0 10 10.0.10.9:5000", "wan1 untagged 192.0.2.9:179"];
    assert_eq!(cut("allow: [{ id: arp, bundle: arp }]\n"), all);
    assert_eq!(cut("allow: [{ id: ssh, service: ssh }]\n"), all[1..]);
    assert_eq!(cut("allow: [{ id: any, service: tcp, tcp: established }]\n"), [""; 0]);
}

#[test]
fn a_deny_rule_and_a_rule_for_new_connections_cut_too() {
    let rules = "allow: [{ id: any, service: tcp }]\ndeny: [{ id: no, from: 198.51.100.0/24 }]\n";
    assert_eq!(cut(rules), ["wan0 untagged 198.51.100.44:51514"]);
    assert_eq!(cut("allow: [{ id: any, service: tcp, tcp: new }]\n").len(), 3);
}
