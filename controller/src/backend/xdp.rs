//! The XDP backend: one program a generation and interface, over frozen maps of its own and the shared counters.
//!
//! Promises: nothing is pinned while a program is made, so a killed process leaves nothing behind; every map that the
//! program reads is frozen before it is loaded. Needs Linux 6.0 (5.18 on up to 4 CPUs) and the rights of root
//! (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON).

mod ask;
mod bytecode;
pub mod clock;
mod coalesce;
mod counters;
mod enforcer;
pub mod events;
mod fold;
pub mod info;
mod inherit;
mod instruction;
mod kept;
mod known;
#[cfg(test)]
mod machine;
pub mod maps;
mod namespace;
mod object;
mod observe;
mod pins;
mod places;
pub mod probe;
pub mod program;
mod prune;
mod refusal;
mod stack;
pub mod sys;
pub mod tallies;
mod times;

pub use enforcer::{Prepared, Xdp};
pub use namespace::current as namespace;
