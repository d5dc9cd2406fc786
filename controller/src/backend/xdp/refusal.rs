//! Why XDP is not to be had, in words that say what an administrator can do about it.

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

/// An error before any device was asked, as a refusal of every wanted way where it is the kernel or this build that
/// cannot run XDP, whatever the policy.
pub(super) fn cannot_load(interface: &str, wanted: Wanted, error: BackendError) -> BackendError {
    let BackendError::Failed { what, cause } = &error else { return error };
    if is_defect(cause.as_ref()) {
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

/// Whether the fault is this installation's, so that another engine must not cover it up.
fn is_defect(cause: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    match cause.downcast_ref::<LoadError>() {
        Some(LoadError::Object(ObjectError::Skipped)) => false,
        Some(LoadError::Object(ObjectError::Map(map))) => !matches!(map, MapError::Kernel { .. }),
        Some(LoadError::Object(_)) => true,
        _ => false,
    }
}

fn denied(cause: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::Mode;

    #[test]
    fn what_a_driver_says_is_told_with_what_it_means() {
        let says = |number| attach(&io::Error::from_raw_os_error(number));
        assert!(says(libc::EOPNOTSUPP).contains("LRO, GRO-HW"));
        assert!(says(libc::ERANGE).contains("a large MTU"));
        assert!(says(libc::ENOMEM).contains("ethtool -L"));
        assert!(says(libc::EEXIST).contains("a device above it"));
        assert_eq!(says(libc::EIO), "Input/output error (os error 5)");
    }

    #[test]
    fn a_kernel_without_bpf_refuses_and_a_broken_object_is_an_error() {
        let wanted = Wanted::of(Mode::Auto);
        let kernel = |error: LoadError| cannot_load("wan0", wanted, BackendError::failed("load", error));
        let says = kernel(LoadError::Denied);
        assert!(matches!(&says, BackendError::Refused { refused, .. } if refused.len() == 2), "{says}");
        assert!(matches!(kernel(LoadError::TooOld), BackendError::Refused { .. }));
        assert!(matches!(kernel(LoadError::Object(ObjectError::NoProgram)), BackendError::Failed { .. }));
        let full = cannot_load("wan0", wanted, BackendError::CounterLayout { path: "counters".into() });
        assert!(matches!(full, BackendError::CounterLayout { .. }));
    }
}
