//! What the kernel takes, found out by asking it to make each thing once.
//!
//! Promises: everything that is made here ends with its descriptor, before the function returns.

use std::io;

use aya_obj::generated::{BPF_F_XDP_HAS_FRAGS, bpf_insn};
use perimeter_classifier::verdict::Decision;

use crate::backend::facts::{Fact, KernelFeature, Probe, Trial, Unknown};
use crate::backend::xdp::maps::{self, SharedMaps};
use crate::backend::xdp::program::{LoadError, Program};
use crate::backend::xdp::sys::{self, ProgramSpec};
use crate::tables::Image;

/// XDP_DROP of `linux/bpf.h`.
const DROP: i32 = 1;

/// Asks for every feature.
pub(super) fn probes() -> Vec<Probe> {
    let frozen = maps::frozen("doctor", &[0; 8]).map(drop).map_err(|error| error.cause());
    let shared = SharedMaps::create().map(drop).map_err(|error| error.cause());
    vec![
        Probe { feature: KernelFeature::FrozenMaps, answer: answer(frozen) },
        Probe { feature: KernelFeature::SharedMaps, answer: answer(shared) },
        Probe { feature: KernelFeature::Xdp, answer: answer(load(0)) },
        Probe { feature: KernelFeature::Frags, answer: answer(load(BPF_F_XDP_HAS_FRAGS)) },
    ]
}

/// Loads the smallest XDP program.
fn load(flags: u32) -> io::Result<()> {
    let instruction = |code, imm| bpf_insn { code, imm, ..no_instruction() };
    // r0 = DROP; exit
    let instructions = [instruction(0xb7, DROP), instruction(0x95, 0)];
    let spec = ProgramSpec { name: "doctor", instructions: &instructions, license: c"GPL", flags };
    sys::program_load(spec, None).map(drop)
}

fn no_instruction() -> bpf_insn {
    bpf_insn { code: 0, _bitfield_align_1: [], _bitfield_1: Default::default(), off: 0, imm: 0 }
}

/// A refusal for want of rights says nothing about the kernel.
fn answer(result: io::Result<()>) -> Fact<Result<(), String>> {
    match result {
        Err(error) if denied(&error) => Err(Unknown::because("this process may not ask the kernel")),
        other => Ok(other.map_err(|error| error.to_string())),
    }
}

fn denied(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EPERM)
}

/// Loads the real program, and asks it about one frame, which the tables pass.
pub(super) fn trial(image: &Image, frame: &[u8]) -> Fact<Result<Trial, String>> {
    let program = match Program::private(image) {
        Ok(program) => program,
        Err(LoadError::Denied) => return Err(Unknown::because("this process may not load programs")),
        Err(error) => return Ok(Err(error.to_string())),
    };
    let described = program.describe().map_err(Unknown::because)?;
    Ok(match program.test_run(frame) {
        Err(error) => Err(format!("the program was taken, but cannot be asked: {error}")),
        Ok(decision) => Ok(Trial {
            instructions: described.verified_instructions,
            compiled: described.compiled_bytes > 0,
            right: matches!(decision, Decision::Pass(_)),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_rights_is_no_answer() {
        let error = |number| io::Error::from_raw_os_error(number);
        assert!(answer(Err(error(libc::EPERM))).is_err());
        assert!(answer(Err(error(libc::EINVAL))).unwrap().is_err());
        assert_eq!(answer(Ok(())), Ok(Ok(())));
    }

    #[test]
    fn a_kernel_that_is_asked_by_root_answers() {
        if rustix::process::geteuid().is_root() {
            let probes = probes();
            assert!(probes.iter().all(|probe| probe.answer == Ok(Ok(()))), "{probes:?}");
        }
    }
}
