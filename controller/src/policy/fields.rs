//! Mappings and their values, as the validators want to read them.
//!
//! Promises: every key that does not belong, stands twice or is not text is reported here, once; keys that begin with
//! `x-` are carried and never looked at.

use std::collections::HashMap;
use std::rc::Rc;

use super::diagnostic::quoted;
use super::source::{Mark, Report};
use super::text::suggest;
use super::tree::{Content, Node};
use crate::printable::forges;

/// A scalar and its place.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) text: Rc<str>,
    pub(super) mark: Mark,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Word,
    pub(super) value: Node,
}

/// A mapping of known keys.
pub(super) struct Fields {
    pub(super) mark: Mark,
    entries: Vec<Entry>,
}

impl Fields {
    /// The mapping at `node`, which describes `what`; nothing if it is no mapping.
    pub(super) fn read(node: &Node, what: &str, known: &[&str], report: &mut Report) -> Option<Fields> {
        let mut entries = entries(node, what, report)?;
        entries.retain(|entry| {
            let is_known = known.contains(&entry.key.text.as_ref());
            if !is_known {
                let remedy = match entry.key.text.as_ref() {
                    "<<" => "write the keys out: merge keys are not read".into(),
                    word => {
                        suggest(word, known.iter().copied(), format!("{what} takes {}", known.join(", ")))
                    }
                };
                report.error(
                    entry.key.mark,
                    format!("unknown key {} in {what}", quoted(&entry.key.text)),
                    remedy,
                );
            }
            is_known
        });
        Some(Fields { mark: node.mark, entries })
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key.text.as_ref() == key)
    }

    /// The text at `key`, if the key is there and has one.
    pub(super) fn text(&self, key: &str, report: &mut Report) -> Option<Word> {
        self.get(key)?.text(report)
    }

    /// The words at `key`; `None` if the key is absent, `Some(None)` if it is there and wrong.
    pub(super) fn words(&self, key: &str, report: &mut Report) -> Option<Option<Vec<Word>>> {
        Some(self.get(key)?.words(report))
    }
}

/// The entries of a mapping whose keys are names, each once, in the order of the file. `what` describes the mapping.
pub(super) fn entries(node: &Node, what: &str, report: &mut Report) -> Option<Vec<Entry>> {
    let pairs = match &node.content {
        Content::Map(pairs) => pairs,
        Content::Broken => return None,
        other => {
            let remedy = "write `key: value` pairs";
            report.error(node.mark, format!("{what} is not a mapping but {}", describe(other)), remedy);
            return None;
        }
    };
    let mut first: HashMap<Rc<str>, Mark> = HashMap::with_capacity(pairs.len());
    let mut entries = Vec::with_capacity(pairs.len());
    for (key, value) in pairs.iter() {
        let Content::Text(text) = &key.content else {
            if !matches!(key.content, Content::Broken) {
                report.error(key.mark, format!("a key is {}", describe(&key.content)), "write a word");
            }
            continue;
        };
        if let Some(before) = first.get(text) {
            let place = format!("the first is on line {}: keep one", before.line);
            report.error(key.mark, format!("duplicate key {}", quoted(text)), place);
            continue;
        }
        first.insert(text.clone(), key.mark);
        if !text.starts_with("x-") {
            entries.push(Entry { key: Word { text: text.clone(), mark: key.mark }, value: value.clone() });
        }
    }
    Some(entries)
}

impl Entry {
    /// Whether a value was written at all.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.value.content, Content::Nothing)
    }

    /// One scalar.
    pub(super) fn text(&self, report: &mut Report) -> Option<Word> {
        match &self.value.content {
            Content::Text(text) => self.plain(text, self.value.mark, report),
            Content::Nothing => self.no_value(report),
            Content::Broken => None,
            other => {
                let message = format!("{} is {}", quoted(&self.key.text), describe(other));
                report.error(self.value.mark, message, "write one value");
                None
            }
        }
    }

    /// One scalar or a list of scalars, at least one. Nothing if any is not a scalar.
    pub(super) fn words(&self, report: &mut Report) -> Option<Vec<Word>> {
        let Content::List(items) = &self.value.content else {
            return self.text(report).map(|word| vec![word]);
        };
        if items.is_empty() {
            report.error(
                self.value.mark,
                format!("{} is an empty list", quoted(&self.key.text)),
                self.absence(),
            );
            return None;
        }
        let mut words = Vec::with_capacity(items.len());
        for item in items.iter() {
            match &item.content {
                Content::Text(text) => words.extend(self.plain(text, item.mark, report)),
                Content::Broken => {}
                other => {
                    let message = format!("an entry of {} is {}", quoted(&self.key.text), describe(other));
                    report.error(item.mark, message, "write one value an entry");
                }
            }
        }
        (words.len() == items.len()).then_some(words)
    }

    /// The scalars of the value, whatever else it holds.
    pub(super) fn scalars(&self) -> Vec<Word> {
        let word = |node: &Node| match &node.content {
            Content::Text(text) => Some(Word { text: text.clone(), mark: node.mark }),
            _ => None,
        };
        match &self.value.content {
            Content::List(items) => items.iter().filter_map(word).collect(),
            _ => word(&self.value).into_iter().collect(),
        }
    }

    /// A text that shows as it is written; others are reported. It is printed in plans, records and metrics.
    fn plain(&self, text: &Rc<str>, mark: Mark, report: &mut Report) -> Option<Word> {
        // What explains a rule may take several lines.
        let is_prose = self.key.text.as_ref() == "description";
        let found = text.chars().find(|one| forges(*one) && !(is_prose && *one == '\n'));
        let Some(found) = found else { return Some(Word { text: text.clone(), mark }) };
        let (key, code) = (quoted(&self.key.text), u32::from(found));
        let (what, remedy) = match found {
            '\n' => ("a line break", "write it on one line; `>-` folds several into one"),
            _ => ("a control character", "remove it: it would not show as it is written"),
        };
        report.error(mark, format!("{key} holds {what}, U+{code:04X}: {}", quoted(text)), remedy);
        None
    }

    pub(super) fn no_value<T>(&self, report: &mut Report) -> Option<T> {
        report.error(self.key.mark, format!("{} has no value", quoted(&self.key.text)), self.absence());
        None
    }

    fn absence(&self) -> String {
        format!("write one, or remove the key {}", quoted(&self.key.text))
    }
}

/// What a value is, for people.
pub(super) fn describe(content: &Content) -> String {
    match content {
        Content::Nothing | Content::Broken => "empty".into(),
        Content::Text(text) => format!("the text {}", quoted(text)),
        Content::List(_) => "a list".into(),
        Content::Map(_) => "a mapping".into(),
    }
}

/// The words as the policy wrote them, joined by ", ".
pub(super) fn joined(words: &[Word]) -> String {
    words.iter().map(|word| word.text.as_ref()).collect::<Vec<_>>().join(", ")
}
