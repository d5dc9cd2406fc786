//! The nftables backend: one table an interface, on the netdev ingress hook.
//!
//! Promises: the verdict, the credited rule and the counts of the classifier, but for the divergences in [`divergence`], each
//! of which drops. The lowering is pure; one value (`ir`) is printed and applied. A table of another is never touched.

pub mod ir;
mod lower;
mod names;
mod netlink;
pub mod text;

pub use lower::{Options, TooLarge, lower};
pub use names::instance;
