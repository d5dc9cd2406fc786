//! YAML as a tree of raw text with places.
//!
//! Promises: a scalar is the text that was written, quoted or not; nothing is resolved to a number, a boolean or a
//! date. Duplicate keys are kept, so that they can be reported. An alias shares what it names, and memory and time stay
//! bounded whatever the text says. Refuses: a second document, tags, aliases without an anchor or inside their own
//! anchor, nesting and sizes beyond the limits below. This is the only place that knows the YAML parser.

use std::collections::HashMap;
use std::rc::Rc;

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, Span};

use super::diagnostic::quoted;
use super::source::{Fault, Mark, Report};

/// Collections within collections.
const DEEPEST: usize = 64;
/// Nodes that a reader of the tree could meet, every alias counted with all it stands for.
const MOST_NODES: usize = 4_000_000;

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) mark: Mark,
    pub(super) content: Content,
}

/// What was written.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// An empty plain scalar: no value.
    Nothing,
    Text(Rc<str>),
    List(Rc<[Node]>),
    Map(Rc<[(Node, Node)]>),
    /// Something that has been reported already.
    Broken,
}

/// Reads the document of `report`'s source; nothing if there is none or its syntax is broken, which is then reported.
pub(super) fn read(report: &mut Report) -> Option<Node> {
    let options = granit_parser::options! {
        emit_unresolved_aliases: true,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(report.source.text(), options) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                report.fault(point(error.marker()), &syntax_fault(&error));
                return None;
            }
        };
        match builder.take(&event, &span, report) {
            Ok(()) => {}
            Err(Stop::Enough) => break,
            Err(Stop::Overflown) => return None,
        }
    }
    builder.root
}

fn syntax_fault(error: &granit_parser::ScanError) -> Fault {
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => Fault::new(
            format!("more than {DEEPEST} collections within each other"),
            "a policy needs no more than five",
        ),
        ErrorKind::UnexpectedCharacter { character } if character.is_control() => Fault::new(
            format!("a control character: U+{:04X}", u32::from(*character)),
            "remove it; what follows was not read",
        ),
        _ => Fault::new(
            format!("not YAML: {}", error.info()),
            "mend the syntax here or just above; what follows was not read",
        ),
    }
}

/// Why reading ends before the text does.
enum Stop {
    /// What was read is whole.
    Enough,
    /// A limit was passed.
    Overflown,
}

/// A collection that is still open.
struct Open {
    mark: Mark,
    anchor: usize,
    /// [`Builder::total`] when it was opened.
    before: usize,
    children: Vec<Node>,
    is_map: bool,
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    /// What finished anchors name, and how many nodes that is, its own aliases expanded.
    anchors: HashMap<usize, (Node, usize)>,
    documents: usize,
    /// Nodes so far, aliases expanded. As every alias costs what it stands for, chains of aliases, and with them the
    /// depth of the tree, stay short too.
    total: usize,
}

impl Builder {
    /// Takes one event; `Err`: reading ends here.
    fn take(&mut self, event: &Event, span: &Span, report: &mut Report) -> Result<(), Stop> {
        let mark = mark(span);
        if event.tag().is_some() {
            let start = span.tag_start().map_or(mark, |start| point(&start));
            report.error(start, "a YAML tag", "remove it: every value is read as the text that is written");
        }
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    report.error(mark, "a second YAML document", "keep one policy in a file");
                    return Err(Stop::Enough);
                }
            }
            Event::Scalar(text, style, anchor, _) => {
                let nothing = *style == ScalarStyle::Plain && span.start.index() == span.end.index();
                let content = if nothing { Content::Nothing } else { Content::Text(text.as_ref().into()) };
                self.count(1, mark, report)?;
                self.place(Node { mark, content }, *anchor, 1);
            }
            Event::Alias(anchor) => {
                let (node, weight) = self.alias(*anchor, mark, report);
                self.count(weight, mark, report)?;
                self.place(node, 0, weight);
            }
            Event::UnresolvedAlias(name) => {
                let remedy = "name an anchor (&name) that stands before it, or write the value out";
                report.error(mark, format!("no anchor has this name: {}", quoted(name)), remedy);
                self.place(Node { mark, content: Content::Broken }, 0, 1);
            }
            Event::SequenceStart(_, anchor, _) => self.enter(mark, *anchor, false, report)?,
            Event::MappingStart(_, anchor, _) => self.enter(mark, *anchor, true, report)?,
            Event::SequenceEnd | Event::MappingEnd => self.leave(),
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize, mark: Mark, report: &mut Report) -> Result<(), Stop> {
        self.total = self.total.saturating_add(nodes);
        if self.total <= MOST_NODES {
            return Ok(());
        }
        let what = if nodes > 1 { "aliases expand to" } else { "the policy has" };
        let remedy = "write fewer aliases; keep long lists of addresses in a file (`file:`)";
        report.error(mark, format!("{what} more than {MOST_NODES} values"), remedy);
        Err(Stop::Overflown)
    }

    fn enter(&mut self, mark: Mark, anchor: usize, is_map: bool, report: &mut Report) -> Result<(), Stop> {
        self.open.push(Open { mark, anchor, before: self.total, children: Vec::new(), is_map });
        self.count(1, mark, report)
    }

    fn leave(&mut self) {
        if let Some(open) = self.open.pop() {
            let (anchor, weight) = (open.anchor, self.total - open.before);
            self.place(open.finish(), anchor, weight);
        }
    }

    fn alias(&self, anchor: usize, mark: Mark, report: &mut Report) -> (Node, usize) {
        self.anchors.get(&anchor).cloned().unwrap_or_else(|| {
            report.error(mark, "an alias inside what it names", "write the value out");
            (Node { mark, content: Content::Broken }, 1)
        })
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node, anchor: usize, weight: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        match self.open.last_mut() {
            Some(parent) => parent.children.push(node),
            None => self.root = Some(node),
        }
    }
}

impl Open {
    fn finish(self) -> Node {
        let mut mark = self.mark;
        if !self.is_map {
            return Node { mark, content: Content::List(self.children.into()) };
        }
        let mut children = self.children.into_iter();
        let mut pairs = Vec::with_capacity(children.len() / 2);
        while let (Some(key), Some(value)) = (children.next(), children.next()) {
            pairs.push((key, value));
        }
        // A block mapping begins at its first key and has no sign of its own.
        if let Some((key, _)) = pairs.first()
            && (key.mark.line, key.mark.column) == (mark.line, mark.column)
        {
            mark = key.mark;
        }
        Node { mark, content: Content::Map(pairs.into()) }
    }
}

fn point(marker: &Marker) -> Mark {
    Mark {
        line: marker.line(),
        column: marker.col() + 1,
        length: 1,
        offset: marker.byte_offset().unwrap_or(0),
    }
}

/// The place of an event; of one that spans lines, its first character.
fn mark(span: &Span) -> Mark {
    let length = span.end.index().saturating_sub(span.start.index());
    let length = if span.end.line() == span.start.line() { length } else { 1 };
    Mark { length: length.max(1), ..point(&span.start) }
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::*;

    fn parse(text: &str) -> (Option<Node>, Vec<String>) {
        let mut report = Report::new(Source::new("p", text));
        let node = read(&mut report);
        (node, report.into_found().iter().map(ToString::to_string).collect())
    }

    /// The tree on one line, with the places of scalars.
    fn show(node: &Node) -> String {
        let Mark { line, column, .. } = node.mark;
        match &node.content {
            Content::Nothing => format!("-@{line}:{column}"),
            Content::Broken => "!".into(),
            Content::Text(text) => format!("{text}@{line}:{column}"),
            Content::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
            Content::Map(pairs) => {
                let pairs: Vec<String> =
                    pairs.iter().map(|(k, v)| format!("{}={}", show(k), show(v))).collect();
                format!("{{{}}}", pairs.join(" "))
            }
        }
    }

    #[test]
    fn scalars_are_the_text_that_was_written() {
        let (node, problems) = parse("a: 0x88f7\nb: no\nc: '010'\nd: 2027-06-30\ne:\nf: ''\ng: ~\n");
        assert_eq!(
            show(&node.unwrap()),
            "{a@1:1=0x88f7@1:4 b@2:1=no@2:4 c@3:1=010@3:4 d@4:1=2027-06-30@4:4 e@5:1=-@5:2 f@6:1=@6:4 g@7:1=~@7:4}"
        );
        assert!(problems.is_empty());
    }

    #[test]
    fn aliases_share_and_duplicate_keys_are_kept() {
        let (node, problems) = parse("a: &x [1, 2]\na: *x\n");
        assert_eq!(show(&node.unwrap()), "{a@1:1=[1@1:8 2@1:11] a@2:1=[1@1:8 2@1:11]}");
        assert!(problems.is_empty());
    }

    #[test]
    fn a_bomb_is_an_error_and_not_memory() {
        let mut text = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
        for level in 1..12 {
            let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        let (node, problems) = parse(&text);
        assert!(node.is_none());
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("aliases expand to more than"), "{problems:?}");
    }

    #[test]
    fn what_yaml_allows_and_a_policy_does_not_is_reported_together() {
        let (_, problems) = parse("a: !!str 1\nb: &b [*b]\nc: *none\n---\nd: 1\n");
        let expected = [
            "p:1:4: error: a YAML tag",
            "p:2:8: error: an alias inside",
            "p:3:4: error: no anchor",
            "p:4:1: error: a second",
        ];
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        assert!(
            problems.iter().zip(expected).all(|(problem, start)| problem.starts_with(start)),
            "{problems:?}"
        );
    }

    #[test]
    fn depth_is_bounded() {
        for text in ["[".repeat(100_000), "- ".repeat(100_000), "a: {".repeat(100_000)] {
            let (node, problems) = parse(&text);
            assert!(node.is_none());
            assert!(problems[0].contains("within each other"), "{problems:?}");
        }
    }

    #[test]
    fn broken_syntax_names_its_place() {
        let (node, problems) = parse("a: [1, 2\nb: 3\n");
        assert!(node.is_none());
        assert!(problems[0].starts_with("p:2:2: error: not YAML: "), "{problems:?}");
    }

    /// What YAML is made of, to be strung together.
    const PIECES: [&str; 24] = [
        "a",
        "b: ",
        ": ",
        "- ",
        "? ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "&x ",
        "*x",
        "*y",
        "!!str ",
        "'",
        "\"",
        "|\n",
        ">-\n",
        "\n",
        "\n  ",
        "\t",
        "# ",
        "---\n",
        "\u{feff}é",
    ];

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused_with_a_reason(picks in proptest::collection::vec(0..PIECES.len(), 0..60)) {
            let text: String = picks.into_iter().map(|pick| PIECES[pick]).collect();
            let (node, problems) = parse(&text);
            let is_blank = node.is_none() && problems.is_empty();
            let has_content = text.starts_with(['a', 'b', '[', '{']);
            proptest::prop_assert!(!(is_blank && has_content), "{text}");
        }

        #[test]
        fn any_bytes_of_text_are_survived(text in ".{0,200}") {
            parse(&text);
        }
    }
}
