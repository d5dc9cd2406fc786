//! Which functions of a program keep their stack to themselves.
//!
//! Promises: where this says so, the stack of the function is read and written through r10 alone. No other pointer to it is
//! ever made, so that no store through another register and no call reaches it.

use super::bytecode::{self, Flow, Kind};
use super::instruction::Instruction;

/// For each position whether its function keeps its stack to itself; no function does where a jump leaves one.
pub(super) fn private(program: &[Instruction]) -> Vec<bool> {
    let mut private = vec![true; program.len()];
    for range in functions(program).windows(2).map(|bounds| bounds[0]..bounds[1]) {
        let inside = |to: Option<usize>| to.is_none_or(|to| range.contains(&to));
        let mut alone = true;
        let mut at = range.start;
        while at < range.end {
            let Flow { next, jump, .. } = bytecode::flow(program, at);
            if !inside(next) || !inside(jump) {
                return vec![false; program.len()];
            }
            alone &= !takes_address(&program[at]);
            at += bytecode::length(&program[at]);
        }
        private[range].fill(alone);
    }
    private
}

/// Where functions begin, ascending, and where the last one ends.
fn functions(program: &[Instruction]) -> Vec<usize> {
    let mut bounds = vec![0, program.len()];
    let mut at = 0;
    while at < program.len() {
        bounds.extend(bytecode::flow(program, at).call);
        at += bytecode::length(&program[at]);
    }
    bounds.retain(|bound| *bound <= program.len());
    bounds.sort_unstable();
    bounds.dedup();
    bounds
}

/// Whether r10 goes anywhere but into the address of a load or a store.
fn takes_address(instruction: &Instruction) -> bool {
    let stack = |register: u8| usize::from(register) == bytecode::STACK;
    match bytecode::kind(instruction) {
        Kind::Load => stack(instruction.destination),
        Kind::Store => stack(instruction.source),
        Kind::Other => true,
        _ => stack(instruction.source) || stack(instruction.destination),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(program: &[(u8, u8, u8, i16, i32)]) -> Vec<bool> {
        let decode =
            |&(code, destination, source, off, imm): &_| Instruction { code, destination, source, off, imm };
        private(&program.iter().map(decode).collect::<Vec<_>>())
    }

    const EXIT: (u8, u8, u8, i16, i32) = (0x95, 0, 0, 0, 0);
    const LOAD: (u8, u8, u8, i16, i32) = (0x79, 1, 10, -8, 0);
    const STORE: (u8, u8, u8, i16, i32) = (0x7b, 10, 1, -8, 0);

    #[test]
    fn loads_and_stores_keep_it() {
        assert_eq!(of(&[STORE, LOAD, EXIT]), [true; 3]);
    }

    #[test]
    fn a_pointer_gives_it_away() {
        for away in [(0xbf, 2, 10, 0, 0), (0x7b, 10, 10, -8, 0), (0x07, 10, 0, 0, 8), (0x1f, 1, 10, 0, 0)] {
            assert_eq!(of(&[STORE, away, LOAD, EXIT]), [false; 4], "{away:?}");
        }
    }

    #[test]
    fn each_function_has_its_own() {
        // call f; exit; f: r2 = r10; exit
        let program = [(0x85, 0, 1, 0, 1), EXIT, (0xbf, 2, 10, 0, 0), EXIT];
        assert_eq!(of(&program), [true, true, false, false]);
        // The first jumps into the second.
        let program = [(0x85, 0, 1, 0, 2), (0x15, 1, 0, 1, 0), EXIT, STORE, EXIT];
        assert_eq!(of(&program), [false; 5]);
    }
}
