//! What is known against XDP on a device, asked without attaching anything.
//!
//! Promises: nothing is changed; the only program loaded lets everything pass, is attached to nothing and ends here.
//! What is not known only shows when the device is asked to take the program.

use std::io;

use aya_obj::generated::{BPF_F_XDP_HAS_FRAGS, bpf_insn};

use super::probe::xdp_features;
use super::refusal::is_lasting;
use super::sys::{self, ProgramSpec};
use crate::backend::device::Device;
use crate::backend::{Engine, Refused};

/// `r0 = XDP_PASS` and `exit` (`linux/bpf.h`).
fn pass() -> [bpf_insn; 2] {
    let instruction = |code, imm| bpf_insn {
        code,
        _bitfield_align_1: [],
        _bitfield_1: bpf_insn::new_bitfield_1(0, 0),
        off: 0,
        imm,
    };
    [instruction(0xb7, 2), instruction(0x95, 0)]
}

/// The engines that are known not to be had on the device, and why.
pub(super) fn refused(device: &Device) -> Vec<Refused> {
    let pass = pass();
    let spec = ProgramSpec {
        name: "perimeter_ask",
        instructions: &pass,
        license: c"GPL",
        flags: BPF_F_XDP_HAS_FRAGS,
    };
    let refuse = |engine, reason: &str| Refused { engine, reason: reason.to_owned() };
    match sys::program_load(spec, None) {
        Err(error) if is_lasting(&error) => {
            let reason = kernel(&error);
            return vec![refuse(Engine::Native, &reason), refuse(Engine::Generic, &reason)];
        }
        // What a passing fault leaves unknown shows when the engines are tried.
        Err(_) | Ok(_) => {}
    }
    let native = match xdp_features(device.index) {
        Ok(features) if !features.basic => Some(refuse(Engine::Native, "the driver offers no XDP")),
        _ => None,
    };
    native.into_iter().chain(without_tags(device)).collect()
}

/// Whether the driver says that it runs XDP by itself, in its present settings (Linux 6.3).
pub(super) fn offers_native(device: &Device) -> bool {
    matches!(xdp_features(device.index), Ok(features) if features.basic)
}

/// Generic XDP on a device that gets frames without the tag they came with: they would be judged as untagged.
pub(super) fn without_tags(device: &Device) -> Option<Refused> {
    let kind = device.fed_as()?;
    let reason = format!(
        "a {kind} hands it frames whose outer tag the kernel has taken out, which would pass as untagged; name the devices \
         below in the policy, or `mode: nft`"
    );
    Some(Refused { engine: Engine::Generic, reason })
}

/// Why the kernel loads no XDP program at all.
fn kernel(error: &io::Error) -> String {
    let meaning = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "CAP_BPF, CAP_NET_ADMIN or CAP_PERFMON is missing, or the kernel is locked down for bpf()"
        }
        Some(libc::ENOSYS) => "this kernel was built without bpf() (CONFIG_BPF_SYSCALL)",
        Some(libc::EINVAL) => {
            "this kernel does not know XDP programs for frames in several buffers: Linux 5.18 is needed"
        }
        _ => return format!("the kernel loads no XDP program: {error}"),
    };
    format!("the kernel loads no XDP program: {error}; {meaning}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_told_with_what_it_means() {
        let says = |number| kernel(&io::Error::from_raw_os_error(number));
        assert!(says(libc::EPERM).contains("CAP_BPF"));
        assert!(says(libc::ENOSYS).contains("CONFIG_BPF_SYSCALL"));
        assert!(says(libc::EINVAL).contains("Linux 5.18"));
        assert!(says(libc::ENOMEM).ends_with("Cannot allocate memory (os error 12)"));
    }
}
