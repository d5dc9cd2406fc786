//! Why XDP is not to be had, in words that say what an administrator can do about it.

use std::error::Error;
use std::io;

use super::maps::MapError;
use super::object::ObjectError;
use super::program::LoadError;
use crate::backend::{BackendError, Refused, Wanted};

/// What the kernel means where it refuses to attach a program (`dev_xdp_attach` and the drivers).
pub(super) fn attach(error: &io::Error) -> String {
    let meaning = match error.raw_os_error() {
        Some(libc::EOPNOTSUPP) => {
            "the driver has no XDP in this state; LRO, GRO-HW or the number of channels may be in the way"
        }
        Some(libc::EINVAL | libc::ERANGE | libc::EMSGSIZE) => {
            "the driver refuses it with these settings; a large MTU or the number of channels may be in the way"
        }
        Some(libc::ENOMEM | libc::ENOSPC) => {
            "the driver lacks memory or queues for it; fewer channels (`ethtool -L`) may help"
        }
        Some(libc::EEXIST) => {
            "a device above it (a bridge, a bond) runs a program already, or another way of XDP is taken"
        }
        _ => return error.to_string(),
    };
    format!("{error}; {meaning}")
}

/// An error before any device was asked, as a refusal of every wanted way where it is the kernel, these rights or this
/// build that cannot run XDP, whatever the policy. A fault that may be over at the next try stays an error: no interface
/// gets another engine for good because a file could not be read once.
pub(super) fn cannot_load(interface: &str, wanted: Wanted, error: BackendError) -> BackendError {
    let BackendError::Failed { what, cause } = &error else { return error };
    if !is_inability(cause.as_ref()) {
        return error;
    }
    let hint = match denied(cause.as_ref()) {
        true => {
            "; bpf() needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and a kernel that is not locked down for it"
        }
        false => "",
    };
    let reason = format!("cannot {what}: {cause}{hint}");
    let refused = wanted.xdp.iter().map(|&engine| Refused { engine, reason: reason.clone() }).collect();
    BackendError::Refused { interface: interface.to_owned(), refused }
}

/// Whether an error says what cannot be done here. Others are passing faults, or this installation's: another engine must
/// not cover them up.
fn is_inability(cause: &(dyn Error + Send + Sync + 'static)) -> bool {
    if matches!(cause.downcast_ref(), Some(MapError::Cpus(_))) {
        return true;
    }
    match cause.downcast_ref::<LoadError>() {
        Some(LoadError::Denied | LoadError::TooOld | LoadError::Rejected { .. }) => true,
        Some(LoadError::Kernel(error)) => is_lasting(error),
        Some(LoadError::Object(ObjectError::Skipped)) => true,
        Some(LoadError::Object(ObjectError::Map(MapError::Kernel { source, .. }))) => is_lasting(source),
        Some(LoadError::Object(_)) => false,
        None => system(cause).is_some_and(is_lasting),
    }
}

/// What the system said, at the bottom of an error.
fn system<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    cause.downcast_ref().or_else(|| system(cause.source()?))
}

/// Whether the system will say the same at the next try: rights that are missing, calls and file systems that this kernel
/// does not have. Not for want of memory or descriptors, nor for a fault of a disk.
pub(super) fn is_lasting(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EPERM
                | libc::EACCES
                | libc::ENOSYS
                | libc::EOPNOTSUPP
                | libc::EINVAL
                | libc::E2BIG
                | libc::ENODEV
                | libc::ENOENT
        )
    )
}

/// Whether a device was not asked at all: this process was short of something, or interrupted.
pub(super) fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN | libc::EMFILE | libc::ENFILE))
}

fn denied(cause: &(dyn Error + Send + Sync + 'static)) -> bool {
    system(cause).is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::Mode;

    #[test]
    fn what_a_driver_says_is_told_with_what_it_means() {
        let says = |number| attach(&os(number));
        assert!(says(libc::EOPNOTSUPP).contains("LRO, GRO-HW"));
        assert!(says(libc::ERANGE).contains("a large MTU"));
        assert!(says(libc::ENOMEM).contains("ethtool -L"));
        assert!(says(libc::EEXIST).contains("a device above it"));
        assert_eq!(says(libc::EIO), "Input/output error (os error 5)");
    }

    fn os(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    #[test]
    fn a_passing_fault_is_an_error_and_refuses_no_engine() {
        let wanted = Wanted::of(Mode::Auto);
        let says = |number| {
            cannot_load("wan0", wanted, BackendError::failed("compare the mounts of process 1", os(number)))
        };
        for passing in
            [libc::EIO, libc::EMFILE, libc::ENOMEM, libc::EINTR, libc::EAGAIN, libc::ENOSPC, libc::EBUSY]
        {
            assert!(matches!(says(passing), BackendError::Failed { .. }), "{}", os(passing));
        }
        for lasting in [libc::EPERM, libc::ENOSYS, libc::ENODEV] {
            assert!(matches!(says(lasting), BackendError::Refused { .. }), "{}", os(lasting));
        }
        let map = MapError::Kernel {
            step: "creating",
            map: "TABLES".into(),
            bytes: 4096,
            source: os(libc::ENOMEM),
        };
        let short = cannot_load("wan0", wanted, BackendError::failed("load", LoadError::from(map)));
        assert!(matches!(short, BackendError::Failed { .. }), "{short}");
    }

    #[test]
    fn a_kernel_without_bpf_refuses_and_a_broken_object_is_an_error() {
        let wanted = Wanted::of(Mode::Auto);
        let kernel = |error: LoadError| cannot_load("wan0", wanted, BackendError::failed("load", error));
        let says = kernel(LoadError::Denied);
        assert!(matches!(&says, BackendError::Refused { refused, .. } if refused.len() == 2), "{says}");
        assert!(matches!(kernel(LoadError::TooOld), BackendError::Refused { .. }));
        assert!(matches!(kernel(LoadError::Object(ObjectError::NoProgram)), BackendError::Failed { .. }));
        assert!(matches!(kernel(LoadError::Kernel(os(libc::ENOMEM))), BackendError::Failed { .. }));
        let many = cannot_load("wan0", wanted, BackendError::failed("count the CPUs", MapError::Cpus(600)));
        assert!(matches!(many, BackendError::Refused { .. }), "{many}");
        let full = cannot_load("wan0", wanted, BackendError::CounterLayout { path: "counters".into() });
        assert!(matches!(full, BackendError::CounterLayout { .. }));
    }
}
