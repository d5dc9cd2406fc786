use super::*;
use crate::plan::Detail;
use crate::policy::read;

fn policy(text: &str) -> Ruleset {
    let at = "2026-11-21T00:00:00Z".parse().unwrap();
    let reading = read("p", text.as_bytes(), &mut |_| Ok(Vec::new()), at);
    reading.ruleset.unwrap_or_else(|| panic!("{:?}", reading.diagnostics))
}

const HEAD: &str = "version: 1
interfaces:
  wan0: { vlans: [untagged, mgmt, 20-29, 100/200] }
vlans:
  mgmt: { id: 10 }
networks:
  staff: [192.0.2.0/25, 198.51.100.7, \"2001:db8:1::/48\"]
services:
  web: [http, https]
";

/// What the change from one list of rules to another means, as a person reads it.
fn means(before: &str, after: &str) -> String {
    text(&policy(&format!("{HEAD}{before}")), &policy(&format!("{HEAD}{after}")))
}

fn text(before: &Ruleset, after: &Ruleset) -> String {
    let tables = [before, after].map(|ruleset| compile(ruleset, 0).unwrap());
    let side = |ruleset, tables| Side { ruleset, interface: 0, tables };
    let told = of_sides(side(before, &tables[0]), side(after, &tables[1]));
    let json = serde_json::to_string(&told).unwrap();
    assert_eq!(
        serde_json::from_str::<Told>(&json).unwrap(),
        told,
        "what is kept in a plan file is what was told"
    );
    let mut out = Vec::new();
    render::told("wan0", &told, None, Detail::Brief, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn rules_that_come_and_go_are_told_in_the_words_of_the_policy() {
    let before = "allow:
  - { id: arp, bundle: [arp] }
  - { id: monitoring, vlan: mgmt, from: 10.0.10.0/24, service: snmp }
  - { id: old-vpn, to: 203.0.113.20, service: udp/1194 }
";
    let after = "allow:
  - { id: arp, bundle: [arp] }
  - { id: admin-ssh, vlan: mgmt, from: staff, to: [203.0.113.10, \"2001:db8::10\"], service: ssh }
  - { id: monitoring, vlan: mgmt, from: 10.0.10.0/24, service: [snmp, tcp/9100] }
";
    assert_eq!(
        means(before, after),
        "  wan0: opens  vlan mgmt (10): staff (3 prefixes) -> 203.0.113.10, 2001:db8::10 tcp/22  [rule admin-ssh is new]
  wan0: opens  vlan mgmt (10): 10.0.10.0/24 -> any tcp/9100  [rule monitoring has changed]
  wan0: closes every vlan: any -> 203.0.113.20 udp/1194  [rule old-vpn is gone]
  wan0: everything else is judged as before
"
    );
}

#[test]
fn words_alone_mean_nothing() {
    let before = "allow:
  - { id: a, from: [10.0.0.0/9, 10.128.0.0/9], service: [http, https] }
  - { id: b, service: ssh }
deny:
  - { id: no, from: 198.18.0.0/15 }
";
    let after = "allow:
  - { id: b, service: tcp/22 }
  - { id: surfing, from: 10.0.0.0/8, service: web }
deny:
  - { id: low, from: 198.18.0.0/16 }
  - { id: high, from: 198.19.0.0/16 }
";
    let means = means(before, after);
    assert_eq!(
        means,
        "  wan0: no change in meaning: every frame is judged as before
  wan0: rule surfing matches what a matched; its counter begins at zero
"
    );
}

#[test]
fn what_a_deny_rule_kept_out_opens_where_a_rule_passes_it() {
    let allow = "allow:\n  - { id: surfing, from: 10.0.0.0/8, service: web }\n";
    let found = means(&format!("{allow}deny:\n  - {{ id: no, from: 10.1.0.0/16 }}\n"), allow);
    assert!(
        found.starts_with(
            "  wan0: opens  every vlan: 10.1.0.0/16 -> any IPv4 tcp/80, tcp/443  [deny rule no is gone]\n"
        ) || found.starts_with(
            "  wan0: opens  every vlan: 10.1.0.0/16 -> any tcp/80, tcp/443  [deny rule no is gone]\n"
        ),
        "{found}"
    );
    let found = means(allow, &format!("{allow}deny:\n  - {{ id: no, to: 203.0.113.66 }}\n"));
    assert!(
        found
            .contains("closes every vlan: 10.0.0.0/8 -> 203.0.113.66 tcp/80, tcp/443  [deny rule no is new]"),
        "{found}"
    );
}

#[test]
fn settings_are_told_by_what_they_let_through() {
    let rules = "allow:\n  - { id: arp, bundle: arp }\n  - { id: ssh, from: 10.0.0.0/8, service: ssh }\n";
    let with = |setting: &str| {
        policy(&format!(
            "version: 1\ninterfaces:\n  wan0: {{ {setting} }}\nvlans: {{ lab: {{ id: 7 }} }}\n{rules}"
        ))
    };
    let base = with("mtu: 1500");
    let found = |setting: &str| text(&base, &with(setting));
    let of = "10.0.0.0/8 -> any tcp/22";
    for (setting, expected) in [
        ("mtu: 1504", format!("opens  untagged: {of}, of 1501-1504 bytes  [mtu]")),
        ("mtu: 1400", format!("closes untagged: {of}, of 1401-1500 bytes  [mtu]")),
        ("fragments: stateless", format!("opens  untagged: {of}, first fragments  [fragments]")),
        ("ip_options: pass", format!("opens  untagged: {of}, with IP options  [ip_options]")),
        ("vlans: [untagged, lab, 20-29]", format!("opens  vlan lab (7), 20-29: {of}  [vlans]")),
        ("vlans: 20", format!("closes untagged: {of}  [vlans]")),
        (
            "sources: 10.1.0.0/16",
            "closes untagged: 10.0.0.0/16, 10.2.0.0/15, 10.4.0.0/14, 10.8.0.0/13 and 4 more -> any tcp/22  [sources]"
                .to_owned(),
        ),
        (
            "sources: 10.0.0.0/8",
            "closes untagged: arp from any IPv4 but 0.0.0.0, 10.0.0.0/8  [sources]".to_owned(),
        ),
    ] {
        let told = found(setting);
        assert!(told.contains(&expected), "{setting}: {told}");
    }
    assert!(found("mtu: 1500, outer_tag: 0x88a8").contains("no change in meaning"));
}

#[test]
fn what_is_no_frame_is_no_difference() {
    let rules = |more: &str| format!("allow:\n  - {{ id: ssh, service: ssh }}\n{more}");
    let martian = "  - { id: a, from: 127.0.0.0/8, service: udp }\n  - { id: b, to: \"::ffff:0:0/96\" }\n";
    assert!(means(&rules(""), &rules(martian)).contains("no change in meaning"));
}

#[test]
fn what_the_host_depends_on_is_named_where_it_dies() {
    let base = "  - { id: base, bundle: [arp, nd, pmtu, dhcp-client] }\n";
    let ssh = "  - { id: ssh, service: ssh }\n";
    let found = means(
        &format!("allow:\n{base}{ssh}"),
        &format!("allow:\n{ssh}  - {{ id: arp, bundle: arp, vlan: untagged }}\n"),
    );
    assert!(
        found.contains("! wan0: ARP would no longer pass (vlan mgmt (10), 20-29, 100/200): IPv4 neighbours"),
        "{found}"
    );
    for all in ["neighbour discovery", "path MTU messages of IPv4", "path MTU messages of IPv6", "DHCP"] {
        assert!(
            found.contains(&format!("! wan0: {all} would no longer pass (every vlan)")),
            "{all}: {found}"
        );
    }
    assert!(!found.contains("DHCPv6"), "{found}");
    // From fewer is not from nobody.
    let some = "  - { id: base, bundle: [arp, nd, pmtu, dhcp-client], vlan: any }\ndeny:\n  - { id: no, from: 10.0.0.0/8 }\n";
    let found = means(&format!("allow:\n{base}"), &format!("allow:\n{some}"));
    assert!(!found.contains("no longer pass"), "{found}");
}
