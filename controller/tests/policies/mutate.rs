//! Mutations of policies, for texts that nobody would think of.

use proptest::prelude::*;

/// One edit of a text: what tired hands, broken disks and ill will do.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    Cut(usize),
    Flip(usize, u8),
    Insert(usize, &'static str),
    Remove(usize, usize),
    Repeat(usize, usize),
}

const INSERTED: &[&str] = &[
    "\t",
    "\n",
    " ",
    ":",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "#",
    "&a ",
    "*a",
    "!!int ",
    "|",
    ">",
    "%",
    "@",
    "?",
    "0x",
    "-",
    "/",
    "/128",
    "::",
    "99999999999999999999",
    "any",
    "\u{feff}",
    "\u{202e}",
    "é",
    "\0",
    "---\n",
    "...\n",
    "<<: ",
];

pub(super) fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<usize>();
    prop_oneof![
        1 => at.prop_map(Edit::Cut),
        4 => (at, any::<u8>()).prop_map(|(at, bits)| Edit::Flip(at, bits)),
        6 => (at, proptest::sample::select(INSERTED)).prop_map(|(at, text)| Edit::Insert(at, text)),
        3 => (at, 1..20_usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        2 => (at, 1..60_usize).prop_map(|(at, length)| Edit::Repeat(at, length)),
    ]
}

pub(super) fn apply(edit: &Edit, text: &mut Vec<u8>) {
    let place = |at: usize, text: &[u8]| at % (text.len() + 1);
    match *edit {
        Edit::Cut(at) => text.truncate(place(at, text)),
        Edit::Flip(at, bits) => {
            let at = place(at, text);
            if let Some(byte) = text.get_mut(at) {
                *byte ^= bits;
            }
        }
        Edit::Insert(at, inserted) => {
            let at = place(at, text);
            text.splice(at..at, inserted.bytes());
        }
        Edit::Remove(at, length) => {
            let at = place(at, text);
            text.drain(at..(at + length).min(text.len()));
        }
        Edit::Repeat(at, length) => {
            let at = place(at, text);
            let piece = text[at..(at + length).min(text.len())].to_vec();
            text.splice(at..at, piece);
        }
    }
}
