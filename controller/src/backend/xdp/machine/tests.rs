//! Random programs that end, and what they do before and after they are specialised.

use aya_obj::generated::bpf_insn;
use fastrand::Rng;

use super::super::bytecode;
use super::super::fold::{Record, specialise};
use super::super::instruction::Instruction;

const MAP: i32 = 77;
const RECORD_BYTES: usize = 32;

type Plain = (u8, u8, u8, i16, i32);

/// Writes a program: a function, and others that it calls.
struct Writer<'a> {
    rng: &'a mut Rng,
    code: Vec<Instruction>,
    /// Calls whose function is not written yet: where they stand.
    calls: Vec<usize>,
    /// Whether an address on the stack may get away.
    shares_stack: bool,
}

fn program(rng: &mut Rng) -> Vec<Instruction> {
    let shares_stack = rng.bool();
    let mut writer = Writer { rng, code: Vec::new(), calls: Vec::new(), shares_stack };
    writer.function(3);
    // A function that another one calls calls none.
    for call in std::mem::take(&mut writer.calls) {
        writer.code[call].imm = i32::try_from(writer.code.len() - call - 1).unwrap();
        writer.function(0);
    }
    writer.code
}

impl Writer<'_> {
    fn push(&mut self, (code, destination, source, off, imm): Plain) {
        self.code.push(Instruction { code, destination, source, off, imm });
    }

    /// Instructions, jumps among them, and an exit; `calls`: how many of other functions.
    fn function(&mut self, calls: usize) {
        let start = self.code.len();
        let first = self.calls.len();
        for _ in 0..self.rng.usize(5..50) {
            match self.rng.u8(..16) {
                0..=5 => self.arithmetic(),
                6 | 7 => self.read_record(),
                8 | 9 => self.use_stack(),
                10 => self.use_memory(),
                11..=13 => self.jump(),
                14 if self.calls.len() - first < calls => {
                    self.calls.push(self.code.len());
                    self.push((0x85, 0, 1, 0, 0));
                }
                14 => self.push((0x85, 0, 0, 0, 1)),
                _ => self.address(),
            }
        }
        self.push((0x95, 0, 0, 0, 0));
        self.lead(start);
    }

    /// Few registers, so that they meet often; r6 and r7 outlive calls.
    fn register(&mut self) -> u8 {
        self.rng.choice([0, 1, 2, 3, 6, 7]).unwrap()
    }

    fn number(&mut self) -> i32 {
        if self.rng.bool() { self.rng.i32(-2..10) } else { self.rng.i32(..) }
    }

    fn arithmetic(&mut self) {
        let class = self.rng.choice([0x04, 0x07]).unwrap();
        let (left, right, number) = (self.register(), self.register(), self.number());
        let operation = class | self.operation();
        match self.rng.u8(..10) {
            0..=2 => self.push((class | 0xb8, left, right, 0, 0)),
            3 => self.push((class | 0xb0, left, 0, 0, number)),
            4 => self.push((0xdc, left, 0, 0, 16)),
            5 => {
                let shift = self.rng.choice([0x60, 0x70]).unwrap();
                self.push((class | shift, left, 0, 0, number & 31));
            }
            6 => self.push((operation, left, 0, 0, number)),
            _ => self.push((operation | 0x08, left, right, 0, 0)),
        }
    }

    fn operation(&mut self) -> u8 {
        self.rng.choice([0x00, 0x10, 0x20, 0x40, 0x50, 0x50, 0xa0]).unwrap()
    }

    /// A load of any size; few numbers in the record are large.
    fn size(&mut self) -> u8 {
        self.rng.choice([0x00, 0x08, 0x10, 0x18]).unwrap()
    }

    fn read_record(&mut self) {
        let (address, to) = (self.register(), self.register());
        let source = if self.rng.u8(..8) == 0 { 0 } else { bytecode::MAP_VALUE };
        let offset = self.rng.i32(0..20);
        self.push((0x18, address, source, 0, MAP));
        self.push((0, 0, 0, 0, offset));
        let (size, off) = (self.size(), self.rng.i16(0..16));
        self.push((0x61 | size, to, address, off, 0));
    }

    /// Mostly whole slots, of which there are few.
    fn use_stack(&mut self) {
        let odd = if self.rng.u8(..6) == 0 { self.rng.i16(0..8) } else { 0 };
        let off = -8 * self.rng.i16(2..4) + odd;
        let size = if self.rng.u8(..3) == 0 { self.size() } else { 0x18 };
        let (register, number) = (self.register(), self.number());
        match self.rng.u8(..4) {
            0 | 1 => self.push((0x61 | size, register, 10, off, 0)),
            2 => self.push((0x62 | size, 10, 0, off, number)),
            _ => self.push((0x63 | size, 10, register, off, 0)),
        }
    }

    /// What anybody may see.
    fn use_memory(&mut self) {
        let (one, other, size) = (self.register(), self.register(), self.size());
        let off = self.rng.i16(-8..8);
        match self.rng.u8(..3) {
            0 => self.push((0x61 | size, one, other, off, 0)),
            1 => self.push((0x62 | size, one, 0, off, 7)),
            _ => self.push((0x63 | size, one, other, off, 0)),
        }
    }

    /// An address on the stack; mostly something is done with it at once.
    fn address(&mut self) {
        if !self.shares_stack {
            return self.use_stack();
        }
        let (address, number) = (self.rng.choice([1, 2, 3]).unwrap(), self.number());
        let (size, off) = (self.size(), -8 * self.rng.i16(0..2));
        if self.rng.bool() {
            self.push((0xbf, address, 10, 0, 0));
        } else {
            self.push((0x7b, 10, 10, -32, 0));
            self.push((0x79, address, 10, -32, 0));
        }
        self.push((0x07, address, 0, 0, -16));
        match self.rng.u8(..4) {
            0 => self.push((0x62 | size, address, 0, off, number)),
            1 => self.push((0x61 | size, 0, address, off, 0)),
            2 => self.push((0x85, 0, 0, 0, 1)),
            _ => {}
        }
    }

    /// Where to is told when the function is whole.
    fn jump(&mut self) {
        let (left, right, number) = (self.register(), self.register(), self.number());
        let condition = self.rng.choice([0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0xa0, 0xb0, 0xd0]).unwrap();
        let class = self.rng.choice([0x05, 0x06]).unwrap();
        match self.rng.u8(..6) {
            0 => self.push((0x05, 0, 0, 0, 0)),
            1..=3 => self.push((class | condition, left, 0, 0, number)),
            _ => self.push((class | 0x08 | condition, left, right, 0, 0)),
        }
    }

    /// Leads the jumps of the function that begins at `start` to one of the next instructions.
    fn lead(&mut self, start: usize) {
        let mut places = Vec::new();
        let mut at = start;
        while at < self.code.len() {
            places.push(at);
            at += bytecode::length(&self.code[at]);
        }
        for (index, &at) in places.iter().enumerate() {
            if bytecode::flow(&self.code, at).jump.is_some() {
                let near = &places[index + 1..places.len().min(index + 8)];
                let target = near[self.rng.usize(..near.len())];
                self.code[at].off = i16::try_from(target - at - 1).unwrap();
            }
        }
    }
}

fn specialised(program: &[Instruction], record: Record<'_>) -> Vec<Instruction> {
    let raw: Vec<bpf_insn> = program.iter().map(|it| it.encode()).collect();
    specialise(raw, record).iter().map(Instruction::decode).collect()
}

/// `PERIMETER_PROGRAMS` says how many, `PERIMETER_SEED` the first seed.
#[test]
fn what_is_specialised_does_what_it_did() {
    let told = |name: &str| std::env::var(name).ok().and_then(|it| it.replace('_', "").parse::<u64>().ok());
    let first = told("PERIMETER_SEED").unwrap_or(0);
    let (mut before, mut after) = (0, 0);
    for seed in first..first + told("PERIMETER_PROGRAMS").unwrap_or(4_000) {
        let mut rng = Rng::with_seed(seed);
        let program = program(&mut rng);
        let bytes: [u8; RECORD_BYTES] = std::array::from_fn(|_| if rng.bool() { 0 } else { rng.u8(..) });
        let record = Record { map: MAP, bytes: &bytes };
        let short = specialised(&program, record);
        for context in [0, 1, rng.u64(..)] {
            assert_eq!(
                super::run(&short, record, context),
                super::run(&program, record, context),
                "PERIMETER_SEED={seed} PERIMETER_PROGRAMS=1, context {context:#x}:\n{program:x?}\n{short:x?}"
            );
        }
        before += program.len();
        after += short.len();
    }
    assert!(after * 10 < before * 9, "of {before} instructions {after} are left");
}
