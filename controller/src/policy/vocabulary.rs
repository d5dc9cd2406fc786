//! The words of one policy, for questions that are asked beside it.
//!
//! Promises: a word means what it would mean in a rule of that policy. Refuses: words that stand for more than is asked.

use std::io;
use std::net::IpAddr;

use thiserror::Error;

use super::fields::{Entry, Fields, Word, entries};
use super::files::Files;
use super::networks::Networks;
use super::services::Services;
use super::source::{Fault, Report, Source, decode};
use super::tree::{self, Content, Node};
use super::vlans::{UNDEFINED, Vlans};
use super::{KEYS, ethertype};
use crate::ruleset::{AddressSet, Service, VlanId, VlanRange};

/// The names that a policy defines.
pub struct Vocabulary {
    networks: Networks,
    /// The `networks` section as written.
    written: Option<Node>,
    services: Services,
    vlans: Vlans,
}

/// A word that does not mean anything here, with what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}: {remedy}")]
pub struct WordError {
    pub message: String,
    pub remedy: String,
}

impl From<Fault> for WordError {
    fn from(Fault { message, remedy }: Fault) -> Self {
        WordError { message, remedy }
    }
}

/// Why an address that a network includes is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The word of `include` that has the address; `None` where only the file has it, or nothing.
    pub included_by: Option<String>,
    /// The network that takes it away, and the word of its `except` that does.
    pub network: String,
    pub excepted_by: String,
}

impl Vocabulary {
    /// Reads the names of a policy; `files` gives the files that it names, as for [`super::read`]. `None` for a text that
    /// [`super::read`] finds errors in.
    pub fn read(text: &[u8], files: &mut dyn FnMut(&str) -> io::Result<Vec<u8>>) -> Option<Self> {
        let mut report = Report::new(Source::new("", decode(text).ok()?));
        let root = tree::read(&mut report)?;
        let fields = Fields::read(&root, "the policy", &KEYS, &mut report)?;
        let section = fields.get("networks");
        let mut networks = Networks::read(section, &mut Files::new("", files), &mut report);
        let services = Services::read(fields.get("services"), &mut report);
        let vlans = Vlans::read(fields.get("vlans"), &mut networks, &mut report);
        let written = section.map(|section| section.value.clone());
        (report.errors() == 0).then_some(Vocabulary { networks, written, services, vlans })
    }

    /// The alternatives of a word of the service grammar, or of a service's name.
    ///
    /// # Errors
    /// The word is neither.
    pub fn service(&mut self, word: &str) -> Result<Vec<Service>, WordError> {
        let alternatives = self.services.word(word)?;
        Ok(alternatives.iter().flat_map(|list| list.iter()).map(|alternative| alternative.service).collect())
    }

    /// The one VLAN of a name, an id, a stacked pair or `untagged`.
    ///
    /// # Errors
    /// The word means no VLAN, or more than one.
    pub fn vlan(&mut self, word: &str) -> Result<VlanId, WordError> {
        let one = "write untagged, an id, outer/inner, or a name under the policy's `vlans`";
        let range = self.vlans.range(word).map_err(|fault| match fault.remedy.as_str() {
            UNDEFINED => WordError { message: fault.message, remedy: one.into() },
            _ => fault.into(),
        });
        match range? {
            Some(VlanRange::Untagged) => Ok(VlanId::Untagged),
            Some(VlanRange::Single { low, high }) if low == high => Ok(VlanId::Single(low)),
            Some(VlanRange::Stacked { outer, inner }) => Ok(VlanId::Stacked { outer, inner }),
            _ => {
                let message = format!("\"{word}\" is more than one VLAN");
                Err(WordError { message, remedy: "write one id, or outer/inner".into() })
            }
        }
    }

    /// The key of an `ethertype` word, as in [`crate::ruleset::Rule::ethertypes`].
    ///
    /// # Errors
    /// The word is no EtherType of frames that are not IP.
    pub fn ethertype(&self, word: &str) -> Result<u16, WordError> {
        Ok(ethertype::parse(word)?)
    }

    /// What takes `address` out of `network`; `None` where nothing does, or there is no such network.
    pub fn exception(&mut self, network: &str, address: IpAddr) -> Option<Exception> {
        // What has been read without errors is read again without errors.
        let mut report = Report::new(Source::new("", ""));
        let entry = entries(self.written.as_ref()?, "networks", &mut report)?
            .into_iter()
            .find(|entry| entry.key.text.as_ref() == network)?;
        let [included, excepted] = definition(&entry, &mut report);
        let mut holder = |words: &[Word]| {
            let holds = |word: &&Word| {
                let set = self.networks.set(std::slice::from_ref(*word), &mut report);
                set.is_some_and(|set| contains(&set, address))
            };
            words.iter().find(holds).map(|word| word.text.to_string())
        };
        let (included_by, excepted_by) = (holder(&included), holder(&excepted));
        match excepted_by {
            Some(excepted_by) => Some(Exception { included_by, network: network.into(), excepted_by }),
            None => included.iter().find_map(|word| self.exception(&word.text, address)),
        }
    }
}

/// What a network includes and excepts. A network that is a list includes it.
fn definition(entry: &Entry, report: &mut Report) -> [Vec<Word>; 2] {
    if !matches!(entry.value.content, Content::Map(_)) {
        return [entry.words(report).unwrap_or_default(), Vec::new()];
    }
    let fields = Fields::read(&entry.value, "a network", &["include", "except", "file"], report);
    let mut words =
        |key| fields.as_ref().and_then(|fields| fields.words(key, report)).flatten().unwrap_or_default();
    [words("include"), words("except")]
}

fn contains(set: &AddressSet, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => set.contains_v4(v4.to_bits()),
        IpAddr::V6(v6) => set.contains_v6(v6.to_bits()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
version: 1
interfaces: { wan0: }
vlans:
  mgmt: { id: 10 }
  pair: { id: 100/200 }
networks:
  office: [192.0.2.0/24, "2001:db8:1::/48"]
  staff: { include: [office], except: [192.0.2.128/25] }
  night: { include: staff, except: "2001:db8:1:2::/64" }
services:
  web: [tcp/80, https]
"#;

    fn vocabulary() -> Vocabulary {
        Vocabulary::read(POLICY.as_bytes(), &mut |_| Err(io::ErrorKind::NotFound.into()))
            .expect("the policy is right")
    }

    #[test]
    fn words_mean_what_they_mean_in_a_rule() {
        let mut words = vocabulary();
        let ports: Vec<_> =
            words.service("web").unwrap().iter().map(|service| service.destination_ports).collect();
        assert_eq!(ports, [Some((80, 80)), Some((443, 443))]);
        assert_eq!(words.service("dns").unwrap().len(), 2);
        assert_eq!(
            words.service("htps").unwrap_err().to_string(),
            "unknown service \"htps\": did you mean \"https\"?"
        );
        assert_eq!(words.vlan("mgmt"), Ok(VlanId::Single(10)));
        assert_eq!(words.vlan("pair"), Ok(VlanId::Stacked { outer: 100, inner: 200 }));
        assert_eq!(words.vlan("untagged"), Ok(VlanId::Untagged));
        assert_eq!(
            words.vlan("1-2").unwrap_err().to_string(),
            "\"1-2\" is more than one VLAN: write one id, or outer/inner"
        );
        assert!(words.vlan("mgnt").unwrap_err().remedy.contains("mgmt"));
        assert_eq!(
            words.vlan("nosuch").unwrap_err().to_string(),
            "undefined VLAN \"nosuch\": write untagged, an id, outer/inner, or a name under the policy's `vlans`"
        );
        assert_eq!(words.ethertype("arp"), Ok(0x0806));
    }

    #[test]
    fn an_exception_is_found_through_the_networks_that_include_it() {
        let mut words = vocabulary();
        let by = |included: &str, network: &str, excepted: &str| {
            Some(Exception {
                included_by: Some(included.into()),
                network: network.into(),
                excepted_by: excepted.into(),
            })
        };
        let address = |text: &str| text.parse().unwrap();
        let evening = address("192.0.2.200");
        assert_eq!(words.exception("staff", evening), by("office", "staff", "192.0.2.128/25"));
        assert_eq!(words.exception("night", evening), by("office", "staff", "192.0.2.128/25"));
        let inner = address("2001:db8:1:2::1");
        assert_eq!(words.exception("night", inner), by("staff", "night", "2001:db8:1:2::/64"));
        for stranger in ["192.0.2.1", "10.0.0.1"] {
            assert_eq!(words.exception("staff", address(stranger)), None);
        }
        assert_eq!(words.exception("nobody", evening), None);
    }
}
