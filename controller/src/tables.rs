//! The tables image: everything the classifier reads, as pure data.
//!
//! Promises: the same ruleset gives the same bytes. An image is one array of words and a page of settings; the kernel
//! program and the model read the same image through the classifier's `Tables` trait.

use perimeter_classifier::abi::{SETTINGS, setting};
use perimeter_classifier::tables::Tables;

/// The compiled tables of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub settings: [u32; SETTINGS],
    pub words: Vec<u32>,
}

impl Image {
    /// Tells the rules their counter slots; `slots` has one for each rule of the ruleset, in its order.
    pub fn bind_slots(&mut self, slots: &[u32]) {
        let start = self.settings[setting::RULE_SLOTS] as usize;
        self.words[start..start + slots.len()].copy_from_slice(slots);
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

    fn word(&self, index: u32) -> u32 {
        self.words.get(index as usize).copied().unwrap_or(0)
    }

    /// The ruleset was taken as of some moment: no rule of it has expired yet.
    fn epoch(&self) -> u32 {
        0
    }
}
