//! The zip archive that `torch.save` and `torch.jit.save` write.

use crate::import::limits::Budget;
use crate::import::{ImportError, archive, source::clean_path};
use bytes::Bytes;
use std::collections::HashMap;
use std::io::Cursor;
use zip::{CompressionMethod, ZipArchive};

const DAMAGED: &str = "The file is cut short or damaged: download or copy it again.";

/// The members of a PyTorch archive by their path inside its one top folder.
pub(super) struct Container {
    bytes: Bytes,
    archive: ZipArchive<Cursor<Bytes>>,
    members: HashMap<String, usize>,
}

impl Container {
    /// Reads the directory of an archive, no content yet.
    pub fn open(bytes: &Bytes, budget: &Budget) -> Result<Self, ImportError> {
        let archive = archive::open_zip(bytes.clone()).map_err(|error| {
            let expected = "a zip archive with its directory at the end";
            ImportError::format("zip directory", error.to_string(), expected, DAMAGED)
        })?;
        if archive.len() > budget.limits.members {
            return Err(ImportError::LimitExceeded {
                place: "zip directory".into(),
                what: "members in one archive".into(),
                found: archive.len() as u64,
                limit: budget.limits.members as u64,
            });
        }
        let paths: Vec<String> =
            archive.file_names_raw().map(|name| clean_path(&String::from_utf8_lossy(name))).collect();
        let root = root_of(&paths).to_owned();
        let mut members = HashMap::new();
        for (raw, path) in archive.file_names_raw().zip(&paths) {
            let inside = if root.is_empty() { Some(path.as_str()) } else { path.strip_prefix(&format!("{root}/")) };
            if let (Some(inside), Some(index)) = (inside, archive.index_for_name_raw(raw)) {
                members.insert(inside.to_owned(), index);
            }
        }
        Ok(Container { bytes: bytes.clone(), archive, members })
    }

    /// Whether there is a member of this path.
    pub fn has(&self, path: &str) -> bool {
        self.members.contains_key(path)
    }

    /// The paths of all members, sorted.
    pub fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = self.members.keys().cloned().collect();
        paths.sort();
        paths
    }

    /// The content of a member; `None` where it is not there. What is stored plainly, as PyTorch does, is a slice of
    /// the file.
    pub fn read(&mut self, path: &str, budget: &mut Budget) -> Result<Option<Bytes>, ImportError> {
        let Some(&index) = self.members.get(path) else { return Ok(None) };
        let total = self.bytes.len();
        let broken = |found: String| ImportError::format(path.to_owned(), found, "a readable zip member", DAMAGED);
        let entry = self.archive.by_index(index).map_err(|error| broken(error.to_string()))?;
        if entry.encrypted() {
            return Err(broken("an encrypted member".to_owned()));
        }
        if entry.compression() != CompressionMethod::Stored {
            let packed_bytes = entry.compressed_size().min(total as u64);
            return budget.read(entry, path, packed_bytes).map(|content| Some(content.into()));
        }
        let (start, size, checksum) = (entry.data_start(), entry.size(), entry.crc32());
        drop(entry);
        let range = start.and_then(|start| {
            let start = usize::try_from(start).ok()?;
            let end = start.checked_add(usize::try_from(size).ok()?)?;
            (end <= total).then_some(start..end)
        });
        let range = range.ok_or_else(|| {
            ImportError::cut_short(path.to_owned(), format!("{size} bytes declared"), format!("at most {total} bytes"))
        })?;
        // Overlapping members cost no memory, but time.
        budget.charge(path, size)?;
        let content = self.bytes.slice(range);
        // PyTorch can be told not to compute checksums and then leaves 0.
        if checksum != 0 && !content.is_empty() {
            let mut crc = flate2::Crc::new();
            crc.update(&content);
            if crc.sum() != checksum {
                return Err(broken(format!("checksum {:08x} where {checksum:08x} is recorded", crc.sum())));
            }
        }
        Ok(Some(content))
    }

    /// A member as text.
    pub fn text(&mut self, path: &str, budget: &mut Budget) -> Result<Option<String>, ImportError> {
        Ok(self.read(path, budget)?.map(|content| String::from_utf8_lossy(&content).into_owned()))
    }
}

/// The folder that the archive's marks lie in.
fn root_of(paths: &[String]) -> &str {
    const MARKS: [&str; 5] = ["data.pkl", "constants.pkl", "version", "archive_format", "model.json"];
    let folders = MARKS.iter().flat_map(|mark| {
        paths.iter().filter_map(move |path| match path.strip_suffix(mark)? {
            "" => Some(""),
            folder => folder.strip_suffix('/'),
        })
    });
    // "data.pkl" of an inner folder is a file of the user's.
    folders.min_by_key(|folder| folder.matches('/').count() + usize::from(!folder.is_empty())).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_folder_is_where_the_marks_are() {
        let paths = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(root_of(&paths(&["net/data/0", "net/data.pkl", "net/version"])), "net");
        assert_eq!(root_of(&paths(&["net/extra/data.pkl", "net/data.pkl"])), "net");
        assert_eq!(root_of(&paths(&["data.pkl", "version"])), "");
        assert_eq!(root_of(&paths(&["a/b"])), "");
    }
}
