//! Where the bytes of a data set lie: in memory, or still in their file.

use bytes::Bytes;
use std::fmt;
use std::rc::Rc;

/// Reads a part of a file: so many bytes from a position on. The error is the system's reason.
type ReadPart = dyn Fn(u64, usize) -> Result<Vec<u8>, String>;

/// A file that is read in parts, so that it may be larger than memory.
#[derive(Clone)]
pub struct FileParts {
    len: u64,
    read: Rc<ReadPart>,
}

impl FileParts {
    /// A file of `len` bytes.
    pub fn new(len: u64, read: impl Fn(u64, usize) -> Result<Vec<u8>, String> + 'static) -> Self {
        FileParts { len, read: Rc::new(read) }
    }

    /// Bytes in the file.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Some bytes, fewer where the file ends before.
    pub fn read(&self, start: u64, count: usize) -> Result<Vec<u8>, String> {
        let left = self.len.saturating_sub(start);
        (self.read)(start, usize::try_from(left).unwrap_or(usize::MAX).min(count))
    }
}

impl fmt::Debug for FileParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileParts({} bytes)", self.len)
    }
}

/// The bytes of all samples.
#[derive(Clone, Debug)]
pub enum Store {
    /// All of them, read.
    Memory(Bytes),
    /// Read sample by sample.
    File(FileParts),
}

impl From<Bytes> for Store {
    fn from(bytes: Bytes) -> Self {
        Store::Memory(bytes)
    }
}

impl Store {
    /// How many there are.
    pub fn len(&self) -> u64 {
        match self {
            Store::Memory(bytes) => bytes.len() as u64,
            Store::File(file) => file.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `size` bytes at `index * stride + offset`; `None` where they are not all there. The error is why a file could not
    /// be read.
    pub fn record(&self, index: usize, stride: usize, offset: usize, size: usize) -> Result<Option<Bytes>, String> {
        let start = (index as u64).checked_mul(stride as u64).and_then(|start| start.checked_add(offset as u64));
        let inside = start.filter(|start| start.checked_add(size as u64).is_some_and(|end| end <= self.len()));
        match (self, inside) {
            (_, None) => Ok(None),
            (Store::Memory(bytes), Some(start)) => {
                // It ends inside of what is in memory.
                let start = start as usize;
                Ok(Some(bytes.slice(start..start + size)))
            }
            (Store::File(file), Some(start)) => {
                let read = file.read(start, size)?;
                Ok((read.len() == size).then(|| read.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_give_the_same_records() {
        let all: Vec<u8> = (0..100).collect();
        let copy = all.clone();
        let file = FileParts::new(100, move |start, count| Ok(copy[start as usize..start as usize + count].to_vec()));
        let (memory, file) = (Store::Memory(all.into()), Store::File(file));
        for (index, stride, offset, size) in [(0, 10, 1, 9), (9, 10, 0, 10), (9, 10, 1, 10), (usize::MAX, 10, 0, 1)] {
            assert_eq!(memory.record(index, stride, offset, size), file.record(index, stride, offset, size));
        }
        assert_eq!(file.record(9, 10, 0, 10).unwrap().unwrap()[..], [90, 91, 92, 93, 94, 95, 96, 97, 98, 99]);
        assert_eq!(file.record(9, 10, 1, 10), Ok(None));
    }
}
