//! Writing the constants of a generation into its instructions.
//!
//! Promises: the program does what it did before, with fewer instructions. A read of the frozen `INFO` record becomes the
//! number that stands there, a comparison of such a number is decided, and the bound of the largest table becomes the
//! bound of the table that is there. The verifier judges the result, and the differential tests run it.
//!
//! The pass walks the instructions once, in order, and knows for each register whether it holds a number or points into
//! the record. What it is not sure of it leaves alone.

use std::collections::HashMap;

use aya_obj::generated::{BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC, BPF_PSEUDO_MAP_VALUE, bpf_insn};

/// Instruction codes (Linux, `Documentation/bpf/standardization/instruction-set.rst`).
mod code {
    pub(super) const LOAD_IMM64: u8 = 0x18;
    pub(super) const LOAD_U32: u8 = 0x61;
    pub(super) const MOVE32_IMM: u8 = 0xb4;
    pub(super) const AND32_IMM: u8 = 0x54;
    pub(super) const AND64_IMM: u8 = 0x57;
    pub(super) const JUMP: u8 = 0x05;
    pub(super) const JUMP32_LONG: u8 = 0x06;
    pub(super) const JUMP64_EQUAL: u8 = 0x15;
    pub(super) const JUMP64_UNEQUAL: u8 = 0x55;
    pub(super) const JUMP32_EQUAL: u8 = 0x16;
    pub(super) const JUMP32_UNEQUAL: u8 = 0x56;
    pub(super) const CALL: u8 = 0x85;
    pub(super) const EXIT: u8 = 0x95;

    pub(super) const CLASS: u8 = 0x07;
    pub(super) const LOAD: u8 = 0x00;
    pub(super) const LOAD_REGISTER: u8 = 0x01;
    pub(super) const ALU32: u8 = 0x04;
    pub(super) const JUMP64_CLASS: u8 = 0x05;
    pub(super) const JUMP32_CLASS: u8 = 0x06;
    pub(super) const ALU64: u8 = 0x07;
}

/// The constants of a generation.
pub(super) struct Constants<'a> {
    /// Descriptor by which the instructions name the record's map.
    pub(super) record_map: i32,
    /// The bytes of the record.
    pub(super) record: &'a [u8],
    /// Words in the largest table less one, as the object has it.
    pub(super) largest_mask: u32,
    /// Words in this table less one.
    pub(super) mask: u32,
}

/// What a register is known to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Number(u32),
    /// An address in the record, at `offset`, by the load at instruction `load`.
    Pointer {
        load: usize,
        offset: i32,
    },
}

type Registers = [Option<Value>; 11];

/// Rewrites `instructions` in place; their number does not change.
pub(super) fn specialise(instructions: &mut [bpf_insn], constants: &Constants<'_>) {
    narrow(instructions, constants);
    let before = instructions.to_vec();
    let loads = fold(instructions, constants);
    restore_ways(instructions, &before);
    for (at, is_used) in loads {
        if !is_used {
            // A jump to the next instruction: the kernel takes such out.
            instructions[at] = instruction(code::JUMP, 0, 0);
            instructions[at + 1] = instruction(code::JUMP, 0, 0);
        }
    }
}

/// Takes decisions back where they would leave instructions that nothing leads to: the kernel refuses such, while of a
/// comparison that always ends one way it removes the other way itself.
fn restore_ways(instructions: &mut [bpf_insn], before: &[bpf_insn]) {
    loop {
        let reached = reached(instructions);
        let is_lost = |at: usize| {
            let decided = instructions[at].code == code::JUMP && before[at].code != code::JUMP;
            let ways = [Some(at + 1), target(at, &before[at])];
            decided && ways.into_iter().flatten().any(|way| !reached.get(way).is_some_and(|&is| is))
        };
        let lost: Vec<usize> = (0..instructions.len()).filter(|&at| reached[at] && is_lost(at)).collect();
        if lost.is_empty() {
            return;
        }
        for at in lost {
            instructions[at] = before[at];
        }
    }
}

/// Which instructions something leads to.
fn reached(instructions: &[bpf_insn]) -> Vec<bool> {
    let mut reached = vec![false; instructions.len()];
    let mut open = backward_targets(instructions);
    open.push(0);
    while let Some(at) = open.pop() {
        if at >= instructions.len() || std::mem::replace(&mut reached[at], true) {
            continue;
        }
        let one = &instructions[at];
        let is_jump = matches!(one.code & code::CLASS, code::JUMP64_CLASS | code::JUMP32_CLASS);
        if is_jump && !matches!(one.code, code::CALL | code::EXIT) {
            open.extend(target(at, one));
        }
        if !matches!(one.code, code::JUMP | code::JUMP32_LONG | code::EXIT) {
            open.push(at + if one.code == code::LOAD_IMM64 { 2 } else { 1 });
        }
    }
    reached
}

/// Gives masks of the largest table the width of this one.
fn narrow(instructions: &mut [bpf_insn], constants: &Constants<'_>) {
    for one in instructions {
        if !matches!(one.code, code::AND32_IMM | code::AND64_IMM) {
            continue;
        }
        // The compiler may have moved the scaling by four in front of the mask.
        for scale in [0, 2] {
            if one.imm.cast_unsigned() == constants.largest_mask << scale {
                one.imm = (constants.mask << scale).cast_signed();
                break;
            }
        }
    }
}

/// Replaces reads of the record. The loads of its address, and whether each is still needed.
fn fold(instructions: &mut [bpf_insn], constants: &Constants<'_>) -> HashMap<usize, bool> {
    let mut loads: HashMap<usize, bool> = HashMap::new();
    let mut arriving: HashMap<usize, Registers> = HashMap::new();
    let mut registers: Registers = [None; 11];
    let mut is_reached = true;
    let backward = backward_targets(instructions);
    let mut at = 0;
    while at < instructions.len() {
        if let Some(other) = arriving.remove(&at) {
            registers = if is_reached { meet(registers, other, &mut loads) } else { other };
        } else if !is_reached {
            registers = [None; 11];
        }
        if backward.contains(&at) {
            forget(&mut registers, 0..=10, &mut loads);
        }
        is_reached = true;
        let one = instructions[at];
        let (dst, src) = (usize::from(one.dst_reg()), usize::from(one.src_reg()));
        let width = if one.code == code::LOAD_IMM64 { 2 } else { 1 };
        match one.code & code::CLASS {
            code::LOAD if width == 2 => {
                let is_record = src == BPF_PSEUDO_MAP_VALUE as usize && one.imm == constants.record_map;
                registers[dst] = is_record.then(|| {
                    loads.insert(at, false);
                    Value::Pointer { load: at, offset: instructions[at + 1].imm }
                });
            }
            code::LOAD_REGISTER => {
                let number = registers[src].and_then(|value| read(&one, value, constants));
                match number {
                    Some(number) => instructions[at] = instruction(code::MOVE32_IMM, one.dst_reg(), number),
                    None => used(registers[src], &mut loads),
                }
                registers[dst] = number.map(|number| Value::Number(number.cast_unsigned()));
            }
            code::ALU32 if one.code == code::MOVE32_IMM => {
                registers[dst] = Some(Value::Number(one.imm.cast_unsigned()));
            }
            code::JUMP64_CLASS | code::JUMP32_CLASS => {
                if let Some(taken) = decided(&one, registers[dst]) {
                    instructions[at] = instruction(code::JUMP, 0, 0);
                    instructions[at].off = if taken { one.off } else { 0 };
                }
                is_reached = jump(at, &instructions[at], &mut registers, &mut arriving, &mut loads);
            }
            class => {
                used(registers[dst], &mut loads);
                used(registers[src], &mut loads);
                if matches!(class, code::ALU32 | code::ALU64) {
                    registers[dst] = None;
                }
            }
        }
        at += width;
    }
    loads
}

/// The number that a load through `pointer` reads, if the load is of a word of the record.
fn read(one: &bpf_insn, value: Value, constants: &Constants<'_>) -> Option<i32> {
    let Value::Pointer { offset, .. } = value else { return None };
    if one.code != code::LOAD_U32 {
        return None;
    }
    let start = usize::try_from(offset + i32::from(one.off)).ok()?;
    let bytes = constants.record.get(start..start + 4)?;
    Some(i32::from_ne_bytes(bytes.try_into().ok()?))
}

/// Whether a comparison for equality with a constant jumps, where both sides are known.
fn decided(one: &bpf_insn, value: Option<Value>) -> Option<bool> {
    let Some(Value::Number(number)) = value else { return None };
    let equal = number == one.imm.cast_unsigned();
    match one.code {
        code::JUMP32_EQUAL => Some(equal),
        code::JUMP32_UNEQUAL => Some(!equal),
        // The 64-bit comparison extends the constant's sign, the number has none.
        code::JUMP64_EQUAL if one.imm >= 0 => Some(equal),
        code::JUMP64_UNEQUAL if one.imm >= 0 => Some(!equal),
        _ => None,
    }
}

/// A jump, call or exit: what the registers hold where it leads. Whether the next instruction follows it.
fn jump(
    at: usize,
    one: &bpf_insn,
    registers: &mut Registers,
    arriving: &mut HashMap<usize, Registers>,
    loads: &mut HashMap<usize, bool>,
) -> bool {
    match one.code {
        code::CALL => {
            // Arguments are used, and after the call the first six registers hold something else.
            forget(registers, 0..=5, loads);
            return true;
        }
        code::EXIT => {
            forget(registers, 0..=10, loads);
            return false;
        }
        _ => {}
    }
    if one.code == code::JUMP && one.off == 0 {
        return true;
    }
    let is_conditional = !matches!(one.code, code::JUMP | code::JUMP32_LONG);
    if is_conditional {
        used(registers[usize::from(one.dst_reg())], loads);
        used(registers[usize::from(one.src_reg())], loads);
    }
    if let Some(target) = target(at, one).filter(|&target| target > at) {
        let there = match arriving.get(&target) {
            Some(&known) => meet(known, *registers, loads),
            None => *registers,
        };
        arriving.insert(target, there);
    } else {
        forget(registers, 0..=10, loads);
    }
    is_conditional
}

/// Where a jump leads, as an index.
fn target(at: usize, one: &bpf_insn) -> Option<usize> {
    let offset = if one.code == code::JUMP32_LONG { i64::from(one.imm) } else { i64::from(one.off) };
    usize::try_from(at as i64 + 1 + offset).ok()
}

/// The instructions that something behind them leads to, and those that begin a function: nothing is known there.
fn backward_targets(instructions: &[bpf_insn]) -> Vec<usize> {
    let mut found = Vec::new();
    for (at, one) in instructions.iter().enumerate() {
        let class = one.code & code::CLASS;
        let is_call = one.code == code::CALL && u32::from(one.src_reg()) == BPF_PSEUDO_CALL;
        let is_function = one.code == code::LOAD_IMM64 && u32::from(one.src_reg()) == BPF_PSEUDO_FUNC;
        if is_call || is_function {
            found.extend(usize::try_from(at as i64 + 1 + i64::from(one.imm)));
        } else if matches!(class, code::JUMP64_CLASS | code::JUMP32_CLASS) {
            found.extend(target(at, one).filter(|&target| target <= at));
        }
    }
    found
}

/// What holds on both ways into an instruction.
fn meet(a: Registers, b: Registers, loads: &mut HashMap<usize, bool>) -> Registers {
    std::array::from_fn(|register| {
        if a[register] == b[register] {
            return a[register];
        }
        used(a[register], loads);
        used(b[register], loads);
        None
    })
}

fn forget(
    registers: &mut Registers,
    which: std::ops::RangeInclusive<usize>,
    loads: &mut HashMap<usize, bool>,
) {
    for register in which {
        used(registers[register].take(), loads);
    }
}

/// Marks the load behind a pointer as needed.
fn used(value: Option<Value>, loads: &mut HashMap<usize, bool>) {
    if let Some(Value::Pointer { load, .. }) = value {
        loads.insert(load, true);
    }
}

fn instruction(code: u8, dst: u8, imm: i32) -> bpf_insn {
    bpf_insn { code, _bitfield_align_1: [], _bitfield_1: bpf_insn::new_bitfield_1(dst, 0), off: 0, imm }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: i32 = 77;

    fn load_address(dst: u8) -> [bpf_insn; 2] {
        let mut first = instruction(code::LOAD_IMM64, dst, MAP);
        first.set_src_reg(BPF_PSEUDO_MAP_VALUE as u8);
        [first, instruction(0, 0, 0)]
    }

    fn load_word(dst: u8, src: u8, off: i16) -> bpf_insn {
        let mut one = instruction(code::LOAD_U32, dst, 0);
        one.set_src_reg(src);
        one.off = off;
        one
    }

    fn run(program: &mut [bpf_insn]) {
        let record = [1u32, 42, 7].map(u32::to_ne_bytes).concat();
        let constants = Constants { record_map: MAP, record: &record, largest_mask: 0x3ff_ffff, mask: 0xfff };
        specialise(program, &constants);
    }

    #[test]
    fn a_read_of_the_record_becomes_its_number_and_the_address_goes() {
        let [first, second] = load_address(1);
        let mut program = [first, second, load_word(2, 1, 4), instruction(code::EXIT, 0, 0)];
        run(&mut program);
        assert_eq!((program[2].code, program[2].dst_reg(), program[2].imm), (code::MOVE32_IMM, 2, 42));
        assert_eq!((program[0].code, program[0].off), (code::JUMP, 0));
    }

    #[test]
    fn an_address_that_is_used_otherwise_stays() {
        let [first, second] = load_address(1);
        let mut add = instruction(0x0f, 1, 0);
        add.set_src_reg(3);
        let mut program =
            [first, second, load_word(2, 1, 4), add, load_word(4, 1, 0), instruction(code::EXIT, 0, 0)];
        run(&mut program);
        assert_eq!(program[0].code, code::LOAD_IMM64);
        assert_eq!(program[2].code, code::MOVE32_IMM);
        assert_eq!(program[4].code, code::LOAD_U32, "an address that was moved is not known any more");
    }

    #[test]
    fn what_differs_between_two_ways_is_not_known() {
        let [first, second] = load_address(1);
        let mut skip = instruction(0x15, 3, 0);
        skip.off = 2;
        let mut program = [skip, first, second, load_word(2, 1, 4), instruction(code::EXIT, 0, 0)];
        run(&mut program);
        assert_eq!(program[3].code, code::LOAD_U32);
        assert_eq!(program[1].code, code::LOAD_IMM64);
    }

    #[test]
    fn a_comparison_of_a_constant_is_decided() {
        let [first, second] = load_address(1);
        let mut compare = instruction(code::JUMP32_EQUAL, 2, 42);
        compare.off = 1;
        let exit = instruction(code::EXIT, 0, 0);
        let mut program = [first, second, load_word(2, 1, 4), compare, exit, exit];
        run(&mut program);
        assert_eq!(program[3].code, compare.code, "the instruction behind it would be out of reach");
        // Another way leads behind it.
        let mut skip = instruction(0x15, 3, 0);
        skip.off = 4;
        let mut program = [skip, first, second, load_word(2, 1, 4), compare, exit, exit];
        run(&mut program);
        assert_eq!(program[4].code, compare.code);
        compare.imm = 41;
        let mut program = [skip, first, second, load_word(2, 1, 4), compare, exit, exit];
        program[0].off = 5;
        run(&mut program);
        assert_eq!((program[4].code, program[4].off), (code::JUMP, 0));
    }

    #[test]
    fn masks_of_the_largest_table_become_narrow() {
        let mut program = [
            instruction(code::AND32_IMM, 1, 0x3ff_ffff),
            instruction(code::AND64_IMM, 1, 0xfff_fffc),
            instruction(code::AND64_IMM, 1, 0xff),
        ];
        run(&mut program);
        assert_eq!(program.map(|one| one.imm), [0xfff, 0x3ffc, 0xff]);
    }
}
