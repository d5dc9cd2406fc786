//! What people are told of single frames where nftables judges alone: a sample, to a group of nfnetlink_log.
//!
//! Promises: the verdict is the caller's, whether a frame is told of or not and whether anybody listens or not; each frame
//! that meets this end is counted as told of or as suppressed. A message is the name of the counter that counts the frame.

use super::build::Build;
use crate::backend::nft::ir::{Rule, Statement, Verdict};
use crate::backend::nft::names;

/// Frames a second of each reason of which people are told.
pub(super) const OF_REASON: u32 = 1_000;
/// Those that all rules share. A message takes the kernel as long as some dropped frames.
const OF_RULES: u32 = 10_000;

/// Frames a second of which people are told for each of `rules` rules.
pub(super) fn of_rule(rules: usize) -> u32 {
    let share = OF_RULES.checked_div(u32::try_from(rules).unwrap_or(u32::MAX));
    share.unwrap_or(OF_REASON).clamp(1, OF_REASON)
}

/// The end of the way of a frame that `counter` counts: `counted`, a message or none (at most `rate` a second, and a tenth as
/// many that were saved up), and the verdict.
pub(super) fn end(
    build: &mut Build<'_>,
    rate: u32,
    counter: String,
    counted: Vec<Statement>,
    verdict: Verdict,
) -> Vec<Rule> {
    let [made, suppressed] = [names::MADE, names::SUPPRESSED].map(|name| build.counter(name.to_owned()));
    let beyond = Statement::Beyond { rate, burst: rate.div_ceil(10) };
    let quiet = vec![beyond, Statement::Count(suppressed), Statement::Verdict(verdict.clone())];
    let told = Statement::Log { group: build.group(), prefix: counter };
    let told = vec![Statement::Count(made), told, Statement::Verdict(verdict)];
    vec![Rule::new([counted, quiet].concat()), Rule::new(told)]
}

#[cfg(test)]
mod tests {
    use super::of_rule;
    use crate::backend::nft::ir::{Chain, Statement, Table};
    use crate::backend::nft::lower::{Options, lower};
    use crate::ruleset::{Action, Mode, Rule, Ruleset};
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
        let bad = Rule { ethertypes: vec![0x88cc], ..rule("bad", Action::Deny, &[0]) };
        let told = Rule { ethertypes: vec![0x88f7], log: true, ..rule("told", Action::Allow, &[0]) };
        ruleset.rules.splice(0..0, [bad, told]);
        let table = made(&ruleset, false);
        for name in ["drop.no_rule", "deny.bad", "allow.told"] {
            assert!(table.chains.iter().filter(tells).any(|chain| chain.name == name), "{name}");
        }
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
        let all = std::mem::replace(&mut ruleset.interfaces[0].accounting, crate::ruleset::Accounting::NONE);
        let table = made(&ruleset, false);
        let cheap: Vec<_> = table.chains.iter().filter(tells).map(|chain| chain.name.as_str()).collect();
        assert!(
            cheap.contains(&"allow.told") && cheap.iter().all(|name| name.starts_with("allow.told")),
            "{cheap:?}"
        );
        ruleset.interfaces[0].accounting = all;
        ruleset.interfaces[0].mode = Mode::Both;
        assert_eq!(made(&ruleset, false).chains.iter().filter(tells).count(), 0, "XDP tells");
    }

    #[test]
    fn many_rules_share_what_is_told_of_them() {
        assert_eq!([0, 1, 10, 40, 10_000, 50_000].map(of_rule), [1_000, 1_000, 1_000, 250, 1, 1]);
        let mut ruleset = ruleset(&["wan0"]);
        ruleset.rules.splice(0..0, (0..40).map(|number| rule(&format!("bad{number}"), Action::Deny, &[0])));
        let table = made(&ruleset, false);
        let rates = |start: &str| {
            let chains = table.chains.iter().filter(|chain| chain.name.starts_with(start));
            let statements = chains.flat_map(|chain| &chain.rules).flat_map(|rule| &rule.statements);
            let rates = statements.filter_map(|statement| match statement {
                Statement::Beyond { rate, burst } => Some((*rate, *burst)),
                _ => None,
            });
            rates.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        };
        assert_eq!((rates("deny."), rates("drop.")), (vec![(250, 25)], vec![(1_000, 100)]));
    }
}
