//! Sets of small numbers in canonical form.
//!
//! Promises: equal sets have equal ids (exactly, not by hash), so that an equivalence class is one comparison. A set is
//! a binary tree over 64-bit chunks whose nodes are shared; adding, removing and comparing cost the depth of the tree
//! and what differs.

use rustc_hash::FxHashMap;

/// A set; meaningful only beside the [`Sets`] that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SetId(u32);

/// The set without members.
pub(super) const EMPTY: SetId = SetId(0);

/// A node: at height 0 the bits of 64 members, above the ids of its lower and its upper half. 0 is empty at any height.
type Node = u64;

/// Every set over the numbers below a capacity.
pub(super) struct Sets {
    nodes: Vec<Node>,
    leaves: FxHashMap<Node, SetId>,
    inner: FxHashMap<Node, SetId>,
    intersections: FxHashMap<(SetId, SetId), SetId>,
    /// Height of the tree: a set covers `64 << height` numbers.
    height: u32,
}

impl Sets {
    /// Sets of numbers below `capacity`.
    pub(super) fn new(capacity: usize) -> Self {
        let height = capacity.div_ceil(64).next_power_of_two().trailing_zeros();
        Sets {
            nodes: vec![0],
            leaves: FxHashMap::default(),
            inner: FxHashMap::default(),
            intersections: FxHashMap::default(),
            height,
        }
    }

    /// The set of these members.
    pub(super) fn of(&mut self, members: impl Iterator<Item = u32>) -> SetId {
        let mut bits = vec![0; 1 << self.height];
        for member in members {
            bits[member as usize / 64] |= 1u64 << (member & 63);
        }
        let mut level: Vec<SetId> = bits.into_iter().map(|bits| self.intern(0, bits)).collect();
        for height in 1..=self.height {
            level = level.chunks(2).map(|halves| self.join(height, halves[0], halves[1])).collect();
        }
        level[0]
    }

    pub(super) fn with(&mut self, set: SetId, member: u32) -> SetId {
        self.edit(set, member, self.height, |bits, bit| bits | bit)
    }

    pub(super) fn without(&mut self, set: SetId, member: u32) -> SetId {
        self.edit(set, member, self.height, |bits, bit| bits & !bit)
    }

    pub(super) fn contains(&self, mut set: SetId, member: u32) -> bool {
        for height in (0..self.height).rev() {
            let (low, high) = self.halves(set);
            set = if member & (64 << height) == 0 { low } else { high };
        }
        self.node(set) >> (member & 63) & 1 == 1
    }

    /// What is in both sets.
    pub(super) fn intersection(&mut self, a: SetId, b: SetId) -> SetId {
        self.both(a, b, self.height)
    }

    /// What is in either set; quick where one of them is small.
    pub(super) fn union(&mut self, a: SetId, b: SetId) -> SetId {
        self.either(a, b, self.height)
    }

    /// What is in `a` and not in `b`; quick where one of them is small.
    pub(super) fn difference(&mut self, a: SetId, b: SetId) -> SetId {
        self.less(a, b, self.height)
    }

    /// The members, ascending.
    pub(super) fn members(&self, set: SetId) -> Vec<u32> {
        self.members_beyond(set, EMPTY)
    }

    /// The members of `a` that are not in `b`, ascending. Costs what differs, not what there is.
    pub(super) fn members_beyond(&self, a: SetId, b: SetId) -> Vec<u32> {
        let mut members = Vec::new();
        self.collect((a, b), 0, self.height, &mut members);
        members
    }

    /// How much these sets take, in nodes.
    pub(super) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    fn edit(&mut self, set: SetId, member: u32, height: u32, change: fn(u64, u64) -> u64) -> SetId {
        if height == 0 {
            let bits = change(self.node(set), 1 << (member & 63));
            return self.intern(0, bits);
        }
        let (mut low, mut high) = self.halves(set);
        if member & (32 << height) == 0 {
            low = self.edit(low, member, height - 1, change);
        } else {
            high = self.edit(high, member, height - 1, change);
        }
        self.join(height, low, high)
    }

    fn both(&mut self, a: SetId, b: SetId, height: u32) -> SetId {
        if a == b || a == EMPTY || b == EMPTY {
            return if a == b { a } else { EMPTY };
        }
        if height == 0 {
            let bits = self.node(a) & self.node(b);
            return self.intern(0, bits);
        }
        let key = (a.min(b), a.max(b));
        if let Some(&known) = self.intersections.get(&key) {
            return known;
        }
        let (a, b) = (self.halves(a), self.halves(b));
        let (low, high) = (self.both(a.0, b.0, height - 1), self.both(a.1, b.1, height - 1));
        let set = self.join(height, low, high);
        self.intersections.insert(key, set);
        set
    }

    fn either(&mut self, a: SetId, b: SetId, height: u32) -> SetId {
        if a == b || a == EMPTY || b == EMPTY {
            return if a == EMPTY { b } else { a };
        }
        if height == 0 {
            let bits = self.node(a) | self.node(b);
            return self.intern(0, bits);
        }
        let (a, b) = (self.halves(a), self.halves(b));
        let (low, high) = (self.either(a.0, b.0, height - 1), self.either(a.1, b.1, height - 1));
        self.join(height, low, high)
    }

    fn less(&mut self, a: SetId, b: SetId, height: u32) -> SetId {
        if a == b || a == EMPTY || b == EMPTY {
            return if a == b { EMPTY } else { a };
        }
        if height == 0 {
            let bits = self.node(a) & !self.node(b);
            return self.intern(0, bits);
        }
        let (a, b) = (self.halves(a), self.halves(b));
        let (low, high) = (self.less(a.0, b.0, height - 1), self.less(a.1, b.1, height - 1));
        self.join(height, low, high)
    }

    fn collect(&self, (a, b): (SetId, SetId), base: u32, height: u32, members: &mut Vec<u32>) {
        if a == b || a == EMPTY {
            return;
        }
        if height == 0 {
            let mut bits = self.node(a) & !self.node(b);
            while bits != 0 {
                members.push(base + bits.trailing_zeros());
                bits &= bits - 1;
            }
            return;
        }
        let (a, b) = (self.halves(a), self.halves(b));
        self.collect((a.0, b.0), base, height - 1, members);
        self.collect((a.1, b.1), base + (32 << height), height - 1, members);
    }

    fn node(&self, set: SetId) -> Node {
        self.nodes[set.0 as usize]
    }

    fn halves(&self, set: SetId) -> (SetId, SetId) {
        let node = self.node(set);
        (SetId((node >> 32) as u32), SetId(node as u32))
    }

    fn join(&mut self, height: u32, low: SetId, high: SetId) -> SetId {
        self.intern(height, Node::from(low.0) << 32 | Node::from(high.0))
    }

    fn intern(&mut self, height: u32, node: Node) -> SetId {
        if node == 0 {
            return EMPTY;
        }
        let known = if height == 0 { &mut self.leaves } else { &mut self.inner };
        *known.entry(node).or_insert_with(|| {
            self.nodes.push(node);
            SetId(self.nodes.len() as u32 - 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Sets {
        fn set_of(&mut self, members: &[u32]) -> SetId {
            let set = members.iter().fold(EMPTY, |set, &member| self.with(set, member));
            assert_eq!(self.of(members.iter().copied()), set);
            set
        }
    }

    #[test]
    fn equal_sets_have_equal_ids() {
        let mut sets = Sets::new(1000);
        let a = sets.set_of(&[3, 64, 999]);
        let b = sets.set_of(&[999, 3, 5, 64]);
        assert_ne!(a, b);
        assert_eq!(sets.without(b, 5), a);
        assert_eq!(sets.members(a), [3, 64, 999]);
        let c = sets.set_of(&[5, 64]);
        let both = sets.set_of(&[64]);
        assert_eq!(sets.intersection(a, c), both);
        assert_eq!(sets.union(a, c), b);
        assert_eq!(sets.difference(b, a), sets.set_of(&[5]));
        assert_eq!(sets.difference(a, b), EMPTY);
        assert_eq!((sets.members_beyond(b, a), sets.members_beyond(a, c)), (vec![5], vec![3, 999]));
        assert_eq!([3, 5, 64, 999].map(|member| sets.contains(a, member)), [true, false, true, true]);
        assert_eq!(sets.without(both, 64), EMPTY);
    }

    #[test]
    fn a_single_chunk_is_a_leaf() {
        let mut sets = Sets::new(1);
        let one = sets.with(EMPTY, 0);
        assert_eq!(sets.members(one), [0]);
    }
}
