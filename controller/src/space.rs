//! Header space: sets of frames as unions of regions, exactly.
//!
//! Promises: a region is a product of sets of header fields, and what a rule matches or a setting refuses is a union of
//! regions, with nothing left out and nothing added; subtraction and cover are exact. Work is counted, and where it
//! would pass its budget that is said: an answer is never guessed. Refuses to know the kernel and the classifier.
//!
//! Fields that a frame does not have (the ports of an ICMP message) count as 0, the target of what is no neighbour
//! advertisement as fe80::, which every policy lets be claimed.

mod region;
mod rules;
mod set;
mod settings;
mod shelf;

pub use region::{Dimension, Kind, LINK_LOCAL, NEIGHBOUR_ADVERTISEMENT, Part, Region, TAGS, merge};
pub use rules::{Addresses, of_rule};
pub use set::{Range, Set};
pub use settings::{Refusal, Setting, never, refusals, stack_number, stacks};
pub use shelf::{Budget, Carved, Shelf, Shelves};
