//! The tables image: everything the classifier reads, as pure data.
//!
//! Promises: the same ruleset gives the same bytes. An image is one array of words and a page of settings; the kernel
//! program and the model read the same image through the classifier's `Tables` trait.

use perimeter_classifier::abi::SETTINGS;
use perimeter_classifier::tables::Tables;

/// The compiled tables of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub settings: [u32; SETTINGS],
    pub words: Vec<u32>,
}

impl Tables for Image {
    fn setting(&self, index: usize) -> u32 {
        self.settings[index]
    }

    fn word(&self, index: u32) -> u32 {
        self.words.get(index as usize).copied().unwrap_or(0)
    }
}
