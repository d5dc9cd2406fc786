//! The engines: whoever can say what is decided about a frame.

mod nft;

use std::error::Error;

use perimeter_classifier::verdict::Decision;

use crate::backend::nft::divergence::Divergence;
use crate::backend::xdp::program::{Program, TestRunError};
use crate::simulate::Model;

pub use self::nft::Nftables;

/// What an engine decides about a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opinion {
    pub decision: Decision,
    /// The published class of frames that this engine drops, where the frame falls into one.
    pub class: Option<&'static Divergence>,
}

/// One way to have a frame judged.
pub trait Engine {
    /// What the engine is called on the command line.
    fn name(&self) -> &'static str;

    /// The decision on a frame; `None` where this engine cannot be handed such a frame.
    ///
    /// # Errors
    /// The engine failed; no verdict is known.
    fn judge(&mut self, frame: &[u8]) -> Result<Option<Opinion>, EngineError>;
}

impl From<Decision> for Opinion {
    fn from(decision: Decision) -> Self {
        Opinion { decision, class: None }
    }
}

/// An engine that gives no verdict.
#[derive(Debug, thiserror::Error)]
#[error("engine {engine} failed: {source}")]
pub struct EngineError {
    pub engine: &'static str,
    pub source: Box<dyn Error + Send + Sync>,
}

impl Engine for Model {
    fn name(&self) -> &'static str {
        "model"
    }

    fn judge(&mut self, frame: &[u8]) -> Result<Option<Opinion>, EngineError> {
        Ok(Some(Model::judge(self, frame).into()))
    }
}

/// A private program in the kernel.
impl Engine for Program {
    fn name(&self) -> &'static str {
        "xdp"
    }

    fn judge(&mut self, frame: &[u8]) -> Result<Option<Opinion>, EngineError> {
        match self.test_run(frame) {
            Ok(decision) => Ok(Some(decision.into())),
            Err(TestRunError::Length(_)) => Ok(None),
            Err(error) => Err(EngineError { engine: self.name(), source: Box::new(error) }),
        }
    }
}

/// The engines of one replay: the first one's decisions are reported, the others must agree.
pub struct Engines {
    /// Judges what an engine cannot be handed.
    model: Model,
    engines: Vec<Box<dyn Engine>>,
}

/// What the engines say about one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What the first engine decides.
    pub decision: Decision,
    /// What is decided where no declared divergence is in the way; expectations are about this.
    pub settled: Decision,
    /// An engine could not be handed the frame.
    pub by_model: bool,
    /// An engine that drops the frame as it is published to do, whatever is settled.
    pub declared: Option<Declared>,
    /// The first engine that decides otherwise than it may.
    pub dissent: Option<Dissent>,
}

/// An engine that decides otherwise than is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dissent {
    pub engine: &'static str,
    pub decision: Decision,
}

/// A declared divergence that was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    pub engine: &'static str,
    pub class: &'static Divergence,
    pub decision: Decision,
}

impl Judgement {
    /// Where only one decision is known.
    fn new(decision: Decision) -> Self {
        Judgement { decision, settled: decision, by_model: false, declared: None, dissent: None }
    }

    /// Holds the opinion of an engine against what is settled.
    fn hear(&mut self, engine: &'static str, Opinion { decision, class }: Opinion) {
        match class {
            _ if decision == self.settled => {}
            Some(class) if decision.reason().is_some() => {
                self.declared = Some(Declared { engine, class, decision });
            }
            _ => self.dissent = self.dissent.or(Some(Dissent { engine, decision })),
        }
    }
}

impl Engines {
    /// `engines` in the order of their authority; none of them means the model alone.
    pub fn new(model: Model, engines: Vec<Box<dyn Engine>>) -> Self {
        Engines { model, engines }
    }

    /// The engines' names, the first the one whose decisions are reported.
    pub fn names(&self) -> Vec<&'static str> {
        if self.engines.is_empty() {
            return vec![self.model.name()];
        }
        self.engines.iter().map(|engine| engine.name()).collect()
    }

    /// Has every engine judge the frame.
    ///
    /// # Errors
    /// One of them failed.
    pub fn judge(&mut self, frame: &[u8]) -> Result<Judgement, EngineError> {
        let Some((first, others)) = self.engines.split_first_mut() else {
            return Ok(Judgement::new(self.model.judge(frame)));
        };
        let mut judgement = match first.judge(frame)? {
            None => Judgement { by_model: true, ..Judgement::new(self.model.judge(frame)) },
            Some(Opinion { decision, class: None }) => Judgement::new(decision),
            // What it decides is no measure for the others.
            Some(opinion) => {
                let settled = self.model.judge(frame);
                let mut judgement = Judgement { settled, ..Judgement::new(opinion.decision) };
                judgement.hear(first.name(), opinion);
                judgement
            }
        };
        for engine in others {
            match engine.judge(frame)? {
                None => judgement.by_model = true,
                Some(opinion) => judgement.hear(engine.name(), opinion),
            }
        }
        Ok(judgement)
    }
}
