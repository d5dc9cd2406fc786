//! A plan on disk: what somebody reviewed, for somebody else to apply.
//!
//! Promises: the file holds the policy with every file it includes and the difference from what the kernel enforced;
//! the same inputs give the same bytes. It is read on any machine, without privilege. Refuses another layout, and
//! anything that is not wholly what was written.

use serde::{Deserialize, Serialize};

use super::{InterfacePlan, Plan};
use crate::digest::Digest;
use crate::state::Source;

/// Version of the layout.
const LAYOUT: u32 = 1;
/// The first key, by which a plan is told from a policy.
const FIRST_KEY: &[u8] = b"\"perimeter_plan\"";

/// A plan, and all it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// Version of the layout.
    perimeter_plan: u32,
    /// Version of perimeter.
    version: String,
    /// The policy file, as it was named, made absolute.
    pub policy_file: String,
    /// The policy first, then the files it names, as it writes them.
    sources: Vec<Text>,
    pub plan: Plan,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Text {
    path: String,
    text: String,
}

/// Why a plan could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    #[error("{0} is not UTF-8 text; a plan holds every file of its policy as text")]
    NotText(String),
    #[error("it is not a whole plan: {0}; make it again with `perimeter plan --out`")]
    Damaged(serde_json::Error),
    #[error("its layout is {0}, this perimeter reads {LAYOUT}; make it again with `perimeter plan --out`")]
    Layout(u32),
}

impl PlanFile {
    /// A plan for the policy at `policy_file`, which was read from `sources`.
    pub fn new(plan: Plan, policy_file: String, sources: &[Source]) -> Result<PlanFile, PlanFileError> {
        let text = |(path, bytes): &Source| {
            let text = String::from_utf8(bytes.clone()).map_err(|_| PlanFileError::NotText(path.clone()))?;
            Ok(Text { path: path.clone(), text })
        };
        let sources = sources.iter().map(text).collect::<Result<_, _>>()?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(PlanFile { perimeter_plan: LAYOUT, version, policy_file, sources, plan })
    }

    /// The bytes to write.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes =
            serde_json::to_vec_pretty(self).expect("a plan has only string keys and finite numbers");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a plan; nothing where `bytes` are something else, such as a policy.
    pub fn read(bytes: &[u8]) -> Option<Result<PlanFile, PlanFileError>> {
        let inside = bytes.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start();
        inside.starts_with(FIRST_KEY).then(|| {
            let file: PlanFile = serde_json::from_slice(bytes).map_err(PlanFileError::Damaged)?;
            if file.perimeter_plan != LAYOUT {
                return Err(PlanFileError::Layout(file.perimeter_plan));
            }
            Ok(file)
        })
    }

    /// SHA-256 of the bytes: what a reviewer quotes.
    pub fn digest(&self) -> Digest {
        Digest::of_bytes(&self.bytes())
    }

    /// What the policy was read from: its own text first, then the files it names.
    pub fn sources(&self) -> Vec<Source> {
        self.sources.iter().map(|one| (one.path.clone(), one.text.clone().into_bytes())).collect()
    }
}

/// What is no longer as it was when a plan was made; nothing where `now` is the same plan.
pub fn changed(then: &Plan, now: &Plan) -> Vec<String> {
    let mut changed = Vec::new();
    if then.policy != now.policy {
        changed.push("the policy no longer means the same, since a rule of it has expired".to_owned());
    }
    let find = |plan: &Plan, name: &str| plan.interfaces.iter().find(|one| one.interface == name).cloned();
    for one in &then.interfaces {
        match find(now, &one.interface) {
            None => changed.push(format!("{} is no longer enforced", one.interface)),
            Some(is) => changed.extend(changed_interface(one, &is)),
        }
    }
    let new = now.interfaces.iter().filter(|one| find(then, &one.interface).is_none());
    changed.extend(new.map(|one| format!("{} has come to be enforced", one.interface)));
    if changed.is_empty() && then != now {
        changed.push("the order of the interfaces is another".to_owned());
    }
    changed
}

fn changed_interface(then: &InterfacePlan, now: &InterfacePlan) -> Option<String> {
    let name = &then.interface;
    if then == now {
        None
    } else if then.now != now.now {
        let (was, is) = (super::render::now(then), super::render::now(now));
        Some(if was == is {
            format!("{name} runs another program ({is})")
        } else {
            format!("{name}: it was {was}, it is {is}")
        })
    } else if then.switch_off != now.switch_off {
        Some(format!("{name}: its offloads are not what they were"))
    } else if (&then.findings, &then.notes) != (&now.findings, &now.notes) {
        Some(format!("{name}: what the plan warned of is not what it was"))
    } else {
        Some(format!("{name}: the difference from what is in force is another"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::backend::Backend;
    use crate::backend::memory::Memory;
    use crate::plan::Facts;
    use crate::samples::ruleset;

    fn plan(devices: &[&str]) -> Plan {
        let backend = Memory::with_devices(devices);
        let observed: Vec<_> = devices.iter().map(|name| backend.observe(name).unwrap()).collect();
        let facts = Facts { observed: &observed, known: &BTreeMap::new() };
        Plan::new(&ruleset(devices), &vec![4096; devices.len()], facts).unwrap()
    }

    fn file() -> PlanFile {
        let sources = [("edge.yaml".to_owned(), b"version: 1\n".to_vec())];
        PlanFile::new(plan(&["wan0"]), "/etc/edge.yaml".into(), &sources).unwrap()
    }

    #[test]
    fn a_plan_is_read_back_as_it_was_written() {
        let file = file();
        assert_eq!(PlanFile::read(&file.bytes()).unwrap().unwrap(), file);
        assert_eq!(file.bytes(), self::file().bytes(), "the same inputs give the same bytes");
        assert_eq!(file.sources()[0].1, b"version: 1\n");
    }

    #[test]
    fn a_policy_is_no_plan_and_a_damaged_plan_is_an_error() {
        assert!(PlanFile::read(b"version: 1\n").is_none());
        assert!(PlanFile::read(b"{ version: 1 }").is_none());
        let bytes = file().bytes();
        assert!(matches!(PlanFile::read(&bytes[..bytes.len() / 2]), Some(Err(PlanFileError::Damaged(_)))));
        let newer =
            String::from_utf8(bytes).unwrap().replace("\"perimeter_plan\": 1", "\"perimeter_plan\": 2");
        assert!(matches!(PlanFile::read(newer.as_bytes()), Some(Err(PlanFileError::Layout(2)))));
    }

    #[test]
    fn every_change_of_the_facts_is_named() {
        let then = plan(&["wan0"]);
        assert_eq!(changed(&then, &then.clone()), Vec::<String>::new());
        let mut now = then.clone();
        now.interfaces[0].findings.push("lro is on".into());
        assert_eq!(changed(&then, &now), ["wan0: what the plan warned of is not what it was"]);
        assert_eq!(changed(&then, &plan(&["wan0", "wan1"])).len(), 2, "the policy is another as well");
        assert_eq!(changed(&plan(&["wan0", "wan1"]), &then)[1], "wan1 is no longer enforced");
    }
}
