//! Carrying a transaction out.
//!
//! Promises: all of it or nothing. Where the kernel's answer was lost, the generation of the rules tells: it rises with
//! every transaction that was carried out, and with no other. What is tried out changes nothing.

use std::io;

use rustix::net::{AddressFamily, SocketType, netdevice, socket};
use thiserror::Error;

use super::netlink::batch::{Step, build};
use super::netlink::socket::{Sent, endless, generation, page, send};
use crate::backend::BackendError;

/// How often a transaction is tried that another one came before.
const TRIES: usize = 10;

/// What is asked of the kernel.
trait Kernel {
    /// The number of the rules' generation.
    fn generation(&mut self) -> io::Result<u32>;

    /// Sends the transaction.
    fn send(&mut self) -> io::Result<Sent>;
}

/// nf_tables, and the bytes of one batch.
struct Netlink<'a>(&'a [u8]);

impl Kernel for Netlink<'_> {
    fn generation(&mut self) -> io::Result<u32> {
        generation()
    }

    fn send(&mut self) -> io::Result<Sent> {
        send(self.0)
    }
}

/// Carries out `steps` on a table; `what` says what for.
pub(super) fn carry_out(table: &str, steps: &[Step<'_>], what: &str) -> Result<(), BackendError> {
    let batch = build(table, steps);
    let settled = page(&batch).and_then(|page| settle(&mut Netlink(page)));
    settled.map_err(|error| match error.raw_os_error() {
        Some(libc::ENOENT) => BackendError::failed(what, Missing(error)),
        _ => BackendError::failed(what, error),
    })
}

/// Whether the kernel would take `steps` on a table; nothing is changed.
pub(super) fn try_out(table: &str, steps: &[Step<'_>]) -> io::Result<()> {
    let batch = build(table, steps);
    settle(&mut Netlink(endless(page(&batch)?)))
}

/// The kernel says only that something is not there; before Linux 6.2 counters by name were a module of their own.
#[derive(Debug, Error)]
#[error(
    "{0}; a device or a table went away meanwhile, or this kernel has not loaded a part of nf_tables: \
     `modprobe -a nf_tables nft_objref nft_log nft_limit`"
)]
struct Missing(#[source] io::Error);

/// Sends until the kernel has decided, and finds out what it did where its answer was lost.
fn settle(kernel: &mut impl Kernel) -> io::Result<()> {
    let mut tries = 0;
    loop {
        let before = kernel.generation()?;
        match kernel.send()? {
            Sent::Done => return Ok(()),
            // Another transaction went first, or memory was short for a moment: nothing was changed.
            Sent::Refused(error) if is_passing(&error) && tries < TRIES => tries += 1,
            Sent::Refused(error) => return Err(error),
            Sent::Unknown(error) => {
                return if kernel.generation()? == before { Err(error) } else { Ok(()) };
            }
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR))
}

/// The number of a device; `None` where there is none of that name.
pub(super) fn device_index(interface: &str) -> Option<u32> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    netdevice::name_to_index(socket, interface).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Answers in a row, and whether the last one stands for a transaction that was carried out.
    struct Script {
        answers: VecDeque<Sent>,
        carried_out: bool,
        sent: u32,
    }

    impl Kernel for Script {
        fn generation(&mut self) -> io::Result<u32> {
            Ok(u32::from(self.answers.is_empty() && self.carried_out))
        }

        fn send(&mut self) -> io::Result<Sent> {
            self.sent += 1;
            self.answers.pop_front().ok_or_else(|| io::Error::other("asked too often"))
        }
    }

    fn settled(answers: Vec<Sent>, carried_out: bool) -> (Result<(), Option<i32>>, u32) {
        let mut script = Script { answers: answers.into(), carried_out, sent: 0 };
        let result = settle(&mut script).map_err(|error| error.raw_os_error());
        (result, script.sent)
    }

    #[test]
    fn what_is_missing_is_told_with_a_remedy() {
        let said = Missing(error(libc::ENOENT)).to_string();
        assert!(said.contains("(os error 2); ") && said.contains("nft_objref"), "{said}");
    }

    fn error(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    #[test]
    fn a_lost_answer_is_no_failure_where_the_rules_have_changed_and_is_one_where_not() {
        let lost = || vec![Sent::Unknown(error(libc::ENOBUFS))];
        assert_eq!(settled(lost(), true), (Ok(()), 1));
        assert_eq!(settled(lost(), false), (Err(Some(libc::ENOBUFS)), 1));
    }

    #[test]
    fn what_the_kernel_has_not_taken_is_not_sent_again() {
        assert_eq!(settled(vec![Sent::Refused(error(libc::EMSGSIZE))], true), (Err(Some(libc::EMSGSIZE)), 1));
    }

    #[test]
    fn a_transaction_that_another_came_before_is_sent_again_but_not_for_ever() {
        let busy = |count: usize| (0..count).map(|_| Sent::Refused(error(libc::EAGAIN)));
        assert_eq!(settled(busy(3).chain([Sent::Done]).collect(), true), (Ok(()), 4));
        let tries = TRIES + 1;
        assert_eq!(settled(busy(99).collect(), false), (Err(Some(libc::EAGAIN)), tries as u32));
    }
}
