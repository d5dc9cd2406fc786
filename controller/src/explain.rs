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

use std::net::IpAddr;

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
    /// The rules that come nearest, without the one that decides, in the order in which rules are credited: where no rule
    /// decides, those that lack one condition, or if there are none, the least number; beside a rule that decides, those
    /// that match as well and the `deny` rules that lack one condition.
    pub near: Vec<Nearness>,
    /// What the deciding rule asked for, and got.
    pub decider: Option<Nearness>,
    /// How many rules the interface has.
    pub rules: usize,
}

/// Says why an address is not in what a condition on addresses names, where there is more to say than that it is not.
pub type Absence<'a> = dyn FnMut(IpAddr, &str) -> Option<String> + 'a;

/// Explains what the interface number `interface` of a ruleset does with a frame. `absence` is asked about every condition
/// on addresses that lacks one, with the condition as written.
///
/// # Errors
/// [`OverBudget`] when the tables would be too large.
pub fn explain(
    ruleset: &Ruleset,
    interface: usize,
    question: &Question,
    absence: &mut Absence<'_>,
) -> Result<Explanation, OverBudget> {
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
        None => near::nearest(ruleset, interface, question, decision, absence),
    };
    let decider = decision.rule().and_then(|rule| near::of(ruleset, rule as usize, question));
    Ok(Explanation { decision, step, near, decider, rules })
}
