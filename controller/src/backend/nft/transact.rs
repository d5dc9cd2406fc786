//! Carrying a transaction out.
//!
//! Promises: all of it or nothing. Where the kernel's answer was lost, the generation of the rules tells: it rises with
//! every transaction that was carried out, and with no other.

use rustix::net::{AddressFamily, SocketType, netdevice, socket};

use super::netlink::batch::{Step, build};
use super::netlink::socket::{Sent, generation, send};
use crate::backend::BackendError;

/// How often a transaction is tried that another one came before.
const TRIES: usize = 10;

/// Carries out `steps` on a table; `what` says what for.
pub(super) fn carry_out(table: &str, steps: &[Step<'_>], what: &str) -> Result<(), BackendError> {
    let failed = |error| BackendError::failed(what, error);
    let batch = build(table, steps);
    let mut tries = 0;
    loop {
        let before = generation().map_err(failed)?;
        match send(&batch).map_err(failed)? {
            Sent::Done => return Ok(()),
            // Another transaction went first, or memory was short for a moment: nothing was changed.
            Sent::Refused(error) if is_passing(&error) && tries < TRIES => tries += 1,
            Sent::Refused(error) => return Err(failed(error)),
            Sent::Unknown(error) => {
                return if generation().map_err(failed)? == before { Err(failed(error)) } else { Ok(()) };
            }
        }
    }
}

fn is_passing(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR))
}

/// The number of a device; `None` where there is none of that name.
pub(super) fn device_index(interface: &str) -> Option<u32> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    netdevice::name_to_index(socket, interface).ok()
}
