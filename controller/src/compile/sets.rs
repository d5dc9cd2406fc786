//! Sets of small numbers in canonical form.
//!
//! Promises: equal sets have equal ids (exactly, not by hash), so that an equivalence class is one comparison. A set is
//! a binary tree over 64-bit chunks whose nodes are shared; adding, removing and intersecting cost the depth of the tree
//! and what differs.

use rustc_hash::FxHashMap;

/// A set; meaningful only beside the [`Sets`] that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SetId(u32);

/// The set without members.
pub(super) const EMPTY: SetId = SetId(0);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Node {
    /// 64 members.
    Leaf(u64),
    /// Lower and upper half.
    Inner(SetId, SetId),
}

/// Every set over the numbers below a capacity.
pub(super) struct Sets {
    nodes: Vec<Node>,
    ids: FxHashMap<Node, SetId>,
    intersections: FxHashMap<(SetId, SetId), SetId>,
    unions: FxHashMap<(SetId, SetId), SetId>,
    /// Height of the tree: a set covers `64 << height` numbers.
    height: u32,
}

impl Sets {
    /// Sets of numbers below `capacity`.
    pub(super) fn new(capacity: usize) -> Self {
        let height = capacity.div_ceil(64).next_power_of_two().trailing_zeros();
        Sets {
            nodes: vec![Node::Leaf(0)],
            ids: FxHashMap::default(),
            intersections: FxHashMap::default(),
            unions: FxHashMap::default(),
            height,
        }
    }

    pub(super) fn with(&mut self, set: SetId, member: u32) -> SetId {
        self.edit(set, member, self.height, &|bits, bit| bits | bit)
    }

    pub(super) fn without(&mut self, set: SetId, member: u32) -> SetId {
        self.edit(set, member, self.height, &|bits, bit| bits & !bit)
    }

    pub(super) fn intersection(&mut self, a: SetId, b: SetId) -> SetId {
        if a == b || a == EMPTY || b == EMPTY {
            return if a == b { a } else { EMPTY };
        }
        let key = (a.min(b), a.max(b));
        if let Some(&known) = self.intersections.get(&key) {
            return known;
        }
        let set = match (self.node(a), self.node(b)) {
            (Node::Leaf(a), Node::Leaf(b)) => self.intern(Node::Leaf(a & b)),
            (Node::Inner(a_low, a_high), Node::Inner(b_low, b_high)) => {
                let halves = (self.intersection(a_low, b_low), self.intersection(a_high, b_high));
                self.intern(Node::Inner(halves.0, halves.1))
            }
            _ => unreachable!("both sets have the height of this collection"),
        };
        self.intersections.insert(key, set);
        set
    }

    pub(super) fn union(&mut self, a: SetId, b: SetId) -> SetId {
        if a == b || b == EMPTY {
            return a;
        }
        if a == EMPTY {
            return b;
        }
        let key = (a.min(b), a.max(b));
        if let Some(&known) = self.unions.get(&key) {
            return known;
        }
        let set = match (self.node(a), self.node(b)) {
            (Node::Leaf(a), Node::Leaf(b)) => self.intern(Node::Leaf(a | b)),
            (Node::Inner(a_low, a_high), Node::Inner(b_low, b_high)) => {
                let halves = (self.union(a_low, b_low), self.union(a_high, b_high));
                self.intern(Node::Inner(halves.0, halves.1))
            }
            _ => unreachable!("both sets have the height of this collection"),
        };
        self.unions.insert(key, set);
        set
    }

    /// The members, ascending.
    pub(super) fn members(&self, set: SetId) -> Vec<u32> {
        let mut members = Vec::new();
        self.collect(set, 0, self.height, &mut members);
        members
    }

    fn collect(&self, set: SetId, base: u32, height: u32, members: &mut Vec<u32>) {
        if set == EMPTY {
            return;
        }
        match self.node(set) {
            Node::Leaf(mut bits) => {
                while bits != 0 {
                    members.push(base + bits.trailing_zeros());
                    bits &= bits - 1;
                }
            }
            Node::Inner(low, high) => {
                self.collect(low, base, height - 1, members);
                self.collect(high, base + (32 << height), height - 1, members);
            }
        }
    }

    fn edit(&mut self, set: SetId, member: u32, height: u32, change: &dyn Fn(u64, u64) -> u64) -> SetId {
        if height == 0 {
            let Node::Leaf(bits) = self.node(set) else { unreachable!("height 0 is a leaf") };
            return self.intern(Node::Leaf(change(bits, 1 << (member & 63))));
        }
        let (low, high) = match self.node(set) {
            Node::Inner(low, high) => (low, high),
            Node::Leaf(_) => (EMPTY, EMPTY),
        };
        let half = if member & (32 << height) == 0 {
            Node::Inner(self.edit(low, member, height - 1, change), high)
        } else {
            Node::Inner(low, self.edit(high, member, height - 1, change))
        };
        self.intern(half)
    }

    fn node(&self, set: SetId) -> Node {
        self.nodes[set.0 as usize]
    }

    fn intern(&mut self, node: Node) -> SetId {
        if matches!(node, Node::Leaf(0) | Node::Inner(EMPTY, EMPTY)) {
            return EMPTY;
        }
        let nodes = &mut self.nodes;
        *self.ids.entry(node).or_insert_with(|| {
            nodes.push(node);
            SetId(nodes.len() as u32 - 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Sets {
        fn set_of(&mut self, members: &[u32]) -> SetId {
            members.iter().fold(EMPTY, |set, &member| self.with(set, member))
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
        assert_eq!(sets.without(both, 64), EMPTY);
    }

    #[test]
    fn a_single_chunk_is_a_leaf() {
        let mut sets = Sets::new(1);
        let one = sets.with(EMPTY, 0);
        assert_eq!(sets.members(one), [0]);
    }
}
