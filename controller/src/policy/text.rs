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

/// A decimal number that is looked for in a word of the policy.
#[derive(Clone, Copy)]
pub(super) struct Decimal<'t> {
    /// What the number is, for people.
    pub(super) what: &'t str,
    /// The whole word, of which the number is a part.
    pub(super) word: &'t str,
    pub(super) low: u32,
    pub(super) high: u32,
}

impl Decimal<'_> {
    /// Reads digits only, without a leading zero.
    pub(super) fn read(self, text: &str) -> Result<u32, Fault> {
        let Decimal { low, high, .. } = self;
        let bounds = format!("write a number from {low} to {high}");
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.fault("is not a decimal number", text, bounds));
        }
        if text.len() > 1 && text.starts_with('0') {
            let meant = match text.trim_start_matches('0') {
                "" => "0",
                digits => digits,
            };
            return Err(self.fault(
                "has a leading zero",
                text,
                format!("write {meant}: numbers are decimal"),
            ));
        }
        match text.parse() {
            Ok(number) if (low..=high).contains(&number) => Ok(number),
            _ => Err(self.fault("is out of range", text, bounds)),
        }
    }

    /// Reads `LOW-HIGH` or one number, inclusive.
    pub(super) fn read_range(self, text: &str) -> Result<(u32, u32), Fault> {
        let Some((first, last)) = text.split_once('-') else {
            return self.read(text).map(|number| (number, number));
        };
        let (first, last) = (self.read(first)?, self.read(last)?);
        if first > last {
            return Err(self.fault("range is upside down", text, format!("write {last}-{first}")));
        }
        Ok((first, last))
    }

    fn fault(self, wrong: &str, part: &str, remedy: String) -> Fault {
        let Decimal { what, word, .. } = self;
        Fault::new(format!("{what} {wrong}: {}", part_of(part, word)), remedy)
    }
}

/// A part of a word, and the word if there is more to it.
pub(super) fn part_of(part: &str, word: &str) -> String {
    if part == word { quoted(word) } else { format!("{} in {}", quoted(part), quoted(word)) }
}

/// A 16-bit number as `0x` and one to four hex digits.
pub(super) fn hex16(text: &str, what: &str) -> Result<u16, Fault> {
    let fault = || {
        let bare = text.trim_start_matches(['0', 'x', 'X']);
        let remedy = match (text.parse::<u16>(), u16::from_str_radix(bare, 16)) {
            (Ok(number), _) => format!("write {number:#06x}"),
            (_, Ok(number)) => format!("write {number:#06x}"),
            _ => "write 0x and up to four hex digits, 0x0000 to 0xffff".into(),
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

/// Candidates that are compared with a mistaken word; more would make a file full of mistakes slow to report.
const MOST_CANDIDATES: usize = 1_000;

/// The candidate that `word` most likely was meant to be: few typing mistakes away, the beginning counting most.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.is_empty() || word.len() > 100 {
        return None;
    }
    let lower = word.to_lowercase();
    let letters = letters(&lower);
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates.into_iter().take(MOST_CANDIDATES) {
        let length = candidate.chars().count().min(lower.chars().count());
        let farthest = 1 + length / 4;
        // One mistake changes the set of letters by two at most: this spares nearly all of the measuring.
        let is_far = (letters ^ self::letters(candidate)).count_ones() as usize > 2 * farthest;
        if length < 2 || is_far || strsim::damerau_levenshtein(&lower, candidate) > farthest {
            continue;
        }
        let likeness = strsim::jaro_winkler(&lower, candidate);
        if best.is_none_or(|(most, _)| likeness > most) {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The characters of `text` as a set; those beyond ASCII count as one.
fn letters(text: &str) -> u128 {
    text.chars().map(|one| if one.is_ascii() { one as u8 } else { 0 }).fold(0, |set, one| set | 1 << one)
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
        let port = |text: &str| Decimal { what: "port", word: text, low: 0, high: 65_535 }.read(text);
        assert_eq!((port("0"), port("65535")), (Ok(0), Ok(65_535)));
        let bad = [
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
        ];
        for text in bad {
            assert!(port(text).is_err(), "{text}");
        }
        assert_eq!(port("010").unwrap_err().remedy, "write 10: numbers are decimal");
    }

    #[test]
    fn ranges_go_upwards_and_faults_name_part_and_word() {
        let port =
            |word: &str, text: &str| Decimal { what: "port", word, low: 1, high: 4094 }.read_range(text);
        assert_eq!(port("tcp/20-29", "20-29"), Ok((20, 29)));
        assert_eq!(port("tcp/29-20", "29-20").unwrap_err().remedy, "write 20-29");
        assert_eq!(
            port("tcp/080", "080").unwrap_err().message,
            "port has a leading zero: \"080\" in \"tcp/080\""
        );
        for bad in ["-", "1-", "-1", "1-2-3", "1 - 2", "1-02", "0-1"] {
            assert!(port(bad, bad).is_err(), "{bad}");
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
