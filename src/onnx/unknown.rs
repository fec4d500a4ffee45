//! Fields that a file holds and the schema does not: kept beside the message and put back on encoding.

use super::schema::{Kind, Message};
use super::wire::{LENGTH, identity, records};
use std::collections::HashMap;

/// The unknown fields of a message and of the messages inside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UnknownFields {
    /// Records of this message, tags included, in file order.
    pub raw: Vec<u8>,
    /// Messages inside that carry unknown fields.
    pub children: Vec<Carried>,
}

/// Unknown fields of one message inside another, with what finds that message again after an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    /// The field that holds the message.
    pub field: u32,
    /// Its name or whatever identifies it among its siblings; may be empty.
    pub identity: Vec<u8>,
    /// Its position among the records of that field.
    pub position: usize,
    /// How many records that field had.
    pub siblings: usize,
    /// What it carries.
    pub inner: UnknownFields,
}

impl UnknownFields {
    /// Whether there is nothing to carry.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty() && self.children.is_empty()
    }

    /// `encoded`, a message as prost writes it, with the unknown fields put back: behind the known fields of their
    /// message, where protobuf writers put them.
    ///
    /// A message is found again by its identity, or, where that was edited, by its position if its siblings are as
    /// many as before. The unknown fields of a message that was removed go with it.
    pub fn merge(&self, message: Message, encoded: &[u8]) -> Vec<u8> {
        if self.children.is_empty() {
            return [encoded, &self.raw].concat();
        }
        let held: Vec<_> = records(encoded).collect();
        let mut siblings: HashMap<u32, usize> = HashMap::new();
        for record in &held {
            *siblings.entry(record.number).or_default() += 1;
        }
        let mut taken = vec![false; self.children.len()];
        let mut position: HashMap<u32, usize> = HashMap::new();
        // First by identity, so that a position never takes what belongs to a name.
        let mut owner: Vec<Option<usize>> = vec![None; held.len()];
        let mut places = Vec::with_capacity(held.len());
        for (at, record) in held.iter().enumerate() {
            let seen = position.entry(record.number).or_default();
            places.push(*seen);
            *seen += 1;
            let Some(Kind::Message(inner)) = message.field(record.number).map(|field| field.kind) else { continue };
            if record.wire != LENGTH || !self.children.iter().any(|child| child.field == record.number) {
                continue;
            }
            let name = identity(inner, encoded.get(record.body.clone()).unwrap_or_default());
            let same = |(index, child): &(usize, &Carried)| {
                !taken[*index] && child.field == record.number && !name.is_empty() && child.identity == name
            };
            if let Some((index, _)) = self.children.iter().enumerate().find(same) {
                taken[index] = true;
                owner[at] = Some(index);
            }
        }
        for (at, record) in held.iter().enumerate() {
            let same = |(index, child): &(usize, &Carried)| {
                let count = siblings.get(&record.number).copied().unwrap_or(0);
                !taken[*index]
                    && child.field == record.number
                    && child.position == places[at]
                    && child.siblings == count
            };
            if owner[at].is_none()
                && let Some((index, _)) = self.children.iter().enumerate().find(same)
            {
                taken[index] = true;
                owner[at] = Some(index);
            }
        }
        let mut merged = Vec::with_capacity(encoded.len() + self.raw.len());
        for (record, owner) in held.iter().zip(owner) {
            let child = owner.and_then(|index| self.children.get(index));
            let inner = message.field(record.number).map(|field| field.kind);
            match (child, inner) {
                (Some(child), Some(Kind::Message(inner))) => {
                    let body = child.inner.merge(inner, encoded.get(record.body.clone()).unwrap_or_default());
                    put_varint(&mut merged, u64::from(record.number) << 3 | u64::from(LENGTH));
                    put_varint(&mut merged, body.len() as u64);
                    merged.extend_from_slice(&body);
                }
                _ => merged.extend_from_slice(encoded.get(record.whole.clone()).unwrap_or_default()),
            }
        }
        merged.extend_from_slice(&self.raw);
        merged
    }
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
