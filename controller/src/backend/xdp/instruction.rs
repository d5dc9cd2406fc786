//! One BPF instruction, taken apart once: bit fields cost more to read than all that is done with what is in them.

use aya_obj::generated::bpf_insn;

/// An instruction (RFC 9669, section 3), or the second half of a wide one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) code: u8,
    /// Numbers of registers.
    pub(super) destination: u8,
    pub(super) source: u8,
    pub(super) off: i16,
    pub(super) imm: i32,
}

impl Instruction {
    /// As the kernel's structure has it.
    pub(super) fn decode(raw: &bpf_insn) -> Instruction {
        let bpf_insn { code, off, imm, .. } = *raw;
        Instruction { code, destination: raw.dst_reg(), source: raw.src_reg(), off, imm }
    }

    /// As the kernel's structure has it.
    pub(super) fn encode(self) -> bpf_insn {
        let Instruction { code, destination, source, off, imm } = self;
        let _bitfield_1 = bpf_insn::new_bitfield_1(destination, source);
        bpf_insn { code, _bitfield_align_1: [], _bitfield_1, off, imm }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_encoded_as_it_was() {
        let one = Instruction { code: 0x7b, destination: 10, source: 3, off: -8, imm: -1 };
        assert_eq!(Instruction::decode(&one.encode()), one);
    }
}
