//! Offloads and statistics of a device, by the ethtool ioctl (SIOCETHTOOL, `linux/ethtool.h`).
//!
//! Promises: a feature is found by its name, never by a number that changes between kernels; what is reported is what is
//! active, not what was asked for.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketType, socket};

const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSTATS: u32 = 0x1d;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETHTOOL_SFEATURES: u32 = 0x3b;
const ETHTOOL_GCHANNELS: u32 = 0x3c;
/// The sets of strings that name the statistics and the features.
const ETH_SS_STATS: u32 = 1;
const ETH_SS_FEATURES: u32 = 4;
/// Bytes of one name.
const ETH_GSTRING_LEN: usize = 32;

/// One feature of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The kernel's name (`rx-vlan-hw-parse`), which `ethtool -K` takes too.
    pub(super) name: String,
    pub(super) on: bool,
    /// Nobody can change it.
    pub(super) fixed: bool,
}

/// Every feature that the kernel knows, on this device.
pub(super) fn features(device: &str) -> io::Result<Vec<State>> {
    let socket = open()?;
    let names = names(&socket, device, ETH_SS_FEATURES)?;
    let blocks = names.len().div_ceil(32);
    // cmd, size, then per 32 features: available, requested, active, never_changed.
    let mut words = vec![0u32; 2 + 4 * blocks];
    words[0] = ETHTOOL_GFEATURES;
    words[1] = blocks as u32;
    call(&socket, device, &mut words)?;
    let bit = |index: usize, word: usize| words[2 + 4 * (index / 32) + word] >> (index % 32) & 1 == 1;
    let state = |(index, name)| State { name, on: bit(index, 2), fixed: !bit(index, 0) || bit(index, 3) };
    Ok(names.into_iter().enumerate().map(state).collect())
}

/// Asks for a feature to be on or off. The caller reads back what became of it.
pub(super) fn switch(device: &str, feature: &str, on: bool) -> io::Result<()> {
    let socket = open()?;
    let names = names(&socket, device, ETH_SS_FEATURES)?;
    let unknown =
        || io::Error::new(io::ErrorKind::NotFound, format!("the kernel knows no feature {feature}"));
    let index = names.iter().position(|name| name == feature).ok_or_else(unknown)?;
    let blocks = names.len().div_ceil(32);
    // cmd, size, then per 32 features: valid, requested.
    let mut words = vec![0u32; 2 + 2 * blocks];
    words[0] = ETHTOOL_SFEATURES;
    words[1] = blocks as u32;
    words[2 + 2 * (index / 32)] = 1 << (index % 32);
    words[3 + 2 * (index / 32)] = u32::from(on) << (index % 32);
    call(&socket, device, &mut words)
}

/// The name of the driver.
pub(super) fn driver(device: &str) -> io::Result<String> {
    // cmd, driver, version, firmware, bus, expansion ROM (32 bytes each), 12 bytes reserved, five counts.
    let mut words = [0u32; 1 + 5 * 8 + 3 + 5];
    words[0] = ETHTOOL_GDRVINFO;
    call(&open()?, device, &mut words)?;
    let name: Vec<u8> = words[1..9].iter().flat_map(|word| word.to_ne_bytes()).collect();
    Ok(text(&name))
}

/// The queues of a device, and how many it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Channels {
    pub(super) most_receive: u32,
    /// Most queues that receive and send.
    pub(super) most_combined: u32,
    pub(super) receive: u32,
    pub(super) send: u32,
    pub(super) combined: u32,
}

/// The queues; `EOPNOTSUPP` where the driver has no such setting.
pub(super) fn channels(device: &str) -> io::Result<Channels> {
    // cmd, most receive, send, other, combined, then as many that are used.
    let mut words = [0u32; 9];
    words[0] = ETHTOOL_GCHANNELS;
    call(&open()?, device, &mut words)?;
    let [_, most_receive, _, _, most_combined, receive, send, _, combined] = words;
    Ok(Channels { most_receive, most_combined, receive, send, combined })
}

fn open() -> io::Result<OwnedFd> {
    Ok(socket(AddressFamily::INET, SocketType::DGRAM, None)?)
}

/// What the driver counts, by its own names; empty where it counts nothing.
pub(super) fn statistics(device: &str) -> io::Result<Vec<(String, u64)>> {
    let socket = open()?;
    let names = names(&socket, device, ETH_SS_STATS)?;
    // cmd, count, then 64 bits each.
    let mut words = vec![0u32; 2 + 2 * names.len()];
    words[0] = ETHTOOL_GSTATS;
    words[1] = names.len() as u32;
    if !names.is_empty() {
        call(&socket, device, &mut words)?;
    }
    let values = words[2..].chunks_exact(2).map(|pair| {
        let [first, second] = [pair[0], pair[1]].map(u32::to_ne_bytes);
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&first);
        bytes[4..].copy_from_slice(&second);
        u64::from_ne_bytes(bytes)
    });
    Ok(names.into_iter().zip(values).collect())
}

/// The names of a set, in their order.
fn names(socket: &OwnedFd, device: &str, set: u32) -> io::Result<Vec<String>> {
    // cmd, reserved, mask (64 bits), then the count.
    let mut info = [ETHTOOL_GSSET_INFO, 0, 1 << set, 0, 0];
    call(socket, device, &mut info)?;
    // The kernel leaves the bit of a set that the device does not have unset.
    let count = if info[2] == 0 { 0 } else { info[4] as usize };
    let mut words = vec![0u32; 3 + count * ETH_GSTRING_LEN / 4];
    words[..3].copy_from_slice(&[ETHTOOL_GSTRINGS, set, count as u32]);
    call(socket, device, &mut words)?;
    let bytes: Vec<u8> = words[3..].iter().flat_map(|word| word.to_ne_bytes()).collect();
    Ok(bytes.chunks_exact(ETH_GSTRING_LEN).map(text).collect())
}

/// A name that ends with a zero byte, or with its field.
fn text(name: &[u8]) -> String {
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..end]).into_owned()
}

/// One ethtool command. `words` begins with the command and holds room for the whole answer.
fn call(socket: &OwnedFd, device: &str, words: &mut [u32]) -> io::Result<()> {
    // SAFETY: a structure of integers and pointers, for which zero is a value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    if device.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::NotFound.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(device.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
    // SAFETY: the name ends with a zero byte; each command above is given as many words as it reads and writes.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_has_the_features_that_matter() {
        let features = features("lo").unwrap();
        for name in ["rx-vlan-hw-parse", "rx-vlan-stag-hw-parse", "rx-lro", "rx-gro-hw"] {
            assert!(features.iter().any(|feature| feature.name == name), "{name} is not in {features:?}");
        }
        assert!(switch("lo", "no-such-feature", true).is_err());
    }
}
