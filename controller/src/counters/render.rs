//! Counters for people.

use std::io::{self, Write};

use super::{Accounting, InterfaceCounters, Outcome, SIZE_BOUNDS, Total};
use crate::ruleset::{Action, Family};

/// A number with a comma between thousands: 18,204,551.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let group = |(at, digit): (usize, char)| {
        let comma = at > 0 && (digits.len() - at).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(group).collect()
}

/// One block an interface: the sums, the reasons that occurred, every rule.
pub fn human(interfaces: &[InterfaceCounters], out: &mut dyn Write) -> io::Result<()> {
    for (at, interface) in interfaces.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        one(interface, out)?;
    }
    Ok(())
}

/// Only the rules of each interface.
pub fn human_rules(interfaces: &[InterfaceCounters], out: &mut dyn Write) -> io::Result<()> {
    for interface in interfaces {
        let mut rows = vec![row(&interface.interface, "packets", "bytes")];
        rows.extend(rules(interface));
        table(&rows, out)?;
    }
    Ok(())
}

/// What is counted beside the verdicts, of each interface: only what there was.
pub fn human_accounting(interfaces: &[Accounting], out: &mut dyn Write) -> io::Result<()> {
    for one in interfaces {
        let mut rows = vec![row(&format!("{} by", one.interface), "packets", "bytes")];
        for vlan in one.vlans.iter().flatten() {
            let sums = [("passed", vlan.passed), ("dropped", vlan.dropped), ("would drop", vlan.would_drop)];
            let sums = sums.into_iter().chain([("over the MTU", vlan.oversize)]);
            let met = sums.filter(|(_, sum)| sum.packets > 0);
            rows.extend(met.map(|(word, sum)| total(&format!("vlan {}, {word}", vlan.vlan), sum)));
        }
        for (kind, sum) in one.fragments.iter().flat_map(|kinds| kinds.kinds()) {
            rows.extend((sum.packets > 0).then(|| total(&format!("fragments, {}", kind.name()), sum)));
        }
        let ends = SIZE_BOUNDS.map(|end| format!("up to {} bytes", grouped(end.into())));
        let ends = ends.into_iter().chain(["longer".to_owned()]);
        for (end, frames) in ends.zip(one.sizes.iter().flat_map(|sizes| &sizes.buckets)) {
            rows.extend((*frames > 0).then(|| row(&format!("  {end}"), &grouped(*frames), "")));
        }
        for pmtu in one.pmtu.iter().flatten().filter(|pmtu| pmtu.packets > 0) {
            let family = if pmtu.family == Family::V4 { "IPv4" } else { "IPv6" };
            let least = pmtu.smallest.map_or(String::new(), |mtu| format!(", smallest MTU {mtu}"));
            rows.push(row(&format!("  {family} packets too big{least}"), &grouped(pmtu.packets), ""));
        }
        if rows.len() > 1 {
            writeln!(out)?;
            table(&rows, out)?;
        }
        for (rule, last) in one.last_hits.iter().flatten() {
            writeln!(out, "  {rule} matched last {}", last.strftime("%Y-%m-%d %H:%M:%S UTC"))?;
        }
    }
    Ok(())
}

fn one(interface: &InterfaceCounters, out: &mut dyn Write) -> io::Result<()> {
    let mut rows = vec![
        row(&interface.interface, "packets", "bytes"),
        total("received", interface.received),
        total("passed", interface.passed),
        total("dropped", interface.dropped),
    ];
    if interface.would_drop.packets > 0 {
        rows.push(total("would drop", interface.would_drop));
    }
    for reason in interface.reasons.iter().filter(|reason| reason.packets > 0) {
        let shadow = if reason.verdict == Outcome::WouldDrop { "  would drop: " } else { "  " };
        let numbers = Total { packets: reason.packets, bytes: reason.bytes };
        rows.push(total(&format!("{shadow}{}", reason.reason), numbers));
    }
    rows.extend(rules(interface));
    table(&rows, out)
}

fn rules(interface: &InterfaceCounters) -> impl Iterator<Item = Row> {
    interface.rules.iter().map(|rule| {
        let action = if rule.action == Action::Deny { "deny" } else { "allow" };
        let shadow = if rule.verdict == Outcome::WouldDrop { " (would drop)" } else { "" };
        let numbers = Total { packets: rule.packets, bytes: rule.bytes };
        total(&format!("{action} {}{shadow}", rule.rule), numbers)
    })
}

type Row = [String; 3];

fn row(name: &str, packets: &str, bytes: &str) -> Row {
    [name.to_owned(), packets.to_owned(), bytes.to_owned()]
}

fn total(name: &str, total: Total) -> Row {
    [format!("  {name}"), grouped(total.packets), grouped(total.bytes)]
}

/// Columns as wide as their widest cell, numbers to the right.
fn table(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (name, packets, bytes) = (width(0), width(1), width(2));
    for row in rows {
        writeln!(out, "{:name$}   {:>packets$}   {:>bytes$}", row[0], row[1], row[2])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_kept_apart() {
        let numbers = [0, 7, 999, 1000, 18_204_551, u64::MAX];
        let text: Vec<String> = numbers.into_iter().map(grouped).collect();
        assert_eq!(text, ["0", "7", "999", "1,000", "18,204,551", "18,446,744,073,709,551,615"]);
    }

    #[test]
    fn a_block_has_sums_reasons_and_rules() {
        let mut interface = InterfaceCounters { interface: "wan0".into(), ..Default::default() };
        interface.received = Total { packets: 1200, bytes: 72_000 };
        let mut out = Vec::new();
        human(&[interface], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("wan0         packets    bytes\n  received     1,200   72,000\n"), "{text}");
    }
}
