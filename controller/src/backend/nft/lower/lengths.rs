//! Lengths against each other: nft cannot compare two fields, but it can look both up.
//!
//! Promises: exact up to the bound given; a length past the bound does not fit.

use super::build::Build;
use super::shape::Shape;
use crate::backend::nft::ir::{Element, Field, Header, Part, Raw, Rule, Statement, Verdict};

/// Fields of a frame as parts of a key.
fn part(field: &Field) -> Part {
    match field {
        Field::Raw(Raw { header, offset, length, .. }) => {
            Part::Raw { header: *header, offset: *offset, length: *length }
        }
        _ => Part::Length,
    }
}

/// Rows of a set over two lengths.
type Rows = Vec<[(u128, u128); 2]>;

fn lookup(
    build: &mut Build<'_>,
    name: &str,
    about: &str,
    fields: [Field; 2],
    rows: impl FnOnce() -> Rows,
) -> Statement {
    let key = fields.iter().map(part).collect();
    let set = build.set(name, about, key, true, || {
        rows().into_iter().map(|row| Element { key: row.to_vec(), verdict: None }).collect()
    });
    Statement::Member { fields: fields.to_vec(), set, inside: true }
}

/// The frame holds `length` bytes (from `least` to `most`) and `extra` more of layer 3. The set is named after `name`.
pub(super) fn in_frame(
    build: &mut Build<'_>,
    (name, shape): (&str, Shape),
    field: Field,
    (least, most): (u32, u32),
    extra: u32,
) -> Statement {
    // The place of a length field in the link header is that of one shape.
    let name = match field {
        Field::Raw(Raw { header: Header::Link, .. }) => format!("{name}.{}", shape.name()),
        _ => format!("{name}{}", shape.set_name()),
    };
    let about = "a length, and lengths of frames that hold it";
    lookup(build, &name, about, [field, Field::Length], || {
        let row = |length: u32| {
            let frame = u128::from(length + extra + shape.shift());
            [(u128::from(length), u128::from(length)), (frame, u128::from(u32::MAX))]
        };
        (least..=most).map(row).collect()
    })
}

/// Two bytes of a header, as the field of each.
#[derive(Clone, Debug)]
pub(super) struct Halves {
    pub(super) high: Field,
    pub(super) low: Field,
}

/// Rules that return where `inner` and `extra` more bytes (fewer than 256) are no longer than `outer`, byte by byte: the
/// high ones far apart, one apart, or equal.
pub(super) fn within(
    build: &mut Build<'_>,
    name: &str,
    [inner, outer]: [Halves; 2],
    extra: u32,
) -> Vec<Rule> {
    let one = |number: u32| (u128::from(number), u128::from(number));
    let up_to = |first: u32, last: u32| (u128::from(first), u128::from(last));
    let mut set = |what: &str, about: &str, fields: [&Field; 2], rows: Rows| {
        lookup(build, &format!("{name}.{what}"), about, fields.map(Field::clone), || rows)
    };
    let (highs, lows) = ([&outer.high, &inner.high], [&outer.low, &inner.low]);
    let about = "high bytes of two lengths";
    let far = (2..=255).map(|outer| [one(outer), up_to(0, outer - 2)]).collect();
    let far = set("far", "high bytes of two lengths, the first well above", highs, far);
    let next = (1..=255).map(|outer| [one(outer), one(outer - 1)]).collect();
    let next = set("next", about, highs, next);
    let equal = (0..=255).map(|high| [one(high), one(high)]).collect();
    let equal = set("equal", about, highs, equal);
    let carry = (0..=255).map(|outer| [one(outer), up_to(0, (outer + 256 - extra).min(255))]).collect();
    let carry = set("carry", "low bytes of two lengths, the high ones one apart", lows, carry);
    let fits = (extra..=255).map(|outer| [one(outer), up_to(0, outer - extra)]).collect();
    let fits = set("fits", "low bytes of two lengths, the high ones equal", lows, fits);
    let back = || Statement::Verdict(Verdict::Return);
    vec![
        Rule::new(vec![equal, fits, back()]),
        Rule::new(vec![next, carry, back()]),
        Rule::new(vec![far, back()]),
    ]
}

/// The header of an extension (its length byte counts units of 8 bytes after the first 8) lies within a payload.
pub(super) fn extension_within(
    build: &mut Build<'_>,
    name: &str,
    [units, payload]: [Field; 2],
    before: u32,
) -> Statement {
    let about = "the length byte of an extension header, and payloads that hold it";
    lookup(build, name, about, [units, payload], || {
        let row = |units: u32| {
            let bytes = before + (units + 1) * 8;
            [(u128::from(units), u128::from(units)), (u128::from(bytes), 65_535)]
        };
        (0..=255).map(row).collect()
    })
}

/// An offset (the field as it stands, `step` a step) and a length that go past `end` together; no length is over `most`.
pub(super) fn past_end(
    build: &mut Build<'_>,
    name: &str,
    [offset, length]: [Field; 2],
    (step, last): (u32, u32),
    (unit, end, most): (u32, u32, u32),
) -> Statement {
    let about = "the offset of a fragment, and lengths that go past the largest packet";
    lookup(build, name, about, [offset, length], || {
        let row = |at: u32| {
            [(u128::from(at), u128::from(at)), (u128::from((end + 1).saturating_sub(at * unit)), 65_535)]
        };
        (0..=last).step_by(step as usize).filter(|at| at * unit + most > end).map(row).collect()
    })
}
