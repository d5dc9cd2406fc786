//! Replay: the frames of captures in, decisions and totals out.
//!
//! Promises: every frame is judged as if it had just been received on the interface and as if `enforce: true`; what one
//! engine cannot be handed is judged by the model and counted; where engines differ, or a decision is not the one that
//! was expected, the frame is given with both. What is published that an engine drops (its declared divergences) is no
//! difference, and counted by its class. Work per frame allocates nothing. Refuses: to go on after an engine
//! failed, since its silence would look like agreement.

mod engine;
mod expect;
mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Read};

use perimeter_classifier::verdict::DropReason;

use crate::capture::{Capture, CaptureError, Frame};
use crate::ruleset::Ruleset;

pub use self::engine::{Declared, Dissent, Engine, EngineError, Engines, Judgement, Nftables, Opinion};
pub use self::expect::{Expectation, ExpectationError, Expectations, Mismatch, base_name};
pub use self::record::{Record, Summary, SummaryRecord, Words, label};

/// What was decided about a run of frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub frames: u64,
    pub passed: u64,
    pub dropped: u64,
    /// Dropped frames by drop reason, by its discriminant.
    pub reasons: [u64; DropReason::ALL.len()],
    /// Frames that an engine cannot be handed and the model judged.
    pub by_model: u64,
    /// Frames that an engine drops as it is published to do, though otherwise decided: by the class of the divergence.
    pub declared: BTreeMap<&'static str, u64>,
    /// Frames of which the capture holds fewer bytes than were on the wire.
    pub cut_short: u64,
    /// Frames on which engines differ.
    pub differences: u64,
    /// Frames whose decision is not the expected one, or of which nothing is expected.
    pub unexpected: u64,
    /// Expected frames that the captures do not have.
    pub missing: u64,
}

/// One frame with everything that is known about it.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    pub frame: Frame<'a>,
    pub judgement: Judgement,
    pub mismatch: Option<Mismatch<'a>>,
}

/// Why a capture was not replayed to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Capture(#[from] CaptureError),
    #[error("frame {frame}: {source}")]
    Engine { frame: u64, source: EngineError },
    #[error("cannot write the results: {0}")]
    Output(#[from] io::Error),
}

impl Totals {
    /// Adds the totals of another run.
    pub fn add(&mut self, other: &Totals) {
        self.frames += other.frames;
        self.passed += other.passed;
        self.dropped += other.dropped;
        self.by_model += other.by_model;
        self.cut_short += other.cut_short;
        self.differences += other.differences;
        self.unexpected += other.unexpected;
        self.missing += other.missing;
        for (mine, theirs) in self.reasons.iter_mut().zip(other.reasons) {
            *mine += theirs;
        }
        for (class, frames) in &other.declared {
            *self.declared.entry(class).or_default() += frames;
        }
    }

    /// Whether an engine or an expectation was contradicted.
    pub fn contradicted(&self) -> bool {
        self.differences + self.unexpected + self.missing > 0
    }

    fn count(&mut self, judged: &Judged<'_>) {
        self.frames += 1;
        match judged.judgement.decision.reason() {
            None => self.passed += 1,
            Some(reason) => {
                self.dropped += 1;
                self.reasons[reason as usize] += 1;
            }
        }
        self.by_model += u64::from(judged.judgement.by_model);
        self.cut_short += u64::from(judged.frame.bytes.len() < judged.frame.original_len as usize);
        if let Some(declared) = judged.judgement.declared {
            *self.declared.entry(declared.class.id).or_default() += 1;
        }
        self.differences += u64::from(judged.judgement.dissent.is_some());
        self.unexpected += u64::from(judged.mismatch.is_some());
    }
}

/// What is expected of the capture being replayed, if anything is.
pub type Expected<'e> = Option<&'e [(u64, Expectation)]>;

/// Replays one capture under `ruleset`. `each` is shown every frame, in order; `totals` counts them, whether or not the capture comes to
/// a good end. Gives the expected frames that a whole capture does not have.
///
/// # Errors
/// The capture is cut, corrupt or not Ethernet; an engine fails; `each` fails.
pub fn replay<'e, R: Read>(
    capture: &mut Capture<R>,
    engines: &mut Engines,
    ruleset: &Ruleset,
    expected: Expected<'e>,
    totals: &mut Totals,
    mut each: impl FnMut(&Judged<'_>) -> io::Result<()>,
) -> Result<&'e [(u64, Expectation)], ReplayError> {
    let mut rest = expected.unwrap_or_default();
    while let Some(frame) = capture.next_frame() {
        let frame = frame?;
        let judgement = engines
            .judge(frame.bytes)
            .map_err(|source| ReplayError::Engine { frame: frame.number, source })?;
        let mismatch = match expected {
            Some(_) => expect::compare(&mut rest, frame.number, &Words::new(judgement.settled, ruleset)),
            None => None,
        };
        let judged = Judged { frame, judgement, mismatch };
        totals.count(&judged);
        each(&judged)?;
    }
    totals.missing += rest.len() as u64;
    Ok(rest)
}
