//! Which interface of a policy is meant.

use anyhow::{anyhow, bail};

use crate::ruleset::Ruleset;

/// The position of the interface called `name`; it may be left out where there is only one.
pub(super) fn interface(ruleset: &Ruleset, name: Option<&str>) -> anyhow::Result<usize> {
    let names: Vec<&str> = ruleset.interfaces.iter().map(|interface| interface.name.as_str()).collect();
    match (name, names.as_slice()) {
        (Some(name), _) => names
            .iter()
            .position(|known| *known == name)
            .ok_or_else(|| anyhow!("the policy has no interface \"{name}\": it has {}", names.join(", "))),
        (None, [_]) => Ok(0),
        (None, _) => {
            bail!(
                "the policy has {} interfaces: choose one with --interface: {}",
                names.len(),
                names.join(", ")
            )
        }
    }
}
