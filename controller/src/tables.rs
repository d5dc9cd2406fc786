//! The tables image: everything the classifier reads, as pure data.
//!
//! Promises: the same ruleset gives the same bytes. An image is one array of words and a page of settings; the kernel
//! program and the model read the same image through the classifier's `Tables` trait.

use perimeter_classifier::abi::{SETTINGS, TRIE_POSITION, setting};
use perimeter_classifier::tables::Tables;
use perimeter_classifier::verdict::DropReason;

/// The compiled tables of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub settings: [u32; SETTINGS],
    pub words: Vec<u32>,
}

/// The slots that one interface of a ruleset counts in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// By rule index, with [`RULE_LOGS`](perimeter_classifier::abi::RULE_LOGS); 0 for a rule that is not on this interface.
    pub rules: Vec<u32>,
    /// By discriminant of the reason.
    pub reasons: [u32; DropReason::ALL.len()],
    /// By label, [`VLAN_SLOTS`](perimeter_classifier::abi::VLAN_SLOTS) each.
    pub vlans: Vec<u32>,
    /// By length, [`SIZE_SLOTS`](perimeter_classifier::abi::SIZE_SLOTS).
    pub sizes: Vec<u32>,
    /// By kind of fragment less one.
    pub fragments: Vec<u32>,
    /// By family.
    pub pmtu: Vec<u32>,
}

impl Image {
    /// Tells the image where to count.
    pub fn bind(&mut self, binding: &Binding) {
        self.bind_slots(&binding.rules);
        self.fill(setting::VLAN_SLOTS, &binding.vlans);
        self.fill(setting::SIZE_SLOTS, &binding.sizes);
        self.fill(setting::FRAGMENT_SLOTS, &binding.fragments);
        self.fill(setting::PMTU_SLOTS, &binding.pmtu);
    }

    /// Tells the rules their counter slots; `slots` has one for each rule of the ruleset, in its order.
    pub fn bind_slots(&mut self, slots: &[u32]) {
        self.fill(setting::RULE_SLOTS, slots);
    }

    /// Writes the words of a table that is there.
    fn fill(&mut self, setting: usize, words: &[u32]) {
        let start = self.settings[setting] as usize;
        if start != 0 {
            self.words[start..start + words.len()].copy_from_slice(words);
        }
    }

    /// Bytes of the tables.
    pub fn size_bytes(&self) -> usize {
        self.words.len() * 4
    }
}

impl Tables for Image {
    fn setting(&self, index: usize) -> u32 {
        self.settings[index]
    }

    /// What is outside is 0 here. The kernel's host takes the index modulo its tables instead, whose size is a power of two:
    /// the two differ only for an index that no compiled image contains.
    fn word(&self, index: u32) -> u32 {
        self.words.get((index & TRIE_POSITION) as usize).copied().unwrap_or(0)
    }

    /// The ruleset was taken as of some moment: no rule of it has expired yet.
    fn epoch(&self) -> u32 {
        0
    }
}
