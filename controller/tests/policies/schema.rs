//! The JSON Schema against the corpora: editors accept every valid policy, and refuse every invalid one whose fault is
//! one of shape.

use std::fs;
use std::path::Path;

use jsonschema::Validator;
use proptest::prelude::*;
use proptest::test_runner::Config;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

use super::corpus;
use super::mutate::{apply, edit};

/// Invalid policies that no YAML parser gives an editor as one document.
const NOT_YAML: &[&str] = &[
    "yaml-alias-of-itself",
    "yaml-alias-undefined",
    "yaml-bomb",
    "yaml-control-character",
    "yaml-deep-nesting",
    "yaml-duplicate-keys",
    "yaml-empty",
    "yaml-not-utf8",
    "yaml-only-comments",
    "yaml-tab-indent",
    "yaml-tags",
    "yaml-two-documents",
    "yaml-unclosed-list",
    "yaml-utf16",
];

/// Invalid policies whose shape is right: names, files and what the parts mean together are the reader's alone.
const MEANING: &[&str] = &[
    "families-never-meet",
    "file-bad-lines",
    "file-empty",
    "file-is-a-folder",
    "file-missing",
    "file-unreadable-twice",
    "file-not-utf8",
    "host-bits",
    "ids-not-unique",
    "interface-unknown",
    "network-unknown",
    "networks-cyclic",
    "ranges-upside-down",
    "services-own-name",
    "sources-of-nobody",
    "version-words", // 1.0 is the number 1 to a schema
    "vlan-two-names",
    "vlan-unknown",
    "warnings-beside-errors",
];

/// A valid policy that the schema refuses: it takes a bare `null` for a key left empty.
const NULL_AS_A_WORD: &str = "words-of-json";

fn validator() -> Validator {
    let schema: Value = serde_json::from_str(&perimeter::policy::schema()).expect("the schema is JSON");
    jsonschema::draft202012::new(&schema).expect("the schema is a schema")
}

/// A policy as an editor sees it: one document of YAML 1.2 core types. Nothing if the second reader takes it for
/// something else.
fn typed_text(text: &str) -> Option<Value> {
    let documents = Yaml::load_from_str(text.trim_start_matches('\u{feff}')).ok()?;
    let [document] = documents.as_slice() else { return None };
    Some(json_of(document))
}

fn typed(path: &Path) -> Value {
    typed_text(&fs::read_to_string(path).expect("UTF-8")).expect("one document of YAML")
}

/// Whether a `null` stands where the schema takes it for a key left empty.
fn has_null(policy: &Value) -> bool {
    fn within(value: &Value, is_device: bool) -> bool {
        match value {
            Value::Null => !is_device,
            Value::Array(items) => items.iter().any(|item| within(item, false)),
            Value::Object(entries) => entries.values().any(|value| within(value, false)),
            _ => false,
        }
    }
    let sections = policy.as_object().into_iter().flatten();
    sections.into_iter().any(|(section, value)| match value.as_object() {
        Some(devices) if section == "interfaces" => devices.values().any(|device| within(device, true)),
        _ => within(value, false),
    })
}

fn json_of(node: &Yaml) -> Value {
    match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(truth)) => json!(truth),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        // JSON has no infinities; an editor shows them as numbers all the same.
        Yaml::Value(Scalar::FloatingPoint(number)) => json!(f64::clamp(**number, f64::MIN, f64::MAX)),
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Sequence(items) => items.iter().map(json_of).collect(),
        Yaml::Mapping(entries) => {
            entries.iter().map(|(key, value)| (key_of(key), json_of(value))).collect::<Map<_, _>>().into()
        }
        other => panic!("no tags, no aliases: {other:?}"),
    }
}

/// Keys are strings in JSON, whatever they look like.
fn key_of(key: &Yaml) -> String {
    match json_of(key) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn is_among(path: &Path, names: &[&str]) -> bool {
    names.contains(&corpus::case(path).as_str())
}

#[test]
fn every_valid_policy_satisfies_the_schema() {
    let validator = validator();
    let rules = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules")).expect("rules/");
    let rules = rules.map(|entry| entry.expect("a readable folder").path());
    let rules = rules.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    for path in corpus::policies("valid").into_iter().chain(rules) {
        if is_among(&path, &[NULL_AS_A_WORD]) {
            continue;
        }
        let policy = typed(&path);
        let refused: Vec<String> = validator
            .iter_errors(&policy)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(refused.is_empty(), "{}: {refused:#?}", path.display());
    }
}

#[test]
fn every_invalid_shape_is_refused_by_the_schema() {
    let validator = validator();
    for path in corpus::policies("invalid") {
        if is_among(&path, NOT_YAML) {
            continue;
        }
        let is_refused = !validator.is_valid(&typed(&path));
        assert_eq!(is_refused, !is_among(&path, MEANING), "{}", corpus::case(&path));
    }
}

#[test]
fn the_lists_of_exceptions_name_policies_that_exist() {
    let cases: Vec<String> = corpus::policies("invalid").iter().map(|path| corpus::case(path)).collect();
    for name in NOT_YAML.iter().chain(MEANING) {
        assert!(cases.iter().any(|case| case == name), "{name}");
    }
    let validator = validator();
    let null = corpus::policies("valid").into_iter().find(|path| is_among(path, &[NULL_AS_A_WORD]));
    assert!(!validator.is_valid(&typed(&null.expect("the case exists"))));
}

/// `PERIMETER_BLESS=1` writes it anew.
#[test]
fn the_schema_beside_the_policies_is_the_programs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/policy.schema.json");
    if std::env::var_os("PERIMETER_BLESS").is_some() {
        fs::write(&path, perimeter::policy::schema()).expect("a writable folder");
    }
    let kept = fs::read_to_string(&path).expect("the schema beside the policies");
    assert!(kept == perimeter::policy::schema(), "run this test with PERIMETER_BLESS=1");
}

/// One fault a policy, so that no other hides that the schema would let it through.
#[test]
fn single_faults_are_refused() {
    let validator = validator();
    let with_rule = |rule: Value| json!({"version": 1, "interfaces": {"wan0": null}, "allow": [rule]});
    assert!(
        validator.is_valid(&with_rule(json!({"id": "a", "service": "https", "description": "two\nlines"})))
    );
    for rule in [
        json!({}),
        json!({"id": "A"}),
        json!({"id": "a", "service": []}),
        json!({"id": "a", "service": null}),
        json!({"id": "a", "service": "tcp/65536"}),
        json!({"id": "a", "service": "tcp/080"}),
        json!({"id": "a", "service": 80}),
        json!({"id": "a", "service": "icmp/256"}),
        json!({"id": "a", "service": "icmp/nothing-like-it"}),
        json!({"id": "a", "service": ["any", "tcp/80"]}),
        json!({"id": "a", "service": "icmp", "source_port": 53}),
        json!({"id": "a", "source_port": 53}),
        json!({"id": "a", "service": ["tcp", "udp/53"], "tcp": "new"}),
        json!({"id": "a", "service": "tcp", "tcp": "syn"}),
        json!({"id": "a", "from": "10.0.0.256"}),
        json!({"id": "a", "from": "10.0.0.0/33"}),
        json!({"id": "a", "from": "10.0.0.0/255.0.0.0"}),
        json!({"id": "a", "from": "fe80::1%wan0"}),
        json!({"id": "a", "from": ["any", "10.0.0.1"]}),
        json!({"id": "a", "vlan": 4095}),
        json!({"id": "a", "vlan": "0-10"}),
        json!({"id": "a", "vlan": ["any", 10]}),
        json!({"id": "a", "ethertype": 0x0800}),
        json!({"id": "a", "ethertype": 0x05ff}),
        json!({"id": "a", "ethertype": "0x86DD"}),
        json!({"id": "a", "ethertype": "arp", "from": "10.0.0.1"}),
        json!({"id": "a", "bundle": "nd", "service": "https"}),
        json!({"id": "a", "bundle": ["nd", "arp"], "from": "10.0.0.1"}),
        json!({"id": "a", "bundle": "ndp"}),
        json!({"id": "a", "log": "yes"}),
        json!({"id": "a", "expires": "30.06.2027"}),
        json!({"id": "a", "services": "https"}),
        json!({"id": "a", "owner": "net\nops"}),
        json!({"id": "a", "ticket": "NET-1\u{1b}[2K"}),
        json!({"id": "a", "control": "\u{85}"}),
        json!({"id": "a", "description": "\u{202e}"}),
    ] {
        assert!(!validator.is_valid(&with_rule(rule.clone())), "{rule}");
    }
}

#[test]
fn the_schema_offers_every_name_for_completion() {
    let schema = perimeter::policy::schema();
    for service in perimeter::policy::builtin_services() {
        assert!(schema.contains(&format!("\"{}\"", service.name)), "{}", service.name);
    }
    for name in ["icmp/echo-request", "icmpv6/packet-too-big", "dhcpv6-client", "lldp", "bogons"] {
        assert!(schema.contains(&format!("\"{name}\"")), "{name}");
    }
}

proptest! {
    #![proptest_config(Config { cases: 2_000, failure_persistence: None, ..Config::default() })]

    /// An editor never underlines what the reader takes (but for `null`, which it takes for a key left empty).
    #[test]
    fn whatever_the_reader_accepts_the_schema_accepts(
        which in any::<usize>(),
        edits in prop::collection::vec(edit(), 1..4),
    ) {
        let policies = corpus::policies("valid");
        let path = &policies[which % policies.len()];
        let mut text = fs::read(path).expect("a readable corpus");
        edits.iter().for_each(|edit| apply(edit, &mut text));
        if corpus::read_text(path, &text).ruleset.is_none() {
            return Ok(());
        }
        let text = String::from_utf8(text).expect("the reader took it");
        if text.contains('&') {
            return Ok(()); // the second reader takes `key: &anchor` for an empty text
        }
        let Some(policy) = typed_text(&text) else { return Ok(()) };
        let refused: Vec<String> = VALIDATOR
            .iter_errors(&policy)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        prop_assert!(refused.is_empty() || has_null(&policy), "{refused:#?} in\n{text}");
    }
}

static VALIDATOR: std::sync::LazyLock<Validator> = std::sync::LazyLock::new(validator);
