//! What is told of single frames, and what was lost: for those who look.
//!
//! Promises: only reads; nothing here enforces, and enforcement needs nothing of it.

pub mod filter;
pub mod journal;
mod line;
mod owner;
mod stream;
mod tally;

pub use stream::{Place, Stream, StreamError};
pub use tally::totals;
