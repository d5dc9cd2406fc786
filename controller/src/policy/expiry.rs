//! `expires`: the last day, in UTC, on which a rule matches.

use jiff::civil::Date;

use super::diagnostic::quoted;
use super::source::Fault;

/// Reads `YYYY-MM-DD`.
pub(super) fn parse(text: &str) -> Result<Date, Fault> {
    let is_shaped = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !is_shaped {
        return Err(Fault::new(format!("not a date: {}", quoted(text)), "write the last day as YYYY-MM-DD"));
    }
    text.parse()
        .map_err(|_| Fault::new(format!("no such day: {}", quoted(text)), "write a day of the calendar"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_days_of_the_calendar_are_dates() {
        assert!(parse("2028-02-29").is_ok());
        for bad in [
            "2027-02-29",
            "2027-13-01",
            "2027-00-10",
            "2027-1-1",
            "20270101",
            "27-01-01",
            "",
            "2027-06-30T00:00",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
