//! nftables as an engine: a real ingress chain, and what is published that it cannot express.

use std::io;

use perimeter_classifier::verdict::{Decision, DropReason};

use super::{Engine, EngineError, Opinion};
use crate::backend::nft::divergence::{self, TAG_CUT};
use crate::backend::nft::judge::{HANDED, Judge, JudgeError};
use crate::ruleset::{Interface, Ruleset};

/// The table of one interface, in a network namespace of its own.
pub struct Nftables {
    judge: Judge,
    interface: Interface,
}

impl Nftables {
    /// Loads the table of interface number `index`.
    ///
    /// # Errors
    /// As of [`Judge::new`].
    pub fn new(ruleset: &Ruleset, index: usize) -> Result<Nftables, JudgeError> {
        Ok(Nftables { judge: Judge::new(ruleset, index)?, interface: ruleset.interfaces[index].clone() })
    }
}

impl Engine for Nftables {
    fn name(&self) -> &'static str {
        "nft"
    }

    /// Of a frame whose tag is cut the kernel gives no reason: it is called truncated.
    fn judge(&mut self, frame: &[u8]) -> Result<Option<Opinion>, EngineError> {
        if !HANDED.contains(&frame.len()) {
            return Ok(None);
        }
        let failed = |error: io::Error| EngineError { engine: "nft", source: Box::new(error) };
        let class = divergence::of(frame, &self.interface);
        match self.judge.judge(frame).map_err(failed)? {
            Some(decision) => Ok(Some(Opinion { decision, class })),
            None if class == Some(&TAG_CUT) => {
                Ok(Some(Opinion { decision: Decision::Drop(DropReason::Truncated), class }))
            }
            None => Err(failed(io::Error::other("the ingress chain was not handed the frame"))),
        }
    }
}
