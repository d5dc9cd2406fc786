//! Rule sets with the structure of real ones: access lists, firewalls, IP chains (the three seeds of ClassBench, Taylor
//! and Turner 2007). Nested prefixes of telling lengths, few services used by many rules, wildcards where such sets have
//! them.

use std::path::Path;

use perimeter::ruleset::{
    About, Accounting, Action, AddressSet, Fragments, Interface, IpOptions, Mode, Oversize, Rule, Ruleset,
    Service, VlanEntry, VlanRange, Written,
};

/// Which kind of set.
#[derive(Clone, Copy, Debug)]
pub enum Seed {
    Acl,
    Firewall,
    Ipc,
}

/// A small generator of reproducible numbers (SplitMix64).
pub struct Random(pub(crate) u64);

impl Random {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    pub fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize]
    }
}

/// A set of `count` rules on one untagged interface.
pub fn ruleset(seed: Seed, count: usize) -> Ruleset {
    let mut random = Random(count as u64);
    // Addresses cluster: a few networks hold most prefixes, and longer prefixes lie in shorter ones.
    let networks: Vec<u32> = (0..count.div_ceil(12)).map(|_| usable(random.draw() as u32)).collect();
    let rules = (0..count)
        .map(|number| {
            let (from, to) = lengths(seed, &mut random);
            let from = prefix(&mut random, &networks, from);
            let to = prefix(&mut random, &networks, to);
            rule(number, from, to, vec![service(seed, &mut random)])
        })
        .collect();
    with_rules(rules)
}

/// Prefix lengths of source and destination.
fn lengths(seed: Seed, random: &mut Random) -> (u32, u32) {
    let long = [24, 27, 28, 29, 30, 32, 32, 32];
    match seed {
        Seed::Acl => (random.of(&[0, 8, 16, 21, 23, 24, 24, 28, 32, 32]), random.of(&long)),
        Seed::Firewall => match random.below(10) {
            0..=3 => (0, random.of(&long)),
            4..=6 => (random.of(&long), 0),
            7 => (random.of(&[8, 12, 16]), random.of(&long)),
            _ => (random.of(&long), random.of(&long)),
        },
        Seed::Ipc => (random.of(&[0, 8, 14, 16, 20, 24, 32, 32]), random.of(&[0, 8, 15, 16, 22, 24, 32, 32])),
    }
}

/// `count` rules that no real set looks like: prefixes of any length from 8 on all over both families, ranges of ports,
/// one rule in five a deny rule, and networks with holes.
pub fn adversarial(count: usize) -> Ruleset {
    let mut random = Random(count as u64 ^ 0xbad);
    let mut rules: Vec<Rule> = (0..count)
        .map(|number| {
            let v6 = random.below(3) == 0;
            let mut end = || {
                let whole = anywhere(&mut random, v6);
                let less = whole.difference(&anywhere(&mut random, v6));
                if less.is_empty() { whole } else { less }
            };
            let (from, to) = (end(), end());
            let low = random.draw() as u16;
            let service = Service {
                protocol: Some(random.of(&[6, 17])),
                destination_ports: Some((low, low.saturating_add(random.below(4096) as u16))),
                ..Service::default()
            };
            let action = if random.below(5) == 0 { Action::Deny } else { Action::Allow };
            Rule { action, ..rule(number, from, to, vec![service]) }
        })
        .collect();
    rules.sort_by_key(|rule| rule.action);
    with_rules(rules)
}

/// A prefix of a random length.
fn anywhere(random: &mut Random, v6: bool) -> AddressSet {
    if v6 {
        let host = u128::from(random.draw()) << 64 | u128::from(random.draw());
        let size = u128::MAX >> (8 + random.below(120));
        return AddressSet::new(Vec::new(), vec![(host & !size, host | size)]);
    }
    let host = usable(random.draw() as u32);
    let size = u32::MAX.checked_shr(8 + random.below(25) as u32).unwrap_or(0);
    AddressSet::new(vec![(host & !size, host | size)], Vec::new())
}

/// Twenty rules, of which one is about `count` hosts all over the address space.
pub fn scattered(count: usize) -> Ruleset {
    let mut random = Random(1);
    let mut ruleset = ruleset(Seed::Acl, 20);
    let hosts = (0..count).map(|_| random.draw() as u32).map(|host| (host, host)).collect();
    ruleset.rules[7].from = AddressSet::new(hosts, Vec::new());
    ruleset
}

fn prefix(random: &mut Random, networks: &[u32], length: u32) -> AddressSet {
    if length == 0 {
        return AddressSet::any();
    }
    let host = random.of(networks) ^ (random.draw() as u32 & 0xfff);
    let size = u32::MAX.checked_shr(length).unwrap_or(0);
    AddressSet::new(vec![(host & !size, host | size)], Vec::new())
}

/// Out of the martian blocks.
fn usable(address: u32) -> u32 {
    (address & 0x3fff_ffff) | 0x4000_0000 | 0x8000_0000 & address
}

fn service(seed: Seed, random: &mut Random) -> Service {
    let ports =
        [22, 25, 53, 80, 110, 123, 143, 161, 389, 443, 514, 636, 1521, 1526, 3306, 5432, 5631, 8080, 8443];
    let tcp = |port: u16| Service {
        protocol: Some(6),
        destination_ports: Some((port, port)),
        ..Service::default()
    };
    let range =
        |low, high| Service { protocol: Some(6), destination_ports: Some((low, high)), ..Service::default() };
    match (seed, random.below(20)) {
        (_, 0) => Service::default(),
        (_, 1) => Service { protocol: Some(1), ..Service::default() },
        (_, 2) => range(1024, 65_535),
        (_, 3) => Service { protocol: Some(6), ..Service::default() },
        (_, 4) => {
            let low = random.below(60_000) as u16;
            range(low, low + random.below(2_000) as u16)
        }
        (Seed::Acl, _) => tcp(random.of(&ports)),
        (_, 5..=8) => Service {
            protocol: Some(17),
            source_ports: Some(random.of(&[(53, 53), (123, 123), (1024, 65_535), (0, 65_535)])),
            destination_ports: Some((random.of(&ports), 65_535)),
            ..Service::default()
        },
        _ => tcp(random.of(&ports)),
    }
}

fn rule(number: usize, from: AddressSet, to: AddressSet, services: Vec<Service>) -> Rule {
    Rule {
        id: format!("r{number}"),
        action: Action::Allow,
        interfaces: vec![0],
        vlans: None,
        from,
        to,
        services,
        ethertypes: Vec::new(),
        log: false,
        about: About::default(),
        written: Written::default(),
        line: number + 1,
    }
}

fn with_rules(rules: Vec<Rule>) -> Ruleset {
    let interface = Interface {
        name: "wan0".into(),
        mode: Mode::Auto,
        enforce: true,
        mtu: 1500,
        oversize: Oversize::Drop,
        fragments: Fragments::Stateless,
        ip_options: IpOptions::Drop,
        outer_tag: 0x8100,
        vlans: vec![VlanEntry { label: "untagged".into(), range: VlanRange::Untagged }],
        sources: None,
        accounting: Accounting { vlan: true, size: true, fragments: true, pmtu: true, last_hit: true },
    };
    Ruleset { interfaces: vec![interface], vlans: Vec::new(), rules }
}

/// A set of ClassBench's, where it is at hand: each line allows, flags are ignored.
pub fn classbench(name: &str) -> Option<Ruleset> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/classbench").join(name);
    let text = std::fs::read_to_string(path).ok()?;
    let rules = text.lines().enumerate().map(|(number, line)| {
        let fields: Vec<&str> = line.trim_start_matches('@').split_whitespace().collect();
        let ports = |at: usize| Some((fields[at].parse().unwrap(), fields[at + 2].parse().unwrap()));
        let protocol = u8::from_str_radix(&fields[8][2..4], 16).unwrap();
        let service = match (fields[8].ends_with("0x00"), protocol) {
            (true, _) => Service::default(),
            (_, 6 | 17) => Service {
                protocol: Some(protocol),
                source_ports: ports(2),
                destination_ports: ports(5),
                ..Service::default()
            },
            _ => Service { protocol: Some(protocol), ..Service::default() },
        };
        rule(number, classbench_prefix(fields[0]), classbench_prefix(fields[1]), vec![service])
    });
    Some(with_rules(rules.collect()))
}

fn classbench_prefix(text: &str) -> AddressSet {
    let (address, length) = text.split_once('/').unwrap();
    let address = u32::from(address.parse::<std::net::Ipv4Addr>().unwrap());
    match length.parse().unwrap() {
        0 => AddressSet::any(),
        length => {
            let size = u32::MAX.checked_shr(length).unwrap_or(0);
            AddressSet::new(vec![(address & !size, address | size)], Vec::new())
        }
    }
}
