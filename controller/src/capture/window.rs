//! A window that slides over a file: the part of it that is being looked at.

use std::io::{self, ErrorKind, Read};

use pcap_file::PcapError;

use super::Fault;

/// Bytes that the window begins with.
const START: usize = 256 * 1024;

/// Bytes that it may grow to: the longest block of a pcapng file that is read.
const LIMIT: usize = 16 * 1024 * 1024;

pub(super) struct Window<R> {
    reader: R,
    buffer: Vec<u8>,
    /// The part of `buffer` that was read and not consumed.
    start: usize,
    end: usize,
}

impl<R: Read> Window<R> {
    pub(super) fn new(reader: R) -> Self {
        Window { reader, buffer: vec![0; START], start: 0, end: 0 }
    }

    /// The bytes in sight.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Lets go of the first `count` bytes in sight.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
    }

    /// Shows `parse` ever more of the file until that is enough for it; `None` at the end of the file.
    pub(super) fn parse<T>(
        &mut self,
        parse: impl Fn(&[u8]) -> Result<T, PcapError>,
    ) -> Result<Option<T>, Fault> {
        loop {
            match parse(self.bytes()) {
                Ok(found) => return Ok(Some(found)),
                Err(PcapError::IncompleteBuffer) => {}
                Err(_) => return Err(Fault::Corrupt("a length or a magic number that cannot be")),
            }
            if !self.more()? {
                return if self.bytes().is_empty() { Ok(None) } else { Err(Fault::Cut) };
            }
        }
    }

    /// Brings more of the file into sight. `false`: there is no more, or the window is as wide as it may be.
    fn more(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            if self.end >= LIMIT {
                return Ok(false);
            }
            self.buffer.resize(self.end * 2, 0);
        }
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
