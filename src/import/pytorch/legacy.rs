//! Files of PyTorch before 1.6: pickles in a row, then the storages.

use super::dtype::TorchType;
use crate::import::{ImportError, Limits, pickle};
use bytes::Bytes;
use pickle::{Pickle, Value};
use std::collections::HashMap;

/// The pickled object of an old file and its storages by key.
pub(super) struct Legacy {
    pub pickle: Pickle,
    pub storages: HashMap<String, Bytes>,
}

/// The protocol that PyTorch has always written behind the magic number.
const PROTOCOL: i64 = 1001;

/// Reads a file of the old format.
pub(super) fn read(bytes: &Bytes, limits: &Limits) -> Result<Legacy, ImportError> {
    let mut rest = bytes.clone();
    let mut next = |limit: usize| -> Result<(Pickle, Bytes), ImportError> {
        let (pickle, taken) = pickle::parse(&rest, limit.min(limits.pickle_values))?;
        rest = rest.slice(taken.min(rest.len())..);
        Ok((pickle, rest.clone()))
    };
    const SMALL: usize = 1000;
    next(SMALL)?;
    let (protocol, _) = next(SMALL)?;
    if protocol.int(protocol.root()) != Some(PROTOCOL) {
        return Err(ImportError::unsupported(
            "protocol number",
            protocol.describe(protocol.root()),
            PROTOCOL.to_string(),
            "Save the file again with a current PyTorch.",
        ));
    }
    next(SMALL)?;
    let (pickle, _) = next(usize::MAX)?;
    let (keys, data) = next(usize::MAX)?;
    let storages = storages(&pickle, &keys, data)?;
    Ok(Legacy { pickle, storages })
}

/// The storages behind the pickles: each an element count of 8 bytes, then the elements.
fn storages(pickle: &Pickle, keys: &Pickle, mut data: Bytes) -> Result<HashMap<String, Bytes>, ImportError> {
    let mut types = HashMap::new();
    for value in pickle.values() {
        let Value::Persistent(id) = value else { continue };
        let Some([kind, class, key, ..]) = pickle.items(*id) else { continue };
        if let (Some("storage"), Some((_, class)), Some(key)) =
            (pickle.text(*kind).as_deref(), pickle.global(*class), pickle.text(*key))
            && let Some(found) = TorchType::of_storage(class)
        {
            types.insert(key.into_owned(), found);
        }
    }
    let mut storages = HashMap::new();
    for &key in keys.items(keys.root()).unwrap_or_default() {
        let Some(key) = keys.text(key).map(|key| key.into_owned()) else { continue };
        let place = || format!("storage {key}");
        let Some(found) = types.get(&key) else {
            let expected = "a storage that the pickle names, with its element type";
            let advice = "The file is damaged: copy or save it again.";
            return Err(ImportError::format(place(), "one that is named nowhere", expected, advice));
        };
        let cut = |left: usize, wanted: String| {
            ImportError::cut_short(place(), format!("{left} bytes up to the end of the file"), wanted)
        };
        let count = data.get(..8).and_then(|raw| raw.try_into().ok()).map(u64::from_le_bytes);
        let count = count.ok_or_else(|| cut(data.len(), "8 bytes with the element count".to_owned()))?;
        let size = usize::try_from(count).ok().and_then(|count| found.dtype.bytes_for(count));
        let size = size.filter(|&size| size <= data.len() - 8);
        let size = size.ok_or_else(|| cut(data.len() - 8, format!("{count} elements of {}", found.name)))?;
        storages.insert(key, data.slice(8..8 + size));
        data = data.slice(8 + size..);
    }
    Ok(storages)
}
