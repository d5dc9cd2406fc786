//! Lengths against each other: nft cannot compare two fields, but it can look their bytes up.
//!
//! Promises: exact. A comparison is five tables of 256 rows at most: the high bytes lie far apart, one apart or are equal,
//! and in the latter two cases the low bytes decide.

use super::build::Build;
use super::shape::Shape;
use crate::backend::nft::ir::{Element, Field, Header, Part, Raw, Rule, Statement};

/// The part of a number that one field of a frame has.
#[derive(Clone, Debug)]
pub(super) struct Half {
    pub(super) field: Field,
    /// Bits that the part stands further left in the field than at its end; negative: further right.
    pub(super) shift: i32,
    /// It is a multiple of this.
    pub(super) step: usize,
    /// Its highest value.
    pub(super) last: u32,
}

/// A number as its lowest byte and what is above that.
#[derive(Clone, Debug)]
pub(super) struct Halves {
    pub(super) high: Half,
    pub(super) low: Half,
}

/// A number of two bytes, each as the field that it is.
pub(super) type Bytes = [Field; 2];

/// The frame's own length is 65,549 bytes at most, so that this is enough for what is above its lowest byte.
const LONGEST: u32 = 257;

impl Half {
    fn byte(field: Field) -> Half {
        Half { field, shift: 0, step: 1, last: 255 }
    }

    fn value(&self, number: u32) -> u128 {
        let number = u128::from(number);
        if self.shift < 0 { number >> -self.shift } else { number << self.shift }
    }
}

impl Halves {
    pub(super) fn of([high, low]: Bytes) -> Halves {
        Halves { high: Half::byte(high), low: Half::byte(low) }
    }

    /// The bytes behind the EtherType that the kernel found.
    fn of_frame() -> Halves {
        let half = |mask, shift, last| Half { field: Field::LengthBits(mask), shift, step: 1, last };
        Halves { high: half(!0xff, 8, LONGEST), low: half(0xff, 0, 255) }
    }
}

/// The bytes of a field of two.
pub(super) fn bytes(header: Header, offset: u32) -> Bytes {
    [Raw::whole(header, offset, 1), Raw::whole(header, offset + 1, 1)]
}

/// Fields of a frame as parts of a key.
fn part(field: &Field) -> Part {
    match field {
        Field::Raw(Raw { header, offset, length, .. }) => {
            Part::Raw { header: *header, offset: *offset, length: *length }
        }
        _ => Part::Length,
    }
}

/// For a part of the one number, and a number that is added, which part of the other will do: from the first to the last,
/// none where they are upside down. A byte is from 0 to 255, whatever is given.
type Range = fn(i64, i64) -> (i64, i64);

/// High bytes far apart, one apart, equal; low bytes for the latter two.
struct Comparison {
    far: Range,
    next: Range,
    equal: Range,
    low_next: Range,
    low_equal: Range,
}

/// The second number and what is added are no more than the first.
const WITHIN: Comparison = Comparison {
    far: |outer, _| (0, outer - 2),
    next: |outer, _| (outer - 1, outer - 1),
    equal: |outer, _| (outer, outer),
    low_next: |outer, extra| (0, outer + 256 - extra),
    low_equal: |outer, extra| (0, outer - extra),
};

/// The sum of both is more than 65,535 and what is added.
const PAST_END: Comparison = Comparison {
    far: |one, _| (257 - one, 255),
    next: |one, _| (256 - one, 256 - one),
    equal: |one, _| (255 - one, 255 - one),
    low_next: |one, extra| (extra - one, 255),
    low_equal: |one, extra| (256 + extra - one, 255),
};

/// Rules that end in `then` where `inner` and `extra` more (fewer than 256) are no more than `outer`.
pub(super) fn within(
    build: &mut Build<'_>,
    name: &str,
    (outer, inner): (&Halves, &Bytes),
    extra: u32,
    then: &Statement,
) -> Vec<Rule> {
    compare(build, name, &WITHIN, (outer, inner), extra, then)
}

/// Rules that end in `then` where the frame holds as many bytes of layer 3 as `field` says, and `extra` more. The sets are
/// named after `name`.
pub(super) fn in_frame(
    build: &mut Build<'_>,
    (name, shape): (&str, Shape),
    length: &Bytes,
    extra: u32,
    then: &Statement,
) -> Vec<Rule> {
    // The place of a length field in the link header is that of one shape.
    let name = match &length[0] {
        Field::Raw(Raw { header: Header::Link, .. }) => format!("{name}.{}", shape.name()),
        _ => format!("{name}{}", shape.set_name()),
    };
    within(build, &name, (&Halves::of_frame(), length), extra + shape.shift(), then)
}

/// Rules that end in `then` where two numbers make more than 65,535 and `extra` (fewer than 256).
pub(super) fn past_end(
    build: &mut Build<'_>,
    name: &str,
    numbers: (&Halves, &Bytes),
    extra: u32,
    then: &Statement,
) -> Vec<Rule> {
    compare(build, name, &PAST_END, numbers, extra, then)
}

fn compare(
    build: &mut Build<'_>,
    name: &str,
    comparison: &Comparison,
    (one, other): (&Halves, &Bytes),
    extra: u32,
    then: &Statement,
) -> Vec<Rule> {
    let mut table = |what: &str, half: &Half, byte: &Field, range: Range| {
        lookup(build, &format!("{name}.{what}"), (half, byte), |number| range(number, extra.into()))
    };
    let far = table("far", &one.high, &other[0], comparison.far);
    let next = table("next", &one.high, &other[0], comparison.next);
    let low_next = table("next.low", &one.low, &other[1], comparison.low_next);
    let equal = table("equal", &one.high, &other[0], comparison.equal);
    let low_equal = table("equal.low", &one.low, &other[1], comparison.low_equal);
    let tests = [vec![far], vec![next, low_next], vec![equal, low_equal]];
    tests.into_iter().map(|tests| Rule::new(super::all([tests, vec![then.clone()]]))).collect()
}

/// A part of one number and a byte of another are in a set of their own.
fn lookup(
    build: &mut Build<'_>,
    name: &str,
    (half, byte): (&Half, &Field),
    range: impl Fn(i64) -> (i64, i64),
) -> Statement {
    let row = |number: u32| {
        let (first, last) = range(number.into());
        let (first, last) = (u128::try_from(first.max(0)).ok()?, u128::try_from(last.min(255)).ok()?);
        let exact = half.value(number);
        (first <= last).then(|| Element { key: vec![(exact, exact), (first, last)], to: None })
    };
    let rows: Vec<Element> = (0..=half.last).step_by(half.step).filter_map(row).collect();
    // What the kernel counts itself it shows in its own byte order, but to intervals.
    let exact = rows.iter().all(|row| row.key[1].0 == row.key[1].1);
    let interval = !exact || matches!(half.field, Field::LengthBits(_));
    let fields = vec![half.field.clone(), byte.clone()];
    let about = "bytes of two numbers, as they may stand together";
    let set = build.set(name, about, fields.iter().map(part).collect(), interval, || rows);
    Statement::Member { fields, set, inside: true }
}

/// The header of an extension (its length byte counts units of 8 bytes after the first 8) lies within a payload.
pub(super) fn extension_within(
    build: &mut Build<'_>,
    name: &str,
    fields: [Field; 2],
    before: u32,
) -> Statement {
    let about = "the length byte of an extension header, and payloads that hold it";
    let set = build.set(name, about, fields.iter().map(part).collect(), true, || {
        let row = |units: u32| {
            let bytes = before + (units + 1) * 8;
            let key = vec![(u128::from(units), u128::from(units)), (u128::from(bytes), 65_535)];
            Element { key, to: None }
        };
        (0..=255).map(row).collect()
    });
    Statement::Member { fields: fields.to_vec(), set, inside: true }
}
