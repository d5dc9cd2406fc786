//! Captures: pcap and pcapng files as a run of Ethernet frames.
//!
//! Promises: every frame before a fault is given out, in the order of the file and under its number there; a file of any
//! size is read through one window of at most 16 MiB; no input makes it panic. Captured bytes are the frame, whatever the
//! file says about snap lengths. Refuses, naming the frame: a file that is cut, lengths that cannot be, link types other
//! than Ethernet.
//!
//! `pcap-file` 2.0 (this folder is its one home) takes the two formats apart only as far as it can be trusted. Its readers
//! refuse good files: a packet longer on the wire than the snap length, that is every packet cut on purpose; a record over
//! 8 MB; an option list without an end mark; names that are not UTF-8; any `if_tzone`; reserved bits. They take padding for
//! data in simple packet blocks, spin on a block whose options are short, and panic on a name record at the end of its
//! block. So records and blocks are cut by `PcapParser::next_raw_packet` and `RawBlock::from_slice`, which read nothing
//! but lengths, and the few fixed fields of a block are read here.

mod clock;
mod events;
mod pcap;
mod pcapng;
#[cfg(test)]
mod tests;
mod window;

pub use events::EventWriter;
use std::io::{self, Read};
use std::ops::Range;

use jiff::Timestamp;
use pcap_file::PcapError;

use self::pcap::Pcap;
use self::pcapng::Pcapng;
use self::window::Window;

/// The most bytes that one frame of a capture may have; libpcap and Wireshark draw the same line.
pub const FRAME_LIMIT: usize = 262_144;

/// LINKTYPE_ETHERNET of the tcpdump.org registry.
const ETHERNET: u32 = 1;

/// One frame of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Position among the packets of the file, from 1.
    pub number: u64,
    /// The captured bytes, from the destination MAC on.
    pub bytes: &'a [u8],
    /// Bytes the frame had on the wire, as the file says; more than `bytes` where it was captured short.
    pub original_len: u32,
    /// When it was captured, where the file says so in a way that can be.
    pub time: Option<Timestamp>,
}

/// Why a capture gives no further frame.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error("not a capture: neither pcap nor pcapng")]
    NotACapture,
    #[error("{format} version {major} is unknown: version {known} can be read")]
    Version { format: &'static str, major: u16, known: u16 },
    #[error("frame {frame}: cannot be read: {source}")]
    Read { frame: u64, source: io::Error },
    #[error("frame {frame}: the file ends inside it: the capture is cut, or a length in it is corrupt")]
    Cut { frame: u64 },
    #[error("frame {frame}: the capture is corrupt: {what}")]
    Corrupt { frame: u64, what: &'static str },
    #[error("not Ethernet but {}", link_name(*.link))]
    NotEthernet { link: u32 },
    #[error("frame {frame}: not Ethernet but {}; what follows is not read", link_name(*.link))]
    FrameNotEthernet { frame: u64, link: u32 },
}

/// A fault, before it is known in which frame.
#[derive(Debug)]
enum Fault {
    Read(io::Error),
    Cut,
    Corrupt(&'static str),
    NotEthernet(u32),
    Version { format: &'static str, major: u16, known: u16 },
}

impl Fault {
    fn at(self, frame: u64) -> CaptureError {
        match self {
            Fault::Read(source) => CaptureError::Read { frame, source },
            Fault::Cut => CaptureError::Cut { frame },
            Fault::Corrupt(what) => CaptureError::Corrupt { frame, what },
            Fault::NotEthernet(link) => CaptureError::FrameNotEthernet { frame, link },
            Fault::Version { format, major, known } => CaptureError::Version { format, major, known },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::Read(error)
    }
}

/// A packet found in the window.
struct Record {
    /// Where its data lie in the window.
    data: Range<usize>,
    original_len: u32,
    time: Option<Timestamp>,
    /// Bytes of the window that the record takes up.
    size: usize,
}

enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

/// A capture being read.
pub struct Capture<R> {
    window: Window<R>,
    format: Format,
    /// Bytes at the start of the window that the last frame still uses.
    spent: usize,
    frames: u64,
    ended: bool,
}

impl<R: Read> Capture<R> {
    /// Begins to read; the file's first bytes say which format it is.
    pub fn new(reader: R) -> Result<Self, CaptureError> {
        let mut window = Window::new(reader);
        let format = begin(&mut window).map_err(|fault| match fault {
            Fault::Cut | Fault::Corrupt(_) => CaptureError::NotACapture,
            Fault::NotEthernet(link) => CaptureError::NotEthernet { link },
            fault => fault.at(1),
        })?;
        Ok(Capture { window, format, spent: 0, frames: 0, ended: false })
    }

    /// The next frame; `None` at the end of the file and after an error.
    pub fn next_frame(&mut self) -> Option<Result<Frame<'_>, CaptureError>> {
        if self.ended {
            return None;
        }
        self.window.consume(self.spent);
        self.spent = 0;
        let found = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.window),
            Format::Pcapng(pcapng) => pcapng.next(&mut self.window),
        };
        match found {
            Ok(Some(record)) => {
                self.spent = record.size;
                self.frames += 1;
                let bytes = &self.window.bytes()[record.data];
                let Record { original_len, time, .. } = record;
                Some(Ok(Frame { number: self.frames, bytes, original_len, time }))
            }
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(fault) => {
                self.ended = true;
                Some(Err(fault.at(self.frames + 1)))
            }
        }
    }
}

/// Tells the formats apart and reads the file header.
fn begin<R: Read>(window: &mut Window<R>) -> Result<Format, Fault> {
    window
        .parse(|bytes| if bytes.len() < 4 { Err(PcapError::IncompleteBuffer) } else { Ok(()) })?
        .ok_or(Fault::Cut)?;
    if window.bytes().starts_with(&pcapng::SECTION_HEADER) {
        return Ok(Format::Pcapng(Pcapng::default()));
    }
    Pcap::begin(window).map(Format::Pcap)
}

/// What a link type is called, for the ones that people meet.
fn link_name(link: u32) -> String {
    let name = match link {
        0 | 108 => "BSD loopback",
        9 | 50 => "PPP",
        12 | 14 | 101 => "raw IP",
        105 | 119 | 127 => "Wi-Fi",
        113 | 276 => "Linux cooked capture, as -i any makes it",
        _ => return format!("link type {link}"),
    };
    format!("link type {link} ({name})")
}
