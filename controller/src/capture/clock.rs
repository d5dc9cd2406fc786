//! What the times of a pcapng interface count: options 9 (`if_tsresol`) and 14 (`if_tsoffset`) of its description.
//!
//! Promises: any option list gives a clock; one that is cut or has no end mark is read as far as it goes. A time that
//! cannot be (past the year 9999) is none.

use byteorder_slice::ByteOrder;
use jiff::Timestamp;

/// Option codes.
const END: u16 = 0;
const RESOLUTION: u16 = 9;
const OFFSET: u16 = 14;

/// Nanoseconds of a second.
const SECOND: i128 = 1_000_000_000;

/// The clock of one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// Ticks of a second; `None` where they are too many for any number.
    ticks: Option<i128>,
    /// Seconds to add.
    offset: i64,
}

impl Clock {
    /// Reads the options of an interface description.
    pub(super) fn read<B: ByteOrder>(mut options: &[u8]) -> Clock {
        let mut clock = Clock { ticks: Some(1_000_000), offset: 0 };
        while let Some((header, rest)) = options.split_first_chunk::<4>() {
            let (code, length) = (B::read_u16(header), usize::from(B::read_u16(&header[2..])));
            let Some(value) = rest.get(..length).filter(|_| code != END) else { break };
            match (code, value) {
                (RESOLUTION, [power, ..]) => clock.ticks = ticks(*power),
                (OFFSET, value) if value.len() == 8 => clock.offset = B::read_u64(value) as i64,
                _ => {}
            }
            options = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        clock
    }

    /// The instant of a time that the file tells.
    pub(super) fn time(self, ticks: u64) -> Option<Timestamp> {
        let (ticks, second) = (i128::from(ticks), self.ticks?);
        let part = (ticks % second).checked_mul(SECOND)? / second;
        Timestamp::from_nanosecond((ticks / second + i128::from(self.offset)) * SECOND + part).ok()
    }
}

/// A power of two where the highest bit is set, else of ten.
fn ticks(power: u8) -> Option<i128> {
    let base: i128 = if power & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(u32::from(power & 0x7f))
}

#[cfg(test)]
mod tests {
    use byteorder_slice::LittleEndian;

    use super::*;

    fn seconds(options: &[u8], ticks: u64) -> Option<String> {
        Clock::read::<LittleEndian>(options).time(ticks).map(|time| time.to_string())
    }

    #[test]
    fn times_are_read_in_the_unit_of_the_interface() {
        let nano = [9, 0, 1, 0, 9, 0, 0, 0];
        let offset = [14, 0, 8, 0, 10, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(seconds(&[], 1_500_000).unwrap(), "1970-01-01T00:00:01.5Z");
        assert_eq!(seconds(&nano, 1_500_000_000).unwrap(), "1970-01-01T00:00:01.5Z");
        assert_eq!(seconds(&[nano.as_slice(), &offset].concat(), 0).unwrap(), "1970-01-01T00:00:10Z");
        assert_eq!(seconds(&[9, 0, 1, 0, 0x81, 0, 0, 0], 3).unwrap(), "1970-01-01T00:00:01.5Z");
    }

    #[test]
    fn what_cannot_be_is_no_time_and_no_panic() {
        assert_eq!(seconds(&[9, 0, 1, 0, 0x7f, 0, 0, 0], 1), None);
        assert_eq!(seconds(&[9, 0, 1, 0, 0, 0, 0, 0], u64::MAX), None);
        for cut in [&[9, 0, 200, 0, 1][..], &[9, 0], &[14, 0, 3, 0, 1, 2, 3], &[9, 0, 0, 0]] {
            assert_eq!(seconds(cut, 0).unwrap(), "1970-01-01T00:00:00Z", "{cut:?}");
        }
    }
}
