//! The next generation format: blocks in sections, each section in a byte order of its own, with interfaces of its own
//! (draft-ietf-opsawg-pcapng).

use std::io::Read;
use std::ops::Range;

use byteorder_slice::{BigEndian, ByteOrder, LittleEndian};
use jiff::Timestamp;
use pcap_file::pcapng::RawBlock;

use super::clock::Clock;
use super::window::Window;
use super::{ETHERNET, FRAME_LIMIT, Fault, Record};

/// The first bytes of a pcapng file: the block type of a section header, the same in both byte orders.
pub(super) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// Block types.
mod kind {
    pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
    pub(super) const INTERFACE_DESCRIPTION: u32 = 1;
    /// Obsolete, and still met.
    pub(super) const PACKET: u32 = 2;
    pub(super) const SIMPLE_PACKET: u32 = 3;
    pub(super) const ENHANCED_PACKET: u32 = 6;
}

/// Bytes before the body of a block: type and length.
const BLOCK_HEADER: usize = 8;

/// The only version of the format.
const VERSION: u16 = 1;

/// Where the reader stands: the section's byte order and its interfaces.
#[derive(Default)]
pub(super) struct Pcapng {
    little: bool,
    interfaces: Vec<Interface>,
}

struct Interface {
    link: u32,
    /// Most bytes captured of a packet; 0 is no limit. Only simple packet blocks need it.
    snap_len: u32,
    /// What its times count.
    clock: Clock,
}

/// A block, as far as its lengths go.
struct Block {
    kind: u32,
    body: Range<usize>,
    size: usize,
}

impl Pcapng {
    /// The next packet; blocks that carry none are skipped. `None` at the end of the file.
    pub(super) fn next<R: Read>(&mut self, window: &mut Window<R>) -> Result<Option<Record>, Fault> {
        loop {
            let Some(block) = self.block(window)? else { return Ok(None) };
            let body = &window.bytes()[block.body.clone()];
            let record = if self.is_little(&block, body) {
                self.take::<LittleEndian>(&block, body)?
            } else {
                self.take::<BigEndian>(&block, body)?
            };
            if record.is_some() {
                return Ok(record);
            }
            window.consume(block.size);
        }
    }

    /// Brings the next block whole into the window.
    fn block<R: Read>(&self, window: &mut Window<R>) -> Result<Option<Block>, Fault> {
        window.parse(|bytes| {
            let (rest, raw) = if self.little {
                RawBlock::from_slice::<LittleEndian>(bytes)?
            } else {
                RawBlock::from_slice::<BigEndian>(bytes)?
            };
            let body = BLOCK_HEADER..BLOCK_HEADER + raw.body.len();
            Ok(Block { kind: raw.type_, body, size: bytes.len() - rest.len() })
        })
    }

    /// The byte order of a block: that of its section, and of a section header its own.
    fn is_little(&mut self, block: &Block, body: &[u8]) -> bool {
        if block.kind == kind::SECTION_HEADER {
            self.little = body.starts_with(&[0x4d, 0x3c, 0x2b, 0x1a]);
        }
        self.little
    }

    /// Reads what a block says; a record comes out where it holds a packet.
    fn take<B: ByteOrder>(&mut self, block: &Block, body: &[u8]) -> Result<Option<Record>, Fault> {
        match block.kind {
            kind::SECTION_HEADER => {
                let major = B::read_u16(&fixed::<16>(body)?[4..]);
                if major != VERSION {
                    return Err(Fault::Version { format: "pcapng", major, known: VERSION });
                }
                self.interfaces.clear();
            }
            kind::INTERFACE_DESCRIPTION => {
                let fixed = fixed::<8>(body)?;
                let link = u32::from(B::read_u16(fixed));
                let clock = Clock::read::<B>(&body[fixed.len()..]);
                self.interfaces.push(Interface { link, snap_len: B::read_u32(&fixed[4..]), clock });
            }
            kind::ENHANCED_PACKET => {
                let fixed = fixed::<20>(body)?;
                let interface = self.interface(B::read_u32(fixed))?;
                return stamped::<B>(block, fixed, interface).map(Some);
            }
            kind::PACKET => {
                let fixed = fixed::<20>(body)?;
                let interface = self.interface(u32::from(B::read_u16(fixed)))?;
                return stamped::<B>(block, fixed, interface).map(Some);
            }
            kind::SIMPLE_PACKET => {
                let original = B::read_u32(fixed::<4>(body)?);
                let captured = self.interface(0)?.snapped(original);
                return record(block, 4, captured, original, None).map(Some);
            }
            _ => {}
        }
        Ok(None)
    }

    /// The interface of a packet, which must be Ethernet.
    fn interface(&self, id: u32) -> Result<&Interface, Fault> {
        let interface = self.interfaces.get(id as usize);
        let interface =
            interface.ok_or(Fault::Corrupt("a frame of an interface that the file does not describe"))?;
        if interface.link != ETHERNET {
            return Err(Fault::NotEthernet(interface.link));
        }
        Ok(interface)
    }
}

impl Interface {
    /// Bytes captured of a packet that had `original` on the wire.
    fn snapped(&self, original: u32) -> u32 {
        if self.snap_len == 0 { original } else { original.min(self.snap_len) }
    }
}

/// A packet of a block that tells the time: interface, time in two halves, captured and original length, data.
fn stamped<B: ByteOrder>(block: &Block, fixed: &[u8; 20], interface: &Interface) -> Result<Record, Fault> {
    let ticks = u64::from(B::read_u32(&fixed[4..])) << 32 | u64::from(B::read_u32(&fixed[8..]));
    let time = interface.clock.time(ticks);
    record(block, fixed.len(), B::read_u32(&fixed[12..]), B::read_u32(&fixed[16..]), time)
}

/// A packet whose data begin at `at` in the body of its block.
fn record(
    block: &Block,
    at: usize,
    captured: u32,
    original_len: u32,
    time: Option<Timestamp>,
) -> Result<Record, Fault> {
    let captured = captured as usize;
    if captured > block.body.len() - at {
        return Err(Fault::Corrupt("a frame that is longer than its block"));
    }
    if captured > FRAME_LIMIT {
        return Err(Fault::Corrupt("a frame of more than 262,144 bytes"));
    }
    let start = block.body.start + at;
    Ok(Record { data: start..start + captured, original_len, time, size: block.size })
}

/// The first `N` bytes of a body.
fn fixed<const N: usize>(body: &[u8]) -> Result<&[u8; N], Fault> {
    body.first_chunk().ok_or(Fault::Corrupt("a block that is too short for its kind"))
}
