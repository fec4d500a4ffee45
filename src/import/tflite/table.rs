//! FlatBuffers tables, read field by field.
//!
//! The crate's verifier checks every position; its accessors are `unsafe` and are not used. A field that is left out has
//! the schema's default, which the caller states. What is read is charged against the file's length, so that offsets
//! which all point at one long vector cannot multiply it.

use crate::import::ImportError;
use bytes::Bytes;
use flatbuffers::{Verifier, VerifierOptions};
use std::cell::Cell;

/// What may be read out of a file, as a multiple of its length: honest files stay below 1.
const READ_FACTOR: u64 = 8;
/// Small files may hold small tables many times.
const READ_FLOOR_BYTES: u64 = 1 << 20;
/// What a table costs in memory at least, charged for each one visited.
const TABLE_BYTES: u64 = 64;

/// A file of tables, and what may still be read of it.
pub(super) struct Flat {
    bytes: Bytes,
    options: VerifierOptions,
    left: Cell<u64>,
}

/// One table of a [`Flat`].
#[derive(Clone)]
pub(super) struct Table<'a> {
    flat: &'a Flat,
    position: usize,
    /// Its path from the root, for messages.
    place: String,
}

impl Flat {
    pub fn new(bytes: Bytes) -> Self {
        let left = Cell::new((bytes.len() as u64).saturating_mul(READ_FACTOR).max(READ_FLOOR_BYTES));
        Flat { bytes, options: VerifierOptions::default(), left }
    }

    /// The whole file.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn root(&self, name: &str) -> Result<Table<'_>, ImportError> {
        let offset = self.number(0, name)?;
        self.table(offset, name.to_owned())
    }

    /// The table at a position that [`Table::target`] gave.
    pub fn table(&self, position: usize, place: String) -> Result<Table<'_>, ImportError> {
        self.charge(TABLE_BYTES, &place)?;
        let mut verifier = Verifier::new(&self.options, &self.bytes);
        verifier.in_buffer::<i32>(position).map_err(|error| broken(&place, position, &error))?;
        verifier.visit_table(position).map(drop).map_err(|error| broken(&place, position, &error))?;
        Ok(Table { flat: self, position, place })
    }

    fn charge(&self, bytes: u64, place: &str) -> Result<(), ImportError> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(ImportError::format(
                place.to_owned(),
                format!("tables that unfold to more than {READ_FACTOR} times the file's {} bytes", self.bytes.len()),
                "tables that are there once",
                DAMAGED,
            )),
        }
    }

    fn read<const N: usize>(&self, position: usize, place: &str) -> Result<[u8; N], ImportError> {
        let range = position.checked_add(N).and_then(|end| self.bytes.get(position..end));
        range.and_then(|raw| raw.try_into().ok()).ok_or_else(|| self.past_end(position, N as u64, place))
    }

    /// The u32 at a position: an offset or a length.
    fn number(&self, position: usize, place: &str) -> Result<usize, ImportError> {
        Ok(u32::from_le_bytes(self.read(position, place)?) as usize)
    }

    fn past_end(&self, position: usize, bytes: u64, place: &str) -> ImportError {
        ImportError::cut_short(
            format!("byte {position}, {place}"),
            format!("the end of the file at byte {}", self.bytes.len()),
            format!("{bytes} bytes"),
        )
    }
}

const DAMAGED: &str = "The file is damaged: download or copy it again, or convert the model again.";

fn broken(place: &str, position: usize, error: &flatbuffers::InvalidFlatbuffer) -> ImportError {
    let text = error.to_string();
    let found = text.lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
    ImportError::format(format!("byte {position}, {place}"), found, "a FlatBuffers table inside the file", DAMAGED)
}

macro_rules! scalars {
    ($($name:ident: $kind:ty),*) => { $(
        /// A scalar field, `default` where the file leaves it out.
        pub fn $name(&self, field: u16, default: $kind) -> Result<$kind, ImportError> {
            match self.field(field)? {
                Some(position) => Ok(<$kind>::from_le_bytes(self.flat.read(position, &self.place)?)),
                None => Ok(default),
            }
        }
    )* };
}

macro_rules! vectors {
    ($($name:ident: $kind:ty),*) => { $(
        /// A vector of scalars; empty where the file leaves it out.
        pub fn $name(&self, field: u16) -> Result<Vec<$kind>, ImportError> {
            let Some((start, count)) = self.vector(field, size_of::<$kind>())? else { return Ok(Vec::new()) };
            let raw = self.flat.bytes.get(start..start + count * size_of::<$kind>()).unwrap_or_default();
            self.flat.charge(raw.len() as u64, &self.place)?;
            let number = |raw: &[u8]| raw.try_into().map(<$kind>::from_le_bytes).unwrap_or_default();
            Ok(raw.chunks_exact(size_of::<$kind>()).map(number).collect())
        }
    )* };
}

impl<'a> Table<'a> {
    scalars!(u8: u8, i8: i8, i32: i32, u32: u32, u64: u64, f32: f32);
    vectors!(ints: i32, longs: i64, floats: f32);

    pub fn bool(&self, field: u16) -> Result<bool, ImportError> {
        Ok(self.u8(field, 0)? != 0)
    }

    pub fn place(&self) -> &str {
        &self.place
    }

    /// Where a field's content or offset is, if the table has it. Fields count from 0 in the schema's order.
    fn field(&self, field: u16) -> Result<Option<usize>, ImportError> {
        const FIRST_SLOT: u16 = 4;
        let mut verifier = Verifier::new(&self.flat.options, &self.flat.bytes);
        let mut table = verifier.visit_table(self.position).map_err(|e| broken(&self.place, self.position, &e))?;
        table.deref(FIRST_SLOT + 2 * field).map_err(|e| broken(&self.place, self.position, &e))
    }

    /// Where a field's offset leads.
    pub fn target(&self, field: u16) -> Result<Option<usize>, ImportError> {
        let Some(position) = self.field(field)? else { return Ok(None) };
        let offset = self.flat.number(position, &self.place)?;
        position.checked_add(offset).map(Some).ok_or_else(|| self.flat.past_end(position, offset as u64, &self.place))
    }

    pub fn table(&self, field: u16, name: &str) -> Result<Option<Table<'a>>, ImportError> {
        let Some(target) = self.target(field)? else { return Ok(None) };
        self.flat.table(target, format!("{}.{name}", self.place)).map(Some)
    }

    /// A vector's first element and its length, all of it inside the file.
    fn vector(&self, field: u16, element_bytes: usize) -> Result<Option<(usize, usize)>, ImportError> {
        let Some(target) = self.target(field)? else { return Ok(None) };
        let count = self.flat.number(target, &self.place)?;
        let bytes = count as u64 * element_bytes as u64;
        let start = target + size_of::<u32>();
        if (self.flat.bytes.len() as u64) < (start as u64).saturating_add(bytes) {
            return Err(self.flat.past_end(start, bytes, &self.place));
        }
        Ok(Some((start, count)))
    }

    pub fn tables(&self, field: u16, name: &str) -> Result<Vec<Table<'a>>, ImportError> {
        let Some((start, count)) = self.vector(field, size_of::<u32>())? else { return Ok(Vec::new()) };
        let mut tables = Vec::new();
        for index in 0..count {
            let slot = start + index * size_of::<u32>();
            let place = format!("{}.{name}[{index}]", self.place);
            let target = slot.checked_add(self.flat.number(slot, &place)?);
            let target = target.ok_or_else(|| self.flat.past_end(slot, 0, &place))?;
            tables.push(self.flat.table(target, place)?);
        }
        Ok(tables)
    }

    /// A vector of bytes as a slice of the file.
    pub fn bytes(&self, field: u16) -> Result<Option<Bytes>, ImportError> {
        Ok(self.vector(field, 1)?.map(|(start, count)| self.flat.bytes.slice(start..start + count)))
    }

    /// A string; bytes that are no UTF-8 are replaced.
    pub fn text(&self, field: u16) -> Result<String, ImportError> {
        let bytes = self.bytes(field)?.unwrap_or_default();
        self.flat.charge(bytes.len() as u64, &self.place)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root table of two fields: an i32 of 7, and a vector of the ints 1, 2, 3.
    fn sample() -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(12u32.to_le_bytes()); // the root table is at 12
        bytes.extend([8u16, 12, 4, 8].map(u16::to_le_bytes).concat()); // vtable at 4: its length, the table's, two slots
        bytes.extend(8i32.to_le_bytes()); // the table: the vtable is 8 before it
        bytes.extend(7i32.to_le_bytes());
        bytes.extend(4u32.to_le_bytes()); // the vector is 4 behind this
        bytes.extend([3u32, 1, 2, 3].map(u32::to_le_bytes).concat());
        bytes
    }

    #[test]
    fn fields_are_read_and_defaults_stand_in() {
        let flat = Flat::new(sample().into());
        let root = flat.root("root").unwrap();
        assert_eq!(root.i32(0, -1).unwrap(), 7);
        assert_eq!(root.ints(1).unwrap(), [1, 2, 3]);
        assert_eq!((root.i32(2, -1).unwrap(), root.text(9).unwrap()), (-1, String::new()));
    }

    #[test]
    fn every_cut_is_an_error_or_the_same() {
        let whole = sample();
        for end in 0..whole.len() {
            let flat = Flat::new(whole[..end].to_vec().into());
            let read = flat.root("root").and_then(|root| Ok((root.i32(0, -1)?, root.ints(1)?)));
            assert!(read.is_err(), "{end}: {read:?}");
        }
    }

    #[test]
    fn a_length_beyond_the_file_is_refused_before_memory_is_taken() {
        let mut bytes = sample();
        bytes[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
        let flat = Flat::new(bytes.into());
        let error = flat.root("root").unwrap().ints(1).unwrap_err();
        assert!(error.to_string().contains("17179869180 bytes"), "{error}");
    }

    #[test]
    fn reading_one_vector_again_and_again_ends() {
        let flat = Flat::new(sample().into());
        flat.left.set(100);
        let root = flat.root("root").unwrap();
        assert!(root.ints(1).is_ok() && root.ints(1).is_ok() && root.ints(1).is_ok());
        assert!(root.ints(1).unwrap_err().to_string().contains("unfold"));
    }
}
