//! Captures as files: pcap, pcapng, and the expectations of `replay --expect`.

use super::{Capture, Format};
use jiff::{SignedDuration, Timestamp};
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, Endianness, TsResolution};
use perimeter::ruleset::Ruleset;
use perimeter_classifier::verdict::Decision;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// 2026-01-05, a Monday, 09:00 UTC.
const BEGAN: Duration = Duration::from_secs(1_767_603_600);
const APART: Duration = Duration::from_millis(250);
const SNAPLEN: u32 = 262_144;

/// The ruleset of a policy file, as of the day of the captures.
pub(crate) fn policy(path: &Path) -> Ruleset {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let folder = path.parent().expect("a file has a folder");
    let mut files = |name: &str| std::fs::read(folder.join(name));
    let at =
        Timestamp::from_duration(SignedDuration::from_secs(BEGAN.as_secs() as i64)).expect("a day of 2026");
    let reading = perimeter::policy::read(&path.display().to_string(), &text, &mut files, at);
    reading.ruleset.unwrap_or_else(|| {
        let faults: Vec<String> = reading.diagnostics.iter().map(|fault| format!("{fault:?}")).collect();
        panic!("{}: {}", path.display(), faults.join("\n"))
    })
}

/// The bytes of the capture file.
pub(crate) fn file(capture: &Capture) -> Vec<u8> {
    match capture.format {
        Format::Pcap => pcap(capture),
        Format::Pcapng => pcapng(capture),
    }
}

fn pcap(capture: &Capture) -> Vec<u8> {
    let header = PcapHeader {
        snaplen: SNAPLEN,
        datalink: DataLink::ETHERNET,
        ts_resolution: TsResolution::MicroSecond,
        endianness: Endianness::Little,
        ..PcapHeader::default()
    };
    let mut writer = PcapWriter::with_header(Vec::new(), header).expect("a Vec takes everything");
    for (frame, at) in capture.frames.iter().zip(0u32..) {
        let packet = PcapPacket::new(BEGAN + APART * at, frame.bytes.len() as u32, &frame.bytes);
        writer.write_packet(&packet).expect("a Vec takes everything");
    }
    writer.into_writer()
}

fn pcapng(capture: &Capture) -> Vec<u8> {
    let mut writer =
        PcapNgWriter::with_endianness(Vec::new(), Endianness::Little).expect("a Vec takes everything");
    // pcap-file writes timestamps as nanoseconds whatever the resolution says.
    let interface = InterfaceDescriptionBlock {
        linktype: DataLink::ETHERNET,
        snaplen: SNAPLEN,
        options: vec![InterfaceDescriptionOption::IfTsResol(9)],
    };
    writer.write_pcapng_block(interface).expect("a Vec takes everything");
    for (frame, at) in capture.frames.iter().zip(0u32..) {
        let packet = EnhancedPacketBlock {
            interface_id: 0,
            timestamp: BEGAN + APART * at,
            original_len: frame.bytes.len() as u32,
            data: frame.bytes.as_slice().into(),
            options: Vec::new(),
        };
        writer.write_pcapng_block(packet).expect("a Vec takes everything");
    }
    writer.into_inner()
}

/// One line of JSON a frame, as `replay --json` prints it, with the decisions of `judge`.
pub(crate) fn expectations(
    capture: &Capture,
    ruleset: &Ruleset,
    judge: impl Fn(&[u8]) -> Decision,
) -> String {
    let mut lines = String::new();
    for (frame, number) in capture.frames.iter().zip(1u32..) {
        let decision = judge(&frame.bytes);
        let verdict = if decision.reason().is_none() { "pass" } else { "drop" };
        let rule = decision.rule().map_or(json!(null), |rule| json!(ruleset.rules[rule as usize].id));
        let reason = decision.reason().map_or(json!(null), |reason| json!(reason.name()));
        let file = json!(capture.file_name());
        let verdict = json!(verdict);
        lines += &format!(
            "{{\"file\":{file},\"frame\":{number},\"verdict\":{verdict},\"rule\":{rule},\"reason\":{reason}}}\n"
        );
    }
    lines
}
