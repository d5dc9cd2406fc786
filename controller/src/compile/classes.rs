//! The classes of an address in the groups, and how a trie's entry tells them.
//!
//! Promises: exact. With one group the entry is the class in it. With a few groups the entry holds the class in each, one
//! field of bits beside the other, where they fit: no read stands between the tries and the rows. Else the entry is a
//! number, and a record has the classes.

use perimeter_classifier::abi::{PACKED_GROUPS, SETTINGS, TRIE_POINTER, field, setting};

use super::partition::Interner;
use super::sets::{EMPTY, SetId};
use super::sides::Side;
use super::words::Words;

/// One side's classes, renamed for each group.
pub(super) struct Classes {
    /// For each group the parts that each of its classes is in. Class 0 is that of addresses in no part.
    pub(super) in_groups: Vec<Vec<SetId>>,
    /// For each class of the side its class in each group.
    renamed: Vec<Vec<u32>>,
}

/// Bits of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    shift: u32,
    mask: u32,
}

/// Bits beside each other.
#[derive(Default)]
struct Fields(u32);

impl Fields {
    /// As many bits as numbers below `count` need; `None` where the entry has no more.
    fn next(&mut self, count: usize) -> Option<Field> {
        let bits = usize::BITS - count.saturating_sub(1).leading_zeros();
        let field = Field { shift: self.0, mask: 1u32.checked_shl(bits)? - 1 };
        self.0 += bits;
        (self.0 <= TRIE_POINTER.trailing_zeros()).then_some(field)
    }
}

impl Classes {
    pub(super) fn new(side: &Side, groups: usize) -> Self {
        if groups == 1 {
            // As they are: classes that differ in their speakers only stay apart, and the entry is all there is to read.
            let classes = side.classes.iter().map(|class| class[0]).collect();
            return Classes {
                in_groups: vec![classes],
                renamed: (0..side.classes.len() as u32).map(|class| vec![class]).collect(),
            };
        }
        let mut local: Vec<_> = (0..groups).map(|_| Interner::starting_with(EMPTY)).collect();
        let renamed = side
            .classes
            .iter()
            .map(|class| class.iter().zip(&mut local).map(|(&set, local)| local.number(set)).collect())
            .collect();
        Classes { in_groups: local.iter().map(|local| local.values().to_vec()).collect(), renamed }
    }

    /// Entries with a field for each group, then one for `more` numbers; `None` where they do not fit.
    fn fields(&self, more: usize) -> Option<Vec<Field>> {
        let mut fields = Fields::default();
        let counts = self.in_groups.iter().map(Vec::len).chain([more]);
        counts.map(|count| fields.next(count)).collect()
    }

    fn packed(&self, fields: &[Field]) -> Vec<u32> {
        let pack = |class: &Vec<u32>| class.iter().zip(fields).map(|(number, at)| number << at.shift).sum();
        self.renamed.iter().map(pack).collect()
    }

    /// For each class a mask of the groups in which it is in some part, then its class in each.
    fn put_records(&self, words: &mut Words) -> u32 {
        let record = |class: &Vec<u32>| {
            let mask = (0..).zip(class).filter(|(_, number)| **number != 0);
            let mask = mask.fold(0, |mask, (at, _)| mask | 1u32 << at);
            [vec![mask], class.clone()].concat()
        };
        words.put(&self.renamed.iter().flat_map(record).collect::<Vec<u32>>())
    }

    fn numbers(&self) -> Vec<u32> {
        (0..self.renamed.len() as u32).collect()
    }
}

/// Writes down how entries are to be read. `speakers`: for each class of the sources those of the `sets` speaker sets that
/// hold it. The entry of each class, of the sources and of the destinations.
pub(super) fn place(
    [sources, destinations]: [&Classes; 2],
    (speakers, sets): (&[Vec<u32>], usize),
    words: &mut Words,
    settings: &mut [u32; SETTINGS],
) -> [Vec<u32>; 2] {
    let groups = sources.in_groups.len();
    let mut distinct = Interner::starting_with(Vec::new());
    let column: Vec<u32> = speakers.iter().map(|sets| distinct.number(sets.clone())).collect();
    if (2..=PACKED_GROUPS).contains(&groups)
        && let (Some(of_source), Some(of_destination)) =
            (sources.fields(distinct.len()), destinations.fields(1))
    {
        for (group, (source, destination)) in of_source.iter().zip(&of_destination).take(groups).enumerate() {
            let record = &mut settings[setting::FIELDS + group * field::WORDS..][..field::WORDS];
            record[field::SOURCE_SHIFT] = source.shift;
            record[field::SOURCE_MASK] = source.mask;
            record[field::DESTINATION_SHIFT] = destination.shift;
            record[field::DESTINATION_MASK] = destination.mask;
        }
        place_speakers((distinct.values(), sets), of_source[groups], words, settings);
        let speaking = column.iter().map(|number| number << of_source[groups].shift);
        let entries =
            sources.packed(&of_source).iter().zip(speaking).map(|(entry, more)| entry | more).collect();
        return [entries, destinations.packed(&of_destination)];
    }
    if groups > 1 {
        settings[setting::SOURCE_CLASSES] = sources.put_records(words);
        settings[setting::DESTINATION_CLASSES] = destinations.put_records(words);
    }
    place_speakers((speakers, sets), Field { shift: 0, mask: u32::MAX }, words, settings);
    [sources.numbers(), destinations.numbers()]
}

/// `columns`: the speaker sets that hold each number in `field`.
fn place_speakers(
    (columns, sets): (&[Vec<u32>], usize),
    field: Field,
    words: &mut Words,
    settings: &mut [u32; SETTINGS],
) {
    if settings[setting::HAS_SOURCES] == 0 {
        return;
    }
    let stride = columns.len().div_ceil(32);
    let mut bits = vec![0u32; stride * sets];
    for (column, speaking) in columns.iter().enumerate() {
        for &set in speaking {
            bits[set as usize * stride + column / 32] |= 1 << (column % 32);
        }
    }
    settings[setting::SPEAKERS] = words.put(&bits);
    settings[setting::SPEAKERS_STRIDE] = stride as u32;
    settings[setting::SPEAKER_SHIFT] = field.shift;
    settings[setting::SPEAKER_MASK] = field.mask;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_beside_each_other_and_end_below_the_pointer_bit() {
        let mut fields = Fields::default();
        assert_eq!(fields.next(1), Some(Field { shift: 0, mask: 0 }));
        assert_eq!(fields.next(2), Some(Field { shift: 0, mask: 1 }));
        assert_eq!(fields.next(1 << 10), Some(Field { shift: 1, mask: 0x3ff }));
        assert_eq!(fields.next((1 << 19) + 1), Some(Field { shift: 11, mask: 0xf_ffff }));
        assert_eq!(fields.next(2), None);
    }
}
