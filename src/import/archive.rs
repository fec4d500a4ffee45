//! Members of tar, gzip and zip archives, unpacked step by step under the limits.

use super::limits::{Budget, check_ratio, unpack_error};
use super::source::{base_name, clean_path, extension, is_litter};
use super::{ImportError, Kind, Limits, SourceFile};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use std::io::{Cursor, Read, Seek};
use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipResult;

const DAMAGED: &str = "The archive is cut short or damaged: download or copy it again.";

/// What came out of an archive: whole members, and what stopped the reading of the others.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub files: Vec<SourceFile>,
    pub errors: Vec<ImportError>,
}

/// The one file inside a .gz.
pub(super) fn gunzip(bytes: &Bytes, budget: &mut Budget) -> Result<Bytes, ImportError> {
    budget.read(MultiGzDecoder::new(bytes.as_ref()), "gzip data", bytes.len() as u64).map(Bytes::from)
}

/// The files of a .tar.gz.
pub(super) fn untar_gz(bytes: &Bytes, budget: &mut Budget) -> Members {
    let limits = budget.limits.clone();
    let from =
        Bounded { inner: MultiGzDecoder::new(bytes.as_ref()), limits: &limits, packed: bytes.len() as u64, read: 0 };
    untar_from(from, bytes.len() as u64, budget)
}

/// The files of a .tar.
pub(super) fn untar(bytes: &Bytes, budget: &mut Budget) -> Members {
    untar_from(bytes.as_ref(), bytes.len() as u64, budget)
}

/// Stops a decompressor whose output nobody keeps: skipped members and padding count too.
struct Bounded<'a, R> {
    inner: R,
    limits: &'a Limits,
    packed: u64,
    read: u64,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read += count as u64;
        if self.read > self.limits.unpacked_bytes || check_ratio(self.limits, "", self.read, self.packed).is_err() {
            return Err(std::io::Error::other("it unpacks to more than the limit"));
        }
        Ok(count)
    }
}

fn untar_from(from: impl Read, packed_bytes: u64, budget: &mut Budget) -> Members {
    let mut members = Members::default();
    let mut archive = tar::Archive::new(from);
    let entries = match archive.entries() {
        Ok(entries) => entries,
        Err(error) => {
            members.errors.push(unpack_error("archive", 0, &error));
            return members;
        }
    };
    for (index, entry) in entries.enumerate() {
        if index >= budget.limits.members {
            members.errors.push(too_many(index, budget.limits));
            break;
        }
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                members.errors.push(ImportError::format(
                    format!("member {index}"),
                    error.to_string(),
                    "a tar header",
                    DAMAGED,
                ));
                break;
            }
        };
        let path = clean_path(&String::from_utf8_lossy(&entry.path_bytes()));
        if !entry.header().entry_type().is_file() || is_litter(&path) {
            continue;
        }
        let claimed_bytes = entry.size();
        match budget.read(entry, &path, packed_bytes) {
            // The tar crate ends a member early, without an error, where the archive ends.
            Ok(content) if (content.len() as u64) < claimed_bytes => {
                let found = format!("{} bytes", content.len());
                members.errors.push(ImportError::cut_short(path, found, format!("{claimed_bytes} bytes")));
                break;
            }
            Ok(content) => members.files.push(SourceFile::new(path, content)),
            Err(error) => {
                members.errors.push(error);
                break;
            }
        }
    }
    members
}

fn too_many(found: usize, limits: &Limits) -> ImportError {
    let (found, limit) = (found as u64, limits.members as u64);
    ImportError::LimitExceeded { place: "archive".into(), what: "members in one archive".into(), found, limit }
}

/// Opens a zip archive by the offsets that its directory has. What stands before an archive (a program that unpacks
/// itself) is looked for only where they do not fit: looked for at once, the directory of an archive with zip64 records,
/// as PyTorch writes them, would be taken to begin at its second entry where the first is as long as these records.
pub(super) fn open_zip<T: AsRef<[u8]> + Clone>(content: T) -> ZipResult<ZipArchive<Cursor<T>>> {
    let as_written = Config { archive_offset: ArchiveOffset::Known(0) };
    ZipArchive::with_config(as_written, Cursor::new(content.clone())).or_else(|_| ZipArchive::new(Cursor::new(content)))
}

/// The files of a zip archive.
pub(super) fn unzip(bytes: &Bytes, budget: &mut Budget) -> Members {
    let mut members = Members::default();
    let mut archive = match open_zip(bytes.clone()) {
        Ok(archive) => archive,
        Err(error) => {
            let expected = "a zip archive with its directory at the end";
            members.errors.push(ImportError::format("zip directory", error.to_string(), expected, DAMAGED));
            return members;
        }
    };
    if archive.len() > budget.limits.members {
        members.errors.push(too_many(archive.len(), budget.limits));
        return members;
    }
    let all: Vec<usize> = (0..archive.len()).collect();
    unzip_some(&mut archive, bytes.len() as u64, &all, budget)
}

/// Some files of a zip archive of so many bytes, by their positions in its directory.
pub(super) fn unzip_some(
    archive: &mut ZipArchive<impl Read + Seek>,
    archive_bytes: u64,
    positions: &[usize],
    budget: &mut Budget,
) -> Members {
    let mut members = Members::default();
    for &index in positions {
        let entry = match archive.by_index(index) {
            Ok(entry) => entry,
            Err(error) => {
                let place = format!("member {index}");
                members.errors.push(ImportError::format(place, error.to_string(), "a readable zip member", DAMAGED));
                continue;
            }
        };
        let path = clean_path(&String::from_utf8_lossy(entry.name_raw()));
        if !entry.is_file() || is_litter(&path) {
            continue;
        }
        let packed_bytes = entry.compressed_size().min(archive_bytes);
        match budget.read(entry, &path, packed_bytes) {
            Ok(content) => members.files.push(SourceFile::new(path, content)),
            Err(error @ ImportError::LimitExceeded { .. }) => {
                members.errors.push(error);
                break;
            }
            Err(error) => members.errors.push(error),
        }
    }
    members
}

/// The first member of a zip archive with this base name.
pub(super) fn member(bytes: &Bytes, base: &str, budget: &mut Budget) -> Result<Option<Bytes>, ImportError> {
    let damaged = |error: zip::result::ZipError| {
        ImportError::format("zip directory", error.to_string(), "a readable zip archive", DAMAGED)
    };
    let mut archive = open_zip(bytes.clone()).map_err(damaged)?;
    let wanted = |name: &[u8]| base_name(&clean_path(&String::from_utf8_lossy(name))) == base;
    // Not `by_name_raw`: it gives a member as it is packed.
    let position = archive.file_names_raw().position(wanted);
    let Some(position) = position else { return Ok(None) };
    let entry = archive.by_index(position).map_err(damaged)?;
    let packed_bytes = entry.compressed_size().min(bytes.len() as u64);
    budget.read(entry, base, packed_bytes).map(|content| Some(content.into()))
}

/// What a zip archive is, by the names in its directory, or by its first name where only the head is here.
pub(super) fn zip_kind(head: &[u8], whole: bool) -> Kind {
    let names: Vec<String> = if whole {
        match open_zip(head) {
            Ok(archive) => archive.file_names_raw().map(|name| clean_path(&String::from_utf8_lossy(name))).collect(),
            Err(_) => return Kind::Zip,
        }
    } else {
        let length = head.get(26..28).map_or(0, |raw| raw.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b)));
        head.get(30..30 + length).map(|name| String::from_utf8_lossy(name).into_owned()).into_iter().collect()
    };
    let has = |wanted: &str| names.iter().any(|name| base_name(name) == wanted);
    if has("config.json") && has("model.weights.h5") {
        Kind::KerasZip
    } else if has("data.pkl") || (has("constants.pkl") && has("version")) {
        Kind::TorchZip
    } else if !names.is_empty() && names.iter().all(|name| extension(name) == "npy") {
        Kind::Npz
    } else {
        Kind::Zip
    }
}
