//! When a rule ends.
//!
//! Promises: a last day ends with the next midnight in UTC, the calendar's last day never does. An instant (RFC 3339) ends
//! there; no policy can write one, but what is made without a policy can. What is neither has ended already: a rule that
//! cannot be understood lets nothing through.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The end of a last day, or the instant itself.
pub(super) fn end(expires: &str) -> Timestamp {
    match expires.parse::<Date>() {
        Ok(last) if expires.len() == "YYYY-MM-DD".len() => {
            let next = last.tomorrow().and_then(|next| next.to_zoned(TimeZone::UTC));
            next.map_or(Timestamp::MAX, |midnight| midnight.timestamp())
        }
        _ => expires.parse().unwrap_or(Timestamp::MIN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_with_it_and_an_instant_there() {
        assert_eq!(end("2027-06-30").to_string(), "2027-07-01T00:00:00Z");
        assert_eq!(end("2027-12-31").to_string(), "2028-01-01T00:00:00Z");
        assert_eq!(end("9999-12-31"), Timestamp::MAX);
        assert_eq!(end("2027-06-30T12:00:01.5Z").to_string(), "2027-06-30T12:00:01.5Z");
        assert_eq!(end("soon"), Timestamp::MIN);
    }
}
