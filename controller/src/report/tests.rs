//! Pages of reports made here, with names as hostile as they come.

use jiff::Timestamp;

use super::*;
use crate::samples::ruleset;
use crate::status::Keeper;

const HOSTILE: &str = "</td><script>alert(1)</script>|`a`|\n# \u{202e}gpj.exe & \"x'";

/// An ARP request for 192.0.2.1.
fn arp() -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 0, 2, 9]);
    frame.extend([0, 0, 0, 0, 0, 0, 192, 0, 2, 1]);
    frame
}

/// A pcap whose frames come a second apart.
fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
    file.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0]);
    for (frame, second) in frames.iter().zip(1_800_000_000_u32..) {
        let length = (frame.len() as u32).to_le_bytes();
        file.extend([second.to_le_bytes(), [0; 4], length, length].concat());
        file.extend(frame);
    }
    file
}

/// What `wan0`, which allows ARP alone, makes of two ARP requests and a frame of 20 bytes.
fn gathered(cut: usize) -> (Report, Result<(), crate::capture::CaptureError>) {
    let mut ruleset = ruleset(&["wan0"]);
    ruleset.rules[0].about.owner = Some(HOSTILE.into());
    ruleset.interfaces[0].accounting = crate::ruleset::Accounting {
        vlan: false,
        size: false,
        fragments: false,
        pmtu: false,
        last_hit: false,
    };
    ruleset.interfaces[0].enforce = false;
    let file = pcap(&[arp(), arp(), arp()[..20].to_vec()]);
    let mut gathering = Gathering::new(&ruleset, 0).unwrap();
    let result = gathering.capture(HOSTILE, &file[..file.len() - cut]);
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    (gathering.finish(HOSTILE, time("2027-01-01T00:00:00Z"), time("2027-01-02T00:00:00Z")), result)
}

#[test]
fn every_frame_is_counted_once_whatever_the_policy_counts_and_enforces() {
    let (report, result) = gathered(0);
    result.unwrap();
    let part = &report.interfaces[0];
    let sums = &part.counters;
    assert_eq!((sums.received.packets, sums.passed.packets, sums.dropped.packets), (3, 2, 1));
    let truncated = sums.reasons.iter().find(|one| one.reason == "truncated").unwrap();
    assert_eq!((truncated.packets, truncated.bytes), (1, 20));
    let vlans = part.accounting.vlans.as_ref().unwrap();
    assert_eq!(vlans.iter().map(|one| one.passed.packets + one.dropped.packets).sum::<u64>(), 3);
    assert_eq!(part.accounting.sizes.as_ref().unwrap().buckets.iter().sum::<u64>(), 3);
    let buckets = &part.timeline.as_ref().unwrap().buckets;
    assert_eq!(
        buckets.iter().map(|one| [one.passed, one.dropped]).fold([0, 0], |a, b| [a[0] + b[0], a[1] + b[1]]),
        [2, 1]
    );
    assert_eq!(part.accounting.last_hits.as_ref().unwrap()["arp"].as_second(), 1_800_000_001);
}

#[test]
fn a_cut_capture_has_its_good_frames_its_fault_and_the_digest_of_all_its_bytes() {
    let (report, result) = gathered(5);
    assert!(result.unwrap_err().to_string().starts_with("frame 3: "));
    let Origin::Captures(judged) = &report.origin else { panic!("captures were judged") };
    let file = pcap(&[arp(), arp(), arp()[..20].to_vec()]);
    let one = &judged.captures[0];
    assert_eq!(one.sha256, Some(Digest::of_bytes(&file[..file.len() - 5])));
    assert_eq!((one.frames, one.bytes), (2, file.len() as u64 - 5));
    assert!(html(&report).contains("<p class=\"warning\">Not whole: "));
    assert!(markdown(&report).contains("**Attention:** Not whole: "));
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    let [one, other] = [gathered(0).0, gathered(0).0];
    assert_eq!((html(&one), markdown(&one)), (html(&other), markdown(&other)));
}

/// The names of tags in the order of the page, `/` before those that close.
fn tags(page: &str) -> Vec<String> {
    let open = page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap());
    open.map(|tag| tag.split_whitespace().next().unwrap().to_owned()).collect()
}

#[test]
fn every_tag_of_a_page_closes_and_nothing_from_outside_is_one() {
    let page = html(&gathered(0).0);
    let mut open: Vec<String> = Vec::new();
    for tag in tags(&page) {
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop().as_deref(), Some(name)),
            None if tag == "!DOCTYPE" || tag == "meta" => {}
            None => open.push(tag),
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(page.contains(
        "&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;|`a`|\u{fffd}# \u{fffd}gpj.exe &amp; &quot;x&#39;"
    ));
    for foreign in
        ["<script", "http://", "https://", "src=", "href=", "@import", "url(", "style=\"", "\u{202e}"]
    {
        assert!(!page.contains(foreign), "{foreign:?} in the page");
    }
    assert!(page.contains("prefers-color-scheme: dark"));
}

#[test]
fn rows_of_markdown_tables_are_as_wide_as_their_heads() {
    let page = markdown(&gathered(0).0);
    let (mut tables, mut head) = (0, None);
    for line in page.lines() {
        if !line.starts_with('|') {
            head = None;
            continue;
        }
        let cells = line.replace("\\|", "").matches('|').count();
        let shape = (cells, line.chars().count());
        tables += usize::from(head.is_none());
        assert_eq!(*head.get_or_insert(shape), shape, "{line}");
    }
    assert!(tables > 8, "{tables} tables\n{page}");
    assert!(!page.contains("<script") && !page.contains('\u{202e}'), "{page}");
}

#[test]
fn an_empty_live_state_is_a_page_too() {
    let made = "2027-01-02T00:00:00Z".parse().unwrap();
    let report = Report {
        made,
        version: "1",
        origin: Origin::Live { in_sync: false, trial: None },
        interfaces: Vec::new(),
    };
    assert!(markdown(&report).contains("No interface is enforced in this network namespace."));
    assert!(html(&report).starts_with("<!DOCTYPE html>\n"));
}

#[test]
fn the_live_state_has_its_rules_and_its_state_and_no_verdicts_over_time() {
    let ruleset = ruleset(&["wan0", "lan0"]);
    let mut snapshot = crate::telemetry::samples::taken(&ruleset, |_| 7);
    let until = "2026-11-22T01:05:00.5Z".parse().unwrap();
    snapshot.status.trial =
        Some(TrialStatus { generation: 3, until, overdue: false, keeper: Some(Keeper::Process) });
    let report = live(&snapshot, |_| Some(&ruleset));
    let page = markdown(&report);
    for wanted in [
        "## Interface wan0",
        "## Interface lan0",
        "### Rules that decided",
        "| arp ",
        "on trial until 2026-11-22 01:05:00 UTC",
    ] {
        assert!(page.contains(wanted), "{wanted} in\n{page}");
    }
    assert!(!page.contains("over time"), "{page}");
    assert!(report.interfaces.iter().all(|part| part.counters.received.packets > 0));
}
