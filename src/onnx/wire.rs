//! The protobuf wire format, read without decoding: where a file is damaged, and what it holds beyond the schema.
//!
//! The format: a message is a run of records; a record is a tag (`field number << 3 | wire type`, a varint) and a
//! value. See <https://protobuf.dev/programming-guides/encoding/>. prost decodes; this exists because prost's errors
//! carry no byte offset and its messages drop fields they do not know.

use super::error::OnnxError;
use super::schema::{Field, Kind, Message};
use super::unknown::{Carried, UnknownFields};
use std::collections::HashMap;
use std::ops::Range;

/// Messages nested deeper than this are refused; prost's limit is the same.
const DEPTH_LIMIT: usize = 100;

/// Wire type 0, a varint.
pub(super) const VARINT: u8 = 0;
/// Wire type 1, eight bytes.
const FIXED64: u8 = 1;
/// Wire type 2, a length and as many bytes.
pub(super) const LENGTH: u8 = 2;
/// Wire type 3, the deprecated group.
const GROUP: u8 = 3;
/// Wire type 4, the end of a group.
const GROUP_END: u8 = 4;
/// Wire type 5, four bytes.
const FIXED32: u8 = 5;

/// A tag with its value.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// The field number.
    pub number: u32,
    /// The wire type.
    pub wire: u8,
    /// The whole record in the file.
    pub whole: Range<usize>,
    /// The value: the bytes after the length for wire type 2.
    pub body: Range<usize>,
}

/// Why a record could not be read.
#[derive(Clone, Debug)]
enum Broken {
    /// The bytes end inside a tag, a length or a number.
    Cut,
    /// A length reaches beyond the end of what holds it.
    Overrun { record: Record, declared: u64, left: usize },
    /// No protobuf writer makes this.
    Nonsense(String),
}

/// A varint of up to 10 bytes at `at`: its value and the offset after it.
pub(super) fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (shift, &byte) in (0..64).step_by(7).zip(bytes.get(at..)?) {
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((value, at + shift / 7 + 1));
        }
    }
    None
}

/// The record at `at`, inside a message that ends at `end`.
fn record(bytes: &[u8], at: usize, end: usize) -> Result<Record, Broken> {
    let bytes = bytes.get(..end).unwrap_or(bytes);
    let number_at = |at: usize| match varint(bytes, at) {
        Some(found) => Ok(found),
        None if bytes.len().saturating_sub(at) >= 10 => Err(Broken::Nonsense("a varint of more than 10 bytes".into())),
        None => Err(Broken::Cut),
    };
    let (tag, after_tag) = number_at(at)?;
    let wire = (tag & 7) as u8;
    let number = u32::try_from(tag >> 3).ok().filter(|number| (1..=0x1fff_ffff).contains(number));
    let number = number.ok_or_else(|| Broken::Nonsense(format!("field number {}", tag >> 3)))?;
    let fixed = |length: usize| match bytes.len() - after_tag < length {
        true => Err(Broken::Cut),
        false => Ok(after_tag..after_tag + length),
    };
    let body = match wire {
        VARINT => after_tag..number_at(after_tag)?.1,
        FIXED64 => fixed(8)?,
        FIXED32 => fixed(4)?,
        LENGTH => {
            let (declared, start) = number_at(after_tag)?;
            let left = bytes.len() - start;
            match usize::try_from(declared).ok().filter(|&length| length <= left) {
                Some(length) => start..start + length,
                None => {
                    let record = Record { number, wire, whole: at..bytes.len(), body: start..bytes.len() };
                    return Err(Broken::Overrun { record, declared, left });
                }
            }
        }
        GROUP => {
            let mut inside = after_tag;
            let mut open = vec![number];
            while let Some(&innermost) = open.last() {
                // Groups are matched with a stack of our own, so that a file cannot exhaust the call stack.
                let (tag, after) = number_at(inside)?;
                match (tag & 7) as u8 {
                    GROUP_END if tag >> 3 == u64::from(innermost) => {
                        open.pop();
                        inside = after;
                    }
                    GROUP if open.len() < DEPTH_LIMIT => {
                        open.push(u32::try_from(tag >> 3).unwrap_or(0));
                        inside = after;
                    }
                    GROUP | GROUP_END => return Err(Broken::Nonsense("groups that do not close".into())),
                    _ => inside = record(bytes, inside, bytes.len())?.whole.end,
                }
            }
            after_tag..inside
        }
        other => return Err(Broken::Nonsense(format!("wire type {other}"))),
    };
    Ok(Record { number, wire, whole: at..body.end, body })
}

/// The records of a message that is known to be well-formed; ends early where it is not.
pub(super) fn records(bytes: &[u8]) -> impl Iterator<Item = Record> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let next = (at < bytes.len()).then(|| record(bytes, at, bytes.len()).ok()).flatten()?;
        at = next.whole.end;
        Some(next)
    })
}

/// What tells the message `body` from its siblings; empty where it has nothing of its own.
pub(super) fn identity(message: Message, body: &[u8]) -> Vec<u8> {
    for &number in message.identity() {
        let found = records(body).find(|record| record.number == number && record.wire == LENGTH);
        if let Some(text) = found.and_then(|record| body.get(record.body)).filter(|text| !text.is_empty()) {
            return text.to_vec();
        }
    }
    Vec::new()
}

/// Whether a known field may stand in this wire type.
fn wire_fits(field: &Field, wire: u8) -> bool {
    let own = match field.kind {
        Kind::Varint => VARINT,
        Kind::Fixed32 => FIXED32,
        Kind::Fixed64 => FIXED64,
        Kind::Bytes | Kind::Text | Kind::Message(_) => LENGTH,
    };
    // Repeated numbers may be packed or not, whatever the schema says.
    wire == own || (wire == LENGTH && field.repeated)
}

/// Reads a whole model file: fails where it is damaged, otherwise gives the fields that are not in the schema.
pub(super) fn scan(bytes: &[u8]) -> Result<UnknownFields, OnnxError> {
    let mut scan = Scan { bytes, path: Vec::new() };
    scan.message(Message::Model, 0..bytes.len())
}

struct Scan<'a> {
    bytes: &'a [u8],
    /// Field names down to the current record, a repeated one with its index.
    path: Vec<(&'static str, Option<usize>)>,
}

impl Scan<'_> {
    fn place(&self) -> String {
        let step = |(name, index): &(&str, Option<usize>)| match index {
            Some(index) => format!("{name}[{index}]"),
            None => (*name).to_owned(),
        };
        match self.path.is_empty() {
            true => "the model".to_owned(),
            false => self.path.iter().map(step).collect::<Vec<_>>().join("."),
        }
    }

    fn malformed(&self, offset: usize, found: String, expected: &str) -> OnnxError {
        OnnxError::Malformed { offset, place: self.place(), found, expected: expected.to_owned() }
    }

    fn message(&mut self, message: Message, range: Range<usize>) -> Result<UnknownFields, OnnxError> {
        if self.path.len() >= DEPTH_LIMIT {
            let expected = format!("at most {DEPTH_LIMIT}");
            return Err(self.malformed(range.start, "messages nested too deeply".to_owned(), &expected));
        }
        let mut unknown = UnknownFields::default();
        let mut counts: HashMap<u32, usize> = HashMap::new();
        let mut at = range.start;
        while at < range.end {
            let read = record(self.bytes, at, range.end);
            let (record, overrun) = match read {
                Ok(record) => (record, None),
                Err(Broken::Overrun { record, declared, left }) => (record, Some((declared, left))),
                Err(Broken::Cut) => {
                    return Err(OnnxError::Cut { offset: range.end, place: format!("a field of {}", self.place()) });
                }
                Err(Broken::Nonsense(found)) => return Err(self.malformed(at, found, "a protobuf field")),
            };
            let index = counts.entry(record.number).or_default();
            let field = message.field(record.number);
            self.path.push(match field {
                Some(field) => (field.name, field.repeated.then_some(*index)),
                None => ("an unknown field", None),
            });
            *index += 1;
            let position = *index - 1;
            match field {
                None => unknown.raw.extend_from_slice(self.bytes.get(record.whole.clone()).unwrap_or_default()),
                Some(field) => {
                    if !wire_fits(field, record.wire) {
                        let found = format!("wire type {}", record.wire);
                        return Err(self.malformed(record.whole.start, found, "the wire type of the ONNX schema"));
                    }
                    // A message that was cut is read as far as it goes: the innermost field that lacks bytes says
                    // most about where the file ends.
                    if let Some(inner) = self.value(field, &record, overrun.is_some())? {
                        let body = self.bytes.get(record.body.clone()).unwrap_or_default();
                        let identity = match field.kind {
                            Kind::Message(message) => identity(message, body),
                            _ => Vec::new(),
                        };
                        unknown.children.push(Carried { field: record.number, identity, position, siblings: 0, inner });
                    }
                }
            }
            if let Some((declared, left)) = overrun {
                let (offset, place) = (record.whole.start, self.place());
                return Err(OnnxError::Truncated { offset, place, declared, left });
            }
            self.path.pop();
            at = record.whole.end;
        }
        for child in &mut unknown.children {
            child.siblings = counts.get(&child.field).copied().unwrap_or(0);
        }
        Ok(unknown)
    }

    /// Checks one value; gives the unknown fields inside it, if any.
    fn value(&mut self, field: &Field, record: &Record, cut: bool) -> Result<Option<UnknownFields>, OnnxError> {
        let body = self.bytes.get(record.body.clone()).unwrap_or_default();
        match field.kind {
            Kind::Message(message) => {
                let inner = self.message(message, record.body.clone())?;
                Ok((!inner.is_empty()).then_some(inner))
            }
            Kind::Text if !cut => match std::str::from_utf8(body) {
                Ok(_) => Ok(None),
                Err(error) => {
                    let offset = record.body.start + error.valid_up_to();
                    Err(self.malformed(offset, "bytes that are not UTF-8".to_owned(), "text"))
                }
            },
            Kind::Varint | Kind::Fixed32 | Kind::Fixed64 if record.wire == LENGTH && !cut => {
                let whole = match field.kind {
                    Kind::Fixed32 => body.len().is_multiple_of(4),
                    Kind::Fixed64 => body.len().is_multiple_of(8),
                    _ => packed_varints(body),
                };
                match whole {
                    true => Ok(None),
                    false => {
                        let found = format!("{} bytes of packed numbers", body.len());
                        Err(self.malformed(record.body.start, found, "a whole number of numbers"))
                    }
                }
            }
            _ => Ok(None),
        }
    }
}

/// Whether the bytes are a run of complete varints.
fn packed_varints(body: &[u8]) -> bool {
    let mut at = 0;
    while at < body.len() {
        match varint(body, at) {
            Some((_, after)) => at = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(bytes: &[u8]) -> OnnxError {
        scan(bytes).unwrap_err()
    }

    #[test]
    fn the_innermost_cut_is_named() {
        // graph (7) of 20 bytes { initializer (5) of 12 { raw_data (9) of 10, but 2 are there } }
        let bytes = [0x3a, 20, 0x2a, 12, 0x4a, 10, 1, 2];
        let expected =
            OnnxError::Truncated { offset: 4, place: "graph.initializer[0].raw_data".into(), declared: 10, left: 2 };
        assert_eq!(error(&bytes), expected);
    }

    #[test]
    fn a_cut_between_two_fields_is_seen() {
        let bytes = [0x3a, 20, 0x12, 1, b'g'];
        assert_eq!(error(&bytes), OnnxError::Truncated { offset: 0, place: "graph".into(), declared: 20, left: 3 });
    }

    #[test]
    fn nonsense_has_a_place() {
        assert!(matches!(error(&[0x00, 0x01]), OnnxError::Malformed { offset: 0, .. }));
        assert!(matches!(error(&[0x0e, 0x01]), OnnxError::Malformed { offset: 0, .. }));
        // ir_version as text
        assert!(matches!(error(&[0x0a, 0x01, 0x41]), OnnxError::Malformed { place, .. } if place == "ir_version"));
        assert!(matches!(error(&[0x12, 0x01, 0xff]), OnnxError::Malformed { offset: 2, .. }));
        assert!(matches!(error(&[0x08, 0x80]), OnnxError::Cut { offset: 2, .. }));
    }

    #[test]
    fn groups_are_unknown_fields() {
        // field 30: a group with a varint and a group inside
        let group = [0xf3, 0x01, 0x08, 0x05, 0x13, 0x14, 0xf4, 0x01];
        assert_eq!(scan(&group).unwrap().raw, group);
        assert!(scan(&group[..6]).is_err());
    }

    #[test]
    fn deep_nesting_is_refused() {
        // from the outside in: node (1) -> attribute (5) -> graph (6) -> node ...
        let mut bytes = Vec::new();
        for depth in 0..400 {
            let tag = [0x0a, 0x32, 0x2a][depth % 3];
            let mut outer = vec![tag];
            let mut length = bytes.len();
            while length >= 0x80 {
                outer.push(length as u8 | 0x80);
                length >>= 7;
            }
            outer.push(length as u8);
            outer.extend(bytes);
            bytes = outer;
        }
        // The last one written is a node; the main graph (7) holds it.
        let mut model = vec![0x3a, bytes.len() as u8 | 0x80, (bytes.len() >> 7) as u8];
        model.extend(bytes);
        assert!(matches!(error(&model), OnnxError::Malformed { found, .. } if found.contains("deeply")));
    }
}
