//! The service grammar and the named services.
//!
//! Promises: a list of alternatives without repetitions, in the order written. A policy's own name wins over a built-in
//! one; a definition that uses itself, even through others, is refused.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::builtin;
use super::diagnostic::quoted;
use super::fields::{Entry, Word, entries};
use super::icmp;
use super::order;
use super::source::{Fault, Report};
use super::text::{Decimal, alternatives, check_name, nearest, part_of, suggest};
use crate::ruleset::{Family, Icmp, Service};

/// Alternatives that all definitions and rules of a policy may come to.
const MOST_ALTERNATIVES: usize = 1 << 22;

/// One alternative, and whether it was written as tcp, udp or sctp, so that `source_port` and `tcp` may narrow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Alternative {
    pub(super) service: Service,
    pub(super) is_transport: bool,
}

/// The services that a policy defines.
#[derive(Default)]
pub(super) struct Services {
    by_name: HashMap<Rc<str>, usize>,
    named: Vec<Named>,
    /// Alternatives made so far.
    made: usize,
}

struct Named {
    name: Word,
    /// `None`: reported as wrong.
    alternatives: Option<Rc<[Alternative]>>,
    is_used: bool,
}

impl Services {
    /// Reads the `services` section.
    pub(super) fn read(section: Option<&Entry>, report: &mut Report) -> Services {
        let mut services = Services::default();
        let Some(section) = section else { return services };
        if section.is_empty() {
            section.no_value::<()>(report);
            return services;
        }
        let mut definitions: Vec<Option<Vec<Word>>> = Vec::new();
        for entry in entries(&section.value, "services", report).unwrap_or_default() {
            // A bad name cannot be used: to say so once is enough.
            let is_used = report.value(entry.key.mark, check_name(&entry.key.text, "service")).is_none();
            services.by_name.insert(entry.key.text.clone(), services.named.len());
            services.named.push(Named { name: entry.key.clone(), alternatives: None, is_used });
            definitions.push(entry.words(report));
        }
        services.resolve(&definitions, report);
        services
    }

    fn resolve(&mut self, definitions: &[Option<Vec<Word>>], report: &mut Report) {
        let used = |word: &Word| self.by_name.get(&word.text).copied();
        let uses: Vec<Vec<usize>> =
            definitions.iter().map(|words| words.iter().flatten().filter_map(used).collect()).collect();
        let order = order::resolve(&uses);
        for cycle in &order.cycles {
            let name = &self.named[cycle.members[0]].name;
            let circle = cycle.show(|member| &self.named[member].name.text);
            let remedy = "write out what it stands for, such as tcp/443";
            report.error(name.mark, format!("service {} uses itself: {circle}", quoted(&name.text)), remedy);
        }
        let is_sorted: HashSet<usize> = order.sorted.iter().copied().collect();
        let rest = (0..definitions.len()).filter(|at| !is_sorted.contains(at));
        for at in order.sorted.iter().copied().chain(rest) {
            if let Some(words) = &definitions[at] {
                self.named[at].alternatives = self.list(words, report).map(Rc::from);
            }
        }
    }

    /// What a list of words stands for; nothing if one of them is wrong, which is reported.
    pub(super) fn list(&mut self, words: &[Word], report: &mut Report) -> Option<Vec<Alternative>> {
        let mut list = Vec::new();
        let mut seen = HashSet::new();
        let mut is_whole = true;
        for word in words {
            if word.text.as_ref() == "any" && words.len() > 1 {
                report.error(word.mark, "\"any\" stands in a list", "write it alone, or remove it");
                is_whole = false;
                continue;
            }
            match report.value(word.mark, self.word(&word.text)).flatten() {
                Some(found) => list.extend(found.iter().copied().filter(|one| seen.insert(*one))),
                None => is_whole = false,
            }
            if !self.afford(list.len(), word, report) {
                return None;
            }
        }
        self.charge(list.len());
        is_whole.then_some(list)
    }

    /// Counts alternatives that were made.
    pub(super) fn charge(&mut self, made: usize) {
        self.made += made;
    }

    /// Whether `more` alternatives still fit; reports the first time they do not.
    pub(super) fn afford(&mut self, more: usize, at: &Word, report: &mut Report) -> bool {
        if self.made + more <= MOST_ALTERNATIVES {
            return true;
        }
        if self.made <= MOST_ALTERNATIVES {
            let message = format!("services come to more than {MOST_ALTERNATIVES} alternatives here");
            report.error(at.mark, message, "write ranges, and fewer names within names");
            self.made = MOST_ALTERNATIVES + 1;
        }
        false
    }

    /// What one word stands for; nothing if it names a service that is wrong.
    pub(super) fn word(&mut self, word: &str) -> Result<Option<Rc<[Alternative]>>, Fault> {
        if let Some(at) = self.by_name.get(word) {
            let named = &mut self.named[*at];
            named.is_used = true;
            return Ok(named.alternatives.clone());
        }
        if let Some(parsed) = parse(word) {
            return parsed.map(|alternative| Some(Rc::from([alternative])));
        }
        if let Some(known) = builtin::find(word) {
            let words = known.words.iter().filter_map(|word| parse(word)).collect::<Result<Vec<_>, _>>();
            return words.map(|alternatives| Some(alternatives.into()));
        }
        Err(self.unknown(word))
    }

    fn unknown(&self, word: &str) -> Fault {
        let message = format!("unknown service {}", quoted(word));
        let lower = word.to_ascii_lowercase();
        if lower != word && parse(&lower).is_some_and(|parsed| parsed.is_ok()) {
            return Fault::new(message, format!("did you mean \"{lower}\"?"));
        }
        if let Some((port, protocol)) = word.split_once('/')
            && parse(&format!("{protocol}/{port}")).is_some_and(|parsed| parsed.is_ok())
        {
            return Fault::new(message, format!("write {protocol}/{port}"));
        }
        if port_range(word, word, "port").is_ok() {
            return Fault::new(message, format!("write tcp/{word} or udp/{word}"));
        }
        if let Some((head, rest)) = word.split_once('/')
            && let Some(meant) = nearest(head, HEADS)
            && parse(&format!("{meant}/{rest}")).is_some_and(|parsed| parsed.is_ok())
        {
            return Fault::new(message, format!("did you mean \"{meant}/{rest}\"?"));
        }
        let own = self.named.iter().map(|named| named.name.text.as_ref());
        let known = own.chain(builtin::builtin_services().iter().map(|service| service.name)).chain(HEADS);
        let otherwise = "define it under `services`, or write tcp/PORT, udp/PORT, icmp/TYPE or ip/NUMBER";
        Fault::new(message, suggest(word, known, otherwise))
    }

    /// Warns of definitions that nothing names.
    pub(super) fn report_idle(&self, report: &mut Report) {
        for Named { name, is_used, .. } in &self.named {
            if !is_used {
                let message = format!("service {} is not used", quoted(&name.text));
                report.warning(name.mark, message, "remove it, or name it in a rule");
            }
        }
    }
}

const HEADS: [&str; 10] = ["any", "tcp", "udp", "sctp", "icmp", "icmpv6", "esp", "ah", "gre", "igmp"];

/// IP protocol number of ICMP or ICMPv6.
pub(super) const fn icmp_protocol(family: Family) -> u8 {
    match family {
        Family::V4 => 1,
        Family::V6 => 58,
    }
}

/// Reads a word of the grammar; `None` if it does not begin with one of its words.
fn parse(word: &str) -> Option<Result<Alternative, Fault>> {
    let (head, rest) = match word.split_once('/') {
        Some((head, rest)) => (head, Some(rest)),
        None => (word, None),
    };
    let plain = |protocol: u8| match rest {
        None => Ok(of(Service { protocol: Some(protocol), ..Service::default() }, false)),
        Some(_) => Err(Fault::new(
            format!("{head} has neither ports nor types: {}", quoted(word)),
            format!("write {head}"),
        )),
    };
    Some(match head {
        "any" if rest.is_none() => Ok(of(Service::default(), false)),
        "tcp" => transport(6, word, rest),
        "udp" => transport(17, word, rest),
        "sctp" => transport(132, word, rest),
        "icmp" => icmp_type(Family::V4, word, rest),
        "icmpv6" => icmp_type(Family::V6, word, rest),
        "esp" => plain(50),
        "ah" => plain(51),
        "gre" => plain(47),
        "igmp" => plain(2),
        "ip" => match rest {
            Some(number) => protocol(word, number),
            None => Err(Fault::new(
                "`ip` without a protocol number",
                "write ip/NUMBER, or any for every IP packet",
            )),
        },
        _ => return None,
    })
}

fn of(service: Service, is_transport: bool) -> Alternative {
    Alternative { service, is_transport }
}

fn transport(protocol: u8, word: &str, ports: Option<&str>) -> Result<Alternative, Fault> {
    let ports = ports.map(|ports| ports_of(word, ports)).transpose()?;
    Ok(of(Service { protocol: Some(protocol), destination_ports: ports, ..Service::default() }, true))
}

fn ports_of(word: &str, ports: &str) -> Result<(u16, u16), Fault> {
    if let Some(known) = builtin::find(ports) {
        let message = format!("a name in place of a port: {}", quoted(word));
        return Err(Fault::new(message, format!("write {ports}, which is {}", alternatives(known.words))));
    }
    port_range(word, ports, "port")
}

/// A port or a range of ports as a part of `word`; `what` names it in the fault.
pub(super) fn port_range(word: &str, text: &str, what: &str) -> Result<(u16, u16), Fault> {
    // Both are at most 65,535 by now.
    Decimal { what, word, low: 0, high: 65_535 }.read_range(text).map(|(low, high)| (low as u16, high as u16))
}

fn protocol(word: &str, number: &str) -> Result<Alternative, Fault> {
    let number = octet(word, "IP protocol").read(number)?;
    Ok(of(Service { protocol: Some(number as u8), ..Service::default() }, false))
}

fn octet<'t>(word: &'t str, what: &'t str) -> Decimal<'t> {
    Decimal { what, word, low: 0, high: 255 }
}

fn icmp_type(family: Family, word: &str, rest: Option<&str>) -> Result<Alternative, Fault> {
    let service =
        Service { family: Some(family), protocol: Some(icmp_protocol(family)), ..Service::default() };
    let Some(rest) = rest else { return Ok(of(service, false)) };
    let (kind, code) = match rest.split_once('/') {
        Some((kind, code)) => (kind, Some(octet(word, "ICMP code").read(code)? as u8)),
        None => (rest, None),
    };
    let kind = match icmp::find(family, kind) {
        Some(kind) => kind,
        None if kind.starts_with(|first: char| first.is_ascii_alphabetic()) => {
            return Err(unknown_type(family, word, kind));
        }
        None => octet(word, "ICMP type").read(kind)? as u8,
    };
    Ok(of(Service { icmp: Some(Icmp { kind, code }), ..service }, false))
}

fn unknown_type(family: Family, word: &str, kind: &str) -> Fault {
    let (own, other, other_word) = match family {
        Family::V4 => ("ICMP", Family::V6, "icmpv6"),
        Family::V6 => ("ICMPv6", Family::V4, "icmp"),
    };
    let message = format!("unknown {own} type {}", part_of(kind, word));
    if icmp::find(other, kind).is_some() {
        return Fault::new(message, format!("did you mean \"{other_word}/{kind}\"?"));
    }
    let names = icmp::icmp_types(family).iter().map(|(name, _)| *name);
    let remedy = nearest(kind, names).map_or_else(
        || "write a number, or a name from rules/README.md".into(),
        |meant| format!("did you mean \"{meant}\"?"),
    );
    Fault::new(message, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(word: &str) -> Service {
        parse(word).unwrap().unwrap().service
    }

    #[test]
    fn every_word_of_the_grammar_means_its_protocol() {
        let protocols = [
            ("tcp", 6),
            ("udp", 17),
            ("sctp", 132),
            ("icmp", 1),
            ("icmpv6", 58),
            ("esp", 50),
            ("ah", 51),
            ("gre", 47),
            ("igmp", 2),
        ];
        for (word, protocol) in protocols {
            assert_eq!(service(word).protocol, Some(protocol), "{word}");
        }
        assert_eq!(service("any"), Service::default());
        assert_eq!(service("ip/89").protocol, Some(89));
        assert_eq!(service("tcp/0-65535").destination_ports, Some((0, 65_535)));
        assert_eq!(service("icmp").family, Some(Family::V4));
        assert_eq!(service("icmpv6/packet-too-big").icmp, Some(Icmp { kind: 2, code: None }));
        assert_eq!(service("icmp/destination-unreachable/4").icmp, Some(Icmp { kind: 3, code: Some(4) }));
        // A number is a protocol of either family, and has no ports to narrow.
        assert_eq!(service("ip/1").family, None);
        assert!(!parse("ip/6").unwrap().unwrap().is_transport && parse("tcp").unwrap().unwrap().is_transport);
    }

    #[test]
    fn mistaken_words_are_answered_with_what_was_meant() {
        let remedy = |word: &str| Services::default().word(word).unwrap_err().remedy;
        assert_eq!(remedy("htps"), "did you mean \"https\"?");
        assert_eq!(remedy("TCP/80"), "did you mean \"tcp/80\"?");
        assert_eq!(remedy("80/tcp"), "write tcp/80");
        assert_eq!(remedy("443"), "write tcp/443 or udp/443");
        assert_eq!(remedy("tcp/http"), "write http, which is tcp/80");
        assert_eq!(remedy("icmp/packet-too-big"), "did you mean \"icmpv6/packet-too-big\"?");
        assert_eq!(remedy("esp/50"), "write esp");
    }

    #[test]
    fn every_built_in_service_is_of_the_grammar() {
        for known in builtin::builtin_services() {
            for word in known.words {
                assert!(parse(word).is_some_and(|parsed| parsed.is_ok()), "{word}");
            }
        }
    }
}
