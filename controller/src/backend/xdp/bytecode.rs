//! BPF instructions as data (RFC 9669): what one does, where it leads, and how to replace it in place.
//!
//! Promises: what is not named here is [`Kind::Other`], about which nothing is assumed.

use super::instruction::Instruction;

/// r0 to r10.
pub(super) const REGISTERS: usize = 11;

/// The frame pointer, r10.
pub(super) const STACK: usize = 10;

/// Source of a wide instruction that is an address inside a map's value (`BPF_PSEUDO_MAP_VALUE`).
pub(super) const MAP_VALUE: u8 = 2;
/// Source of a call to a function of the same program (`BPF_PSEUDO_CALL`).
const FUNCTION: u8 = 1;

const CLASS: u8 = 0x07;
const LDX: u8 = 0x01;
const ST: u8 = 0x02;
const STX: u8 = 0x03;
const ALU: u8 = 0x04;
const JMP: u8 = 0x05;
const JMP32: u8 = 0x06;
const ALU64: u8 = 0x07;
const WIDE: u8 = 0x18;
const FROM_REGISTER: u8 = 0x08;
const OPERATION: u8 = 0xf0;
const MODE: u8 = 0xe0;
const MEMORY: u8 = 0x60;
const JA: u8 = 0x05;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
const ADD: u8 = 0x00;
const SUB: u8 = 0x10;
const MUL: u8 = 0x20;
const OR: u8 = 0x40;
const AND: u8 = 0x50;
const LSH: u8 = 0x60;
const RSH: u8 = 0x70;
const XOR: u8 = 0xa0;
const MOV: u8 = 0xb0;
const SWAP: u8 = 0xd0;
/// 32-bit move of a number: the upper half becomes 0.
const MOV32_NUMBER: u8 = 0xb4;

/// What an instruction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first half of a 64-bit constant or address.
    Wide,
    Alu(Alu),
    /// Arithmetic that is not followed (byte swaps, division): it reads its registers and changes the destination.
    Opaque,
    /// A plain load, zero-extended.
    Load,
    /// A plain store.
    Store,
    /// A jump, with or without condition.
    Jump,
    Call,
    Exit,
    Other,
}

/// Arithmetic on the destination register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alu {
    operation: u8,
    /// 64 bits; else 32, and the upper half becomes 0.
    pub(super) wide: bool,
    pub(super) from_register: bool,
}

/// The condition of a jump.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comparison {
    operation: u8,
    wide: bool,
    pub(super) from_register: bool,
}

/// Where control goes after an instruction, as positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) next: Option<usize>,
    pub(super) jump: Option<usize>,
    /// The function that is called before control goes to `next`.
    pub(super) call: Option<usize>,
}

impl Flow {
    /// What is left of a conditional jump that is always, or never, taken.
    pub(super) fn decided(self, taken: bool) -> Self {
        if taken { Flow { next: None, ..self } } else { Flow { jump: None, ..self } }
    }
}

pub(super) fn kind(instruction: &Instruction) -> Kind {
    let code = instruction.code;
    match code & CLASS {
        _ if code == WIDE => Kind::Wide,
        _ if code == CALL => Kind::Call,
        _ if code == EXIT => Kind::Exit,
        LDX if code & MODE == MEMORY => Kind::Load,
        ST | STX if code & MODE == MEMORY => Kind::Store,
        class @ (ALU | ALU64) => alu(instruction, class == ALU64),
        JMP if code == JA => Kind::Jump,
        JMP | JMP32 if comparison(instruction).is_some() => Kind::Jump,
        _ => Kind::Other,
    }
}

fn alu(instruction: &Instruction, wide: bool) -> Kind {
    let operation = instruction.code & OPERATION;
    let plain = matches!(operation, ADD | SUB | MUL | OR | AND | LSH | RSH | XOR | MOV);
    // An offset makes another instruction of it (a signed move, RFC 9669, 4.1).
    if !plain || instruction.off != 0 {
        return Kind::Opaque;
    }
    Kind::Alu(Alu { operation, wide, from_register: instruction.code & FROM_REGISTER != 0 })
}

/// The condition, if the instruction is a jump with one.
pub(super) fn comparison(instruction: &Instruction) -> Option<Comparison> {
    let (class, operation) = (instruction.code & CLASS, instruction.code & OPERATION);
    let conditional = matches!(operation, 0x10..=0x70 | 0xa0..=0xd0);
    ((class == JMP || class == JMP32) && conditional).then_some(Comparison {
        operation,
        wide: class == JMP,
        from_register: instruction.code & FROM_REGISTER != 0,
    })
}

/// Where control goes from the instruction at `at`.
pub(super) fn flow(program: &[Instruction], at: usize) -> Flow {
    let instruction = &program[at];
    let after = at + 1;
    let jump = after.checked_add_signed(instruction.off.into());
    match kind(instruction) {
        Kind::Exit => Flow::default(),
        Kind::Wide => Flow { next: Some(at + 2), ..Flow::default() },
        Kind::Jump if instruction.code == JA => Flow { jump, ..Flow::default() },
        Kind::Jump => Flow { next: Some(after), jump, call: None },
        Kind::Call if instruction.source == FUNCTION => {
            let call =
                isize::try_from(instruction.imm).ok().and_then(|offset| after.checked_add_signed(offset));
            Flow { next: Some(after), jump: None, call }
        }
        _ => Flow { next: Some(after), ..Flow::default() },
    }
}

/// Whether control can come to each position otherwise than from the one before it.
pub(super) fn entered(program: &[Instruction]) -> Vec<bool> {
    let mut entered = vec![false; program.len()];
    for at in 0..program.len() {
        let Flow { jump, call, .. } = flow(program, at);
        for target in [jump, call].into_iter().flatten().filter(|target| *target < program.len()) {
            entered[target] = true;
        }
    }
    entered
}

/// Whether [`flow`] knows where control goes: not so for jumps and calls of later instruction sets.
pub(super) fn leads_where_known(instruction: &Instruction) -> bool {
    !(matches!(instruction.code & CLASS, JMP | JMP32) && kind(instruction) == Kind::Other)
}

/// How many positions an instruction takes.
pub(super) fn length(instruction: &Instruction) -> usize {
    if instruction.code == WIDE { 2 } else { 1 }
}

/// Whether it only goes on to the next instruction.
pub(super) fn is_empty(instruction: &Instruction) -> bool {
    instruction.code == JA && instruction.off == 0
}

/// The instruction at `at` with its jump or call led to where its target comes to stand: `place` has the new position of
/// every old one.
pub(super) fn moved(program: &[Instruction], at: usize, place: &[usize]) -> Instruction {
    let mut instruction = program[at];
    let Flow { jump, call, .. } = flow(program, at);
    // Instructions only come closer to each other, so that every distance fits where the longer one did.
    let distance = |target: usize| place[target] as i64 - place[at] as i64 - 1;
    if let Some(target) = jump {
        instruction.off = distance(target) as i16;
    }
    if let Some(target) = call {
        instruction.imm = distance(target) as i32;
    }
    instruction
}

/// Whether it turns bytes around in its destination: it has no source register.
pub(super) fn is_byte_swap(instruction: &Instruction) -> bool {
    instruction.code & CLASS == ALU && instruction.code & OPERATION == SWAP
}

/// The number in an instruction, as the machine extends it to 64 bits.
pub(super) fn immediate(instruction: &Instruction) -> u64 {
    i64::from(instruction.imm).cast_unsigned()
}

/// The number that a store writes, unless it writes its source register.
pub(super) fn stored(instruction: &Instruction) -> Option<u64> {
    (instruction.code & CLASS == ST).then(|| immediate(instruction))
}

/// Bytes that a load reads or a store writes.
pub(super) fn size(instruction: &Instruction) -> usize {
    match instruction.code & 0x18 {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    }
}

/// Makes a jump of it, always taken; an offset of 0 does nothing, and the verifier removes it.
pub(super) fn jump(instruction: &mut Instruction, offset: i16) {
    instruction.code = JA;
    instruction.off = offset;
    instruction.imm = 0;
    instruction.destination = 0;
    instruction.source = 0;
}

/// Makes it put `number` into its destination.
pub(super) fn constant(instruction: &mut Instruction, number: u32) {
    instruction.code = MOV32_NUMBER;
    instruction.off = 0;
    instruction.imm = number.cast_signed();
    instruction.source = 0;
}

/// Puts a number in the place of the source register of an operation or comparison, if the instruction can hold it.
pub(super) fn use_immediate(instruction: &mut Instruction, number: u64) {
    let wide = matches!(instruction.code & CLASS, ALU64 | JMP);
    let number =
        if wide { i32::try_from(number.cast_signed()).ok() } else { Some((number as u32).cast_signed()) };
    let operation = instruction.code & OPERATION;
    let bits = if wide { 64 } else { 32 };
    let shifts = matches!(instruction.code & CLASS, ALU | ALU64) && matches!(operation, LSH | RSH);
    if let Some(number) = number
        && (!shifts || (0..bits).contains(&number))
    {
        instruction.code &= !FROM_REGISTER;
        instruction.imm = number;
        instruction.source = 0;
    }
}

impl Alu {
    pub(super) fn is_move(self) -> bool {
        self.operation == MOV
    }

    pub(super) fn is_add(self) -> bool {
        self.operation == ADD
    }

    pub(super) fn is_and(self) -> bool {
        self.operation == AND
    }

    /// Whether the operands may change places.
    pub(super) fn commutes(self) -> bool {
        matches!(self.operation, ADD | MUL | OR | AND | XOR)
    }

    /// The result; `None` for a shift by more than there are bits.
    pub(super) fn apply(self, left: u64, right: u64) -> Option<u64> {
        let bits = if self.wide { 64 } else { 32 };
        let cut = |number: u64| if self.wide { number } else { number & u64::from(u32::MAX) };
        let (left, right) = (cut(left), cut(right));
        let shift = u32::try_from(right).ok().filter(|&shift| shift < bits);
        Some(cut(match self.operation {
            ADD => left.wrapping_add(right),
            SUB => left.wrapping_sub(right),
            MUL => left.wrapping_mul(right),
            OR => left | right,
            AND => left & right,
            XOR => left ^ right,
            LSH => left << shift?,
            RSH => left >> shift?,
            _ => right,
        }))
    }
}

impl Comparison {
    /// Whether the jump is taken whatever is on the left: no number is below 0.
    pub(super) fn always(self, right: u64) -> Option<bool> {
        match (self.operation, right) {
            (0x30, 0) => Some(true),
            (0xa0, 0) => Some(false),
            _ => None,
        }
    }

    /// Whether the jump is taken.
    pub(super) fn holds(self, left: u64, right: u64) -> Option<bool> {
        let cut = |number: u64| if self.wide { number } else { number & u64::from(u32::MAX) };
        let signed = |number: u64| if self.wide { number.cast_signed() } else { i64::from(number as i32) };
        let (a, b) = (cut(left), cut(right));
        let (x, y) = (signed(left), signed(right));
        Some(match self.operation {
            0x10 => a == b,
            0x20 => a > b,
            0x30 => a >= b,
            0x40 => a & b != 0,
            0x50 => a != b,
            0x60 => x > y,
            0x70 => x >= y,
            0xa0 => a < b,
            0xb0 => a <= b,
            0xc0 => x < y,
            0xd0 => x <= y,
            _ => return None,
        })
    }
}
