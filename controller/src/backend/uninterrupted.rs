//! Calls that a signal cuts short and lists that a change cuts through: that is no reason to fail, least of all halfway
//! through an apply.

use std::io;

/// Makes a call again until no signal cuts it short (`EINTR`).
pub(super) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// How often a list is asked for that changes while it is read.
const TRIES: usize = 20;

/// That what netlink was listing changed meanwhile (`NLM_F_DUMP_INTR`): the list may lack what was there all along.
pub(super) fn disturbed() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "what was listed changed while it was read")
}

/// Asks for a list again while it is [`disturbed`], but not for ever.
pub(super) fn undisturbed<T>(mut list: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..TRIES {
        match list() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
    list()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_changed_is_asked_for_again_but_not_for_ever() {
        let mut answers = [Err(disturbed()), Err(disturbed()), Ok(7)].into_iter();
        assert_eq!(undisturbed(|| answers.next().unwrap()).unwrap(), 7);
        let mut asked = 0;
        let never = undisturbed(|| {
            asked += 1;
            Err::<(), _>(disturbed())
        });
        assert_eq!((never.unwrap_err().kind(), asked), (io::ErrorKind::Interrupted, TRIES));
    }

    #[test]
    fn a_signal_is_no_failure_and_a_failure_is_one() {
        let mut answers = [Err(libc::EINTR), Err(libc::EINTR), Ok(7), Err(libc::EIO)].into_iter();
        let mut call = || answers.next().unwrap().map_err(io::Error::from_raw_os_error);
        assert_eq!(uninterrupted(&mut call).unwrap(), 7);
        assert_eq!(uninterrupted(&mut call).unwrap_err().raw_os_error(), Some(libc::EIO));
    }
}
