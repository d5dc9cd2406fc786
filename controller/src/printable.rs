//! Text from elsewhere on its way to a terminal, a log or a label.
//!
//! Promises: what is printed stands on one line, in the order in which it reads, and moves no cursor: what a policy, a
//! record, a user or the kernel calls something cannot pass for a line of perimeter's own.

use std::borrow::Cow;

use serde_json::Value;

/// Whether a character moves the cursor, ends the line or turns the order of what follows: the controls of ASCII and of
/// Latin-1, the separators of lines and paragraphs, and those of Unicode's bidirectional algorithm (UAX #9) that embed,
/// override or isolate.
pub fn forges(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The first character of a text that must not be printed as it is.
pub fn first_forging(text: &str) -> Option<char> {
    text.chars().find(|one| forges(*one))
}

/// A text with such characters written out, as `\n` or `\u{1b}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    if first_forging(text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for one in text.chars() {
        if forges(one) { shown.extend(one.escape_default()) } else { shown.push(one) }
    }
    Cow::Owned(shown)
}

/// The same for a text of several lines, whose ends and tabs stay.
pub fn printable_lines(text: &str) -> String {
    let line = |line: &str| line.split('\t').map(printable).collect::<Vec<_>>().join("\t");
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Makes every text of a document [`printable`].
pub fn print_values(document: &mut Value) {
    match document {
        Value::String(text) => *text = printable(text).into_owned(),
        Value::Array(items) => items.iter_mut().for_each(print_values),
        Value::Object(entries) => entries.values_mut().for_each(print_values),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_forge_a_line_is_written_out_and_the_rest_is_left() {
        for (text, shown) in [
            ("netops", "netops"),
            ("Größe 漢字 e\u{301} \u{200d}", "Größe 漢字 e\u{301} \u{200d}"),
            ("a]\n\nNo changes.", "a]\\n\\nNo changes."),
            ("\u{1b}[2K\r\t\0\u{7f}", "\\u{1b}[2K\\r\\t\\u{0}\\u{7f}"),
            ("\u{9b}\u{85}", "\\u{9b}\\u{85}"),
            ("\u{2028}\u{2029}\u{202e}\u{2066}", "\\u{2028}\\u{2029}\\u{202e}\\u{2066}"),
        ] {
            assert_eq!(printable(text), shown);
        }
        assert_eq!(printable_lines("a:\tb\n\u{1b}c\r\n"), "a:\tb\n\\u{1b}c\\r\n");
    }

    #[test]
    fn documents_are_made_printable_to_their_depth() {
        let mut document = serde_json::json!({"a": ["x\ny", {"b": "\u{202e}"}], "n": 1});
        print_values(&mut document);
        assert_eq!(document, serde_json::json!({"a": ["x\\ny", {"b": "\\u{202e}"}], "n": 1}));
    }
}
