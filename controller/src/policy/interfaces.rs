//! The `interfaces` section.

use std::collections::HashMap;
use std::rc::Rc;

use super::diagnostic::quoted;
use super::fields::{Entry, Fields, Word, entries};
use super::networks::Networks;
use super::source::{Fault, Mark, Report};
use super::text::{boolean, hex16, one_of, suggest};
use super::vlans::{self, Vlans};
use crate::ruleset::{Accounting, Fragments, Interface, IpOptions, Mode, Oversize, VlanEntry, VlanRange};

const KEYS: [&str; 10] = [
    "mode",
    "enforce",
    "mtu",
    "oversize",
    "fragments",
    "ip_options",
    "vlans",
    "outer_tag",
    "accounting",
    "sources",
];
const DEFAULT_MTU: u32 = 1500;
const OUTER_TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const ALL_ACCOUNTING: Accounting =
    Accounting { vlan: true, size: true, fragments: true, pmtu: true, last_hit: true };

/// The interfaces of a policy, those that are wrong with what could be read of them.
#[derive(Default)]
pub(super) struct Interfaces {
    by_name: HashMap<Rc<str>, usize>,
    pub(super) list: Vec<Interface>,
    pub(super) marks: Vec<Mark>,
    /// Whether every VLAN of every interface was understood.
    pub(super) vlans_are_known: bool,
}

impl Interfaces {
    /// Reads the section; a policy without an interface is wrong. `top` is where the policy begins.
    pub(super) fn read(
        section: Option<&Entry>,
        top: Mark,
        networks: &mut Networks,
        vlans: &mut Vlans,
        report: &mut Report,
    ) -> Interfaces {
        let mut interfaces = Interfaces { vlans_are_known: true, ..Interfaces::default() };
        let remedy = "name the devices to enforce, such as `interfaces: {wan0: {}}`";
        let Some(section) = section else {
            report.error(top, "the policy has no `interfaces`", remedy);
            return interfaces;
        };
        if section.is_empty() {
            report.error(section.key.mark, "`interfaces` names no device", remedy);
            return interfaces;
        }
        let Some(entries) = entries(&section.value, "interfaces", report) else { return interfaces };
        if entries.is_empty() {
            report.error(section.key.mark, "`interfaces` names no device", remedy);
        }
        for entry in entries {
            report.value(entry.key.mark, check_device(&entry.key.text));
            let interface = interfaces.read_one(&entry, networks, vlans, report);
            interfaces.by_name.insert(entry.key.text.clone(), interfaces.list.len());
            interfaces.list.push(interface);
            interfaces.marks.push(entry.key.mark);
        }
        interfaces
    }

    fn read_one(
        &mut self,
        entry: &Entry,
        networks: &mut Networks,
        vlans: &mut Vlans,
        report: &mut Report,
    ) -> Interface {
        let mut interface = default_interface(&entry.key.text);
        if entry.is_empty() {
            return interface;
        }
        let what = format!("interface {}", quoted(&entry.key.text));
        let Some(fields) = Fields::read(&entry.value, &what, &KEYS, report) else {
            self.vlans_are_known = false;
            return interface;
        };
        read_choices(&fields, &mut interface, report);
        interface.mtu = vlans::mtu(&fields, report).unwrap_or(DEFAULT_MTU);
        interface.sources = vlans::sources(&fields, networks, report);
        if let Some(words) = fields.words("accounting", report).flatten() {
            interface.accounting = accounting(&words, report);
        }
        if let Some(word) = fields.text("outer_tag", report) {
            interface.outer_tag = report.value(word.mark, outer_tag(&word.text)).unwrap_or(OUTER_TAGS[0]);
        }
        match fields.words("vlans", report) {
            None => {}
            Some(words) => match words.and_then(|words| vlan_entries(&words, vlans, report)) {
                Some(entries) => interface.vlans = entries,
                None => self.vlans_are_known = false,
            },
        }
        interface
    }

    /// The position of the interface with this name.
    pub(super) fn find(&self, name: &str) -> Result<usize, Fault> {
        self.by_name.get(name).copied().ok_or_else(|| {
            let names = self.list.iter().map(|interface| interface.name.as_str());
            let otherwise = match name {
                "any" | "all" => "leave `interface` out for every interface".into(),
                _ => format!("the policy has {}", names.clone().take(8).collect::<Vec<_>>().join(", ")),
            };
            Fault::new(
                format!("the policy has no interface {}", quoted(name)),
                suggest(name, names, otherwise),
            )
        })
    }
}

fn default_interface(name: &str) -> Interface {
    Interface {
        name: name.into(),
        mode: Mode::Auto,
        enforce: true,
        mtu: DEFAULT_MTU,
        oversize: Oversize::Drop,
        fragments: Fragments::Drop,
        ip_options: IpOptions::Drop,
        outer_tag: OUTER_TAGS[0],
        vlans: vec![VlanEntry { label: "untagged".into(), range: VlanRange::Untagged }],
        sources: None,
        accounting: ALL_ACCOUNTING,
    }
}

/// A name that Linux could give to a device (`dev_valid_name`).
fn check_device(name: &str) -> Result<(), Fault> {
    let is_strange = |c: char| c.is_whitespace() || c.is_control() || c == '/' || c == ':';
    if !(1..=15).contains(&name.len()) || name == "." || name == ".." || name.contains(is_strange) {
        let remedy = "write 1 to 15 bytes without blanks, slashes and colons, such as wan0";
        return Err(Fault::new(format!("not a device name: {}", quoted(name)), remedy));
    }
    Ok(())
}

fn read_choices(fields: &Fields, interface: &mut Interface, report: &mut Report) {
    if let Some(mode) = choice(fields, "mode", &MODES, report) {
        interface.mode = mode;
    }
    if let Some(oversize) = choice(fields, "oversize", &OVERSIZE, report) {
        interface.oversize = oversize;
    }
    if let Some(ip_options) = choice(fields, "ip_options", &IP_OPTIONS, report) {
        interface.ip_options = ip_options;
    }
    if let Some(word) = fields.text("enforce", report) {
        interface.enforce = report.value(word.mark, boolean(&word.text)).unwrap_or(true);
    }
    if let Some(word) = fields.text("fragments", report) {
        let parsed = match word.text.as_ref() {
            "follow" => Err(Fault::new("`fragments: follow` is not built yet", "write drop or stateless")),
            text => one_of(text, "value of `fragments`", &FRAGMENTS),
        };
        interface.fragments = report.value(word.mark, parsed).unwrap_or(Fragments::Drop);
    }
}

const MODES: [(&str, Mode); 5] = [
    ("auto", Mode::Auto),
    ("native", Mode::Native),
    ("generic", Mode::Generic),
    ("nft", Mode::Nft),
    ("both", Mode::Both),
];
const OVERSIZE: [(&str, Oversize); 2] = [("drop", Oversize::Drop), ("count", Oversize::Count)];
const IP_OPTIONS: [(&str, IpOptions); 2] = [("drop", IpOptions::Drop), ("pass", IpOptions::Pass)];
const FRAGMENTS: [(&str, Fragments); 2] = [("drop", Fragments::Drop), ("stateless", Fragments::Stateless)];

fn choice<T: Copy>(fields: &Fields, key: &str, choices: &[(&str, T)], report: &mut Report) -> Option<T> {
    let word = fields.text(key, report)?;
    report.value(word.mark, one_of(&word.text, &format!("value of `{key}`"), choices))
}

fn outer_tag(text: &str) -> Result<u16, Fault> {
    if let Some(tag) = hex16(text, "outer_tag").ok().filter(|tag| OUTER_TAGS.contains(tag)) {
        return Ok(tag);
    }
    Err(Fault::new(format!("not the EtherType of a tag: {}", quoted(text)), "write 0x8100, 0x88a8 or 0x9100"))
}

fn accounting(words: &[Word], report: &mut Report) -> Accounting {
    let mut accounting = Accounting::NONE;
    for word in words {
        match word.text.as_ref() {
            "all" | "none" if words.len() > 1 => {
                let message = format!("{} stands in a list", quoted(&word.text));
                report.error(word.mark, message, "write it alone, or list the series");
            }
            "all" => accounting = ALL_ACCOUNTING,
            "none" => {}
            "vlan" => accounting.vlan = true,
            "size" => accounting.size = true,
            "fragments" => accounting.fragments = true,
            "pmtu" => accounting.pmtu = true,
            "last_hit" => accounting.last_hit = true,
            other => {
                let series = ["vlan", "size", "fragments", "pmtu", "last_hit"];
                let remedy = suggest(
                    other,
                    series,
                    "write all, none, or a list of vlan, size, fragments, pmtu, last_hit",
                );
                report.error(word.mark, format!("unknown series {}", quoted(other)), remedy);
            }
        }
    }
    accounting
}

/// Nothing if any of them is wrong.
fn vlan_entries(words: &[Word], vlans: &mut Vlans, report: &mut Report) -> Option<Vec<VlanEntry>> {
    let ranges: Vec<Option<VlanEntry>> = words
        .iter()
        .map(|word| {
            let range = report.value(word.mark, vlans.range(&word.text))??;
            Some(VlanEntry { label: word.text.to_string(), range })
        })
        .collect();
    ranges.into_iter().collect()
}
