//! A machine that runs BPF programs (RFC 9669), for tests: what a program does before and after it is specialised.
//!
//! Promises: all that anybody could notice of a run, in order. Registers that a call leaves undefined, and a stack that
//! nobody wrote, hold the same bytes in every run. Knows what the specialiser may meet, and refuses the rest.

mod tests;

use std::collections::BTreeMap;

use super::bytecode::{self, Flow, Kind, REGISTERS, STACK};
use super::fold::Record;
use super::instruction::Instruction;

/// Where the record, the stack of the first function and what belongs to nobody are; addresses are numbers here.
const RECORD: u64 = 0x11_0000_0000;
const FRAMES: u64 = 0x22_0000_0000;
const STACK_BYTES: usize = 512;
/// From one function's r10 to that of the one it calls.
const APART: u64 = 0x1_0000;
const UNWRITTEN: u8 = 0xa5;
/// More than any program without a loop takes.
const STEPS: usize = 100_000;

/// What can be noticed of a run.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    /// A helper and its five arguments.
    Called(i32, [u64; 5]),
    /// Address, bytes, number.
    Stored(u64, usize, u64),
    Returned(u64),
}

/// A function that runs: where it goes on when it is called from, and what it keeps across calls.
struct Frame {
    back: usize,
    kept: [u64; 4],
    stack: [u8; STACK_BYTES],
}

struct Machine<'a> {
    program: &'a [Instruction],
    record: Record<'a>,
    registers: [u64; REGISTERS],
    frames: Vec<Frame>,
    /// What was stored outside the stacks, by address; the record is never written to.
    memory: BTreeMap<u64, u8>,
    events: Vec<Event>,
}

/// Runs the program to its end, with `context` in r1.
fn run(program: &[Instruction], record: Record<'_>, context: u64) -> Vec<Event> {
    let mut machine = Machine {
        program,
        record,
        registers: undefined(),
        frames: Vec::new(),
        memory: BTreeMap::new(),
        events: Vec::new(),
    };
    machine.enter(0);
    machine.registers[1] = context;
    let mut at = Some(0);
    for _ in 0..STEPS {
        let Some(here) = at else { return machine.events };
        at = machine.step(here);
    }
    panic!("the program does not end: {program:?}")
}

/// What nobody may rely on, and is the same in every run.
fn undefined() -> [u64; REGISTERS] {
    std::array::from_fn(|register| 0xdead_beef_0000 + register as u64)
}

/// A number that depends on all that is given.
fn mixed(numbers: &[u64]) -> u64 {
    let mix = |sum: u64, number: &u64| (sum ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    numbers.iter().fold(7, mix)
}

impl Machine<'_> {
    /// Does the instruction at `at`; where the next one is, unless it was the last.
    fn step(&mut self, at: usize) -> Option<usize> {
        let instruction = self.program[at];
        let Flow { next, jump, call } = bytecode::flow(self.program, at);
        match bytecode::kind(&instruction) {
            Kind::Wide => self.set(instruction, self.wide(at)),
            Kind::Alu(alu) => {
                let result = alu.apply(self.left(instruction), self.right(instruction));
                self.set(instruction, result.expect("programs shift by fewer bits than there are"));
            }
            Kind::Opaque if bytecode::is_byte_swap(&instruction) => {
                let swapped = (self.left(instruction) as u16).swap_bytes();
                self.set(instruction, swapped.into());
            }
            Kind::Load => {
                let address = self.registers[usize::from(instruction.source)];
                self.set(instruction, self.load(offset(address, instruction), bytecode::size(&instruction)));
            }
            Kind::Store => {
                let number = bytecode::stored(&instruction)
                    .unwrap_or_else(|| self.registers[usize::from(instruction.source)]);
                self.store(offset(self.left(instruction), instruction), bytecode::size(&instruction), number);
            }
            Kind::Jump => {
                let taken = bytecode::comparison(&instruction)
                    .is_none_or(|it| it.holds(self.left(instruction), self.right(instruction)) == Some(true));
                return if taken { jump } else { next };
            }
            Kind::Call if call.is_some() => {
                self.enter(at + 1);
                return call;
            }
            Kind::Call => self.help(instruction.imm),
            Kind::Exit => return self.leave(),
            Kind::Opaque | Kind::Other => panic!("this machine does not know {instruction:?}"),
        }
        next
    }

    fn set(&mut self, instruction: Instruction, number: u64) {
        self.registers[usize::from(instruction.destination)] = number;
    }

    fn left(&self, instruction: Instruction) -> u64 {
        self.registers[usize::from(instruction.destination)]
    }

    /// The operand of arithmetic and comparisons.
    fn right(&self, instruction: Instruction) -> u64 {
        // BPF_X (RFC 9669, section 4): the operand is a register.
        if instruction.code & 0x08 != 0 {
            self.registers[usize::from(instruction.source)]
        } else {
            bytecode::immediate(&instruction)
        }
    }

    fn wide(&self, at: usize) -> u64 {
        let [low, high] = [self.program[at].imm, self.program[at + 1].imm].map(i32::cast_unsigned);
        match self.program[at].source {
            0 => u64::from(low) | u64::from(high) << 32,
            _ if low.cast_signed() == self.record.map => RECORD + u64::from(high),
            _ => mixed(&[low.into(), high.into()]),
        }
    }

    /// `size` bytes; those that nobody wrote follow from their address.
    fn load(&self, address: u64, size: usize) -> u64 {
        let byte = |at: u64| match self.on_stack(at) {
            Some((frame, place)) => self.frames[frame].stack[place],
            None => {
                let place = at.checked_sub(RECORD).and_then(|it| usize::try_from(it).ok());
                let known = place.and_then(|it| self.record.bytes.get(it)).or(self.memory.get(&at));
                known.copied().unwrap_or(mixed(&[at]) as u8)
            }
        };
        let bytes = (0..8).map(|at| if at < size { byte(address.wrapping_add(at as u64)) } else { 0 });
        u64::from_le_bytes(std::array::from_fn(|at| bytes.clone().nth(at).unwrap_or(0)))
    }

    fn store(&mut self, address: u64, size: usize, number: u64) {
        let bytes = &number.to_le_bytes()[..size];
        if self.on_stack(address).is_none() {
            let stored = bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            self.memory.extend((0..).zip(bytes).map(|(at, byte)| (address.wrapping_add(at), *byte)));
            return self.events.push(Event::Stored(address, size, stored));
        }
        for (at, byte) in bytes.iter().enumerate() {
            if let Some((frame, place)) = self.on_stack(address + at as u64) {
                self.frames[frame].stack[place] = *byte;
            }
        }
    }

    /// The function whose stack has the address, and where in it.
    fn on_stack(&self, address: u64) -> Option<(usize, usize)> {
        (0..self.frames.len()).find_map(|frame| {
            let lowest = stack_of(frame) - STACK_BYTES as u64;
            let place = usize::try_from(address.checked_sub(lowest)?).ok()?;
            (place < STACK_BYTES).then_some((frame, place))
        })
    }

    fn enter(&mut self, back: usize) {
        let kept = std::array::from_fn(|at| self.registers[6 + at]);
        self.frames.push(Frame { back, kept, stack: [UNWRITTEN; STACK_BYTES] });
        let undefined = undefined();
        self.registers[0] = undefined[0];
        self.registers[6..STACK].copy_from_slice(&undefined[6..STACK]);
        self.registers[STACK] = stack_of(self.frames.len() - 1);
    }

    fn leave(&mut self) -> Option<usize> {
        let frame = self.frames.pop()?;
        if self.frames.is_empty() {
            self.events.push(Event::Returned(self.registers[0]));
            return None;
        }
        self.registers[1..6].copy_from_slice(&undefined()[1..6]);
        self.registers[6..STACK].copy_from_slice(&frame.kept);
        self.registers[STACK] = stack_of(self.frames.len() - 1);
        Some(frame.back)
    }

    /// A helper of the kernel: its result follows from what it is given, and it writes to the stack where it is told of it.
    fn help(&mut self, helper: i32) {
        let arguments = std::array::from_fn(|at| self.registers[1 + at]);
        self.events.push(Event::Called(helper, arguments));
        for address in arguments.into_iter().filter(|it| self.on_stack(*it).is_some()).collect::<Vec<_>>() {
            self.store(address, 8, mixed(&arguments));
        }
        self.registers[..6].copy_from_slice(&undefined()[..6]);
        self.registers[0] = mixed(&arguments);
    }
}

fn stack_of(frame: usize) -> u64 {
    FRAMES + APART * (frame as u64 + 1)
}

fn offset(address: u64, instruction: Instruction) -> u64 {
    address.wrapping_add_signed(instruction.off.into())
}
