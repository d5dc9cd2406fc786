//! `replay` as it is typed.

use std::path::Path;

use crate::cli::harness::{Ran, perimeter, write};

const POLICY: &str = r#"version: 1
interfaces:
  wan0: { vlans: [untagged, 10] }
allow:
  - { id: web, to: 203.0.113.0/24, service: [tcp/80, https] }
  - { id: old, to: 203.0.113.0/24, service: ssh, expires: 2026-10-01 }
  - { id: arp, ethertype: arp }
"#;

/// A TCP segment that opens a connection to 203.0.113.9, behind some tags.
fn tcp(tags: &[u8], port: u16) -> Vec<u8> {
    let ip = [0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 203, 0, 113, 9];
    let tcp =
        [&5000_u16.to_be_bytes()[..], &port.to_be_bytes(), &[0; 8], &[0x50, 2, 0, 0, 0, 0, 0, 0]].concat();
    [&[2; 12][..], tags, &[8, 0], &ip, &tcp].concat()
}

fn pcap(link: u32, frames: &[&[u8]]) -> Vec<u8> {
    let mut file =
        [&0xa1b2_c3d4_u32.to_be_bytes()[..], &[0, 2, 0, 4], &[0; 12], &link.to_be_bytes()].concat();
    for frame in frames {
        let length = (frame.len() as u32).to_be_bytes();
        file.extend([&[0; 8], &length[..], &length, frame].concat());
    }
    file
}

/// Three frames: passed, dropped, dropped.
fn traffic() -> Vec<u8> {
    pcap(1, &[&tcp(&[], 443), &tcp(&[0x81, 0, 0, 10], 22), &tcp(&[0x81, 0, 0, 11], 80)])
}

struct Desk {
    folder: tempfile::TempDir,
    policy: String,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let policy = write(folder.path(), "gateway.yaml", POLICY);
        Desk { folder, policy }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        write(self.folder.path(), name, content)
    }

    fn replay(&self, arguments: &[&str]) -> Ran {
        perimeter(&[&["replay", &self.policy], arguments].concat())
    }

    /// Output with the folder taken out of it, and without the warning about the expired rule.
    fn plain(&self, text: &str) -> String {
        let folder = format!("{}/", self.folder.path().display());
        text.replace(&folder, "")
            .lines()
            .filter(|line| !line.contains("warning:"))
            .map(|line| format!("{line}\n"))
            .collect()
    }
}

#[test]
fn a_line_a_capture_and_the_totals() {
    let desk = Desk::new();
    let (first, second) = (desk.file("a.pcap", traffic()), desk.file("empty.pcap", pcap(1, &[])));
    let ran = desk.replay(&[&first, &second]);
    let pad = |name: &str| format!("{name:width$}", width = first.len().max(second.len()));
    let expected = format!(
        "{}       3 frames       1 passed       2 dropped\n{}       0 frames       0 passed       0 dropped\n\
         3 frames in 2 captures (engine model)\ndropped: no_rule 1, vlan_not_allowed 1\n",
        pad(&first),
        pad(&second)
    );
    assert_eq!((ran.exit, ran.out), (0, expected));
}

#[test]
fn json_is_an_object_a_frame_and_a_summary() {
    let desk = Desk::new();
    let ran = desk.replay(&["--json", &desk.file("a.pcap", traffic())]);
    let expected = concat!(
        r#"{"file":"a.pcap","frame":1,"verdict":"pass","rule":"web","reason":null}"#,
        "\n",
        r#"{"file":"a.pcap","frame":2,"verdict":"drop","rule":null,"reason":"no_rule"}"#,
        "\n",
        r#"{"file":"a.pcap","frame":3,"verdict":"drop","rule":null,"reason":"vlan_not_allowed"}"#,
        "\n",
        r#"{"summary":{"frames":3,"passed":1,"dropped":2,"reasons":{"no_rule":1,"vlan_not_allowed":1},"#,
        r#""captures":1,"failed":0,"interface":"wan0","engines":["model"],"by_model":0,"declared":{},"cut_short":0,"#,
        r#""differences":0,"unexpected":0,"missing":0}}"#,
        "\n",
    );
    assert_eq!((ran.exit, desk.plain(&ran.out)), (0, expected.to_owned()));
}

#[test]
fn what_was_written_is_expected_again_from_another_folder() {
    let desk = Desk::new();
    let (capture, expected) = (desk.file("a.pcap", traffic()), desk.file("expected.jsonl", ""));
    assert_eq!(desk.replay(&[&capture, "--write-expected", &expected]).exit, 0);
    let elsewhere = Desk::new();
    let moved = elsewhere.file("a.pcap", traffic());
    let ran = desk.replay(&[&moved, "--expect", &expected]);
    assert_eq!(ran.exit, 0);
    assert!(ran.out.contains("2 dropped   as expected\n"), "{}", ran.out);
    // The output of --json is as good.
    let output = desk.file("output.jsonl", desk.replay(&[&capture, "--json"]).out);
    assert_eq!(desk.replay(&[&moved, "--expect", &output]).exit, 0);
}

#[test]
fn differences_name_the_frame_and_describe_it() {
    let desk = Desk::new();
    let capture = desk.file("a.pcap", traffic());
    let expected = desk.file(
        "expected.jsonl",
        r#"{"file":"a.pcap","frame":1,"verdict":"pass"}
           {"file":"a.pcap","frame":2,"verdict":"pass","rule":"ssh","reason":null}
           {"file":"a.pcap","frame":9,"verdict":"drop","reason":"no_rule"}"#,
    );
    let ran = desk.replay(&[&capture, "--expect", &expected]);
    assert_eq!(ran.exit, 2);
    let expected_out = "\
a.pcap       3 frames       1 passed       2 dropped   3 differ
  frame 2  expected pass ssh, got drop no_rule   802.1Q 10, 192.0.2.1:5000 -> 203.0.113.9:22 tcp [S]
  frame 3  expected nothing, got drop vlan_not_allowed   802.1Q 11, 192.0.2.1:5000 -> 203.0.113.9:80 tcp [S]
  frame 9  expected drop no_rule, but the capture has no such frame
3 frames in 1 capture (engine model): 3 differ
dropped: no_rule 1, vlan_not_allowed 1
";
    assert_eq!(desk.plain(&ran.out), expected_out);

    let ran = desk.replay(&[&capture, "--expect", &expected, "--json"]);
    assert_eq!(ran.exit, 2);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(
        lines[1]
            .ends_with(r#","reason":"no_rule","expected":{"verdict":"pass","rule":"ssh","reason":null}}"#)
    );
    assert!(lines[2].ends_with(r#","expected":null}"#));
    assert!(ran.err.contains("a.pcap: frame 9  expected drop no_rule, but the capture has no such frame\n"));
}

#[test]
fn a_fault_of_one_capture_leaves_the_results_of_the_others() {
    let desk = Desk::new();
    let cut = desk.file("cut.pcap", &traffic()[..150]);
    let cooked = desk.file("cooked.pcap", pcap(113, &[b"x"]));
    let good = desk.file("good.pcap", traffic());
    let ran = desk.replay(&[&cut, &cooked, "missing.pcap", &good]);
    assert_eq!(ran.exit, 1);
    let errors = "\
perimeter: cut.pcap: frame 2: the file ends inside it: the capture is cut, or a length in it is corrupt
perimeter: cooked.pcap: not Ethernet but link type 113 (Linux cooked capture, as -i any makes it)
perimeter: missing.pcap: No such file or directory (os error 2)
";
    assert_eq!(desk.plain(&ran.err), errors);
    assert!(ran.out.contains("cut.pcap") && ran.out.contains("good.pcap"), "{}", ran.out);
    assert!(
        ran.out.ends_with("4 frames in 4 captures (engine model)\ndropped: no_rule 1, vlan_not_allowed 1\n"),
        "{}",
        ran.out
    );
}

#[test]
fn at_brings_back_what_has_expired() {
    let desk = Desk::new();
    let capture = desk.file("a.pcap", traffic());
    assert!(desk.replay(&[&capture, "--at", "2026-10-01", "--json"]).out.contains(r#""rule":"old""#));
    assert!(!desk.replay(&[&capture, "--at", "2026-10-02", "--json"]).out.contains(r#""rule":"old""#));
}

#[test]
fn what_cannot_be_done_is_said() {
    let desk = Desk::new();
    let capture = desk.file("a.pcap", traffic());
    let two = desk.file("two.yaml", "version: 1\ninterfaces: { wan0: , lan0: }\n");
    let ran = perimeter(&["replay", &two, &capture]);
    assert_eq!(
        (ran.exit, ran.err.as_str()),
        (1, "perimeter: the policy has 2 interfaces: choose one with --interface: wan0, lan0\n")
    );
    assert_eq!(perimeter(&["replay", &two, &capture, "--interface", "lan0"]).exit, 0);
    let broken = desk.file("broken.jsonl", "{\"file\":\"a.pcap\"}");
    let ran = desk.replay(&[&capture, "--expect", &broken]);
    assert!(
        desk.plain(&ran.err)
            .ends_with("perimeter: broken.jsonl: line 1: it needs \"file\", \"frame\" and \"verdict\"\n")
    );
    let wrong = desk.file("wrong.yaml", "version: 2\n");
    let ran = perimeter(&["replay", &wrong, &capture]);
    assert_eq!((ran.exit, ran.out.as_str()), (1, ""));
}

/// Every foreign capture gives a verdict for every frame, and the kernel agrees with the model.
#[test]
fn foreign_captures_on_every_engine() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: there are no foreign captures at {}", folder.display());
        return;
    };
    let mut captures: Vec<String> =
        entries.flatten().map(|entry| entry.path().display().to_string()).collect();
    captures.retain(|name| name.ends_with(".pcap") || name.ends_with(".pcapng"));
    let desk = Desk::new();
    let policy = desk.file(
        "open.yaml",
        "version: 1\ninterfaces:\n  wan0: { vlans: [untagged, 1-4094], fragments: stateless, ip_options: pass, oversize: count }\n\
         allow:\n  - { id: ip }\n  - { id: rest, ethertype: [arp, lldp, stp, snap, llc] }\n",
    );
    on_every_engine(&policy, &captures);
}

/// Every engine agrees on every capture of the project under every policy of the project.
#[test]
fn own_captures_on_every_engine() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let files = |folder: &str, endings: &[&str]| -> Vec<String> {
        let entries = std::fs::read_dir(root.join(folder)).expect("the folder is part of the project");
        let names = entries.flatten().map(|entry| entry.path().display().to_string());
        names.filter(|name| endings.iter().any(|ending| name.ends_with(ending))).collect()
    };
    let captures = files("pcaps", &[".pcap", ".pcapng"]);
    let policies = [files("rules", &[".yaml"]), files("pcaps", &[".yaml"])].concat();
    assert!(captures.len() > 30 && policies.len() > 5, "{captures:?} {policies:?}");
    for policy in policies {
        on_every_engine(&policy, &captures);
    }
}

/// Replays captures on each interface of a policy; says what is missing where an engine is.
fn on_every_engine(policy: &str, captures: &[String]) {
    let interfaces = match policy {
        trunk if trunk.ends_with("vlan-segregation.yaml") => &["trunk0", "uplink0"][..],
        _ => &["wan0"],
    };
    for interface in interfaces {
        let mut arguments = vec!["replay", policy, "--engine", "all", "--interface", interface];
        arguments.extend(captures.iter().map(String::as_str));
        let ran = perimeter(&arguments);
        if ran.err.contains("is left out") {
            let promised = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!promised, "CI=true, and yet: {}", ran.err);
            eprintln!("skipped for an engine: {}", ran.err);
        }
        assert_eq!(ran.exit, 0, "{policy} {interface}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn nft_drops_what_it_is_published_to_and_says_so() {
    let desk = Desk::new();
    let lenient = desk.file(
        "lenient.yaml",
        "version: 1\ninterfaces: { wan0: { ip_options: pass } }\nallow: [{ id: ip }]\n",
    );
    let mut options = tcp(&[], 443);
    // Six words of header, the sixth of no-operations.
    (options[14], options[17]) = (0x46, 44);
    options.splice(34..34, [1; 4]);
    let capture = desk.file("options.pcap", pcap(1, &[&options, &tcp(&[], 443)]));
    let ran = perimeter(&["replay", &lenient, &capture, "--engine", "nft", "--json"]);
    if ran.err.contains("engine nft: needs root") {
        eprintln!("skipped (no-privilege): {}", ran.err);
        return;
    }
    assert_eq!(ran.exit, 0, "{}", ran.err);
    let declared = r#""declared":{"class":"ipv4-options","engine":"nft","verdict":"drop","rule":null,"reason":"ip_options"}"#;
    assert!(ran.out.lines().next().is_some_and(|line| line.contains(declared)), "{}", ran.out);
    assert!(ran.out.contains(r#""passed":1,"dropped":1,"reasons":{"ip_options":1}"#), "{}", ran.out);
    let ran = perimeter(&["replay", &lenient, &capture, "--engine", "all"]);
    assert_eq!(ran.exit, 0, "{}", ran.out);
    assert!(ran.out.contains("2 passed       0 dropped   1 declared divergence\n"), "{}", ran.out);
    assert!(ran.out.ends_with("dropped by nft, as is published: ipv4-options 1\n"), "{}", ran.out);
}
