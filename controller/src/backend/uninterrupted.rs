//! Calls that a signal cuts short: that is no reason to fail, least of all halfway through an apply.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_no_failure_and_a_failure_is_one() {
        let mut answers = [Err(libc::EINTR), Err(libc::EINTR), Ok(7), Err(libc::EIO)].into_iter();
        let mut call = || answers.next().unwrap().map_err(io::Error::from_raw_os_error);
        assert_eq!(uninterrupted(&mut call).unwrap(), 7);
        assert_eq!(uninterrupted(&mut call).unwrap_err().raw_os_error(), Some(libc::EIO));
    }
}
