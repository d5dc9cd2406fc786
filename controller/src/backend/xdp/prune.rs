//! Takes out instructions that do nothing: what is left over once reads of the record are constants.
//!
//! Promises: what is taken out can never run, or has no effect but on a register or a place on the stack that no way from
//! there reads. Jumps and calls lead where they led.

use super::bytecode::{self, Alu, Flow, Kind, REGISTERS};
use super::instruction::Instruction;
use super::stack;

/// One bit a register, and above them one for each four bytes of the upper half of the stack, from r10 downwards.
pub(super) type Set = u128;

/// r0 to r5, which a call may change; and r1 to r5, which it may read.
const CHANGED_BY_CALL: Set = 0x3f;
const READ_BY_CALL: Set = 0x3e;
const RESULT: Set = 1;
const EVERY: Set = Set::MAX;
/// The bits of the stack.
const STACK: Set = ((1 << (STACK_BYTES / 4)) - 1) << REGISTERS;
const STACK_BYTES: usize = 256;

/// The program without what is not needed.
pub(super) fn prune(mut program: Vec<Instruction>) -> Vec<Instruction> {
    let mut private = stack::private(&program);
    loop {
        empty_dead(&mut program, &private);
        let length = program.len();
        program = compact(&program);
        if program.len() == length {
            return program;
        }
        private = stack::private(&program);
    }
}

/// Empties instructions whose result nobody reads, until no more are found.
fn empty_dead(program: &mut [Instruction], private: &[bool]) {
    loop {
        let live = live_after(program);
        let mut found = false;
        let mut at = 0;
        while at < program.len() {
            let length = bytecode::length(&program[at]);
            let idle = is_pure(&program[at]) && live[at] & bit(program[at].destination) == 0;
            if idle || private[at] && is_forgotten(&program[at], live[at]) {
                program[at..].iter_mut().take(length).for_each(|half| bytecode::jump(half, 0));
                found = true;
            }
            at += length;
        }
        if !found {
            return;
        }
    }
}

/// The same program without empty instructions and without those that cannot be reached, which the verifier refuses.
fn compact(program: &[Instruction]) -> Vec<Instruction> {
    let reachable = reachable(program);
    let mut kept = Vec::with_capacity(program.len());
    // Where each instruction, or the first behind it that is kept, comes to stand.
    let mut place = Vec::with_capacity(program.len() + 1);
    let mut at = 0;
    while at < program.len() {
        let length = bytecode::length(&program[at]);
        let keep = reachable[at] && !bytecode::is_empty(&program[at]);
        for half in at..(at + length).min(program.len()) {
            place.push(kept.len() + if keep { half - at } else { 0 });
        }
        if keep {
            kept.push(at);
            kept.extend(at + 1..at + length);
        }
        at += length;
    }
    place.push(kept.len());
    kept.iter().map(|&at| bytecode::moved(program, at, &place)).collect()
}

/// Whether control can come to each instruction.
fn reachable(program: &[Instruction]) -> Vec<bool> {
    let mut seen = vec![false; program.len()];
    let mut open = vec![0];
    while let Some(at) = open.pop() {
        if at < program.len() && !std::mem::replace(&mut seen[at], true) {
            let Flow { next, jump, call } = bytecode::flow(program, at);
            open.extend([next, jump, call].into_iter().flatten());
        }
    }
    seen
}

/// Whether nothing but the destination register changes.
fn is_pure(instruction: &Instruction) -> bool {
    matches!(bytecode::kind(instruction), Kind::Wide | Kind::Alu(_) | Kind::Opaque | Kind::Load)
}

/// Whether it stores on the stack what no way from there reads.
fn is_forgotten(instruction: &Instruction, live: Set) -> bool {
    let stores = bytecode::kind(instruction) == Kind::Store;
    stores && place(instruction, instruction.destination).is_some_and(|place| place & live == 0)
}

/// The registers and the places on the stack that may be read after each instruction before they are written; of the
/// stack only what is read through r10.
pub(super) fn live_after(program: &[Instruction]) -> Vec<Set> {
    let led = |at| {
        let Flow { next, jump, .. } = bytecode::flow(program, at);
        ([next, jump], uses(&program[at]))
    };
    // Looked at once: what follows goes over the program again and again.
    let steps: Vec<_> = (0..program.len()).map(led).collect();
    let mut before: Vec<Set> = vec![0; program.len()];
    let mut after: Vec<Set> = vec![0; program.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for (at, (ahead, Use { reads, writes })) in steps.iter().enumerate().rev() {
            let ahead = ahead.iter().flatten();
            after[at] = ahead.fold(0, |set, &target| set | before.get(target).copied().unwrap_or(EVERY));
            let needed = after[at] & !writes | reads;
            changed |= needed != before[at];
            before[at] = needed;
        }
    }
    after
}

/// What an instruction does with registers.
struct Use {
    /// Those that must be right before it.
    reads: Set,
    /// Those that are made anew, whatever they held.
    writes: Set,
}

fn uses(instruction: &Instruction) -> Use {
    let (destination, source) = (bit(instruction.destination), bit(instruction.source));
    let (reads, writes) = match bytecode::kind(instruction) {
        Kind::Wide => (0, destination),
        Kind::Load if is_stack(instruction.source) => {
            (source | place(instruction, instruction.source).unwrap_or(STACK), destination)
        }
        Kind::Load => (source, destination),
        Kind::Store if is_stack(instruction.destination) => {
            (destination | source, place(instruction, instruction.destination).unwrap_or(0))
        }
        // A byte swap has no source register; to take it for one that has only keeps more.
        Kind::Store | Kind::Opaque => (destination | source, 0),
        Kind::Call => (READ_BY_CALL, CHANGED_BY_CALL),
        Kind::Exit => (RESULT, EVERY),
        Kind::Alu(Alu { from_register, .. }) => {
            let read = if from_register { source } else { 0 };
            if is_move(instruction) { (read, destination) } else { (read | destination, 0) }
        }
        Kind::Jump => (read_by_jump(instruction), 0),
        // Nothing is known of it, so that everything may matter.
        Kind::Other => (EVERY, 0),
    };
    Use { reads, writes }
}

fn is_move(instruction: &Instruction) -> bool {
    matches!(bytecode::kind(instruction), Kind::Alu(alu) if alu.is_move())
}

fn read_by_jump(instruction: &Instruction) -> Set {
    match bytecode::comparison(instruction) {
        Some(comparison) if comparison.from_register => {
            bit(instruction.destination) | bit(instruction.source)
        }
        Some(_) => bit(instruction.destination),
        None => 0,
    }
}

/// What a load or a store through `register` touches of the stack; `None` where that is not whole units that have bits.
fn place(instruction: &Instruction, register: u8) -> Option<Set> {
    let size = bytecode::size(instruction);
    let below = usize::from(instruction.off.checked_neg()?.cast_unsigned());
    let whole = below.is_multiple_of(4) && size.is_multiple_of(4) && below <= STACK_BYTES;
    if !is_stack(register) || !whole || below < size {
        return None;
    }
    let lowest = (below - size) / 4;
    Some((((1 << (size / 4)) - 1) << lowest) << REGISTERS)
}

fn is_stack(register: u8) -> bool {
    usize::from(register) == bytecode::STACK
}

pub(super) fn bit(register: u8) -> Set {
    1 << register
}
