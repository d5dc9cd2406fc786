//! What a rule lets through or keeps out, addresses aside: `service`, `source_port`, `tcp`, `ethertype` and `bundle`.

use std::collections::HashSet;

use super::bundle::{self, Bundle};
use super::diagnostic::quoted;
use super::ethertype;
use super::fields::{Fields, Word};
use super::services::{Alternative, Services, port_range};
use super::source::{Mark, Report};
use super::text::one_of;
use crate::ruleset::{Service, TcpState};

/// The alternatives of a rule.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) services: Vec<Service>,
    /// Ascending.
    pub(super) ethertypes: Vec<u16>,
    /// Where the bundle `dhcpv6-client` stands.
    pub(super) dhcpv6_client: Option<Mark>,
}

const TCP: u8 = 6;
const STATES: [(&str, TcpState); 2] = [("established", TcpState::Established), ("new", TcpState::New)];

/// Reads the keys; nothing if anything is wrong, which is reported.
pub(super) fn read(fields: &Fields, services: &mut Services, report: &mut Report) -> Option<Traffic> {
    let errors = report.errors();
    check_company(fields, report);
    let bundles = fields.words("bundle", report);
    let ethertypes = fields.words("ethertype", report);
    let words = fields.words("service", report);
    let narrowing = Narrowing::read(fields, report);
    let mut traffic = Traffic::default();
    let mut is_whole = true;
    if bundles.is_some() || ethertypes.is_some() {
        if let Some(words) = words.flatten() {
            // It cannot stand here, but its own mistakes are told all the same.
            services.list(&words, report);
        }
    } else if let Some(words) = words {
        match words.and_then(|words| narrowing.services(&words, services, report)) {
            Some(list) => traffic.services = list,
            None => is_whole = false,
        }
    } else {
        narrowing.refuse_without_service(report);
        traffic.services = vec![Service::default()];
    }
    traffic.add_ethertypes(&ethertypes.flatten().unwrap_or_default(), report);
    traffic.add_bundles(&bundles.flatten().unwrap_or_default(), fields, report);
    (is_whole && report.errors() == errors).then_some(traffic)
}

/// Reports keys that cannot stand beside `ethertype` or `bundle`.
fn check_company(fields: &Fields, report: &mut Report) {
    let companies = [
        (
            "ethertype",
            &["from", "to", "service", "bundle", "source_port", "tcp"][..],
            "frames that are not IP have no such thing",
        ),
        ("bundle", &["service", "source_port", "tcp"][..], "a bundle is a ready-made list of services"),
    ];
    for (key, strangers, reason) in companies {
        if fields.get(key).is_none() {
            continue;
        }
        for entry in strangers.iter().filter_map(|stranger| fields.get(stranger)) {
            let message = format!("{} stands beside `{key}`", quoted(&entry.key.text));
            report.error(entry.key.mark, message, format!("{reason}: remove one, or write two rules"));
        }
        if key == "ethertype" {
            // What stands beside an ethertype has been said once.
            return;
        }
    }
}

impl Traffic {
    fn add_ethertypes(&mut self, words: &[Word], report: &mut Report) {
        for word in words {
            self.ethertypes.extend(report.value(word.mark, ethertype::parse(&word.text)));
        }
        self.ethertypes.sort_unstable();
        self.ethertypes.dedup();
    }

    fn add_bundles(&mut self, words: &[Word], fields: &Fields, report: &mut Report) {
        for word in words {
            let Some(name) = report.value(word.mark, bundle::parse(&word.text)) else { continue };
            let Bundle { services, ethertypes } = bundle::expand(name);
            if !ethertypes.is_empty() {
                refuse_addresses(fields, report);
            }
            if name == bundle::Name::Dhcpv6Client {
                self.dhcpv6_client = Some(word.mark);
            }
            self.services
                .extend(services.into_iter().filter(|one| !self.services.contains(one)).collect::<Vec<_>>());
            self.ethertypes.extend(ethertypes);
        }
        self.ethertypes.dedup();
    }
}

/// `from` and `to` narrow a bundle, but ARP is not IP.
fn refuse_addresses(fields: &Fields, report: &mut Report) {
    for entry in ["from", "to"].iter().filter_map(|key| fields.get(key)) {
        let message = format!("{} stands beside the bundle \"arp\"", quoted(&entry.key.text));
        report.error(entry.key.mark, message, "ARP is not IP: give it a rule of its own, or see `sources`");
    }
}

/// What `source_port` and `tcp` ask of every service of the rule.
struct Narrowing {
    source_ports: Option<(Word, Vec<(u16, u16)>)>,
    tcp: Option<(Word, Option<TcpState>)>,
}

impl Narrowing {
    fn read(fields: &Fields, report: &mut Report) -> Narrowing {
        let source_ports = fields.words("source_port", report).flatten().map(|words| {
            let ports = words
                .iter()
                .filter_map(|word| report.value(word.mark, port_range(&word.text, &word.text, "source port")))
                .collect();
            (words[0].clone(), ports)
        });
        let tcp = fields.text("tcp", report).map(|word| {
            let state = report.value(word.mark, one_of(&word.text, "value of `tcp`", &STATES));
            (word, state)
        });
        Narrowing { source_ports, tcp }
    }

    fn refuse_without_service(&self, report: &mut Report) {
        if let Some((word, _)) = &self.source_ports {
            let remedy = "add a service of tcp, udp or sctp, such as `service: udp`";
            report.error(
                word.mark,
                format!("`source_port` without `service`: {}", quoted(&word.text)),
                remedy,
            );
        }
        if let Some((word, _)) = &self.tcp {
            let remedy = "add a service of tcp, such as `service: tcp`";
            report.error(word.mark, format!("`tcp` without `service`: {}", quoted(&word.text)), remedy);
        }
    }

    /// The services that `words` name, each with each source port; nothing if one is wrong.
    fn services(&self, words: &[Word], services: &mut Services, report: &mut Report) -> Option<Vec<Service>> {
        self.check(words, services, report);
        let list = services.list(words, report)?;
        let ports: Vec<Option<(u16, u16)>> = match &self.source_ports {
            Some((_, ports)) => ports.iter().copied().map(Some).collect(),
            None => vec![None],
        };
        if !services.afford(list.len().saturating_mul(ports.len()), &words[0], report) {
            return None;
        }
        let tcp = self.tcp.as_ref().and_then(|(_, state)| *state);
        let mut seen = HashSet::new();
        let with = |one: &Alternative, source_ports| Service { source_ports, tcp, ..one.service };
        let all = list.iter().flat_map(|one| ports.iter().map(move |ports| with(one, *ports)));
        let all: Vec<Service> = all.filter(|service| seen.insert(*service)).collect();
        services.charge(all.len());
        Some(all)
    }

    /// Reports every word that stands for something that has no source port or no TCP flags.
    fn check(&self, words: &[Word], services: &mut Services, report: &mut Report) {
        for word in words {
            // What is wrong with the word itself is reported with the list.
            let Ok(Some(alternatives)) = services.word(&word.text) else { continue };
            let is_tcp = |one: &Alternative| one.is_transport && one.service.protocol == Some(TCP);
            if self.source_ports.is_some() && !alternatives.iter().all(|one| one.is_transport) {
                let message =
                    format!("`source_port` beside {}, which is not tcp, udp or sctp", quoted(&word.text));
                report.error(word.mark, message, "give this service a rule without `source_port`");
            }
            if self.tcp.is_some() && !alternatives.iter().all(is_tcp) {
                let message = format!("`tcp` beside {}, which is not tcp alone", quoted(&word.text));
                report.error(word.mark, message, "give this service a rule without `tcp`");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use crate::ruleset::{Family, Rule};

    fn rule(conditions: &str) -> Result<Rule, String> {
        let text = format!("version: 1\ninterfaces:\n  wan0:\nallow:\n  - {{id: a, {conditions}}}\n");
        let at = "2026-11-21T00:00:00Z".parse().unwrap();
        let reading = read("p", text.as_bytes(), &mut |_| Ok(Vec::new()), at);
        match reading.ruleset {
            Some(mut ruleset) => Ok(ruleset.rules.remove(0)),
            None => Err(reading.diagnostics[0].message.clone()),
        }
    }

    #[test]
    fn services_and_source_ports_are_multiplied_once_each() {
        let rule = rule("service: [dns, tcp/53, udp/53], source_port: [53, 1024-65535]").unwrap();
        let ports: Vec<_> =
            rule.services.iter().map(|one| (one.protocol.unwrap(), one.source_ports.unwrap())).collect();
        assert_eq!(ports, [(6, (53, 53)), (6, (1024, 65_535)), (17, (53, 53)), (17, (1024, 65_535))]);
        assert_eq!(
            (rule.written.service.as_str(), rule.written.source_port.as_str()),
            ("dns, tcp/53, udp/53", "53, 1024-65535")
        );
    }

    #[test]
    fn bundles_are_written_out() {
        let rule = rule("bundle: [arp, nd, dhcp-client]").unwrap();
        assert_eq!(rule.ethertypes, [0x0806]);
        let kinds: Vec<_> = rule.services.iter().filter_map(|one| one.icmp).map(|icmp| icmp.kind).collect();
        assert_eq!(kinds, [133, 135, 136]);
        let dhcp = rule.services.last().unwrap();
        assert_eq!(
            (dhcp.family, dhcp.source_ports, dhcp.destination_ports),
            (Some(Family::V4), Some((67, 67)), Some((68, 68)))
        );
    }

    #[test]
    fn what_has_no_ports_or_flags_is_named() {
        let message = rule("service: [tcp, icmp], source_port: 53").unwrap_err();
        assert_eq!(message, "`source_port` beside \"icmp\", which is not tcp, udp or sctp");
        assert_eq!(
            rule("service: ip/6, tcp: new").unwrap_err(),
            "`tcp` beside \"ip/6\", which is not tcp alone"
        );
        assert_eq!(rule("tcp: new").unwrap_err(), "`tcp` without `service`: \"new\"");
    }
}
