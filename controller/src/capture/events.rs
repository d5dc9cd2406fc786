//! Events as a capture: what Wireshark and tcpdump open, with the reason as the comment of each frame.
//!
//! Promises: each frame is cut where the event is, with its true length beside it; the file is whole after every frame.

use std::borrow::Cow;
use std::io::Write;
use std::time::Duration;

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, PcapError};

use crate::counters::{Event, HEADER_BYTES};

/// Nanoseconds: 10 to the power of minus nine.
const RESOLUTION: u8 = 9;

/// A pcapng file that grows by one frame an event.
pub struct EventWriter<W: Write> {
    writer: PcapNgWriter<W>,
    interfaces: Vec<String>,
}

impl<W: Write> EventWriter<W> {
    /// Begins the file.
    pub fn new(out: W) -> Result<Self, PcapError> {
        Ok(EventWriter { writer: PcapNgWriter::new(out)?, interfaces: Vec::new() })
    }

    /// Appends a frame, with `comment` on it.
    pub fn write(&mut self, event: &Event, comment: &str) -> Result<(), PcapError> {
        let interface_id = self.interface(&event.interface)? as u32;
        let since = event.time.as_nanosecond().max(0) as u64;
        self.writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id,
            timestamp: Duration::from_nanos(since),
            original_len: event.length,
            data: Cow::Borrowed(&event.header),
            options: vec![EnhancedPacketOption::Comment(Cow::Borrowed(comment))],
        })?;
        self.writer.get_mut().flush().map_err(PcapError::IoError)
    }

    /// The number of an interface in the file, which is told of it when it is first met.
    fn interface(&mut self, name: &str) -> Result<usize, PcapError> {
        if let Some(known) = self.interfaces.iter().position(|known| known == name) {
            return Ok(known);
        }
        let mut block = InterfaceDescriptionBlock::new(DataLink::ETHERNET, HEADER_BYTES as u32);
        block.options = vec![
            InterfaceDescriptionOption::IfName(Cow::Owned(name.to_owned())),
            InterfaceDescriptionOption::IfTsResol(RESOLUTION),
        ];
        self.writer.write_pcapng_block(block)?;
        self.interfaces.push(name.to_owned());
        Ok(self.interfaces.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Capture;
    use crate::samples::event;

    #[test]
    fn what_is_written_is_read_back() {
        let mut bytes = Vec::new();
        let mut writer = EventWriter::new(&mut bytes).unwrap();
        writer.write(&event(), "drop: no_rule").unwrap();
        writer.write(&Event { interface: "lan0".into(), ..event() }, "drop: no_rule").unwrap();
        assert!(String::from_utf8_lossy(&bytes).contains("drop: no_rule"));
        let mut capture = Capture::new(bytes.as_slice()).unwrap();
        for _ in 0..2 {
            let frame = capture.next_frame().unwrap().unwrap();
            assert_eq!((frame.bytes, frame.time), (event().header.as_slice(), Some(event().time)));
        }
        assert!(capture.next_frame().is_none());
    }
}
