//! Where the elements of tensors are kept: members of the archive, or the tail of an old file.

use super::container::Container;
use super::dtype::TorchType;
use crate::import::ImportError;
use crate::import::limits::Budget;
use crate::import::pickle::{Id, Pickle, Value};
use bytes::Bytes;
use std::collections::HashMap;

/// What a pickle's persistent id says of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StorageRef {
    /// Its key.
    pub key: String,
    /// The element type of a typed storage; an untyped one has none.
    pub kind: Option<TorchType>,
    /// A slice of the storage in elements: offset and count (old files only).
    pub view: Option<(usize, usize)>,
}

/// Reads `('storage', class, key, location, count[, view])`; `None` where it is something else.
pub(super) fn storage_ref(pickle: &Pickle, id: Id) -> Option<StorageRef> {
    let Value::Persistent(id) = pickle.get(id) else { return None };
    let [kind, class, key, rest @ ..] = pickle.items(*id)? else { return None };
    if pickle.text(*kind)? != "storage" {
        return None;
    }
    let (_, class) = pickle.global(*class)?;
    let size = |id: Id| pickle.int(id).and_then(|value| usize::try_from(value).ok());
    let view = rest.get(2).and_then(|&view| match pickle.items(view)? {
        [_key, offset, count] => Some((size(*offset)?, size(*count)?)),
        _ => None,
    });
    let key = match pickle.text(*key) {
        Some(key) => key.into_owned(),
        None => pickle.int(*key)?.to_string(),
    };
    Some(StorageRef { key, kind: TorchType::of_storage(class), view })
}

/// Storages by key.
pub(super) enum Storages<'a> {
    /// Members of a folder of an archive.
    Archive {
        container: &'a mut Container,
        /// "data" for data.pkl, "constants" for constants.pkl.
        folder: &'static str,
        /// Whether elements are stored with their highest byte first.
        big_endian: bool,
        /// Shapes are wanted, not elements: missing storages do not matter.
        shapes_only: bool,
        read: HashMap<String, Bytes>,
    },
    /// All of an old file's.
    Legacy(HashMap<String, Bytes>),
}

impl Storages<'_> {
    /// The bytes of a storage.
    pub fn fetch(&mut self, storage: &StorageRef, budget: &mut Budget) -> Result<Bytes, ImportError> {
        let missing = |place: String| {
            let (found, expected) = ("no such storage in the file", "the elements of a tensor");
            ImportError::format(place, found, expected, "The file is damaged: copy or save it again.")
        };
        match self {
            Storages::Legacy(all) => {
                all.get(&storage.key).cloned().ok_or_else(|| missing(format!("storage {}", storage.key)))
            }
            Storages::Archive { container, folder, big_endian, read, .. } => {
                if let Some(bytes) = read.get(&storage.key) {
                    return Ok(bytes.clone());
                }
                let path = format!("{folder}/{}", storage.key);
                let mut bytes = container.read(&path, budget)?.ok_or_else(|| missing(path))?;
                if let (true, Some(kind)) = (*big_endian, storage.kind) {
                    bytes = swapped(&bytes, kind);
                }
                read.insert(storage.key.clone(), bytes.clone());
                Ok(bytes)
            }
        }
    }

    /// Whether only shapes are wanted.
    pub fn shapes_only(&self) -> bool {
        matches!(self, Storages::Archive { shapes_only: true, .. })
    }
}

/// Elements with their bytes in the other order.
pub(super) fn swapped(bytes: &Bytes, kind: TorchType) -> Bytes {
    let bits = kind.dtype.bits().unwrap_or(8);
    // Both parts of a complex number are swapped by themselves.
    let width = if kind.name.starts_with("complex") { bits / 16 } else { bits / 8 };
    if width < 2 {
        return bytes.clone();
    }
    let mut swapped = bytes.to_vec();
    swapped.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    swapped.into()
}
