//! Named networks: `include` and `file`, less `except`.
//!
//! Promises: sets are exact; a network that is wrong is reported once and does not drag its users along. Refuses
//! cycles, `any`, and names that are not defined.

use std::collections::HashMap;
use std::rc::Rc;

use super::address::{self, Blocks, looks_like_address};
use super::diagnostic::quoted;
use super::fields::{Entry, Fields, Word, entries};
use super::files::Files;
use super::order;
use super::source::{Fault, Mark, Report};
use super::text::{RESERVED, check_name, suggest};
use super::tree::Content;
use crate::ruleset::AddressSet;

/// Ranges that all networks and rules of a policy may hold together: 512 MiB of IPv6.
const MOST_RANGES: usize = 1 << 24;

/// The networks of a policy.
pub(super) struct Networks {
    by_name: HashMap<Rc<str>, usize>,
    networks: Vec<Network>,
    /// Ranges that may be made.
    most: usize,
    /// Ranges made so far.
    ranges: usize,
}

struct Network {
    name: Word,
    /// `None`: reported as wrong.
    set: Option<AddressSet>,
    is_used: bool,
}

/// A network before names are looked up.
struct Definition {
    include: Vec<Word>,
    except: Vec<Word>,
    listed: Blocks,
    is_whole: bool,
}

impl Networks {
    fn limited(most: usize) -> Networks {
        Networks { by_name: HashMap::new(), networks: Vec::new(), most, ranges: 0 }
    }

    /// Reads the `networks` section.
    pub(super) fn read(section: Option<&Entry>, files: &mut Files, report: &mut Report) -> Networks {
        let mut networks = Networks::limited(MOST_RANGES);
        let Some(section) = section else { return networks };
        if section.is_empty() {
            section.no_value::<()>(report);
            return networks;
        }
        let mut definitions = Vec::new();
        for entry in entries(&section.value, "networks", report).unwrap_or_default() {
            // A bad name cannot be used: to say so once is enough.
            let is_used = report.value(entry.key.mark, check_name(&entry.key.text, "network")).is_none();
            networks.by_name.insert(entry.key.text.clone(), networks.networks.len());
            networks.networks.push(Network { name: entry.key.clone(), set: None, is_used });
            definitions.push(Definition::read(&entry, files, report));
        }
        networks.resolve(definitions, report);
        networks
    }

    fn resolve(&mut self, definitions: Vec<Definition>, report: &mut Report) {
        let uses: Vec<Vec<usize>> = definitions
            .iter()
            .map(|definition| {
                definition.words().filter_map(|word| self.by_name.get(&word.text).copied()).collect()
            })
            .collect();
        let order = order::resolve(&uses);
        for cycle in &order.cycles {
            let name = &self.networks[cycle.members[0]].name;
            let circle = cycle.show(|member| &self.networks[member].name.text);
            let message = format!("network {} uses itself: {circle}", quoted(&name.text));
            report.error(name.mark, message, "break the circle");
        }
        let mut definitions: Vec<Option<Definition>> = definitions.into_iter().map(Some).collect();
        // Members of cycles and their users keep no set, but their other words are still judged.
        let is_sorted = order.sorted.iter().copied().collect::<std::collections::HashSet<usize>>();
        let rest = (0..definitions.len()).filter(|at| !is_sorted.contains(at));
        for at in order.sorted.iter().copied().chain(rest) {
            if let Some(definition) = definitions[at].take() {
                self.networks[at].set = self.carry_out(at, definition, report);
            }
        }
    }

    fn carry_out(&mut self, at: usize, definition: Definition, report: &mut Report) -> Option<AddressSet> {
        let mark = self.networks[at].name.mark;
        let included = self.gather(&definition.include, definition.listed, Some(mark), report);
        let excepted = self.gather(&definition.except, Blocks::default(), Some(mark), report);
        let (included, excepted) = (included?, excepted?);
        let set = if excepted.is_empty() { included } else { included.difference(&excepted) };
        if definition.is_whole && set.is_empty() {
            // What this makes of a rule or of `sources` is an error, told there.
            let name = &self.networks[at].name;
            let message = format!("network {} holds no address", quoted(&name.text));
            report.warning(name.mark, message, "look at its `except`, and at its file");
        }
        definition.is_whole.then_some(set)
    }

    /// The union of what `words` name; nothing if any of them is wrong, which is reported. `any` is wrong here.
    pub(super) fn set(&mut self, words: &[Word], report: &mut Report) -> Option<AddressSet> {
        self.gather(words, Blocks::default(), None, report)
    }

    /// `mark`: where too many ranges are told when no word stands for them, since they come from a file.
    fn gather(
        &mut self,
        words: &[Word],
        mut blocks: Blocks,
        mark: Option<Mark>,
        report: &mut Report,
    ) -> Option<AddressSet> {
        if let ([word], 0) = (words, blocks.len())
            && !looks_like_address(&word.text)
        {
            // The common case, a single name, shares the set that is there.
            let at = report.value(word.mark, self.find(&word.text))?;
            self.networks[at].is_used = true;
            return self.networks[at].set.clone();
        }
        let mut is_whole = true;
        for word in words {
            if looks_like_address(&word.text) {
                match report.value(word.mark, address::parse(&word.text)) {
                    Some(block) => blocks.add(block),
                    None => is_whole = false,
                }
                continue;
            }
            let found = report.value(word.mark, self.find(&word.text));
            let set = found.and_then(|at| {
                self.networks[at].is_used = true;
                self.networks[at].set.as_ref()
            });
            match set {
                Some(set) if self.ranges + blocks.len() < self.most => blocks.add_set(set),
                Some(_) => {}
                None => is_whole = false,
            }
        }
        let was_within = self.ranges < self.most;
        self.ranges += blocks.len();
        if self.ranges < self.most {
            return is_whole.then(|| blocks.into_set());
        }
        if let (true, Some(mark)) = (was_within, words.first().map(|word| word.mark).or(mark)) {
            let message = format!("networks and rules come to more than {} address ranges here", self.most);
            report.error(mark, message, "name large networks once, and use them alone in a rule");
        }
        None
    }

    fn find(&self, word: &str) -> Result<usize, Fault> {
        if let Some(at) = self.by_name.get(word) {
            return Ok(*at);
        }
        if word == "any" {
            let remedy = "write 0.0.0.0/0 and \"::/0\" for every address";
            return Err(Fault::new("\"any\" cannot stand here", remedy));
        }
        if RESERVED.contains(&word) {
            let remedy = "the word is reserved: define a network under another name";
            return Err(Fault::new(format!("{} is not a network", quoted(word)), remedy));
        }
        let names = self.networks.iter().map(|network| network.name.text.as_ref());
        let remedy = suggest(word, names, "define it under `networks`, or write an address or a prefix");
        Err(Fault::new(format!("undefined network {}", quoted(word)), remedy))
    }

    /// Warns of networks that nothing names.
    pub(super) fn report_idle(&self, report: &mut Report) {
        for Network { name, is_used, .. } in &self.networks {
            if !is_used {
                report.warning(
                    name.mark,
                    format!("network {} is not used", quoted(&name.text)),
                    "remove it, or name it",
                );
            }
        }
    }
}

impl Definition {
    fn read(entry: &Entry, files: &mut Files, report: &mut Report) -> Definition {
        let mut definition =
            Definition { include: Vec::new(), except: Vec::new(), listed: Blocks::default(), is_whole: true };
        let is_good = match &entry.value.content {
            Content::Map(_) => definition.read_mapping(entry, files, report),
            Content::Broken => None,
            Content::Nothing | Content::Text(_) | Content::List(_) => {
                entry.words(report).map(|words| definition.include = words)
            }
        };
        definition.is_whole = is_good.is_some();
        definition
    }

    /// Nothing if any part is wrong.
    fn read_mapping(&mut self, entry: &Entry, files: &mut Files, report: &mut Report) -> Option<()> {
        let errors = report.errors();
        let what = format!("network {}", quoted(&entry.key.text));
        let fields = Fields::read(&entry.value, &what, &["include", "except", "file"], report)?;
        self.include = fields.words("include", report).flatten().unwrap_or_default();
        self.except = fields.words("except", report).flatten().unwrap_or_default();
        let file = fields.text("file", report).map(|path| files.blocks(&path, report));
        // A file that another network names too was reported there: it is wrong here as well.
        let is_read = !matches!(file, Some(None));
        self.listed = file.flatten().unwrap_or_default();
        if fields.get("include").is_none() && fields.get("file").is_none() {
            let message = format!("{what} has neither `include` nor `file`");
            report.error(entry.key.mark, message, "say what it holds; `except` only takes away");
        }
        (is_read && report.errors() == errors).then_some(())
    }

    fn words(&self) -> impl Iterator<Item = &Word> {
        self.include.iter().chain(&self.except)
    }
}

/// What was written where a network was expected, when it is `any`.
pub(super) fn is_any(words: &[Word]) -> bool {
    matches!(words, [word] if word.text.as_ref() == "any")
}

#[cfg(test)]
mod tests {
    use super::super::list_file;
    use super::super::source::Source;
    use super::*;

    fn word(text: &str, line: usize) -> Word {
        Word { text: text.into(), mark: Mark { line, ..Mark::START } }
    }

    /// A network that holds a file of addresses, and what it includes.
    fn define(networks: &mut Networks, name: &str, file: &str, include: &[&str], report: &mut Report) {
        let (at, line) = (networks.networks.len(), networks.networks.len() + 1);
        networks.by_name.insert(name.into(), at);
        networks.networks.push(Network { name: word(name, line), set: None, is_used: true });
        let include = include.iter().map(|name| word(name, line)).collect();
        let listed = list_file::read("list.txt", file.as_bytes()).blocks;
        let definition = Definition { include, except: Vec::new(), listed, is_whole: true };
        networks.networks[at].set = networks.carry_out(at, definition, report);
    }

    #[test]
    fn a_file_past_the_limit_is_told_once_at_the_network_that_names_it() {
        let mut report = Report::new(Source::new("a.yaml", ""));
        let mut networks = Networks::limited(4);
        define(&mut networks, "small", "192.0.2.1\n192.0.2.3\n", &[], &mut report);
        assert_eq!((report.errors(), networks.networks[0].set.is_some()), (0, true));
        define(&mut networks, "large", "192.0.2.5\n192.0.2.7\n192.0.2.9\n", &[], &mut report);
        define(&mut networks, "user", "192.0.2.11\n", &["large"], &mut report);
        assert!(networks.networks[1].set.is_none() && networks.networks[2].set.is_none());
        let found = report.into_found();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].line, 2, "{found:?}");
        assert!(found[0].message.contains("more than 4 address ranges"), "{found:?}");
    }
}
