//! What the NIC, its driver and the kernel lost around the program, and why.
//!
//! Promises: a cause is a metric label and stands in a closed list; what the program itself dropped is no loss and is in
//! no cause. Counts are those of the device, since it was made or the driver was loaded.

use serde::Serialize;

use super::Total;

/// What one interface lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    pub interface: String,
    /// What the device says it received, before the program.
    pub received: Total,
    /// Every cause, in the order of [`Cause::ALL`], zeros included.
    pub causes: Vec<Lost>,
}

/// What was lost for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    pub cause: Cause,
    pub packets: u64,
    /// The counters of the kernel that tell it, as they are called there, of those that are not zero.
    pub counters: Vec<String>,
}

/// Why frames were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The NIC had a frame and no free place in its ring.
    RingOverrun,
    /// There was no memory for a frame.
    BufferShortage,
    /// A checksum of the wire was wrong, or the signal was.
    ChecksumError,
    /// The frame was longer than the device takes, or of a length that none has.
    LengthError,
    /// Any other error of the device.
    DeviceError,
    /// The driver could not carry out what an XDP program decided.
    XdpError,
    /// The kernel's queue of a CPU was full (`net.core.netdev_max_backlog`); the whole machine's.
    Backlog,
    /// The kernel dropped it after the program: no protocol takes it, or no room.
    AfterXdp,
}

impl Cause {
    pub const ALL: [Cause; 8] = [
        Cause::RingOverrun,
        Cause::BufferShortage,
        Cause::ChecksumError,
        Cause::LengthError,
        Cause::DeviceError,
        Cause::XdpError,
        Cause::Backlog,
        Cause::AfterXdp,
    ];

    /// The metric label.
    pub fn name(self) -> &'static str {
        match self {
            Cause::RingOverrun => "ring_overrun",
            Cause::BufferShortage => "buffer_shortage",
            Cause::ChecksumError => "checksum_error",
            Cause::LengthError => "length_error",
            Cause::DeviceError => "device_error",
            Cause::XdpError => "xdp_error",
            Cause::Backlog => "backlog",
            Cause::AfterXdp => "after_xdp",
        }
    }

    /// Whether the program never saw these frames.
    pub fn is_before_us(self) -> bool {
        !matches!(self, Cause::Backlog | Cause::AfterXdp)
    }
}

/// Beyond this share of what arrived, loss is a finding.
pub const TOLERATED: f64 = 0.001;

impl Loss {
    /// Frames lost before the program saw them, and after it.
    pub fn sides(&self) -> (u64, u64) {
        let sum = |before: bool| {
            let side = self.causes.iter().filter(|lost| lost.cause.is_before_us() == before);
            side.fold(0u64, |sum, lost| sum.saturating_add(lost.packets))
        };
        (sum(true), sum(false))
    }

    /// The share of what arrived at the device that was lost, from 0 to 1.
    pub fn ratio(&self) -> f64 {
        let (before, after) = self.sides();
        let arrived = self.received.packets.saturating_add(before);
        if arrived == 0 { 0.0 } else { before.saturating_add(after) as f64 / arrived as f64 }
    }
}
