//! The smallest words of the language: numbers, names, and what a mistaken word may have meant.

use super::diagnostic::quoted;
use super::source::Fault;

/// Words that no network, service or VLAN may be called: those of the language and of the service grammar, and some
/// kept for later.
pub(super) const RESERVED: [&str; 20] = [
    "any",
    "none",
    "all",
    "untagged",
    "other",
    "self",
    "unicast",
    "multicast",
    "broadcast",
    "bogons",
    "tcp",
    "udp",
    "sctp",
    "icmp",
    "icmpv6",
    "esp",
    "ah",
    "gre",
    "igmp",
    "ip",
];

/// A decimal number between `low` and `high`: digits only, no leading zero. `what` names it in the fault.
pub(super) fn decimal(text: &str, what: &str, low: u32, high: u32) -> Result<u32, Fault> {
    let bounds = format!("write a number from {low} to {high}");
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::new(format!("{what} is not a decimal number: {}", quoted(text)), bounds));
    }
    if text.len() > 1 && text.starts_with('0') {
        let meant = match text.trim_start_matches('0') {
            "" => "0",
            digits => digits,
        };
        return Err(Fault::new(
            format!("{what} has a leading zero: {}", quoted(text)),
            format!("write {meant}: numbers are decimal"),
        ));
    }
    match text.parse() {
        Ok(number) if (low..=high).contains(&number) => Ok(number),
        _ => Err(Fault::new(format!("{what} is out of range: {}", quoted(text)), bounds)),
    }
}

/// `LOW-HIGH` or one number, inclusive.
pub(super) fn decimal_range(text: &str, what: &str, low: u32, high: u32) -> Result<(u32, u32), Fault> {
    let Some((first, last)) = text.split_once('-') else {
        return decimal(text, what, low, high).map(|number| (number, number));
    };
    let (first, last) = (decimal(first, what, low, high)?, decimal(last, what, low, high)?);
    if first > last {
        return Err(Fault::new(
            format!("{what} range is upside down: {}", quoted(text)),
            format!("write {last}-{first}"),
        ));
    }
    Ok((first, last))
}

/// A 16-bit number as `0x` and one to four hex digits.
pub(super) fn hex16(text: &str, what: &str) -> Result<u16, Fault> {
    let fault = || {
        let remedy = match text.parse::<u16>() {
            Ok(number) => format!("write {number:#06x}"),
            Err(_) => "write 0x and up to four hex digits".into(),
        };
        Fault::new(format!("{what} is not a hex number: {}", quoted(text)), remedy)
    };
    let digits =
        text.strip_prefix("0x").filter(|digits| (1..=4).contains(&digits.len())).ok_or_else(fault)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(fault());
    }
    u16::from_str_radix(digits, 16).map_err(|_| fault())
}

/// `true` or `false`.
pub(super) fn boolean(text: &str) -> Result<bool, Fault> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => {
            let remedy = match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "true" | "1" => "write true",
                "no" | "off" | "false" | "0" => "write false",
                _ => "write true or false",
            };
            Err(Fault::new(format!("not a boolean: {}", quoted(text)), remedy))
        }
    }
}

/// Checks the name of a network, service or VLAN (`what`).
pub(super) fn check_name(name: &str, what: &str) -> Result<(), Fault> {
    if RESERVED.contains(&name) {
        return Err(Fault::new(
            format!("the {what} name {} is reserved", quoted(name)),
            format!("choose another name, such as \"{name}-1\""),
        ));
    }
    let later = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    let is_good = name.len() <= 63
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
        && name.bytes().all(later);
    if is_good {
        return Ok(());
    }
    Err(Fault::new(
        format!("not a {what} name: {}", quoted(name)),
        "write a lower-case letter and up to 62 more of a-z, 0-9, _ and -",
    ))
}

/// Checks the id of a rule.
pub(super) fn check_id(id: &str) -> Result<(), Fault> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_good = id.len() <= 63
        && id.bytes().next().is_some_and(good)
        && id.bytes().all(|byte| good(byte) || byte == b'-');
    if is_good {
        return Ok(());
    }
    Err(Fault::new(
        format!("not a rule id: {}", quoted(id)),
        "write a lower-case letter or digit and up to 62 more of a-z, 0-9 and -",
    ))
}

/// The candidate that `word` most likely was meant to be.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > 100 {
        return None;
    }
    let lower = word.to_lowercase();
    let close = |candidate: &str| {
        let distance = strsim::damerau_levenshtein(&lower, candidate);
        (distance <= 1 + candidate.chars().count() / 4 && distance < candidate.chars().count())
            .then_some(distance)
    };
    candidates
        .into_iter()
        .filter_map(|candidate| Some((close(candidate)?, candidate)))
        .min()
        .map(|(_, best)| best)
}

/// `did you mean "x"?` if anything is near, else `otherwise`.
pub(super) fn suggest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
    otherwise: impl Into<String>,
) -> String {
    nearest(word, candidates).map_or_else(|| otherwise.into(), |meant| format!("did you mean \"{meant}\"?"))
}

/// A word out of a closed list (`what` names the list).
pub(super) fn one_of<T: Copy>(text: &str, what: &str, choices: &[(&str, T)]) -> Result<T, Fault> {
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    let remedy = suggest(text, words.iter().copied(), format!("write {}", alternatives(&words)));
    Err(Fault::new(format!("unknown {what} {}", quoted(text)), remedy))
}

/// `a, b or c`.
pub(super) fn alternatives(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).into(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_strict_decimals() {
        assert_eq!(decimal("0", "port", 0, 65_535), Ok(0));
        assert_eq!(decimal("65535", "port", 0, 65_535), Ok(65_535));
        for bad in [
            "",
            "+1",
            "-1",
            "1_000",
            "0x10",
            "1.0",
            "1e3",
            "٣",
            " 1",
            "010",
            "00",
            "65536",
            "99999999999999999999",
        ] {
            assert!(decimal(bad, "port", 0, 65_535).is_err(), "{bad}");
        }
        assert_eq!(decimal("010", "port", 0, 9).unwrap_err().remedy, "write 10: numbers are decimal");
        assert_eq!(decimal_range("20-29", "VLAN id", 1, 4094), Ok((20, 29)));
        assert_eq!(decimal_range("29-20", "VLAN id", 1, 4094).unwrap_err().remedy, "write 20-29");
        for bad in ["-", "1-", "-1", "1-2-3", "1 - 2", "1-02"] {
            assert!(decimal_range(bad, "VLAN id", 1, 4094).is_err(), "{bad}");
        }
    }

    #[test]
    fn hex_numbers_say_so() {
        assert_eq!(hex16("0x88F7", "ethertype"), Ok(0x88f7));
        assert_eq!(hex16("35063", "ethertype").unwrap_err().remedy, "write 0x88f7");
        for bad in ["0x", "0x12345", "0x+123", "88f7", "0X88f7", "x88f7", ""] {
            assert!(hex16(bad, "ethertype").is_err(), "{bad}");
        }
    }

    #[test]
    fn names_and_ids_keep_their_alphabets() {
        for good in ["a", "office-2_b", &"a".repeat(63)] {
            assert_eq!(check_name(good, "network"), Ok(()));
        }
        for bad in ["", "A", "1a", "-a", "a b", "ä", "any", "tcp", "bogons", &"a".repeat(64)] {
            assert!(check_name(bad, "network").is_err(), "{bad}");
        }
        for good in ["a", "1-a", "0", &"a".repeat(63)] {
            assert_eq!(check_id(good), Ok(()));
        }
        for bad in ["", "A", "-a", "a_b", "a b", &"a".repeat(64)] {
            assert!(check_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn near_words_are_proposed_and_far_ones_are_not() {
        assert_eq!(nearest("htps", ["http", "https", "ssh"]), Some("https"));
        assert_eq!(nearest("HTTPS", ["http", "https"]), Some("https"));
        assert_eq!(nearest("frobnicate", ["http", "https", "ssh"]), None);
        assert_eq!(nearest("x", ["ah", "a"]), None);
    }
}
