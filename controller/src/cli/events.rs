//! `perimeter events`: which frames are dropped, as it happens.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp, Unit};
use perimeter_classifier::verdict::DropReason;

use super::host::Host;
use super::{Env, Exit, Global};
use crate::backend::Backend;
use crate::capture::EventWriter;
use crate::counters::{Event, EventTotals, grouped};
use crate::describe::describe;
use crate::events::filter::{Filter, Prefix};
use crate::events::journal::{Journal, SOCKET};
use crate::events::{Stream, totals};
use crate::ruleset::{Ruleset, VlanRange};

/// Show frames that are dropped, and those that a rule with `log: true` matches, as they come
///
/// A sample: at most 1,000 a second of either kind on each CPU under XDP; where nftables judges alone, of each reason and each
/// such rule. What is not told is counted, and told at the end. Several can look at once, beside the agent.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter events
  perimeter events --reason no_rule --address 192.0.2.0/24
  perimeter events --write drops.pcapng --for 60s
  perimeter events --json | jq -r '[.time, .rule, .reason] | @tsv'")]
pub struct EventsArgs {
    /// Write the frames to a pcapng file, with the reason as their comment
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Send them to journald as well
    #[arg(long)]
    journal: bool,
    /// Only of this interface
    #[arg(long, value_name = "IF")]
    interface: Option<String>,
    /// Only of this rule
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// Only of this drop reason
    #[arg(long, value_name = "REASON", value_parser = parse_reason)]
    reason: Option<DropReason>,
    /// Only of this VLAN: a name, an id, a pair, or `untagged`
    #[arg(long, value_name = "VLAN")]
    vlan: Option<String>,
    /// Only to or from this address or prefix
    #[arg(long, value_name = "ADDRESS")]
    address: Option<Prefix>,
    /// End after so many
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after so long, such as 60s or 10m
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    length: Option<SignedDuration>,
}

fn parse_reason(text: &str) -> Result<DropReason, String> {
    let found = DropReason::ALL.into_iter().find(|reason| reason.name() == text);
    found.ok_or_else(|| format!("it is one of {}", DropReason::ALL.map(DropReason::name).join(", ")))
}

fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    text.parse().map_err(|error: jiff::Error| error.to_string())
}

/// An event that nobody has read for so long was told before this command began.
const FRESH: SignedDuration = SignedDuration::from_secs(2);

/// Carries out the command.
pub(super) fn run(args: &EventsArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let host = Host::open(global)?;
    let place = global.place(host.namespace);
    let count = || totals(&place);
    let mut sinks = Sinks::open(args)?;
    let before = count()?;
    let mut stream = Stream::open(place.clone())?;
    if !stream.is_connected() {
        writeln!(env.err, "perimeter: nothing here tells of frames yet; events come once something does")?;
    }
    let rulesets = rulesets(&host)?;
    let filter = Filter {
        interface: args.interface.clone(),
        rule: args.rule.clone(),
        reason: args.reason,
        vlan: args.vlan.clone(),
        ranges: args.vlan.as_ref().map_or(Vec::new(), |label| ranges(&rulesets, label)),
        address: args.address,
    };
    if let Some(words) = unmet(&rulesets, &filter) {
        writeln!(env.err, "perimeter: {words}: nothing is shown until one has")?;
    }
    let (begun, mut shown, mut missed) = (Instant::now(), 0, 0);
    let is_over = |shown: u64| args.count.is_some_and(|count| shown >= count);
    loop {
        let left = args.length.map_or(SignedDuration::from_secs(1), |length| {
            length - SignedDuration::try_from(begun.elapsed()).unwrap_or(SignedDuration::MAX)
        });
        if is_over(shown) || !left.is_positive() {
            break;
        }
        for event in stream.next(left.unsigned_abs())?.iter().filter(|event| filter.takes(event)) {
            if let (0, Some(words)) = (shown, stale(event, Timestamp::now())) {
                writeln!(env.err, "perimeter: {words}")?;
            }
            if !is_over(shown) {
                sinks.take(event, env)?;
                shown += 1;
            }
        }
        env.out.flush()?;
        if stream.missed() > missed {
            let gap = grouped(stream.missed() - missed);
            writeln!(env.err, "perimeter: {gap} events were not shown here: the output did not keep up")?;
            missed = stream.missed();
        }
    }
    writeln!(env.err, "{}", summary(shown, missed, before, count()?))?;
    Ok(Exit::Done)
}

/// The policies in force, as far as they are kept.
fn rulesets(host: &Host) -> anyhow::Result<Vec<Ruleset>> {
    let names = host.backend.enforced()?;
    let observed = names.iter().map(|name| host.backend.observe(name)).collect::<Result<Vec<_>, _>>()?;
    Ok(host.known(&observed, Timestamp::now())?.into_values().map(|known| known.stored).collect())
}

/// What the policies in force hold under a label.
fn ranges(rulesets: &[Ruleset], label: &str) -> Vec<VlanRange> {
    let entries = rulesets.iter().flat_map(|ruleset| &ruleset.interfaces).flat_map(|one| &one.vlans);
    entries.filter(|entry| entry.label == label).map(|entry| entry.range).collect()
}

/// What no event can meet under the policies in force.
fn unmet(rulesets: &[Ruleset], filter: &Filter) -> Option<String> {
    if rulesets.is_empty() {
        return None;
    }
    let has = |rule: &String| rulesets.iter().flat_map(|one| &one.rules).any(|one| one.id == *rule);
    if let Some(rule) = filter.rule.as_ref().filter(|rule| !has(rule)) {
        return Some(format!("no policy in force has a rule \"{rule}\""));
    }
    // A frame may have any tags, allowed or not.
    let is_tag = |word: &str| word.parse::<u16>().is_ok_and(|vid| vid < 4096);
    let is_met = |vlan: &&String| {
        !filter.ranges.is_empty()
            || ["untagged", "other"].contains(&vlan.as_str())
            || vlan.split('/').all(is_tag)
    };
    let vlan = filter.vlan.as_ref().filter(|vlan| !is_met(vlan))?;
    Some(format!("no policy in force has a VLAN \"{vlan}\", and no frame has such a tag"))
}

/// That an event was told while nobody read, where it was. The ring keeps what a reader has left in it, for hours if need be.
fn stale(first: &Event, now: Timestamp) -> Option<String> {
    let age = now.duration_since(first.time);
    (age > FRESH).then(|| {
        let time = first.time.strftime("%Y-%m-%d %H:%M:%S");
        format!(
            "the first events are old, left by a reader that ended: they begin at {time} UTC, {:#} ago",
            age.round(Unit::Second).unwrap_or(age)
        )
    })
}

/// What was shown, and what could not be.
fn summary(shown: u64, missed: u64, before: EventTotals, after: EventTotals) -> String {
    let since = |of: fn(EventTotals) -> u64| of(after).saturating_sub(of(before));
    let stalled = match missed {
        0 => String::new(),
        missed => format!(", {missed} were missed because the output did not keep up"),
    };
    format!(
        "{shown} shown; meanwhile {} beyond the limit of events were counted only, {} were lost{stalled}",
        since(|totals| totals.suppressed),
        since(|totals| totals.lost)
    )
}

/// Where events go.
struct Sinks {
    json: bool,
    capture: Option<EventWriter<BufWriter<File>>>,
    journal: Option<Journal>,
}

impl Sinks {
    fn open(args: &EventsArgs) -> anyhow::Result<Sinks> {
        let capture = |path: &PathBuf| {
            let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
            EventWriter::new(BufWriter::new(file)).with_context(|| format!("cannot write {}", path.display()))
        };
        let journal =
            || Journal::open(Path::new(SOCKET)).with_context(|| format!("cannot reach journald at {SOCKET}"));
        Ok(Sinks {
            json: args.json,
            capture: args.write.as_ref().map(capture).transpose()?,
            journal: args.journal.then(journal).transpose()?,
        })
    }

    fn take(&mut self, event: &Event, env: &mut Env<'_>) -> anyhow::Result<()> {
        let decision = event.decision();
        if let Some(capture) = &mut self.capture {
            capture.write(event, &decision).context("cannot write the capture")?;
        }
        if let Some(journal) = &self.journal {
            let message = format!("{} {decision} {}", event.interface, describe(&event.header));
            journal.write(event, &message).context("cannot write to journald")?;
        }
        if self.json {
            serde_json::to_writer(&mut *env.out, event)?;
            writeln!(env.out)?;
        } else if self.capture.is_none() {
            let (time, interface) = (event.time.strftime("%H:%M:%S%.3f"), &event.interface);
            writeln!(env.out, "{time} {interface}  {decision}  {}", describe(&event.header))?;
        }
        Ok(())
    }
}
