//! Witnesses: frames of a region, judged by both models.

use std::ops::ControlFlow;

use perimeter_classifier::verdict::Decision;

use super::Side;
use super::frame::{Fields, build};
use super::pieces::Pieces;
use crate::simulate::judge;
use crate::space::{Budget, Carved, Dimension, Kind, LINK_LOCAL, Region, Set, Shelves, never};

/// A frame that shows a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    pub frame: Vec<u8>,
    /// The rule that passes it, by position in the passing side's ruleset.
    pub passed_by: usize,
    /// What the other side decides.
    pub dropped: Decision,
}

/// What a region is, exactly, and one of its frames.
pub(super) struct Shown {
    pub(super) exact: Vec<Region>,
    pub(super) witness: Option<Witness>,
    pub(super) is_whole: bool,
}

/// What both sides refuse alike, to find out whether anything is left of a region.
pub(super) struct Judges {
    refused: Shelves<()>,
}

/// Comparisons of regions for one difference; what both sides refuse is little.
const STEPS: usize = 20_000;

/// Exact regions that are kept of one difference.
const MOST_EXACT: usize = 64;

impl Judges {
    pub(super) fn new(before: &Pieces, after: &Pieces) -> Self {
        debug_assert_eq!(before.settled.len(), after.settled.len());
        let refused: Vec<(Region, ())> =
            before.settled.iter().cloned().chain(never()).map(|region| (region, ())).collect();
        Judges { refused: Shelves::new(&refused) }
    }

    /// Carves what is refused anyway from a region, and looks for a frame in each piece.
    pub(super) fn show(&self, region: &Region, dropping: Side<'_>, passing: Side<'_>) -> Shown {
        let mut budget = Budget::new(STEPS);
        let (shelf, _) = self.refused.of(region.kind);
        let Some(others) = shelf.meeting(region, &mut budget) else {
            return Shown { exact: Vec::new(), witness: None, is_whole: false };
        };
        let mut shown = Shown { exact: Vec::new(), witness: None, is_whole: true };
        let mut take = |piece: Region| {
            let Some(piece) = piece.real() else { return ControlFlow::Continue(()) };
            match search(&piece, dropping, passing) {
                Search::Found(witness) => {
                    shown.exact.push(piece);
                    shown.witness.get_or_insert(witness);
                }
                Search::Empty => {}
                Search::Contradicted => shown.is_whole = false,
            }
            if shown.exact.len() < MOST_EXACT { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let carved = shelf.carve(region.clone(), &others, &mut budget, &mut take);
        shown.is_whole &= carved == Carved::Whole;
        shown
    }
}

/// What came of looking for a frame.
enum Search {
    Found(Witness),
    /// No frame has these fields.
    Empty,
    /// There are frames, but the models do not tell them apart.
    Contradicted,
}

fn search(region: &Region, dropping: Side<'_>, passing: Side<'_>) -> Search {
    let mut is_empty = true;
    for fields in candidates(region) {
        let Some(frame) = sized(&fields, region.side(Dimension::Size)) else { continue };
        is_empty = false;
        let dropped = judge(dropping.tables, &frame);
        if let (Decision::Pass(rule), Some(_)) = (judge(passing.tables, &frame), dropped.reason()) {
            return Search::Found(Witness { frame, passed_by: rule as usize, dropped });
        }
    }
    if is_empty { Search::Empty } else { Search::Contradicted }
}

/// A frame of one of these sizes: the smallest there is, or one near the low end of a range. Fragments come in steps of
/// eight bytes, so that eight sizes in a row hold every remainder.
fn sized(fields: &Fields, sizes: &Set) -> Option<Vec<u8>> {
    if sizes.is_all() {
        return build(fields, None);
    }
    let ranges = sizes.ranges(Dimension::Size.end(fields.kind));
    let least = least_size(fields);
    ranges.iter().find_map(|&(low, high)| {
        let low = low.max(least);
        (low..=high.min(low + 7)).find_map(|size| build(fields, Some(size)))
    })
}

/// The layer-3 size of the smallest frame with these fields; none smaller can be built.
fn least_size(fields: &Fields) -> u128 {
    let layer2 = 14
        + if fields.get(Dimension::Stack) >= 4096 {
            8
        } else {
            4 * u128::from(fields.get(Dimension::Stack) != 0)
        };
    build(fields, None).map_or(0, |frame| frame.len() as u128 - layer2)
}

/// Fields that every frame of a region is like, as far as it matters whether there is a frame: the plainest first.
fn candidates(region: &Region) -> impl Iterator<Item = Fields> {
    let plain = plain(region);
    let values = |dimension: Dimension, special: &[u128]| -> Vec<u128> {
        let side = region.side(dimension);
        let first = plain.get(dimension);
        let others = special.iter().copied().filter(|value| *value != first && side.contains(*value));
        std::iter::once(first).chain(others).collect()
    };
    let protocols = values(Dimension::Protocol, &[1, 2, 3, 6, 17, 58, 59, 132, 0x0806, 0x88b5]);
    let messages = values(Dimension::Icmp, &[128 << 8, 133 << 8, 134 << 8, 135 << 8, 136 << 8, 137 << 8]);
    let parts = values(Dimension::Part, &[0, 1, 2]);
    let options = values(Dimension::Options, &[0, 1]);
    let all = protocols.into_iter().flat_map(move |protocol| {
        let (parts, options) = (parts.clone(), options.clone());
        messages.clone().into_iter().flat_map(move |message| {
            let options = options.clone();
            parts.clone().into_iter().flat_map(move |part| {
                options.clone().into_iter().map(move |option| (protocol, message, part, option))
            })
        })
    });
    all.map(move |(protocol, message, part, option)| {
        let mut fields = plain;
        fields.set(Dimension::Protocol, protocol);
        fields.set(Dimension::Icmp, message);
        fields.set(Dimension::Part, part);
        fields.set(Dimension::Options, option);
        fields
    })
}

/// The plainest fields of a region.
fn plain(region: &Region) -> Fields {
    let mut fields = Fields { kind: region.kind, values: [0; Dimension::ALL.len()] };
    for dimension in Dimension::ALL {
        let side = region.side(dimension);
        let wanted = preferred(region.kind, dimension).iter().copied().find(|value| side.contains(*value));
        let value = wanted.or_else(|| match dimension {
            Dimension::Source | Dimension::Destination => host(region, dimension),
            Dimension::Stack => stack(region),
            _ => side.first(),
        });
        fields.set(dimension, value.unwrap_or(0));
    }
    fields
}

/// Values that people expect where any would do.
fn preferred(kind: Kind, dimension: Dimension) -> &'static [u128] {
    /// 192.0.2.1 and 198.51.100.1 (RFC 5737), 2001:db8::1 and 2001:db8:1::1 (RFC 3849).
    const DOCUMENTED: [u128; 4] =
        [0xc000_0201, 0xc633_6401, 0x2001_0db8 << 96 | 1, 0x2001_0db8_0001 << 80 | 1];
    match (dimension, kind) {
        (Dimension::Source, Kind::V6) => &[DOCUMENTED[2]],
        (Dimension::Source, _) => &[DOCUMENTED[0]],
        (Dimension::Destination, Kind::V6) => &[DOCUMENTED[3]],
        (Dimension::Destination, _) => &[DOCUMENTED[1]],
        (Dimension::Target, _) => &[LINK_LOCAL | 1, LINK_LOCAL],
        (Dimension::Protocol, Kind::Ether) => &[0x0806, 0x88b5],
        (Dimension::Protocol, _) => &[6, 17],
        (Dimension::Icmp, Kind::V6) => &[128 << 8],
        (Dimension::Icmp, _) => &[8 << 8],
        (Dimension::DestinationPort, _) => &[443, 22, 53],
        (Dimension::SourcePort, _) => &[49_152],
        _ => &[],
    }
}

/// An address of a side: the first that may be a host of its range.
fn host(region: &Region, dimension: Dimension) -> Option<u128> {
    let ranges = region.ranges(dimension);
    let (low, high) = *ranges.first()?;
    Some(if low % 256 == 0 && low < high { low + 1 } else { low })
}

/// A VLAN stack that frames have: no tag of VLAN 0 or 4095.
fn stack(region: &Region) -> Option<u128> {
    let is_vid = |number: u128| (1..4095).contains(&(number % 4096));
    let is_stack = |number: u128| match number / 4096 {
        0 => number == 0 || is_vid(number),
        line => is_vid(number) && (1..4095).contains(&((line - 1) % 4096)),
    };
    let mut ranges = region.ranges(Dimension::Stack).into_iter();
    // Past one whole outer VLAN and its neighbours there is a stack that frames have.
    ranges.find_map(|(low, high)| (low..=high.min(low + 3 * 4096)).find(|number| is_stack(*number)))
}
