//! VLANs: named ones, and the words `untagged`, `10`, `20-29`, `100/200` and `mgmt`.

use std::collections::HashMap;
use std::rc::Rc;

use super::diagnostic::quoted;
use super::fields::{Entry, Fields, Word, entries};
use super::networks::Networks;
use super::source::{Fault, Report};
use super::text::{Decimal, check_name, suggest};
use crate::ruleset::{Vlan, VlanId, VlanRange};

/// What to do about a name that no VLAN has, in a policy.
pub(super) const UNDEFINED: &str = "define it under `vlans`, or write an id, a range or outer/inner";

/// The named VLANs of a policy.
#[derive(Default)]
pub(super) struct Vlans {
    by_name: HashMap<Rc<str>, usize>,
    named: Vec<Named>,
}

struct Named {
    name: Word,
    /// `None`: reported as wrong.
    vlan: Option<Vlan>,
    is_used: bool,
}

impl Vlans {
    /// Reads the `vlans` section.
    pub(super) fn read(section: Option<&Entry>, networks: &mut Networks, report: &mut Report) -> Vlans {
        let mut vlans = Vlans::default();
        let Some(section) = section else { return vlans };
        if section.is_empty() {
            section.no_value::<()>(report);
            return vlans;
        }
        let mut first: HashMap<VlanId, Word> = HashMap::new();
        for entry in entries(&section.value, "vlans", report).unwrap_or_default() {
            // A bad name cannot be used: to say so once is enough.
            let is_used = report.value(entry.key.mark, check_name(&entry.key.text, "VLAN")).is_none();
            let vlan = read_vlan(&entry, networks, &mut first, report);
            vlans.by_name.insert(entry.key.text.clone(), vlans.named.len());
            vlans.named.push(Named { name: entry.key, vlan, is_used });
        }
        vlans
    }

    /// The VLANs that a word of a list means.
    pub(super) fn range(&mut self, word: &str) -> Result<Option<VlanRange>, Fault> {
        if word == "untagged" {
            return Ok(Some(VlanRange::Untagged));
        }
        if word.contains('/') {
            return stacked(word).map(|id| Some(id.into()));
        }
        if word.starts_with(|first: char| first.is_ascii_digit()) {
            let (low, high) = vid_in(word, "VLAN id").read_range(word)?;
            return Ok(Some(VlanRange::Single { low: vid(low), high: vid(high) }));
        }
        if let Some(at) = self.by_name.get(word) {
            let named = &mut self.named[*at];
            named.is_used = true;
            return Ok(named.vlan.as_ref().map(|vlan| vlan.id.into()));
        }
        if word == "any" {
            return Err(Fault::new(
                "\"any\" cannot stand here",
                "write untagged, 1-4094 and the pairs that may appear",
            ));
        }
        let names = self.named.iter().map(|named| named.name.text.as_ref()).chain(["untagged"]);
        let remedy = suggest(word, names, UNDEFINED);
        Err(Fault::new(format!("undefined VLAN {}", quoted(word)), remedy))
    }

    /// Warns of names that nothing uses: no list names them, and no interface allows their VLAN, so that neither their
    /// settings nor their label ever matter.
    pub(super) fn report_idle(&self, is_allowed: impl Fn(VlanId) -> bool, report: &mut Report) {
        for Named { name, vlan, is_used } in &self.named {
            if !is_used && vlan.as_ref().is_some_and(|vlan| !is_allowed(vlan.id)) {
                let message = format!("VLAN {} is not used", quoted(&name.text));
                report.warning(name.mark, message, "remove it, or allow it on an interface");
            }
        }
    }

    pub(super) fn into_vlans(self) -> Vec<Vlan> {
        self.named.into_iter().filter_map(|named| named.vlan).collect()
    }
}

fn read_vlan(
    entry: &Entry,
    networks: &mut Networks,
    first: &mut HashMap<VlanId, Word>,
    report: &mut Report,
) -> Option<Vlan> {
    let errors = report.errors();
    let what = format!("VLAN {}", quoted(&entry.key.text));
    if entry.is_empty() {
        return entry.no_value(report);
    }
    let fields = Fields::read(&entry.value, &what, &["id", "sources", "mtu"], report)?;
    if fields.get("id").is_none() {
        report.error(
            entry.key.mark,
            format!("{what} has no id"),
            "write `id: 10`, or `id: 100/200` for a stacked pair",
        );
    }
    let id = fields.text("id", report).and_then(|word| {
        let id = report.value(word.mark, parse_id(&word.text))?;
        if let Some(other) = first.get(&id) {
            let message =
                format!("VLAN {id} has two names: {} and {}", quoted(&other.text), quoted(&entry.key.text));
            report.error(
                word.mark,
                message,
                format!("keep the one on line {}, or this one", other.mark.line),
            );
        } else {
            first.insert(id, entry.key.clone());
        }
        Some(id)
    });
    let sources = sources(&fields, networks, report);
    let mtu = mtu(&fields, report);
    (report.errors() == errors).then_some(())?;
    Some(Vlan { name: entry.key.text.to_string(), id: id?, sources, mtu })
}

/// The `sources` of a VLAN or an interface.
pub(super) fn sources(
    fields: &Fields,
    networks: &mut Networks,
    report: &mut Report,
) -> Option<crate::ruleset::AddressSet> {
    let words = fields.words("sources", report)??;
    for word in words.iter().filter(|word| word.text.as_ref() == "any") {
        report.error(word.mark, "`sources` cannot be \"any\"", "leave `sources` out to let anyone speak");
    }
    let words: Vec<Word> = words.into_iter().filter(|word| word.text.as_ref() != "any").collect();
    let set = networks.set(&words, report)?;
    if set.is_empty() && !words.is_empty() {
        let message = format!("`sources` hold no address: {}", quoted(&super::fields::joined(&words)));
        report.error(words[0].mark, message, "name addresses, or leave `sources` out to let anyone speak");
    }
    Some(set)
}

/// The `mtu` of a VLAN or an interface, in bytes of layer 3.
pub(super) fn mtu(fields: &Fields, report: &mut Report) -> Option<u32> {
    let word = fields.text("mtu", report)?;
    report.value(word.mark, Decimal { what: "mtu", word: &word.text, low: 68, high: 65_535 }.read(&word.text))
}

fn parse_id(text: &str) -> Result<VlanId, Fault> {
    if text.contains('/') {
        return stacked(text);
    }
    if text.contains('-') || text == "untagged" {
        let remedy = "a name stands for one VLAN (10) or one stacked pair (100/200)";
        return Err(Fault::new(format!("not one VLAN: {}", quoted(text)), remedy));
    }
    vid_in(text, "VLAN id").read(text).map(|id| VlanId::Single(vid(id)))
}

fn stacked(text: &str) -> Result<VlanId, Fault> {
    let (outer, inner) = text.split_once('/').unwrap_or((text, ""));
    if outer.contains('-') || inner.contains(['-', '/']) {
        let remedy = "write one outer and one inner id, such as 100/200";
        return Err(Fault::new(format!("not a stacked pair: {}", quoted(text)), remedy));
    }
    let outer = vid_in(text, "outer VLAN id").read(outer)?;
    let inner = vid_in(text, "inner VLAN id").read(inner)?;
    Ok(VlanId::Stacked { outer: vid(outer), inner: vid(inner) })
}

fn vid_in<'t>(word: &'t str, what: &'t str) -> Decimal<'t> {
    Decimal { what, word, low: 1, high: 4094 }
}

/// A number that has been checked to be at most 4094.
fn vid(number: u32) -> u16 {
    number as u16
}
