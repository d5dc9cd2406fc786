//! The classic format: a header of 24 bytes, then records of 16 bytes and data, in either byte order.

use std::io::Read;

use jiff::Timestamp;
use pcap_file::TsResolution;
use pcap_file::pcap::PcapParser;

use super::window::Window;
use super::{ETHERNET, FRAME_LIMIT, Fault, Record};

/// Bytes before the data of a record: seconds, fraction, captured length, original length.
const RECORD_HEADER: usize = 16;

/// The version in use since 1998.
const VERSION: u16 = 2;

pub(super) struct Pcap {
    parser: PcapParser,
}

impl Pcap {
    /// Reads the file header, which must say Ethernet.
    pub(super) fn begin<R: Read>(window: &mut Window<R>) -> Result<Pcap, Fault> {
        let header = window
            .parse(|bytes| PcapParser::new(bytes).map(|(rest, parser)| (parser, bytes.len() - rest.len())));
        let (parser, size) = header?.ok_or(Fault::Cut)?;
        window.consume(size);
        let header = parser.header();
        if header.version_major != VERSION {
            return Err(Fault::Version { format: "pcap", major: header.version_major, known: VERSION });
        }
        // The upper half of the field holds the length of the frame check sequence and flags.
        let link = u32::from(header.datalink) & 0xffff;
        if link != ETHERNET {
            return Err(Fault::NotEthernet(link));
        }
        Ok(Pcap { parser })
    }

    /// The next record; `None` at the end of the file.
    pub(super) fn next<R: Read>(&mut self, window: &mut Window<R>) -> Result<Option<Record>, Fault> {
        let found = window.parse(|bytes| {
            let (rest, packet) = self.parser.next_raw_packet(bytes)?;
            Ok((bytes.len() - rest.len(), packet.orig_len, packet.ts_sec, packet.ts_frac))
        });
        let Some((size, original_len, seconds, fraction)) = found? else { return Ok(None) };
        let unit = match self.parser.header().ts_resolution {
            TsResolution::MicroSecond => 1_000,
            TsResolution::NanoSecond => 1,
        };
        let nanoseconds = i128::from(seconds) * 1_000_000_000 + i128::from(fraction) * unit;
        record(size, original_len, Timestamp::from_nanosecond(nanoseconds).ok()).map(Some)
    }
}

fn record(size: usize, original_len: u32, time: Option<Timestamp>) -> Result<Record, Fault> {
    if size - RECORD_HEADER > FRAME_LIMIT {
        return Err(Fault::Corrupt("a frame of more than 262,144 bytes"));
    }
    Ok(Record { data: RECORD_HEADER..size, original_len, time, size })
}
