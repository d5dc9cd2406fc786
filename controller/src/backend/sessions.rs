//! Who is connected to this machine, and on which device: read from the kernel, nothing is changed.
//!
//! Promises: the answer is of this moment and of this network namespace. The connection that a command is typed in is
//! that of the nearest ancestor which knows one: `sudo` hides it from the command itself. What cannot be read is left
//! out, since it only serves a warning.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{InfoData, InfoVlan, LinkAttribute, LinkInfo, LinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::netlink::dump;

/// A TCP connection that is established.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    pub peer: SocketAddr,
    pub local: SocketAddr,
}

/// A network device and the addresses it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    pub index: u32,
    pub name: String,
    /// The VLAN device's parent and id, where it is one.
    pub vlan: Option<(u32, u16)>,
    /// The bridge or bond that it is a port of.
    pub controller: Option<u32>,
    pub addresses: Vec<IpAddr>,
}

/// All that a warning about connections needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// The connection that the command is typed in.
    pub own: Option<Connection>,
    pub established: Vec<Connection>,
    pub devices: Vec<Holder>,
}

impl Sessions {
    /// Those of this machine.
    pub fn read() -> Sessions {
        let tables =
            ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
        Sessions {
            own: own(),
            established: tables.iter().flat_map(|table| table.lines().filter_map(established)).collect(),
            devices: devices().unwrap_or_default(),
        }
    }
}

/// The connection of this process, or of the nearest ancestor that has one.
fn own() -> Option<Connection> {
    if let Ok(text) = std::env::var("SSH_CONNECTION") {
        return parse_own(&text);
    }
    let mut process = rustix::process::getppid().map_or(0, |process| process.as_raw_nonzero().get());
    while process > 1 {
        let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        let known =
            environment.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"SSH_CONNECTION="));
        if let Some(text) = known {
            return parse_own(&String::from_utf8_lossy(text));
        }
        process = parent(&std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?)?;
    }
    None
}

/// The fourth field of `/proc/PID/stat`; the second, a name in brackets, may hold anything.
fn parent(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// `SSH_CONNECTION`: address and port of the client, then of the server.
fn parse_own(text: &str) -> Option<Connection> {
    let mut words = text.split(' ');
    let mut end = || Some(SocketAddr::new(plain(words.next()?.parse().ok()?), words.next()?.parse().ok()?));
    Some(Connection { peer: end()?, local: end()? })
}

/// One line of `/proc/net/tcp` or `tcp6` (kernel: Documentation/networking/proc_net_tcp), if it is established.
fn established(line: &str) -> Option<Connection> {
    const ESTABLISHED: &str = "01";
    let mut words = line.split_whitespace().skip(1);
    let (local, peer, state) = (words.next()?, words.next()?, words.next()?);
    (state == ESTABLISHED).then_some(())?;
    Some(Connection { peer: end(peer)?, local: end(local)? })
}

/// An address in words of 32 bits in the byte order of the machine, and a port.
fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let mut bytes = Vec::with_capacity(16);
    for at in (0..address.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    let address = match <[u8; 4]>::try_from(&bytes[..]) {
        Ok(v4) => Ipv4Addr::from(v4).into(),
        Err(_) => plain(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

/// An IPv4 address for one that is only written as IPv6.
fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Every device with its addresses (rtnetlink, RTM_GETLINK and RTM_GETADDR).
fn devices() -> io::Result<Vec<Holder>> {
    let mut devices: Vec<Holder> = Vec::new();
    for message in dump(NETLINK_ROUTE, RouteNetlinkMessage::GetLink(LinkMessage::default()))? {
        if let RouteNetlinkMessage::NewLink(link) = message {
            devices.push(device(link));
        }
    }
    for message in dump(NETLINK_ROUTE, RouteNetlinkMessage::GetAddress(AddressMessage::default()))? {
        let RouteNetlinkMessage::NewAddress(message) = message else { continue };
        let holder = devices.iter_mut().find(|device| device.index == message.header.index);
        // On a point-to-point link the own address is the local one, elsewhere both are the same.
        let local = message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Local(address) => Some(*address),
            _ => None,
        });
        let address = message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        });
        if let Some(holder) = holder {
            holder.addresses.extend(local.or(address));
        }
    }
    Ok(devices)
}

fn device(link: LinkMessage) -> Holder {
    let mut device = Holder { index: link.header.index, ..Holder::default() };
    let (mut id, mut parent) = (None, None);
    for attribute in link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => device.name = name,
            LinkAttribute::Link(index) => parent = Some(index),
            LinkAttribute::Controller(index) => device.controller = Some(index),
            LinkAttribute::LinkInfo(info) => id = info.iter().find_map(vlan_id),
            _ => {}
        }
    }
    device.vlan = parent.zip(id);
    device
}

fn vlan_id(info: &LinkInfo) -> Option<u16> {
    let LinkInfo::Data(InfoData::Vlan(data)) = info else { return None };
    data.iter().find_map(|one| match one {
        InfoVlan::Id(id) => Some(*id),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(peer: &str, local: &str) -> Option<Connection> {
        Some(Connection { peer: peer.parse().unwrap(), local: local.parse().unwrap() })
    }

    #[test]
    fn the_connection_of_ssh_is_read_as_it_is_written() {
        let found = parse_own("198.51.100.44 51514 203.0.113.10 22");
        assert_eq!(found, connection("198.51.100.44:51514", "203.0.113.10:22"));
        assert_eq!(
            parse_own("2001:db8::1 5 2001:db8::2 22"),
            connection("[2001:db8::1]:5", "[2001:db8::2]:22")
        );
        assert_eq!(parse_own("UNKNOWN 65535 UNKNOWN 65535"), None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_table_is_read() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue";
        assert_eq!(established(head), None);
        let line = "   1: 0A7100CB:0016 2C6433C6:C93A 01 00000000:00000000 00:00000000 00000000 0 0 1";
        assert_eq!(established(line), connection("198.51.100.44:51514", "203.0.113.10:22"));
        assert_eq!(established(&line.replace(" 01 ", " 0A ")), None);
        let mapped = "0: 0000000000000000FFFF00000A7100CB:0016 0000000000000000FFFF00002C6433C6:C93A 01";
        assert_eq!(established(mapped), connection("198.51.100.44:51514", "203.0.113.10:22"));
    }

    #[test]
    fn every_machine_holds_a_loopback_address() {
        let devices = devices().unwrap();
        let lo = devices.iter().find(|device| device.name == "lo").unwrap();
        assert_eq!(lo.vlan, None);
        assert_eq!(parent("12 (a ) b) S 7 12 12 0"), Some(7));
    }
}
