//! The verdict on one frame.
//!
//! Promises: bounded work, no panic, no allocation, no unsafe code, no dependency; whatever cannot be classified with
//! certainty is dropped under its own reason. The same code runs in the kernel (`perimeter-xdp`) and in user space
//! (`perimeter`), over two small traits: reads of the frame and reads of the tables.
#![no_std]
#![forbid(unsafe_code)]

pub mod abi;
pub mod classify;
pub mod frame;
pub mod header;
pub mod tables;
mod trie;
pub mod verdict;
