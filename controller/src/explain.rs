//! Explain: which rule or step decides about a frame that is described in words, and what each near rule lacked.
//!
//! Promises: the verdict is that of the model on a frame built from the words, so it cannot differ from what is enforced;
//! only the reasons given for it are worked out here, from the ruleset. Refuses: words that describe more than one frame.

mod frame;
mod near;
mod question;
mod step;
#[cfg(test)]
mod tests;

use perimeter_classifier::verdict::Decision;

use crate::compile::OverBudget;
use crate::ruleset::Ruleset;
use crate::simulate::Model;

pub use self::near::{Condition, Nearness};
pub use self::question::{Addresses, Content, Packet, Question, QuestionError};

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub decision: Decision,
    /// What the step before the rules asks for, where one of those decides.
    pub step: Option<String>,
    /// The rules that would have decided, had one condition less stood in the way, or if there are none of those, had the
    /// least number; the ones that match and are not credited among them, the one that decides not. In the order in which
    /// rules are credited.
    pub near: Vec<Nearness>,
    /// How many rules the interface has.
    pub rules: usize,
}

/// Explains what the interface number `interface` of a ruleset does with a frame.
///
/// # Errors
/// [`OverBudget`] when the tables would be too large.
pub fn explain(ruleset: &Ruleset, interface: usize, question: &Question) -> Result<Explanation, OverBudget> {
    let model = Model::new(ruleset, interface)?;
    let outer_tag = ruleset.interfaces[interface].outer_tag;
    let judge = |question: &Question| model.judge(&frame::build(question, outer_tag));
    let decision = judge(question);
    let step = decision
        .rule()
        .is_none()
        .then(|| step::wanted(ruleset, interface, question, decision, judge))
        .flatten();
    let here = |index: &usize| ruleset.rules[*index].interfaces.contains(&interface);
    let rules = (0..ruleset.rules.len()).filter(here).count();
    let near = match step {
        Some(_) => Vec::new(),
        None => near::nearest(ruleset, interface, question, decision.rule()),
    };
    Ok(Explanation { decision, step, near, rules })
}
