//! Turns reads of the info record into constants, those through the stack included, before the kernel sees the program.
//!
//! Promises: the same decisions, and no instruction moves (`prune` takes out what becomes idle); what is not understood
//! stays as it is. The verifier knows the record too and removes what can never run, but it leaves the reads themselves:
//! some thirty loads and as many addresses for every frame.

use std::collections::BTreeSet;

use aya_obj::generated::bpf_insn;

use super::bytecode::{self, Alu, Flow, Kind};
use super::coalesce::coalesce;
use super::instruction::Instruction;
use super::known::{Known, Value};
use super::prune::prune;
use super::stack;

/// The record, and the descriptor by which instructions refer to its map.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) map: i32,
    pub(super) bytes: &'a [u8],
}

/// The program with constants in the place of reads of `record`, without what they make idle.
pub(super) fn specialise(program: Vec<bpf_insn>, record: Record<'_>) -> Vec<bpf_insn> {
    let mut decoded: Vec<Instruction> = program.iter().map(Instruction::decode).collect();
    if !decoded.iter().all(bytecode::leads_where_known) {
        return program;
    }
    fold(&mut decoded, record);
    let mut left = prune(decoded);
    coalesce(&mut left);
    prune(left).into_iter().map(Instruction::encode).collect()
}

fn fold(program: &mut [Instruction], record: Record<'_>) {
    let known = analyse(program, record);
    for (instruction, before) in program.iter_mut().zip(&known) {
        // The second half of a wide instruction, and what can never run, have no state.
        if let Some(before) = before {
            rewrite(instruction, before, record);
        }
    }
}

/// What is known before each instruction, on every way that leads there; `None` where none does.
fn analyse(program: &[Instruction], record: Record<'_>) -> Vec<Option<Known>> {
    let mut known: Vec<Option<Known>> = vec![None; program.len()];
    let private = stack::private(program);
    // The first in the program comes first: compilers put what follows behind, and so every way to an instruction has been
    // gone before it is looked at, once.
    let mut open = BTreeSet::new();
    arrive(&mut known, &mut open, 0, &Known::nothing());
    while let Some(at) = open.pop_first() {
        let Some(before) = known[at].clone() else { continue };
        let after = step(program, at, &before, private[at], record);
        let flow = match outcome(&program[at], &before) {
            Some(taken) => bytecode::flow(program, at).decided(taken),
            None => bytecode::flow(program, at),
        };
        let Flow { next, jump, call } = flow;
        for target in [next, jump].into_iter().flatten() {
            arrive(&mut known, &mut open, target, &after);
        }
        if let Some(function) = call {
            arrive(&mut known, &mut open, function, &Known::nothing());
        }
    }
    known
}

/// Notes that `at` is reached with what is known `now`; what differs from an earlier way is not known.
fn arrive(known: &mut [Option<Known>], open: &mut BTreeSet<usize>, at: usize, now: &Known) {
    let Some(slot) = known.get_mut(at) else { return };
    let joined = match slot {
        None => now.clone(),
        Some(old) => old.joined(now),
    };
    if slot.as_ref() != Some(&joined) {
        *slot = Some(joined);
        open.insert(at);
    }
}

/// What is known after the instruction; `private`: its function keeps its stack to itself.
fn step(program: &[Instruction], at: usize, before: &Known, private: bool, record: Record<'_>) -> Known {
    let instruction = &program[at];
    let mut after = before.clone();
    let destination = usize::from(instruction.destination);
    match bytecode::kind(instruction) {
        Kind::Wide => after.registers[destination] = wide(program, at, record),
        Kind::Alu(_) | Kind::Load => after.registers[destination] = result(instruction, before, record),
        Kind::Opaque => after.registers[destination] = Value::Unknown,
        Kind::Call => {
            after.registers[..6].fill(Value::Unknown);
            if !private {
                after.forget_stack();
            }
        }
        Kind::Store if destination == bytecode::STACK => {
            let source = before.registers[usize::from(instruction.source)];
            let stored = bytecode::stored(instruction).map_or(source, Value::Number);
            after.store(instruction.off, bytecode::size(instruction), stored);
        }
        Kind::Store if !private => after.forget_stack(),
        Kind::Store | Kind::Jump | Kind::Exit => {}
        Kind::Other => after = Known::nothing(),
    }
    after
}

/// The value of an instruction of two halves.
fn wide(program: &[Instruction], at: usize, record: Record<'_>) -> Value {
    let high = program.get(at + 1).map_or(0, |half| half.imm);
    match program[at].source {
        0 => {
            Value::Number(u64::from(program[at].imm.cast_unsigned()) | u64::from(high.cast_unsigned()) << 32)
        }
        bytecode::MAP_VALUE if program[at].imm == record.map => Value::Record(high.into()),
        _ => Value::Unknown,
    }
}

/// What an arithmetic instruction or a load leaves in its destination.
fn result(instruction: &Instruction, before: &Known, record: Record<'_>) -> Value {
    let source = before.registers[usize::from(instruction.source)];
    let Kind::Alu(alu) = bytecode::kind(instruction) else {
        if usize::from(instruction.source) == bytecode::STACK {
            return before.load(instruction.off, bytecode::size(instruction));
        }
        let Value::Record(offset) = source else { return Value::Unknown };
        let start = offset.wrapping_add(instruction.off.into());
        return load(record.bytes, start, bytecode::size(instruction)).map_or(Value::Unknown, Value::Number);
    };
    let left = before.registers[usize::from(instruction.destination)];
    let right = if alu.from_register { source } else { Value::Number(bytecode::immediate(instruction)) };
    match (left, right) {
        (Value::Number(0), _) | (_, Value::Number(0)) if alu.is_and() => Value::Number(0),
        (_, Value::Number(_) | Value::Record(_)) if alu.is_move() && alu.wide => right,
        (_, Value::Number(right)) if alu.is_move() => Value::Number(right & u64::from(u32::MAX)),
        (Value::Number(left), Value::Number(right)) => {
            alu.apply(left, right).map_or(Value::Unknown, Value::Number)
        }
        (Value::Record(offset), Value::Number(right)) if alu.is_add() && alu.wide => {
            Value::Record(offset.wrapping_add(right.cast_signed()))
        }
        _ => Value::Unknown,
    }
}

/// `size` bytes of the record, in the byte order of the machine.
fn load(record: &[u8], start: i64, size: usize) -> Option<u64> {
    let start = usize::try_from(start).ok()?;
    let bytes = record.get(start..start.checked_add(size)?)?;
    Some(match *bytes {
        [a] => a.into(),
        [a, b] => u16::from_ne_bytes([a, b]).into(),
        [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]).into(),
        _ => u64::from_ne_bytes(bytes.try_into().ok()?),
    })
}

/// Whether a conditional jump is taken, where that is certain.
fn outcome(instruction: &Instruction, before: &Known) -> Option<bool> {
    let comparison = bytecode::comparison(instruction)?;
    let right = match before.registers[usize::from(instruction.source)] {
        _ if !comparison.from_register => bytecode::immediate(instruction),
        Value::Number(right) => right,
        _ => return None,
    };
    match before.registers[usize::from(instruction.destination)] {
        Value::Number(left) => comparison.holds(left, right),
        _ => comparison.always(right),
    }
}

/// Puts what is known into one instruction.
fn rewrite(instruction: &mut Instruction, before: &Known, record: Record<'_>) {
    if let Some(taken) = outcome(instruction, before) {
        let offset = if taken { instruction.off } else { 0 };
        return bytecode::jump(instruction, offset);
    }
    let source = before.registers[usize::from(instruction.source)];
    match bytecode::kind(instruction) {
        Kind::Load | Kind::Alu(_) => {
            if let Value::Number(number) = result(instruction, before, record)
                && let Ok(number) = u32::try_from(number)
            {
                bytecode::constant(instruction, number);
            } else if let (Kind::Alu(Alu { from_register: true, .. }), Value::Number(number)) =
                (bytecode::kind(instruction), source)
            {
                bytecode::use_immediate(instruction, number);
            }
        }
        Kind::Jump if bytecode::comparison(instruction).is_some_and(|it| it.from_register) => {
            if let Value::Number(number) = source {
                bytecode::use_immediate(instruction, number);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: i32 = 77;
    const RECORD: Record<'_> =
        Record { map: MAP, bytes: &[5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 9, 0, 0, 0, 0, 0, 0, 1] };

    fn instruction(code: u8, destination: u8, source: u8, off: i16, imm: i32) -> bpf_insn {
        Instruction { code, destination, source, off, imm }.encode()
    }

    /// `r1` is an address in the record; then `rest`, then exit.
    fn with_record(rest: &[bpf_insn]) -> Vec<bpf_insn> {
        let address = [instruction(0x18, 1, bytecode::MAP_VALUE, 0, MAP), instruction(0, 0, 0, 0, 0)];
        [&address, rest, &[instruction(0x95, 0, 0, 0, 0)]].concat()
    }

    /// Code, registers, offset and number of what is left.
    fn specialised(program: Vec<bpf_insn>) -> Vec<(u8, u8, u8, i16, i32)> {
        let left = specialise(program, RECORD);
        left.iter().map(|it| (it.code, it.dst_reg(), it.src_reg(), it.off, it.imm)).collect()
    }

    #[test]
    fn a_read_becomes_a_constant_and_its_address_goes() {
        let read = with_record(&[instruction(0x61, 0, 1, 4, 0)]);
        assert_eq!(specialised(read), [(0xb4, 0, 0, 0, -1), (0x95, 0, 0, 0, 0)]);
        // A byte, through a copy of the address that was moved on.
        let moved = with_record(&[
            instruction(0xbf, 2, 1, 0, 0),
            instruction(0x07, 2, 0, 0, 8),
            instruction(0x71, 0, 2, 7, 0),
        ]);
        assert_eq!(specialised(moved), [(0xb4, 0, 0, 0, 1), (0x95, 0, 0, 0, 0)]);
    }

    #[test]
    fn what_is_not_a_small_number_stays() {
        for (code, off) in [(0x79, 8), (0x61, 13), (0x61, -1)] {
            assert_eq!(
                specialised(with_record(&[instruction(code, 0, 1, off, 0)])).len(),
                4,
                "{code:#x} {off}"
            );
        }
        let foreign = [instruction(0x18, 1, bytecode::MAP_VALUE, 0, MAP + 1), instruction(0, 0, 0, 0, 0)];
        let program =
            [&foreign[..], &[instruction(0x61, 0, 1, 0, 0), instruction(0x95, 0, 0, 0, 0)]].concat();
        assert_eq!(specialised(program).len(), 4);
        // A jump of a later instruction set: nothing is touched.
        let far = with_record(&[instruction(0x61, 0, 1, 4, 0), instruction(0x06, 0, 0, 0, 0)]);
        assert_eq!(specialised(far).len(), 5);
    }

    #[test]
    fn an_operand_becomes_a_number() {
        // r0 = *(u32 *)(r10 - 4); r2 = record[0]; w0 &= w2
        let mask = with_record(&[
            instruction(0x61, 0, 10, -4, 0),
            instruction(0x61, 2, 1, 0, 0),
            instruction(0x5c, 0, 2, 0, 0),
        ]);
        assert_eq!(specialised(mask), [(0x61, 0, 10, -4, 0), (0x54, 0, 0, 0, 5), (0x95, 0, 0, 0, 0)]);
        // 64 bits: 0xffff_ffff is no 32-bit number with a sign.
        let wide = with_record(&[
            instruction(0x79, 0, 10, -8, 0),
            instruction(0x61, 2, 1, 4, 0),
            instruction(0x5f, 0, 2, 0, 0),
        ]);
        assert_eq!(specialised(wide)[1..3], [(0xb4, 2, 0, 0, -1), (0x5f, 0, 2, 0, 0)]);
    }

    #[test]
    fn a_decided_jump_takes_the_other_way_out_and_jumps_still_meet() {
        // if record[0] == 5 skip { r0 = 1; exit }; r0 = *(u8 *)(r10 - 1); if r0 > 3 goto the end; r0 = 7; exit
        let program = with_record(&[
            instruction(0x61, 2, 1, 0, 0),
            instruction(0x15, 2, 0, 2, 5),
            instruction(0xb7, 0, 0, 0, 1),
            instruction(0x95, 0, 0, 0, 0),
            instruction(0x71, 0, 10, -1, 0),
            instruction(0x25, 0, 0, 1, 3),
            instruction(0xb7, 0, 0, 0, 7),
        ]);
        let left = [(0x71, 0, 10, -1, 0), (0x25, 0, 0, 1, 3), (0xb4, 0, 0, 0, 7), (0x95, 0, 0, 0, 0)];
        // The jump over the first exit is one to the next instruction, and goes.
        assert_eq!(specialised(program), left);
    }

    #[test]
    fn a_constant_is_followed_through_the_stack() {
        // r2 = record[0]; *(u32 *)(r10 - 8) = r2; r0 = 1; r0 = *(u32 *)(r10 - 8)
        let spilled = |between: bpf_insn| {
            specialised(with_record(&[
                instruction(0x61, 2, 1, 0, 0),
                instruction(0x63, 10, 2, -8, 0),
                between,
                instruction(0x61, 0, 10, -8, 0),
            ]))
        };
        let kept = spilled(instruction(0x7b, 10, 10, -16, 0));
        assert_eq!(kept[kept.len() - 2], (0xb4, 0, 0, 0, 5));
        // A store through another pointer and a call change it where something else knows the stack; r5 does below.
        for between in [(0x7b, 3, 4, 0, 0), (0x85, 0, 0, 0, 1)] {
            let kept = spilled(instruction(between.0, between.1, between.2, between.3, between.4));
            assert_eq!(kept[kept.len() - 2], (0xb4, 0, 0, 0, 5), "{between:?}");
        }
        for between in [(0x7b, 3, 10, 0, 0), (0x73, 10, 3, -7, 0)] {
            let lost = spilled(instruction(between.0, between.1, between.2, between.3, between.4));
            assert_eq!(lost[lost.len() - 2], (0x61, 0, 10, -8, 0), "{between:?}");
        }
        let known = |between: bpf_insn| {
            let address = [instruction(0xbf, 5, 10, 0, 0), instruction(0x7b, 3, 5, 0, 0)];
            let spill = [instruction(0x61, 2, 1, 0, 0), instruction(0x63, 10, 2, -8, 0)];
            specialised(with_record(
                &[&address[..], &spill, &[between, instruction(0x61, 0, 10, -8, 0)]].concat(),
            ))
        };
        for between in [(0x7b, 3, 4, 0, 0), (0x85, 0, 0, 0, 1)] {
            let lost = known(instruction(between.0, between.1, between.2, between.3, between.4));
            assert_eq!(lost[lost.len() - 2], (0x61, 0, 10, -8, 0), "{between:?}");
        }
    }

    #[test]
    fn what_nobody_reads_from_the_stack_is_not_stored() {
        let stored = |read: bpf_insn| {
            let store = instruction(0x7b, 10, 3, -16, 0);
            specialised(with_record(&[store, read])).contains(&(0x7b, 10, 3, -16, 0))
        };
        for (code, off) in [(0x79, -8), (0x61, -20), (0x61, -8), (0x79, -264)] {
            assert_eq!(stored(instruction(code, 0, 10, off, 0)), off == -264, "{off}");
        }
        for (code, off) in [(0x79, -16), (0x61, -16), (0x61, -12), (0x79, -12), (0x71, -9)] {
            assert!(stored(instruction(code, 0, 10, off, 0)), "{off}");
        }
    }

    #[test]
    fn ways_that_differ_leave_a_number_unknown() {
        // r2 = record[0]; if r10 == 0 goto +1; r2 = record[8]; r0 = r2
        let program = with_record(&[
            instruction(0x61, 2, 1, 0, 0),
            instruction(0x15, 10, 0, 1, 0),
            instruction(0x61, 2, 1, 8, 0),
            instruction(0xbf, 0, 2, 0, 0),
        ]);
        assert_eq!(specialised(program)[3], (0xbf, 0, 2, 0, 0));
    }

    #[test]
    fn a_call_forgets_and_a_function_starts_anew() {
        // r6 = record[0]; r2 = r6; call f; r0 = r6; exit; f: r0 = r2; exit
        let program = with_record(&[
            instruction(0x61, 6, 1, 0, 0),
            instruction(0xbf, 2, 6, 0, 0),
            instruction(0x85, 0, 1, 0, 2),
            instruction(0xbf, 0, 6, 0, 0),
            instruction(0x95, 0, 0, 0, 0),
            instruction(0xbf, 0, 2, 0, 0),
        ]);
        let left = specialised(program);
        let end = [(0x85, 0, 1, 0, 2), (0xb4, 0, 0, 0, 5), (0x95, 0, 0, 0, 0), (0xbf, 0, 2, 0, 0)];
        assert_eq!(left[left.len() - 5..left.len() - 1], end);
        assert!(left.contains(&(0xb4, 2, 0, 0, 5)));
    }
}
