//! The nftables backend: one table an interface, on the netdev ingress hook.
//!
//! Promises: the verdict, the credited rule and the counts of the classifier, but for the divergences in [`divergence`], each
//! of which drops. The lowering is pure; one value (`ir`) is printed and applied. A table of another is never touched.

pub mod divergence;
mod drift;
mod enforcer;
pub mod events;
pub mod ir;
pub mod judge;
mod listing;
mod lower;
mod making;
mod names;
mod netlink;
mod nflog;
mod read;
mod record;
mod standing;
pub mod text;
mod transact;

pub use enforcer::{Nft, Prepared};
pub use lower::{Options, TooLarge, lower};
pub use making::can_tell;
pub use names::{instance, owner};
