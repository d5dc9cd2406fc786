//! Regions: products of sets of header fields.

use rustc_hash::FxHashMap;

use super::set::Set;

/// What a frame carries; the fields differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    V4,
    V6,
    /// Everything that is not IP, ARP included.
    Ether,
}

/// A header field. The order is that in which subtraction splits: what stands first stays whole in more of the pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Dimension {
    /// The VLAN stack, see [`super::stack_number`].
    Stack,
    /// 1: the frame needs `ip_options: pass`.
    Options,
    /// See [`Part`].
    Part,
    /// Layer-3 bytes.
    Size,
    /// What a neighbour advertisement speaks of.
    Target,
    /// Source address; the sender of an ARP packet.
    Source,
    Destination,
    /// The IP protocol; of [`Kind::Ether`] the key that `ethertype` conditions look at.
    Protocol,
    /// Type and code: `type << 8 | code`.
    Icmp,
    DestinationPort,
    SourcePort,
    /// 0: new, 1: established.
    Tcp,
}

/// Values of [`Dimension::Part`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Part {
    Whole,
    /// The first fragment of a packet.
    First,
    Later,
}

/// Tags that may stand outside: values of `outer_tag`.
pub const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// fe80::, the target that counts for packets without one.
pub const LINK_LOCAL: u128 = 0xfe80 << 112;

/// Type of the ICMPv6 message with a target (RFC 4861, section 4.4).
pub const NEIGHBOUR_ADVERTISEMENT: u128 = 136;

const ARP: u128 = 0x0806;
const ICMPV6: u128 = 58;

impl Dimension {
    pub const ALL: [Dimension; 12] = [
        Dimension::Stack,
        Dimension::Options,
        Dimension::Part,
        Dimension::Size,
        Dimension::Target,
        Dimension::Source,
        Dimension::Destination,
        Dimension::Protocol,
        Dimension::Icmp,
        Dimension::DestinationPort,
        Dimension::SourcePort,
        Dimension::Tcp,
    ];

    /// The largest number.
    pub fn end(self, kind: Kind) -> u128 {
        match self {
            Dimension::Stack => 4096 * (1 + 4096 * TAGS.len() as u128) - 1,
            Dimension::Options | Dimension::Tcp => 1,
            Dimension::Part => 2,
            // No frame that can be received is larger.
            Dimension::Size => 0x1_ffff,
            Dimension::Source | Dimension::Destination if kind != Kind::V6 => u32::MAX.into(),
            Dimension::Target | Dimension::Source | Dimension::Destination => u128::MAX,
            Dimension::Protocol if kind != Kind::Ether => 255,
            Dimension::Protocol | Dimension::Icmp | Dimension::DestinationPort | Dimension::SourcePort => {
                65_535
            }
        }
    }
}

/// A product of sets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Region {
    pub kind: Kind,
    sides: [Set; Dimension::ALL.len()],
}

impl Region {
    /// Every frame of a kind.
    pub fn all(kind: Kind) -> Self {
        Region { kind, sides: [const { Set::ALL }; Dimension::ALL.len()] }
    }

    pub fn side(&self, dimension: Dimension) -> &Set {
        &self.sides[dimension as usize]
    }

    /// The ranges of one side, ascending.
    pub fn ranges(&self, dimension: Dimension) -> Vec<super::Range> {
        self.side(dimension).ranges(dimension.end(self.kind))
    }

    /// The same with one side replaced.
    pub fn with(mut self, dimension: Dimension, set: Set) -> Self {
        self.sides[dimension as usize] = set;
        self
    }

    /// The same with one side replaced by the union of ranges.
    pub fn within(self, dimension: Dimension, ranges: &[super::Range]) -> Self {
        let end = dimension.end(self.kind);
        self.with(dimension, Set::new(ranges.to_vec(), end))
    }

    /// The same with one side replaced by everything but `set`.
    pub fn outside(self, dimension: Dimension, set: &Set) -> Self {
        let end = dimension.end(self.kind);
        self.with(dimension, Set::ALL.difference(set, end))
    }

    pub fn is_empty(&self) -> bool {
        self.sides.iter().any(Set::is_empty)
    }

    pub fn meets(&self, other: &Region) -> bool {
        self.kind == other.kind && self.sides.iter().zip(&other.sides).all(|(own, other)| own.meets(other))
    }

    pub fn covers(&self, inner: &Region) -> bool {
        let covers = |dimension: &Dimension| {
            self.side(*dimension).covers(inner.side(*dimension), dimension.end(self.kind))
        };
        self.kind == inner.kind && Dimension::ALL.iter().all(covers)
    }

    /// What is in both; nothing where they do not meet.
    pub fn intersection(&self, other: &Region) -> Option<Region> {
        if !self.meets(other) {
            return None;
        }
        let mut both = self.clone();
        for (own, other) in both.sides.iter_mut().zip(&other.sides) {
            *own = own.intersection(other);
        }
        Some(both)
    }

    /// This region less `other`, which it meets, as regions that do not overlap.
    pub fn difference(&self, other: &Region) -> Vec<Region> {
        let (mut rest, mut pieces) = (self.clone(), Vec::new());
        for dimension in Dimension::ALL {
            let (own, other) = (self.side(dimension), other.side(dimension));
            if other.is_all() {
                continue;
            }
            let outside = own.difference(other, dimension.end(self.kind));
            if !outside.is_empty() {
                pieces.push(rest.clone().with(dimension, outside));
                rest = rest.with(dimension, own.intersection(other));
            }
        }
        pieces
    }

    /// Whether the frame with these fields is in it.
    pub fn contains(&self, kind: Kind, fields: &[u128; Dimension::ALL.len()]) -> bool {
        self.kind == kind && self.sides.iter().zip(fields).all(|(set, number)| set.contains(*number))
    }

    /// How many frames, as a logarithm to base two.
    pub fn log2(&self) -> f64 {
        Dimension::ALL.iter().map(|dimension| self.side(*dimension).log2(dimension.end(self.kind))).sum()
    }

    /// The part of it in which fields that a frame does not have are what they count as.
    pub fn real(self) -> Option<Region> {
        let (dimension, counts_as, bearers) = match self.kind {
            Kind::V4 => return Some(self),
            Kind::V6 => {
                let messages = Region::all(Kind::V6).with(Dimension::Protocol, Set::one(ICMPV6));
                let first = NEIGHBOUR_ADVERTISEMENT << 8;
                let messages = messages.within(Dimension::Icmp, &[(first, first | 255)]);
                (Dimension::Target, LINK_LOCAL, messages.with(Dimension::Part, Set::one(Part::Whole as u128)))
            }
            Kind::Ether => {
                (Dimension::Source, 0, Region::all(Kind::Ether).with(Dimension::Protocol, Set::one(ARP)))
            }
        };
        if !self.side(dimension).contains(counts_as) {
            return self.intersection(&bearers);
        }
        let bears = self.meets(&bearers);
        Some(if bears { self } else { self.with(dimension, Set::ALL) })
    }
}

/// The order in which [`merge`] tries to join regions: what reads best as a list first.
const MERGED: [Dimension; 12] = [
    Dimension::DestinationPort,
    Dimension::Icmp,
    Dimension::SourcePort,
    Dimension::Tcp,
    Dimension::Source,
    Dimension::Destination,
    Dimension::Protocol,
    Dimension::Stack,
    Dimension::Part,
    Dimension::Size,
    Dimension::Options,
    Dimension::Target,
];

/// Joins regions that differ on one side only, as long as there are any; the union stays the same. `join` puts together
/// what is said of two regions that become one.
pub fn merge<T>(mut regions: Vec<(Region, T)>, mut join: impl FnMut(&mut T, T)) -> Vec<(Region, T)> {
    loop {
        let before = regions.len();
        for dimension in MERGED {
            if regions.len() > 1 {
                regions = merge_along(regions, dimension, &mut join);
            }
        }
        if regions.len() == before {
            return regions;
        }
    }
}

fn merge_along<T>(
    regions: Vec<(Region, T)>,
    dimension: Dimension,
    join: &mut impl FnMut(&mut T, T),
) -> Vec<(Region, T)> {
    let mut places: FxHashMap<Region, usize> = FxHashMap::default();
    let mut merged: Vec<(Region, T)> = Vec::with_capacity(regions.len());
    // One union a group: joining two at a time would sort a long list again and again.
    let mut parts: Vec<Vec<super::Range>> = Vec::with_capacity(regions.len());
    for (region, said) in regions {
        let ranges = region.ranges(dimension);
        match places.get(&region.clone().with(dimension, Set::ALL)) {
            Some(&place) => {
                parts[place].extend(ranges);
                join(&mut merged[place].1, said);
            }
            None => {
                places.insert(region.clone().with(dimension, Set::ALL), merged.len());
                merged.push((region, said));
                parts.push(ranges);
            }
        }
    }
    let joined = |((region, said), ranges): ((Region, T), Vec<_>)| (region.within(dimension, &ranges), said);
    merged.into_iter().zip(parts).map(joined).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(low: u128, high: u128) -> Region {
        let tcp = Region::all(Kind::V4).with(Dimension::Protocol, Set::one(6));
        tcp.within(Dimension::DestinationPort, &[(low, high)])
    }

    #[test]
    fn a_difference_is_what_is_in_one_only() {
        let wide = ports(10, 20);
        let narrow = ports(12, 30).within(Dimension::Source, &[(5, 9)]);
        let pieces = wide.difference(&narrow);
        for (port, source) in [(9, 5), (10, 5), (12, 5), (12, 4), (20, 9), (20, 10), (21, 6)] {
            let mut fields = [0; 12];
            fields[Dimension::Protocol as usize] = 6;
            fields[Dimension::DestinationPort as usize] = port;
            fields[Dimension::Source as usize] = source;
            let holding = pieces.iter().filter(|piece| piece.contains(Kind::V4, &fields)).count();
            let expected = wide.contains(Kind::V4, &fields) && !narrow.contains(Kind::V4, &fields);
            assert_eq!(holding, usize::from(expected), "{port} {source}");
        }
    }

    #[test]
    fn what_differs_on_one_side_becomes_one() {
        let udp = ports(53, 53).with(Dimension::Protocol, Set::one(17));
        let merged =
            merge(vec![(ports(1, 5), 1), (ports(53, 53), 2), (udp, 4), (ports(6, 9), 8)], |own, more| {
                *own += more;
            });
        assert_eq!(merged.len(), 2, "{merged:?}");
        assert_eq!(merged.iter().map(|(_, said)| said).sum::<i32>(), 15);
    }

    #[test]
    fn a_target_is_asked_of_advertisements_only() {
        let elsewhere = Region::all(Kind::V6).with(Dimension::Target, Set::one(1));
        let real = elsewhere.real().expect("advertisements have a target");
        assert_eq!(real.side(Dimension::Protocol), &Set::one(58));
        assert_eq!(ports(1, 2).real(), Some(ports(1, 2)));
        let udp = Region::all(Kind::V6)
            .with(Dimension::Protocol, Set::one(17))
            .with(Dimension::Target, Set::one(1));
        assert_eq!(udp.real(), None);
    }
}
