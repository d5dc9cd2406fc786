//! The JSON Schema of the policy language (draft 2020-12), for editors that complete and check what is typed.
//!
//! Promises: whatever the language accepts, the schema accepts, read as YAML 1.2 core types (`10` a number, `true` a
//! boolean), but for a bare `null`, which here is always a key left empty. Names come from the reader's own tables, so
//! that the two cannot drift. Refuses what has the wrong shape; what needs other keys to be judged (undefined names,
//! host bits, ids that are not unique) is the reader's alone.

use super::{bundle, ethertype, icmp, text};
use crate::ruleset::Family;

/// The schema, with `<PLACEHOLDERS>` for what the tables and the patterns below know.
const TEMPLATE: &str = include_str!("schema.json");

/// Decimal numbers without leading zeros: 0-255, 0-65535, 1-4094.
const BYTE: &str = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const PORT: &str = "(0|[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
const VID: &str = "([1-9][0-9]{0,2}|[1-3][0-9]{3}|40[0-8][0-9]|409[0-4])";
/// A name that a policy may define; keys that begin with `x-` are not names.
const NAME: &str = "(?!x-)[a-z][a-z0-9_-]{0,62}";

/// Characters that no text holds ([`crate::printable::forges`]), as JSON writes a class of them.
const CONTROLS: &str = r"\\u0000-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069";

/// The schema as JSON text.
pub fn schema() -> String {
    let (v4, v6) = (icmp_names(Family::V4), icmp_names(Family::V6));
    let prefixed = |protocol: &str, names: &[&str]| -> String {
        items(names.iter().map(|name| format!("{protocol}/{name}")))
    };
    TEMPLATE
        .replace("<BYTE>", BYTE)
        .replace("<PORT>", PORT)
        .replace("<VID>", VID)
        .replace("<NAME>", NAME)
        .replace("<CONTROLS>", CONTROLS)
        .replace("<ICMP>", &v4.join("|"))
        .replace("<ICMPV6>", &v6.join("|"))
        .replace("<ICMP SERVICES>", &prefixed("icmp", &v4))
        .replace("<ICMPV6 SERVICES>", &prefixed("icmpv6", &v6))
        .replace("<SERVICES>", &items(super::builtin_services().iter().map(|service| service.name.into())))
        .replace("<ETHERTYPES>", &items(ethertype::NAMES.iter().map(|(name, _)| (*name).into())))
        .replace("<BUNDLES>", &items(bundle::NAMES.iter().map(|(name, _)| (*name).into())))
        .replace("<RESERVED>", &items(text::RESERVED.iter().map(|name| (*name).into())))
}

fn icmp_names(family: Family) -> Vec<&'static str> {
    icmp::icmp_types(family).iter().map(|(name, _)| *name).collect()
}

/// Words as the items of a JSON array whose outer quotes the template has. The tables hold nothing that JSON escapes.
fn items(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<String>>().join("\", \"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_json_and_every_placeholder_is_filled() {
        let text = schema();
        serde_json::from_str::<serde_json::Value>(&text).expect("well-formed JSON");
        assert!(!text.contains('<') && !text.contains('>'));
    }
}
