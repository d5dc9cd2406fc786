//! Every series of the contract, made of a snapshot: one file a subject.

pub(super) mod accounting;
pub(super) mod enforcement;
pub(super) mod rules;
pub(super) mod traffic;

/// Units never end in a fraction here: counts and seconds are whole numbers.
fn number(value: u64) -> f64 {
    value as f64
}
