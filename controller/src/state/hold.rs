//! Who sees to a generation on trial holds its folder: how others tell that somebody is there.
//!
//! Promises: what is held is let go by the kernel with the process, however that ends; a number that another process has
//! taken over since deceives nobody, and no file is left behind.

use std::fs::{File, TryLockError};
use std::thread;
use std::time::Duration;

use super::{State, folder};

/// A generation's folder, held until this is dropped.
#[derive(Debug)]
pub struct Held {
    _folder: File,
}

/// How often it is tried to hold a folder, and how long after one another: who looks holds it for a moment too.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(5);

impl State {
    /// Holds the folder of a generation. `None` where somebody else does, or it is not there.
    pub fn hold(&self, generation: u64) -> Option<Held> {
        let file = File::open(self.generations().join(folder(generation))).ok()?;
        for _ in 0..TRIES {
            match file.try_lock() {
                Ok(()) => return Some(Held { _folder: file }),
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
                Err(TryLockError::Error(_)) => return None,
            }
        }
        None
    }

    /// Whether a process holds the folder of a generation.
    pub fn is_held(&self, generation: u64) -> bool {
        let folder = File::open(self.generations().join(folder(generation)));
        folder.is_ok_and(|folder| matches!(folder.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_by_one_and_until_it_is_let_go() {
        let place = tempfile::tempdir().unwrap();
        let state = State::new(place.path());
        assert!(state.hold(8).is_none() && !state.is_held(8), "there is no such generation");
        std::fs::create_dir_all(state.generations().join(folder(8))).unwrap();
        assert!(!state.is_held(8));
        let held = state.hold(8).unwrap();
        assert!(state.is_held(8) && state.is_held(8) && state.hold(8).is_none());
        drop(held);
        assert!(!state.is_held(8));
    }
}
