//! What was lost around the program: the counters of the device, of its driver and of the kernel, sorted by cause.
//!
//! Promises: a frame that the program dropped is no loss, also where the driver counts it among its own drops. A loss that
//! the device and its driver both tell of is counted once: of the two numbers the larger. What no name is known for is not
//! guessed at.

use std::fs;
use std::io;

use netlink_packet_route::link::Stats64;

use super::{device, ethtool};
use crate::counters::{Cause, Loss, Lost, Total};

/// Where the kernel tells of its queues, one line a CPU.
const SOFTNET: &str = "/proc/net/softnet_stat";

/// What one device lost; `None` where there is no such device. What is lost after the program is never told as more than it
/// is: the driver's own drops, which are subtracted, are read later.
pub fn loss(interface: &str) -> io::Result<Option<Loss>> {
    let Some(device) = device::statistics(interface)? else { return Ok(None) };
    // A driver need not count anything, nor say who it is. One that does, and does not answer now, leaves nothing to tell.
    let driver = match ethtool::statistics(interface) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Vec::new(),
        counted => counted?,
    };
    let name = ethtool::driver(interface).unwrap_or_default();
    let softnet = fs::read_to_string(SOFTNET).unwrap_or_default();
    Ok(Some(sort(interface, &device, &Driver { name: &name, counters: &driver }, &softnet)))
}

/// What a driver counts.
struct Driver<'a> {
    name: &'a str,
    counters: &'a [(String, u64)],
}

fn sort(interface: &str, device: &Stats64, driver: &Driver<'_>, softnet: &str) -> Loss {
    let received = Total { packets: device.rx_packets, bytes: device.rx_bytes };
    let causes = Cause::ALL.map(|cause| {
        let (standard, own) = (of_device(device, driver, cause), driver.of(cause));
        let sum =
            |counters: &[(String, u64)]| counters.iter().fold(0u64, |sum, one| sum.saturating_add(one.1));
        let backlog = if cause == Cause::Backlog { of_softnet(softnet) } else { Vec::new() };
        let packets = sum(&standard).max(sum(&own)).saturating_add(sum(&backlog));
        let named = [standard, own, backlog].concat().into_iter().filter(|one| one.1 > 0);
        Lost { cause, packets, counters: named.map(|(name, count)| format!("{name} {count}")).collect() }
    });
    Loss { interface: interface.to_owned(), received, causes: causes.to_vec() }
}

/// The counters that every device has, as `ip -s -s link` names them.
fn of_device(device: &Stats64, driver: &Driver<'_>, cause: Cause) -> Vec<(String, u64)> {
    let counters: &[(&str, u64)] = match cause {
        Cause::RingOverrun => &[
            ("rx_fifo_errors", device.rx_fifo_errors),
            ("rx_missed_errors", device.rx_missed_errors),
            ("rx_over_errors", device.rx_over_errors),
        ],
        Cause::ChecksumError => {
            &[("rx_crc_errors", device.rx_crc_errors), ("rx_frame_errors", device.rx_frame_errors)]
        }
        Cause::LengthError => &[("rx_length_errors", device.rx_length_errors)],
        // What the driver counts as dropped is in `rx_dropped` too.
        Cause::AfterXdp => &[
            ("rx_dropped", device.rx_dropped.saturating_sub(driver.sum(is_drop))),
            ("rx_nohandler", device.rx_nohandler),
        ],
        Cause::BufferShortage | Cause::DeviceError | Cause::XdpError | Cause::Backlog => &[],
    };
    counters.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

impl Driver<'_> {
    /// The sum of the counters whose name is chosen, the number of their queue apart.
    fn sum(&self, is: fn(&str) -> bool) -> u64 {
        let chosen = self.counters.iter().filter(|(name, _)| is(&plain(name)));
        chosen.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    fn of(&self, cause: Cause) -> Vec<(String, u64)> {
        let own = self.counters.iter().filter(|(name, _)| sorted(&plain(name)) == Some(cause));
        let mut own: Vec<(String, u64)> = own.cloned().collect();
        if cause == Cause::DeviceError {
            // virtio_net counts what XDP drops among its own drops (`virtnet_receive`).
            let ours = if self.name == "virtio_net" { self.sum(|name| name == "xdp_drops") } else { 0 };
            own.push(("drops".to_owned(), self.sum(is_drop).saturating_sub(ours)));
        }
        own
    }
}

fn is_drop(name: &str) -> bool {
    name == "drops"
}

/// `rx_queue_0_xdp_drops`, `rx0_xdp_drops` and `rx_xdp_drops` without direction and queue: `xdp_drops`.
fn plain(name: &str) -> String {
    let name = name.strip_prefix("rx").unwrap_or(name);
    let name = name.trim_start_matches(|c: char| c == '_' || c == '-' || c.is_ascii_digit());
    let name = name.strip_prefix("queue_").unwrap_or(name);
    name.trim_start_matches(|c: char| c == '_' || c.is_ascii_digit()).to_owned()
}

/// The cause that a counter of a driver tells of, by the names that the drivers of the kernel give.
fn sorted(name: &str) -> Option<Cause> {
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if name.starts_with("tx") {
        return None;
    }
    Some(match () {
        // What an XDP program dropped on purpose, and what it handed on, is no loss.
        () if has(&["xdp"]) && has(&["err", "fail", "full"]) => Cause::XdpError,
        () if has(&["xdp"]) => return None,
        () if has(&["missed", "fifo", "no_dma", "overrun", "over_err", "discards_phy"]) => Cause::RingOverrun,
        () if has(&["no_buf", "out_of_buffer", "alloc", "kicks_fail"]) => Cause::BufferShortage,
        () if has(&["crc", "csum_err", "csum_bad", "symbol_err", "align_err"]) => Cause::ChecksumError,
        () if has(&["length_err", "oversize", "undersize", "jabber", "too_long"]) => Cause::LengthError,
        () => return None,
    })
}

/// What each CPU dropped because its queue was full: the second number of its line, in hexadecimal.
fn of_softnet(text: &str) -> Vec<(String, u64)> {
    let dropped = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok();
    vec![("softnet_dropped".to_owned(), text.lines().filter_map(dropped).sum())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(loss: &Loss, cause: Cause) -> u64 {
        loss.causes.iter().find(|lost| lost.cause == cause).unwrap().packets
    }

    fn sorted_of(name: &str, device: Stats64, counters: &[(&str, u64)]) -> Loss {
        let counters: Vec<(String, u64)> =
            counters.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        sort("wan0", &device, &Driver { name, counters: &counters }, "00000010 0000000a 0\n0001 0001 0\n")
    }

    #[test]
    fn what_the_program_dropped_is_no_loss() {
        let mut device = Stats64::default();
        (device.rx_packets, device.rx_dropped) = (1000, 47);
        let own = [
            ("rx_queue_0_drops", 25),
            ("rx_queue_0_xdp_drops", 20),
            ("rx_queue_1_drops", 20),
            ("rx_queue_1_xdp_drops", 20),
        ];
        let loss = sorted_of("virtio_net", device, &own);
        assert_eq!((lost(&loss, Cause::DeviceError), lost(&loss, Cause::AfterXdp)), (5, 2));
        assert_eq!((loss.sides(), lost(&loss, Cause::Backlog)), ((5, 13), 11));
        assert!((loss.ratio() - 18.0 / 1005.0).abs() < 1e-9);
    }

    #[test]
    fn what_two_counters_tell_is_counted_once() {
        let mut device = Stats64::default();
        (device.rx_missed_errors, device.rx_crc_errors) = (7, 1);
        let own = [
            ("rx_missed_errors", 7),
            ("rx_csum_errors", 4),
            ("rx_no_buffer_count", 3),
            ("tx_fifo_errors", 9),
        ];
        let loss = sorted_of("igb", device, &own);
        let found = [Cause::RingOverrun, Cause::ChecksumError, Cause::BufferShortage, Cause::XdpError];
        assert_eq!(found.map(|cause| lost(&loss, cause)), [7, 4, 3, 0]);
        assert_eq!(sorted("xdp_tx_errors"), Some(Cause::XdpError));
        assert_eq!((sorted("xdp_drops"), sorted("packets")), (None, None));
    }
}
