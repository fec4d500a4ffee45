//! Members of a large .npz that stay in their file: what `numpy.savez` writes is stored as it is.

use super::archive::{self, Members};
use super::arrays::StoredArray;
use super::limits::Budget;
use super::source::clean_path;
use super::{FileParts, ImportError, Limits, Store, npy};
use std::io::{BufReader, Read, Seek, SeekFrom};
use zip::{CompressionMethod, ZipArchive};

/// Members below this size are read: labels, and whatever else fits into memory.
const STREAMED_MEMBER_BYTES: u64 = 1 << 20;
/// What is read of a member to find its header.
const HEADER_BYTES: usize = 1 << 16;
/// Bytes of a local file header before its name, and where the lengths of name and extra field stand in it.
const LOCAL_HEADER_BYTES: u64 = 30;
const NAME_LENGTH_AT: usize = 26;
const EXTRA_LENGTH_AT: usize = 28;

/// The arrays of an .npz: stored ones that are large stay in the file, the others are read within the limits. `None`
/// where none stays: then the file is read as a whole, if it can be.
pub(super) fn arrays(file: &FileParts) -> Option<(Vec<StoredArray>, Vec<ImportError>)> {
    let mut zip = ZipArchive::new(BufReader::with_capacity(HEADER_BYTES, Reader { file, at: 0 })).ok()?;
    let limits = Limits::default();
    if zip.len() > limits.members {
        return None;
    }
    let mut arrays = Vec::new();
    let mut left = Vec::new();
    for index in 0..zip.len() {
        // What cannot be read is said with the others below.
        let stays = zip.by_index_raw(index).ok().and_then(|entry| {
            let stored = entry.compression() == CompressionMethod::Stored && !entry.encrypted();
            let large = entry.size() >= STREAMED_MEMBER_BYTES && entry.size() == entry.compressed_size();
            let name = clean_path(&String::from_utf8_lossy(entry.name_raw()));
            (stored && large).then(|| (name, entry.header_start(), entry.size()))
        });
        match stays.and_then(|(name, header, bytes)| stored(file, &name, header, bytes)) {
            Some(array) => arrays.push(array),
            None => left.push(index),
        }
    }
    if arrays.is_empty() {
        return None;
    }
    let Members { files, mut errors } = archive::unzip_some(&mut zip, file.len(), &left, &mut Budget::new(&limits));
    for member in files {
        let name = member.path.strip_suffix(".npy").unwrap_or(&member.path).to_owned();
        match npy::read(&member.bytes) {
            Ok(tensor) => arrays.push(super::NamedArray { name, tensor }.into()),
            Err(error) => errors.push(error),
        }
    }
    Some((arrays, errors))
}

/// A stored member that begins at `header` and holds `bytes`; `None` where it is no array of samples.
fn stored(file: &FileParts, name: &str, header: u64, bytes: u64) -> Option<StoredArray> {
    let local = file.read(header, LOCAL_HEADER_BYTES as usize).ok()?;
    let length = |at: usize| Some(u64::from(u16::from_le_bytes(local.get(at..at + 2)?.try_into().ok()?)));
    let start = LOCAL_HEADER_BYTES.checked_add(length(NAME_LENGTH_AT)?)?.checked_add(length(EXTRA_LENGTH_AT)?)?;
    let start = header.checked_add(start)?;
    let member = part(file, start, bytes)?;
    array(name.strip_suffix(".npy")?, &member.read(0, HEADER_BYTES).ok()?, &member)
}

/// The array in a file that starts with `head`, left where it is; `None` where it has to be read as a whole.
pub(super) fn array(name: &str, head: &[u8], file: &FileParts) -> Option<StoredArray> {
    let (dtype, shape, start) = npy::layout(head)?;
    // One dim is no list of samples.
    let count = shape.iter().try_fold(1u64, |size, &dim| size.checked_mul(dim as u64)).filter(|_| shape.len() > 1)?;
    let len = count.checked_mul(dtype.bytes_for(1)? as u64).filter(|len| *len > 0)?;
    // A file that is cut short is said when it is read as a whole.
    let bytes = Store::File(part(file, start, len)?);
    Some(StoredArray { name: name.to_owned(), dtype, shape, bytes })
}

/// A part of a file; `None` where it is not all there.
fn part(file: &FileParts, start: u64, len: u64) -> Option<FileParts> {
    let whole = file.clone();
    let inside = start.checked_add(len).is_some_and(|end| end <= file.len());
    inside.then(|| FileParts::new(len, move |from, bytes| whole.read(start + from, bytes)))
}

/// The whole file, as the reader of archives wants it.
struct Reader<'a> {
    file: &'a FileParts,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(self.at, buffer.len()).map_err(std::io::Error::other)?;
        if let Some(target) = buffer.get_mut(..read.len()) {
            target.copy_from_slice(&read);
        }
        self.at += read.len() as u64;
        Ok(read.len())
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(back) => self.file.len().checked_add_signed(back),
            SeekFrom::Current(on) => self.at.checked_add_signed(on),
        };
        self.at = at.ok_or_else(|| std::io::Error::other("a place before the file"))?;
        Ok(self.at)
    }
}
