//! Takes out moves that only prepare an operation on another register.
//!
//! Promises: the same results. Only within a run of instructions into which nothing jumps; where the register cannot be
//! followed to where its value is last read, all stays as it is.
//!
//! The compiler reads a constant of the record into a register and then adds to it, or masks with it, what it has in another
//! that nobody needs afterwards. Now that the constant is part of the instruction, the other register can be added to:
//! one instruction instead of two, at every read of a table.

use super::bytecode::{self, Alu, Kind};
use super::instruction::Instruction;
use super::prune::{self, Set, bit};

/// Takes them out; what they were is an empty instruction.
pub(super) fn coalesce(program: &mut [Instruction]) {
    let mut view = View { live: prune::live_after(program), entered: bytecode::entered(program), program };
    for at in 0..view.program.len() {
        if let Some((operation, end)) = view.operation(at) {
            view.operate(at, operation, end);
        } else if let Some(end) = view.copy(at) {
            view.take_out(at, end);
        }
    }
}

/// A program, and what is known of it.
struct View<'a> {
    program: &'a mut [Instruction],
    /// What is needed after each instruction.
    live: Vec<Set>,
    entered: Vec<bool>,
}

impl View<'_> {
    /// Where the register that the move at `at` fills is operated on with one that is not needed afterwards, in an order that
    /// does not matter; and until where the two change names then.
    fn operation(&self, at: usize) -> Option<(usize, usize)> {
        let (moved, alu) = self.moves(at)?;
        let source = if alu.from_register { bit(moved.source) } else { 0 };
        for there in self.after(at) {
            let instruction = &self.program[there];
            if self.entered[there] || !is_plain(instruction) {
                return None;
            }
            if let Some(operation) = operates(instruction, moved.destination) {
                let other = instruction.source;
                let free = other != moved.destination && bit(other) & (self.live[there] | source) == 0;
                let same = operation.commutes() && operation.wide == alu.wide;
                let end = self.end(there, moved.destination, other);
                return end.filter(|_| free && same).map(|end| (there, end));
            }
            if touches(instruction, moved.destination) || bit(instruction.destination) & source != 0 {
                return None;
            }
        }
        None
    }

    /// Until where the registers of the move at `at` can change names, so that it needs not be made: the one that is read is
    /// not needed afterwards.
    fn copy(&self, at: usize) -> Option<usize> {
        let (moved, alu) = self.moves(at)?;
        let Instruction { destination, source, .. } = *moved;
        let needed = self.live[at] & bit(source) != 0 && source != destination;
        if !alu.from_register || needed {
            return None;
        }
        // A move of 32 bits clears the others, unless the next operation does.
        let cleared = || {
            let mut rest = self.after(at).map(|there| &self.program[there]);
            let next = rest.find(|it| touches(it, destination) || !is_plain(it))?;
            let Kind::Alu(alu) = bytecode::kind(next) else { return None };
            (!alu.wide && !alu.is_move() && next.destination == destination).then_some(())
        };
        if !alu.wide {
            cleared()?;
        }
        if source == destination { Some(at) } else { self.end(at, destination, source) }
    }

    /// The places of the instructions behind `at`: wide ones have one.
    fn after(&self, at: usize) -> impl Iterator<Item = usize> {
        let next = |there: &usize| {
            let next = there + bytecode::length(&self.program[*there]);
            (next < self.program.len()).then_some(next)
        };
        std::iter::successors(Some(at), next).skip(1)
    }

    fn moves(&self, at: usize) -> Option<(&Instruction, Alu)> {
        match bytecode::kind(&self.program[at]) {
            Kind::Alu(alu) if alu.is_move() => Some((&self.program[at], alu)),
            _ => None,
        }
    }

    /// The first place from `from` on at which nothing is left of what the two registers hold until then.
    fn end(&self, from: usize, one: u8, other: u8) -> Option<usize> {
        let needed = |at: usize, register| self.live[at] & bit(register) != 0;
        if !needed(from, one) && !needed(from, other) {
            return Some(from);
        }
        for there in self.after(from) {
            let instruction = &self.program[there];
            let compares = bytecode::comparison(instruction).is_some();
            if self.entered[there] || !(is_plain(instruction) || compares) {
                return None;
            }
            if [one, other].iter().all(|&it| !needed(there, it) || defines(instruction, it)) {
                return Some(there);
            }
            if compares {
                return None;
            }
        }
        None
    }

    /// Has the operation write to the register that is free, and read what was moved.
    fn operate(&mut self, at: usize, operation: usize, end: usize) {
        let moved = self.program[at];
        let here = &mut self.program[operation];
        let (one, other) = (here.destination, here.source);
        here.destination = other;
        here.source = moved.source;
        let kept = match bytecode::kind(&moved) {
            Kind::Alu(Alu { from_register: true, .. }) => bit(moved.source),
            _ => {
                bytecode::use_immediate(here, bytecode::immediate(&moved));
                0
            }
        };
        bytecode::jump(&mut self.program[at], 0);
        for live in &mut self.live[at..operation] {
            *live = *live & !bit(one) | kept;
        }
        self.swap(operation, end, one, other);
    }

    fn take_out(&mut self, at: usize, end: usize) {
        let Instruction { destination, source, .. } = self.program[at];
        bytecode::jump(&mut self.program[at], 0);
        self.swap(at, end, destination, source);
    }

    /// Has the registers change names from after `from` to `end`, where what is made anew has its own name again.
    fn swap(&mut self, from: usize, end: usize, one: u8, other: u8) {
        let within: Vec<usize> = self.after(from).take_while(|there| *there <= end).collect();
        for live in &mut self.live[from..end] {
            let held = [one, other].map(|it| *live & bit(it) != 0);
            *live &= !(bit(one) | bit(other));
            *live |= if held[0] { bit(other) } else { 0 } | if held[1] { bit(one) } else { 0 };
        }
        for there in within {
            let instruction = &mut self.program[there];
            let anew = there == end && [one, other].iter().any(|&it| defines(instruction, it));
            rename(instruction, one, other, anew);
        }
    }
}

/// Puts two registers in each other's place, but for a destination that is made `anew`.
fn rename(instruction: &mut Instruction, one: u8, other: u8, anew: bool) {
    let swapped = |register: u8| match register {
        it if it == one => other,
        it if it == other => one,
        it => it,
    };
    if reads_source(instruction) {
        instruction.source = swapped(instruction.source);
    }
    if !anew {
        instruction.destination = swapped(instruction.destination);
    }
}

/// The arithmetic that an instruction does on `register` and another one.
fn operates(instruction: &Instruction, register: u8) -> Option<Alu> {
    match bytecode::kind(instruction) {
        Kind::Alu(alu) if alu.from_register && instruction.destination == register => Some(alu),
        _ => None,
    }
}

/// Whether control only goes on to the next instruction, and the registers are those that the instruction names.
fn is_plain(instruction: &Instruction) -> bool {
    match bytecode::kind(instruction) {
        Kind::Wide | Kind::Alu(_) | Kind::Load | Kind::Store => true,
        Kind::Opaque => bytecode::is_byte_swap(instruction),
        _ => false,
    }
}

fn touches(instruction: &Instruction, register: u8) -> bool {
    instruction.destination == register || reads_source(instruction) && instruction.source == register
}

/// Whether what the register held before does not matter any more.
fn defines(instruction: &Instruction, register: u8) -> bool {
    let anew = match bytecode::kind(instruction) {
        Kind::Wide | Kind::Load => true,
        Kind::Alu(alu) => alu.is_move(),
        _ => false,
    };
    anew && instruction.destination == register
}

fn reads_source(instruction: &Instruction) -> bool {
    match bytecode::kind(instruction) {
        Kind::Alu(alu) => alu.from_register,
        Kind::Load => true,
        Kind::Store => bytecode::stored(instruction).is_none(),
        Kind::Jump => bytecode::comparison(instruction).is_some_and(|it| it.from_register),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Plain = (u8, u8, u8, i16, i32);

    const EXIT: Plain = (0x95, 0, 0, 0, 0);

    fn coalesced(program: &[Plain]) -> Vec<Plain> {
        let decode = |&(code, destination, source, off, imm): &Plain| Instruction {
            code,
            destination,
            source,
            off,
            imm,
        };
        let mut program: Vec<_> = program.iter().map(decode).collect();
        coalesce(&mut program);
        let left = prune::prune(program).into_iter();
        left.map(|it| (it.code, it.destination, it.source, it.off, it.imm)).collect()
    }

    #[test]
    fn a_constant_is_added_to_the_other_register() {
        // w1 = 7; w1 += w2; r0 = *(u32 *)(r1 + 0)
        let program = [(0xb4, 1, 0, 0, 7), (0x0c, 1, 2, 0, 0), (0x61, 0, 1, 0, 0), EXIT];
        assert_eq!(coalesced(&program), [(0x04, 2, 0, 0, 7), (0x61, 0, 2, 0, 0), EXIT]);
        // r1 = *(r1 + 0) is the last that reads the old value, and makes a new one.
        let program = [
            (0xb4, 1, 0, 0, 7),
            (0x5c, 1, 2, 0, 0),
            (0x67, 1, 0, 0, 2),
            (0x61, 1, 1, 0, 0),
            (0xbf, 0, 1, 0, 0),
            EXIT,
        ];
        let left = [(0x54, 2, 0, 0, 7), (0x67, 2, 0, 0, 2), (0x61, 1, 2, 0, 0), (0xbf, 0, 1, 0, 0), EXIT];
        assert_eq!(coalesced(&program), left);
    }

    #[test]
    fn a_register_is_added_to_the_other_register() {
        // r1 = r3; r1 += r2; r0 = r1, where r3 is needed no more, or still is.
        let program = [(0xbf, 1, 3, 0, 0), (0x0f, 1, 2, 0, 0), (0xbf, 0, 1, 0, 0), EXIT];
        assert_eq!(coalesced(&program), [(0x0f, 2, 3, 0, 0), (0xbf, 0, 2, 0, 0), EXIT]);
        let program = [(0xbf, 1, 3, 0, 0), (0x0f, 1, 2, 0, 0), (0xbf, 0, 1, 0, 0), (0x0f, 0, 3, 0, 0), EXIT];
        assert_eq!(coalesced(&program)[0], (0x0f, 2, 3, 0, 0));
    }

    #[test]
    fn registers_change_names_where_the_other_is_made_anew() {
        // w1 = 7; w1 += w2; r2 = 9; r2 += r1; r2 = *(r2 + 0).
        let program = [
            (0xb4, 1, 0, 0, 7),
            (0x0c, 1, 2, 0, 0),
            (0x18, 2, 0, 0, 9),
            (0, 0, 0, 0, 0),
            (0x0f, 2, 1, 0, 0),
            (0x61, 2, 2, 0, 0),
            (0xbf, 0, 2, 0, 0),
            (0x0f, 0, 3, 0, 0),
            EXIT,
        ];
        let left = [
            (0x04, 2, 0, 0, 7),
            (0x18, 1, 0, 0, 9),
            (0, 0, 0, 0, 0),
            (0x0f, 1, 2, 0, 0),
            (0x61, 2, 1, 0, 0),
            (0xbf, 0, 2, 0, 0),
            (0x0f, 0, 3, 0, 0),
            EXIT,
        ];
        assert_eq!(coalesced(&program), left);
    }

    #[test]
    fn a_copy_of_what_is_not_needed_any_more_is_not_made() {
        let program = [(0xbf, 1, 2, 0, 0), (0x07, 1, 0, 0, 7), (0x79, 0, 1, 0, 0), EXIT];
        assert_eq!(coalesced(&program), [(0x07, 2, 0, 0, 7), (0x79, 0, 2, 0, 0), EXIT]);
        // The lower half alone, and then an operation on the lower half, or on the whole.
        let program = [(0xbc, 1, 2, 0, 0), (0x54, 1, 0, 0, 7), (0x79, 0, 1, 0, 0), EXIT];
        assert_eq!(coalesced(&program), [(0x54, 2, 0, 0, 7), (0x79, 0, 2, 0, 0), EXIT]);
        let program = [(0xbc, 1, 2, 0, 0), (0x07, 1, 0, 0, 7), (0x79, 0, 1, 0, 0), EXIT];
        assert_eq!(coalesced(&program), program);
    }

    #[test]
    fn what_cannot_be_followed_stays() {
        let add = [(0xb4, 1, 0, 0, 7), (0x0c, 1, 2, 0, 0)];
        let mut programs = vec![
            // The other register is read later.
            [&add[..], &[(0xbc, 0, 1, 0, 0), (0x0c, 0, 2, 0, 0), EXIT]].concat(),
            // A call reads the register.
            [&add[..], &[(0x85, 0, 0, 0, 1), EXIT]].concat(),
            // Something jumps to where the register is read.
            [&[(0xb4, 1, 0, 0, 9), (0x15, 3, 0, 2, 0)], &add[..], &[(0xbc, 0, 1, 0, 0), EXIT]].concat(),
            // 64 bits are added to 32.
            vec![(0xb4, 1, 0, 0, 7), (0x0f, 1, 2, 0, 0), (0xbf, 0, 1, 0, 0), EXIT],
            // The order matters.
            vec![(0xb4, 1, 0, 0, 7), (0x1c, 1, 2, 0, 0), (0xbc, 0, 1, 0, 0), EXIT],
            // The register that was moved changes before.
            vec![
                (0xbf, 1, 3, 0, 0),
                (0x07, 3, 0, 0, 1),
                (0x0f, 1, 2, 0, 0),
                (0xbf, 0, 1, 0, 0),
                (0x0f, 0, 3, 0, 0),
                EXIT,
            ],
        ];
        for program in &mut programs {
            assert_eq!(coalesced(program), *program);
        }
    }
}
