//! The tries: address to class.
//!
//! Promises: 16 bits at the root, then 8 bits a step, whatever the rules are; no loop, which older verifiers walk badly.

use crate::abi::{TRIE_COMPRESSED, TRIE_POINTER, TRIE_POSITION, setting};
use crate::tables::Tables;

/// What the trie at `root` has for an IPv4 address; 0 where there is no trie.
#[inline(always)]
pub(crate) fn v4<T: Tables>(tables: &T, root: u32, address: u32) -> u32 {
    if root == 0 {
        return 0;
    }
    let entry = tables.word(root + (address >> 16));
    if tables.setting(setting::COMPRESSED) == 0 {
        return child::<T, false>(
            tables,
            child::<T, false>(tables, entry, address >> 8 & 255),
            address & 255,
        );
    }
    child::<T, true>(tables, child::<T, true>(tables, entry, address >> 8 & 255), address & 255)
}

/// The same for the halves of an IPv6 address.
#[inline(always)]
pub(crate) fn v6<T: Tables>(tables: &T, root: u32, high: u64, low: u64) -> u32 {
    if root == 0 {
        return 0;
    }
    let entry = tables.word(root + (high >> 48) as u32);
    if tables.setting(setting::COMPRESSED) == 0 {
        return descend::<T, false>(tables, entry, high, low);
    }
    descend::<T, true>(tables, entry, high, low)
}

/// The fourteen steps of an IPv6 address below the root.
#[inline(always)]
fn descend<T: Tables, const COMPRESSED: bool>(tables: &T, mut entry: u32, high: u64, low: u64) -> u32 {
    macro_rules! steps {
        ($half:ident: $($shift:literal)*) => {$(
            entry = child::<T, COMPRESSED>(tables, entry, ($half >> $shift & 255) as u32);
        )*};
    }
    steps!(high: 40 32 24 16 8 0);
    steps!(low: 56 48 40 32 24 16 8 0);
    entry
}

/// One step down a trie; a class stays what it is. `COMPRESSED`: some nodes of the tries may be.
#[inline(always)]
fn child<T: Tables, const COMPRESSED: bool>(tables: &T, entry: u32, byte: u32) -> u32 {
    if entry & TRIE_POINTER == 0 {
        return entry;
    }
    if !COMPRESSED || entry & TRIE_COMPRESSED == 0 {
        return tables.word(entry + byte);
    }
    let node = entry & TRIE_POSITION;
    let chunk = node + (byte >> 5) * 2;
    let begun = tables.word(chunk) & (u32::MAX >> (31 - (byte & 31)));
    tables.word(tables.word(chunk + 1) + ones(begun) - 1)
}

/// Bits set: the instruction set has no such instruction.
#[inline(always)]
fn ones(bits: u32) -> u32 {
    let bits = bits - (bits >> 1 & 0x5555_5555);
    let bits = (bits & 0x3333_3333) + (bits >> 2 & 0x3333_3333);
    ((bits + (bits >> 4)) & 0x0f0f_0f0f).wrapping_mul(0x0101_0101) >> 24
}

#[cfg(test)]
mod tests {
    #[test]
    fn ones_counts_like_the_library() {
        for bits in [0, 1, 0x8000_0000, u32::MAX, 0x5555_5555, 0xdead_beef, 0x0f0f_f0f0] {
            assert_eq!(super::ones(bits), bits.count_ones());
        }
    }
}
