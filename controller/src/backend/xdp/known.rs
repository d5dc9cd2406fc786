//! What is known of registers and of the stack at one place of a program.
//!
//! Promises: what is not certain is [`Value::Unknown`]. Of the stack only whole slots of eight bytes are followed, as
//! compilers use them for what finds no register.

use std::rc::Rc;

use super::bytecode::REGISTERS;

/// What is known of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Unknown,
    Number(u64),
    /// An address so many bytes into the record.
    Record(i64),
}

/// The stack of a function: 512 bytes.
const SLOTS: usize = 64;
const SLOT: usize = 8;

/// What the first `size` bytes of a slot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    size: usize,
    value: Value,
}

const EMPTY: Slot = Slot { size: 0, value: Value::Unknown };

/// What is known before or after an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) registers: [Value; REGISTERS],
    /// Shared by the many instructions between two stores: what is known of a program fits a few megabytes.
    slots: Rc<[Slot; SLOTS]>,
}

impl Known {
    pub(super) fn nothing() -> Known {
        Known { registers: [Value::Unknown; REGISTERS], slots: Rc::new([EMPTY; SLOTS]) }
    }

    /// What is known where two ways meet.
    pub(super) fn joined(&self, other: &Known) -> Known {
        let mut joined = self.clone();
        let pairs = joined.registers.iter_mut().zip(&other.registers);
        pairs.filter(|(own, other)| own != other).for_each(|(own, _)| *own = Value::Unknown);
        if self.slots != other.slots {
            let pairs = Rc::make_mut(&mut joined.slots).iter_mut().zip(other.slots.iter());
            pairs.filter(|(own, other)| own != other).for_each(|(own, _)| *own = EMPTY);
        }
        joined
    }

    /// `size` bytes of the stack, from `offset` to r10 on.
    pub(super) fn load(&self, offset: i16, size: usize) -> Value {
        match slot(offset).map(|slot| self.slots[slot]) {
            Some(found) if found.size == size => found.value,
            _ => Value::Unknown,
        }
    }

    /// Notes what a store leaves there.
    pub(super) fn store(&mut self, offset: i16, size: usize, value: Value) {
        let cut = match value {
            Value::Number(number) if size == 4 => Value::Number(number & u64::from(u32::MAX)),
            Value::Number(_) | Value::Record(_) if size == SLOT => value,
            _ => Value::Unknown,
        };
        match slot(offset) {
            Some(slot) if cut != Value::Unknown => self.put(slot, Slot { size, value: cut }),
            Some(slot) if size <= SLOT => self.put(slot, EMPTY),
            // Inside a slot, or across two.
            _ => self.forget_stack(),
        }
    }

    fn put(&mut self, slot: usize, new: Slot) {
        if self.slots[slot] != new {
            Rc::make_mut(&mut self.slots)[slot] = new;
        }
    }

    pub(super) fn forget_stack(&mut self) {
        (0..SLOTS).for_each(|slot| self.put(slot, EMPTY));
    }
}

/// The slot that begins at `offset` to r10, if one does.
fn slot(offset: i16) -> Option<usize> {
    let below = usize::from(offset.checked_neg()?.cast_unsigned());
    (offset < 0 && below.is_multiple_of(SLOT) && below <= SLOTS * SLOT).then(|| below / SLOT - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEVEN: Value = Value::Number(7);

    #[test]
    fn a_slot_holds_what_was_stored_in_its_size() {
        let mut known = Known::nothing();
        known.store(-16, 4, Value::Number(7 | 1 << 32));
        known.store(-8, 8, Value::Record(24));
        assert_eq!((known.load(-16, 4), known.load(-8, 8)), (SEVEN, Value::Record(24)));
        for (offset, size) in [(-16, 8), (-16, 1), (-12, 4), (-8, 4), (0, 4), (8, 8), (i16::MIN, 8)] {
            assert_eq!(known.load(offset, size), Value::Unknown, "{offset} {size}");
        }
    }

    #[test]
    fn what_may_overwrite_a_slot_empties_it() {
        for (offset, size) in [(-8, 8), (-8, 4), (-8, 1), (-4, 4), (-12, 8), (-1, 1)] {
            let mut known = Known::nothing();
            known.store(-8, 8, SEVEN);
            known.store(offset, size, Value::Unknown);
            assert_eq!(known.load(-8, 8), Value::Unknown, "{offset} {size}");
        }
    }

    #[test]
    fn only_what_is_known_on_both_ways_is_known() {
        let mut one = Known::nothing();
        one.store(-8, 8, SEVEN);
        one.registers[3] = SEVEN;
        let mut other = one.clone();
        assert_eq!(one.joined(&other), one);
        other.store(-8, 4, SEVEN);
        other.registers[3] = Value::Unknown;
        assert_eq!(one.joined(&other), Known::nothing());
    }
}
