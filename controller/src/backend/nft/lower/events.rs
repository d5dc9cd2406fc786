//! What people are told of single frames where nftables judges alone: a sample, to a group of nfnetlink_log.
//!
//! Promises: the verdict is the caller's, whether a frame is told of or not and whether anybody listens or not; each frame
//! that meets this end is counted as told of or as suppressed. A message is the name of the counter that counts the frame.

use super::build::Build;
use crate::backend::nft::ir::{Rule, Statement, Verdict};
use crate::backend::nft::names;

/// Frames a second of each reason, and of each rule, of which people are told.
const RATE: u32 = 1_000;
/// As many more are saved up.
const BURST: u32 = 100;

/// The end of the way of a frame that `counter` counts: `counted`, a message or none, and the verdict.
pub(super) fn end(
    build: &mut Build<'_>,
    group: u16,
    counter: String,
    counted: Vec<Statement>,
    verdict: Verdict,
) -> Vec<Rule> {
    let [made, suppressed] = [names::MADE, names::SUPPRESSED].map(|name| build.counter(name.to_owned()));
    let beyond = Statement::Beyond { rate: RATE, burst: BURST };
    let quiet = vec![beyond, Statement::Count(suppressed), Statement::Verdict(verdict.clone())];
    let told = Statement::Log { group, prefix: counter };
    let told = vec![Statement::Count(made), told, Statement::Verdict(verdict)];
    vec![Rule::new([counted, quiet].concat()), Rule::new(told)]
}

#[cfg(test)]
mod tests {
    use crate::backend::nft::ir::{Chain, Statement, Table};
    use crate::backend::nft::lower::{Options, lower};
    use crate::ruleset::{Action, Mode, Ruleset};
    use crate::samples::{rule, ruleset};

    fn tells(chain: &&Chain) -> bool {
        let mut statements = chain.rules.iter().flat_map(|rule| &rule.statements);
        statements.any(|statement| matches!(statement, Statement::Log { .. }))
    }

    fn made(ruleset: &Ruleset, silent: bool) -> Table {
        lower(ruleset, 0, &Options { silent, ..Options::default() }).unwrap()
    }

    /// Goal: a message changes no verdict. Method: of every chain that tells, the ends of what is told of and of what is not.
    #[test]
    fn drops_and_logged_rules_are_told_of_and_end_as_they_would() {
        let mut ruleset = ruleset(&["wan0"]);
        ruleset.rules.extend([rule("bad", Action::Deny, &[0]), rule("told", Action::Allow, &[0])]);
        ruleset.rules.last_mut().unwrap().log = true;
        let table = made(&ruleset, false);
        for chain in table.chains.iter().filter(tells) {
            let [quiet, told] = chain.rules.as_slice() else { panic!("{chain:?}") };
            assert_eq!(quiet.statements.last(), told.statements.last(), "{}", chain.name);
            assert!(matches!(quiet.statements.last(), Some(Statement::Verdict(_))), "{}", chain.name);
        }
        let ends = table
            .chains
            .iter()
            .filter(|chain| ["drop.", "deny.", "allow."].iter().any(|word| chain.name.starts_with(word)));
        let quiet: Vec<_> = ends.filter(|chain| !tells(chain)).map(|chain| chain.name.as_str()).collect();
        assert_eq!(quiet, ["allow.arp.tag", "allow.arp"]);
        assert_eq!(made(&ruleset, true).chains.iter().filter(tells).count(), 0, "the kernel has no log");
        ruleset.interfaces[0].mode = Mode::Both;
        assert_eq!(made(&ruleset, false).chains.iter().filter(tells).count(), 0, "XDP tells");
    }
}
