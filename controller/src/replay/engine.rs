//! The engines: whoever can say what is decided about a frame.

use std::error::Error;

use perimeter_classifier::verdict::Decision;

use crate::backend::xdp::program::{Program, TestRunError};
use crate::simulate::Model;

/// One way to have a frame judged.
pub trait Engine {
    /// What the engine is called on the command line.
    fn name(&self) -> &'static str;

    /// The decision on a frame; `None` where this engine cannot be handed such a frame.
    ///
    /// # Errors
    /// The engine failed; no verdict is known.
    fn judge(&mut self, frame: &[u8]) -> Result<Option<Decision>, EngineError>;
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

    fn judge(&mut self, frame: &[u8]) -> Result<Option<Decision>, EngineError> {
        Ok(Some(Model::judge(self, frame)))
    }
}

/// A private program in the kernel.
impl Engine for Program {
    fn name(&self) -> &'static str {
        "xdp"
    }

    fn judge(&mut self, frame: &[u8]) -> Result<Option<Decision>, EngineError> {
        match self.test_run(frame) {
            Ok(decision) => Ok(Some(decision)),
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
    pub decision: Decision,
    /// The first engine could not be handed the frame.
    pub by_model: bool,
    /// The first engine that decides otherwise.
    pub dissent: Option<Dissent>,
}

/// An engine that decides otherwise than the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dissent {
    pub engine: &'static str,
    pub decision: Decision,
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
            let decision = self.model.judge(frame);
            return Ok(Judgement { decision, by_model: false, dissent: None });
        };
        let verdict = first.judge(frame)?;
        let decision = verdict.unwrap_or_else(|| self.model.judge(frame));
        let mut judgement = Judgement { decision, by_model: verdict.is_none(), dissent: None };
        for engine in others {
            match engine.judge(frame)? {
                None => judgement.by_model = true,
                Some(other) if other != decision && judgement.dissent.is_none() => {
                    judgement.dissent = Some(Dissent { engine: engine.name(), decision: other });
                }
                Some(_) => {}
            }
        }
        Ok(judgement)
    }
}
