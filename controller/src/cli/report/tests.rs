//! The command on the captures of the project.

use std::fs;

use serde_json::Value;

use super::super::harness::{perimeter, write};

fn file(name: &str) -> String {
    format!("{}/../pcaps/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Goal: the page and `replay` tell the same. Method: the sums of both on captures of every kind.
#[test]
fn the_sums_are_those_of_replay() {
    for (policy, capture) in [
        ("strict.yaml", "fragments.pcap"),
        ("strict.yaml", "vlan-hopping.pcapng"),
        ("strict.yaml", "icmp.pcapng"),
        ("lenient.yaml", "sizes-counted.pcap"),
        ("provider.yaml", "provider.pcap"),
    ] {
        let (policy, capture) = (file(policy), file(capture));
        let replayed = perimeter(&["replay", &policy, &capture, "--json"]).out;
        let summary: Value = serde_json::from_str(replayed.lines().last().unwrap()).unwrap();
        let ran = perimeter(&["report", &policy, &capture, "--json"]);
        assert_eq!(ran.exit, 0, "{}", ran.err);
        let report: Value = serde_json::from_str(&ran.out).unwrap();
        let (summary, counters) = (&summary["summary"], &report["interfaces"][0]["counters"]);
        for (ours, theirs) in [("received", "frames"), ("passed", "passed"), ("dropped", "dropped")] {
            assert_eq!(counters[ours]["packets"], summary[theirs], "{capture}: {theirs}");
        }
        let reasons = counters["reasons"].as_array().unwrap().iter();
        for reason in reasons.filter(|reason| reason["packets"] != 0) {
            assert_eq!(reason["packets"], summary["reasons"][reason["reason"].as_str().unwrap()], "{reason}");
        }
    }
}

#[test]
fn the_page_goes_to_standard_output_or_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (policy, capture) = (file("strict.yaml"), file("fragments.pcap"));
    let shown = perimeter(&["report", &policy, &capture]).out;
    let path = write(folder.path(), "report.html", "");
    let written = perimeter(&["report", &policy, &capture, "--out", &path]);
    assert_eq!((written.exit, written.out.as_str()), (0, ""), "{}", written.err);
    assert_eq!(fs::read_to_string(&path).unwrap(), shown);
    let ran = perimeter(&["report", &policy, &capture, "--out", "/nowhere/report.html"]);
    assert!(ran.exit == 1 && ran.err.contains("cannot write the report /nowhere/report.html"), "{}", ran.err);
}

#[test]
fn a_cut_capture_is_an_error_that_names_the_frame_after_the_good_ones() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(file("fragments.pcap")).unwrap();
    let cut = write(folder.path(), "cut.pcap", &whole[..whole.len() - 1]);
    let ran = perimeter(&["report", &file("strict.yaml"), &cut, "--format", "markdown"]);
    assert_eq!(ran.exit, 1);
    assert!(ran.err.starts_with(&format!("perimeter: {cut}: frame ")), "{}", ran.err);
    assert!(ran.out.contains("**Attention:** Not whole: "), "{}", ran.out);
}

#[test]
fn a_policy_without_a_capture_is_refused() {
    let ran = perimeter(&["report", &file("strict.yaml")]);
    assert!(ran.exit == 1 && ran.err.contains("<CAPTURE>"), "{}", ran.err);
    let ran = perimeter(&["report", &file("strict.yaml"), "/nowhere.pcap"]);
    assert!(ran.err.contains("cannot read the capture /nowhere.pcap"), "{}", ran.err);
}
