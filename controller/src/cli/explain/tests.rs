//! `explain` as it is typed.

use crate::cli::harness::{Ran, perimeter, write};

const POLICY: &str = r#"version: 1
interfaces:
  wan0: { vlans: [untagged, mgmt] }
vlans:
  mgmt: { id: 10 }
networks:
  office: [192.0.2.0/24, 198.51.100.7]
  staff: { include: [office], except: [192.0.2.128/25] }
services:
  web: [tcp/80, https]
deny:
  - { id: bad, from: 192.0.2.66 }
allow:
  - id: admin-ssh
    vlan: mgmt
    from: staff
    to: 203.0.113.10
    service: ssh
  - id: office-web
    vlan: mgmt
    from: office
    to: 203.0.113.0/24
    service: web
  - { id: arp, ethertype: arp }
"#;

fn explain(words: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let policy = write(folder.path(), "gateway.yaml", POLICY);
    let words = words.split_whitespace();
    perimeter(&["explain", &policy].into_iter().chain(words).collect::<Vec<_>>())
}

#[test]
fn a_drop_names_what_the_near_rules_lack() {
    let ran = explain("--interface wan0 --vlan 10 --from 192.0.2.200 --to 203.0.113.10 --service tcp/22");
    let expected = "\
drop: no_rule
  bad (line 12, deny)    from: 192.0.2.200 is not in 192.0.2.66
  admin-ssh (line 14)    vlan ok, to ok, service ok; from: 192.0.2.200 is in office but excepted from staff by 192.0.2.128/25
  office-web (line 19)   vlan ok, from ok, to ok; service: tcp/22 is not web
  3 of 4 rules come within one condition
";
    assert_eq!(ran, Ran { exit: 2, out: expected.into(), err: String::new() });
}

#[test]
fn a_pass_names_the_rule_and_the_denials_that_were_near() {
    let ran = explain("--vlan mgmt --from 198.51.100.7 --to 203.0.113.10 --service ssh");
    let expected = "\
pass: admin-ssh (line 14)
  vlan ok, from ok, to ok, service ok
  bad (line 12, deny)   from: 198.51.100.7 is not in 192.0.2.66
";
    assert_eq!(ran, Ran { exit: 0, out: expected.into(), err: String::new() });
}

#[test]
fn a_denial_names_the_rules_that_would_have_passed_it() {
    let ran = explain("--vlan mgmt --from 192.0.2.66 --to 203.0.113.10 --service ssh");
    let expected = "\
drop: denied bad (line 12)
  from ok
  admin-ssh (line 14)   vlan ok, from ok, to ok, service ok; matches too
";
    assert_eq!((ran.exit, ran.out.as_str()), (2, expected));
}

#[test]
fn a_step_before_the_rules_says_what_it_asks_for() {
    let ran = explain("--vlan 11 --from 192.0.2.1 --to 203.0.113.10 --service ssh");
    assert_eq!(ran.out, "drop: vlan_not_allowed\n  11 is not among the vlans of wan0: untagged, mgmt\n");
    assert_eq!(ran.exit, 2);
}

#[test]
fn a_service_of_several_packets_is_answered_for_each() {
    let ran = explain("--vlan 10 --from 192.0.2.1 --to 203.0.113.9 --service web");
    let lines: Vec<&str> = ran.out.lines().filter(|line| line.starts_with("pass")).collect();
    assert_eq!(lines, ["pass: office-web (line 19)   tcp/80", "pass: office-web (line 19)   tcp/443"]);
    assert_eq!(ran.exit, 0);
}

#[test]
fn frames_that_are_not_ip_need_no_addresses() {
    let ran = explain("--ethertype arp");
    assert_eq!((ran.exit, ran.out.as_str()), (0, "pass: arp (line 24)\n  ethertype ok\n"));
    let ran = explain("--ethertype lldp");
    let expected = "drop: no_rule\n  arp (line 24)   ethertype: the frame is not arp\n  1 of 4 rules comes within one condition\n";
    assert_eq!((ran.exit, ran.out.as_str()), (2, expected));
}

#[test]
fn json_has_one_object_a_packet() {
    let ran = explain("--vlan 10 --from 192.0.2.200 --to 203.0.113.10 --service ssh --json");
    let value: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(value["verdict"], "drop");
    assert_eq!(value["reason"], "no_rule");
    assert_eq!(value["near"][1]["rule"], "admin-ssh");
    assert_eq!(value["near"][1]["holds"], serde_json::json!(["vlan", "to", "service"]));
    let lacks = "192.0.2.200 is in office but excepted from staff by 192.0.2.128/25";
    assert_eq!(value["near"][1]["lacks"], serde_json::json!({ "from": lacks }));
}

#[test]
fn words_that_mean_nothing_are_errors() {
    let packet = "--from 192.0.2.1 --to 203.0.113.9";
    let cases = [
        (
            format!("{packet} --service htps"),
            "perimeter: --service: unknown service \"htps\": did you mean \"https\"?\n",
        ),
        (
            format!("{packet} --service tcp/1-9"),
            "perimeter: --service tcp/1-9: that service is more than one packet: name one port, such as tcp/443\n",
        ),
        (
            format!("{packet} --service ssh --vlan 1-2"),
            "perimeter: --vlan: \"1-2\" is more than one VLAN: write one id, or outer/inner\n",
        ),
        (
            format!("{packet} --service ssh --interface lan0"),
            "perimeter: the policy has no interface \"lan0\": it has wan0\n",
        ),
        (
            "--ethertype lldp --from 192.0.2.1".into(),
            "perimeter: --from: a frame that is not IP has no address, unless it is ARP\n",
        ),
    ];
    for (words, error) in cases {
        let ran = explain(&words);
        assert_eq!((ran.exit, ran.err.as_str(), ran.out.as_str()), (1, error, ""));
    }
    assert!(explain("--from 192.0.2.1").err.contains("--to"));
}

#[test]
fn an_address_is_one_and_the_remedy_says_so() {
    for (from, remedy) in [
        ("192.0.2.1/32", "write one of its addresses, such as 192.0.2.1"),
        ("staff", "write one address, such as 198.51.100.7"),
    ] {
        let ran = explain(&format!("--from {from} --to 203.0.113.9 --service ssh"));
        assert!(ran.exit == 1 && ran.err.contains(remedy), "{}", ran.err);
    }
}
