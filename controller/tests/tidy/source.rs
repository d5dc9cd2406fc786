//! The project's Rust files as text, and the little that the rules need to know of their shape.

use std::fs;
use std::path::Path;

/// A Rust file: its path from the project's root, and its text.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A function as rustfmt lays it out.
pub(crate) struct Function {
    /// Line of its `fn`, from 1.
    pub(crate) line: usize,
    pub(crate) lines: usize,
    pub(crate) is_test: bool,
}

/// The project's root: the folder above this package.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the project")
}

/// Every Rust file of the project, in order of path.
pub(crate) fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for folder in ["benches", "controller", "xdp"] {
        collect(&root().join(folder), &mut found);
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder of the project can be read").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source is text");
            let path = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
            found.push(Source { path, text });
        }
    }
}

impl Source {
    /// A file of tests only, fuzz targets too; tests at the end of a file do not make it one.
    pub(crate) fn is_test(&self) -> bool {
        self.path.contains("/tests/")
            || self.path.contains("/fuzz/")
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("/samples.rs")
    }

    /// The top module of the `perimeter` library that this file belongs to.
    pub(crate) fn module(&self) -> Option<&str> {
        let inner = self.path.strip_prefix("controller/src/")?;
        inner.split('/').next().map(|first| first.strip_suffix(".rs").unwrap_or(first))
    }

    /// The lines with their numbers, comments taken away.
    pub(crate) fn lines_of_code(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = |line: &'_ str| line.find("//").unwrap_or(line.len());
        (1..).zip(self.text.lines()).map(move |(number, line)| (number, line[..code(line)].trim_end()))
    }

    /// The line of the tests at the file's end; past its last line where it has none.
    pub(crate) fn tests_begin(&self) -> usize {
        let whole = self.text.lines().count();
        self.text.lines().position(|line| line == "mod tests {").unwrap_or(whole) + 1
    }

    /// Every function with a body on lines of its own.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let lines: Vec<&str> = self.text.lines().collect();
        let tests_begin = self.tests_begin();
        let starts = (0..lines.len()).filter(|&at| starts_function(lines[at]));
        let whole = |at: usize| {
            let indent = lines[at].len() - lines[at].trim_start().len();
            let close = format!("{}}}", &lines[at][..indent]);
            let open = (at..lines.len()).find(|&line| lines[line].ends_with(['{', ';', '}']))?;
            let end = lines[open]
                .ends_with('{')
                .then(|| (open..lines.len()).find(|&line| lines[line] == close))??;
            Some(Function { line: at + 1, lines: end - at + 1, is_test: self.is_test() || at > tests_begin })
        };
        starts.filter_map(whole).collect()
    }

    /// The first name after each `crate::`, with its line; of `crate::{a, b}` each.
    pub(crate) fn crate_paths(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (number, line) in self.lines_of_code() {
            for path in line.split("crate::").skip(1) {
                let names = path.strip_prefix('{').map_or(vec![path], |group| group.split(", ").collect());
                found.extend(names.into_iter().map(|name| (number, identifier(name))));
            }
        }
        found
    }
}

/// Whether a line opens a function: nothing but qualifiers before its `fn`.
fn starts_function(line: &str) -> bool {
    let qualifiers = ["pub", "pub(crate)", "pub(super)", "const", "unsafe", "async", "extern", "\"C\""];
    line.split_whitespace().find(|word| !qualifiers.contains(word)) == Some("fn")
}

/// The identifier that a text begins with.
pub(crate) fn identifier(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}
