//! The files of addresses that a policy names.
//!
//! Promises: each is asked for once, under the path as written, and kept, so that the policy can be read again without
//! the file system.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;

use super::address::Blocks;
use super::diagnostic::quoted;
use super::fields::Word;
use super::list_file::{self, Listing};
use super::source::Report;

/// Gives the content of a file by the path that the policy writes.
pub(super) type Fetch<'f> = dyn FnMut(&str) -> io::Result<Vec<u8>> + 'f;

pub(super) struct Files<'f> {
    /// Path of the policy's directory, with its final slash; empty for the current one.
    directory: String,
    fetch: &'f mut Fetch<'f>,
    /// Where each path's content is in `kept`; `None`: it could not be read.
    places: HashMap<Rc<str>, Option<usize>>,
    kept: Vec<(String, Vec<u8>)>,
}

impl<'f> Files<'f> {
    /// For the policy that is shown as `policy`.
    pub(super) fn new(policy: &str, fetch: &'f mut Fetch<'f>) -> Self {
        let directory = policy.rfind('/').map_or("", |slash| &policy[..=slash]).to_string();
        Files { directory, fetch, places: HashMap::new(), kept: Vec::new() }
    }
}

impl Files<'_> {
    /// The addresses of the file at `path`; nothing if it cannot be read or holds a mistake, which is reported.
    pub(super) fn blocks(&mut self, path: &Word, report: &mut Report) -> Option<Blocks> {
        if path.text.is_empty() {
            report.error(path.mark, "the path of the file is empty", "write a path relative to the policy");
            return None;
        }
        let is_known = match self.places.get(&path.text) {
            Some(place) => place.is_some(),
            None => self.fetch(path, report),
        };
        if !is_known {
            return None;
        }
        let (_, bytes) =
            self.places.get(&path.text).copied().flatten().and_then(|place| self.kept.get(place))?;
        let Listing { blocks, problems } = list_file::read(&self.shown(&path.text), bytes);
        let is_good = problems.is_empty();
        // A file that two networks name is reported twice here; equal diagnostics become one in the end.
        report.absorb(problems);
        is_good.then_some(blocks)
    }

    fn fetch(&mut self, path: &Word, report: &mut Report) -> bool {
        let place = match (self.fetch)(&path.text) {
            Ok(bytes) => {
                self.kept.push((path.text.to_string(), bytes));
                Some(self.kept.len() - 1)
            }
            Err(error) => {
                let message = format!("cannot read {}: {error}", quoted(&self.shown(&path.text)));
                report.error(path.mark, message, remedy(&error));
                None
            }
        };
        self.places.insert(path.text.clone(), place);
        place.is_some()
    }

    /// The path as the reader of a diagnostic can open it.
    fn shown(&self, path: &str) -> String {
        if path.starts_with('/') { path.into() } else { format!("{}{path}", self.directory) }
    }

    /// Everything that was read, by path as written, in the order of the policy.
    pub(super) fn into_kept(self) -> Vec<(String, Vec<u8>)> {
        self.kept
    }
}

/// What to do about a file that cannot be read.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::IsADirectory => {
            "name a regular file that holds an address or a prefix a line"
        }
        io::ErrorKind::FileTooLarge => "name a smaller file: prefixes instead of their addresses",
        _ => "the path is relative to the policy; is the file there, and readable?",
    }
}
