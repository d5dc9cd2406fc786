//! Frames through a real ingress chain, in a network namespace of its own.
//!
//! Promises: nothing outside the namespace is touched; it ends with the value. What is judged is the table that `apply`
//! would make, with its verdicts told through nfnetlink_log. A frame that the kernel drops before the hook has no
//! verdict. Needs the rights of root.

mod tap;

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use perimeter_classifier::verdict::{Decision, DropReason};

use super::ir::Table;
use super::lower::{Options, lower};
use super::netlink::batch::Step;
use super::nflog::Log;
use super::transact;
use super::{TooLarge, ir::BASE};
use crate::backend::BackendError;
use crate::ruleset::{Mode, Ruleset};
use tap::Tap;

/// Lengths of frames, in bytes, that the device takes.
pub const HANDED: std::ops::RangeInclusive<usize> = 14..=65_549;

/// The group that verdicts are told to.
const GROUP: u16 = 1;

/// One interface of a ruleset, ready to judge frames.
#[derive(Debug)]
pub struct Judge {
    frames: Option<Sender<Vec<u8>>>,
    verdicts: Receiver<io::Result<Option<Decision>>>,
    thread: Option<JoinHandle<()>>,
}

/// Why frames cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    #[error("needs root: CAP_SYS_ADMIN and CAP_NET_ADMIN are missing to make a network namespace")]
    Denied,
    #[error("the kernel has no tap devices here ({0}): `modprobe tun`, and see that /dev/net/tun is there")]
    NoTap(io::Error),
    #[error("{0}: nftables is needed with the netdev ingress hook (`modprobe nf_tables nfnetlink_log`)")]
    NoNftables(BackendError),
    #[error("cannot make a network namespace: {0}")]
    Namespace(io::Error),
    #[error("cannot start the thread that judges: {0}")]
    NoThread(io::Error),
    #[error("the thread that judges has ended: {0}")]
    Ended(#[from] std::sync::mpsc::RecvError),
}

impl JudgeError {
    /// Whether frames cannot be judged by this user, on this kernel or under this policy, though nothing is broken.
    pub fn is_unavailable(&self) -> bool {
        !matches!(self, JudgeError::Namespace(_) | JudgeError::NoThread(_) | JudgeError::Ended(_))
    }
}

impl Judge {
    /// Loads the table of interface number `index` into a namespace of its own, as if `enforce: true`. The ruleset was taken as
    /// of some moment: none of its rules ends while frames are judged.
    ///
    /// # Errors
    /// Too large a policy, missing rights, or what the kernel refuses.
    pub fn new(ruleset: &Ruleset, index: usize) -> Result<Judge, JudgeError> {
        let mut ruleset = ruleset.clone();
        ruleset.rules.iter_mut().for_each(|rule| rule.about.expires = None);
        Judge::by_the_clock(&ruleset, index)
    }

    /// The same with rules that end by the clock of this machine, as they do once they are in force.
    ///
    /// # Errors
    /// As [`Judge::new`].
    pub fn by_the_clock(ruleset: &Ruleset, index: usize) -> Result<Judge, JudgeError> {
        let mut ruleset = ruleset.clone();
        ruleset.interfaces[index].enforce = true;
        ruleset.interfaces[index].mode = Mode::Nft;
        let table = lower(&ruleset, index, &Options { tell: Some(GROUP), ..Options::default() })?;
        let (frames, to_judge) = channel::<Vec<u8>>();
        let (tell, verdicts) = channel();
        let (ready, started) = channel();
        let run = move || match Scene::new(&table) {
            Ok(mut scene) => {
                let _ = ready.send(Ok(()));
                while let Ok(frame) = to_judge.recv() {
                    if tell.send(scene.judge(&frame)).is_err() {
                        break;
                    }
                }
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        };
        let thread = std::thread::Builder::new().spawn(run).map_err(JudgeError::NoThread)?;
        started.recv()??;
        Ok(Judge { frames: Some(frames), verdicts, thread: Some(thread) })
    }

    /// The decision on a frame, given from its destination MAC on; `None` where the hook is not handed it.
    ///
    /// # Errors
    /// What the kernel says to a frame that it does not take.
    pub fn judge(&mut self, frame: &[u8]) -> io::Result<Option<Decision>> {
        let ended = || io::Error::other("the thread that judges has ended");
        let frames = self.frames.as_ref().ok_or_else(ended)?;
        frames.send(frame.to_vec()).map_err(|_| ended())?;
        self.verdicts.recv().map_err(|_| ended())?
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        self.frames = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread that judges has: its namespace, the device and the log.
struct Scene {
    tap: Tap,
    log: Log,
}

impl Scene {
    fn new(table: &Table) -> Result<Scene, JudgeError> {
        // SAFETY: takes no pointer; only this thread is moved.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            let error = io::Error::last_os_error();
            let denied = error.kind() == io::ErrorKind::PermissionDenied;
            return Err(if denied { JudgeError::Denied } else { JudgeError::Namespace(error) });
        }
        let tap = Tap::new(&table.base.device).map_err(JudgeError::NoTap)?;
        let no_log = |error| BackendError::failed("listen to nfnetlink_log", error);
        let log = Log::prompt(GROUP).map_err(|error| JudgeError::NoNftables(no_log(error)))?;
        let mut steps = vec![Step::Table];
        steps.extend(table.counters.iter().map(Step::Counter));
        steps.extend(table.chains.iter().map(|chain| Step::Chain(&chain.name)));
        steps.extend((1..).zip(&table.sets).map(|(id, set)| Step::Set(set, id)));
        for chain in &table.chains {
            steps.extend(chain.rules.iter().map(|rule| Step::Rule(&chain.name, rule)));
        }
        steps.push(Step::Base(&table.base));
        steps.extend(table.base.rules.iter().map(|rule| Step::Rule(BASE, rule)));
        transact::carry_out(&table.name, &steps, "load the nftables table that judges")
            .map_err(JudgeError::NoNftables)?;
        Ok(Scene { tap, log })
    }

    fn judge(&mut self, frame: &[u8]) -> io::Result<Option<Decision>> {
        self.tap.receive(frame)?;
        match self.log.next()? {
            Some(told) => decision(&told.prefix).map(Some),
            None => Ok(None),
        }
    }
}

/// What a table tells (see `lower::build`): `p3`, `d7`, `r5`.
fn decision(told: &str) -> io::Result<Decision> {
    let unknown = || io::Error::other(format!("the table tells \"{told}\""));
    let number: u32 = told.get(1..).and_then(|digits| digits.parse().ok()).ok_or_else(unknown)?;
    match told.as_bytes()[0] {
        b'p' => Ok(Decision::Pass(number)),
        b'd' => Ok(Decision::Denied(number)),
        b'r' => DropReason::from_index(number).map(Decision::Drop).ok_or_else(unknown),
        _ => Err(unknown()),
    }
}
