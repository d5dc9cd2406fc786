//! A table as netlink messages: one batch, all or nothing.
//!
//! Promises: what a batch says is what `text` prints; element lists are cut so that no message passes the 64 KiB that an
//! attribute can hold. The messages are built by libnftnl (`nftnl`, and `nftnl_sys` where the wrapper has no word).

pub(super) mod batch;
mod expressions;
pub(super) mod numbers;
mod objects;
mod sets;
pub(super) mod socket;
