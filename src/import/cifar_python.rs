//! CIFAR's Python batches: a pickled dict of a uint8 array and lists.

use super::cifar::{PIXEL_BYTES, with_assumed_names};
use super::{Dataset, ImportError, Limits, Pixels, pickle};
use crate::tensor::{DType, Tensor};
use bytes::Bytes;
use pickle::{Id, Pickle};

/// What a CIFAR pickle turns out to be.
#[derive(Debug)]
pub enum Batch {
    /// Images with labels.
    Images(Box<Dataset>),
    /// `batches.meta`: the names of the classes.
    ClassNames(Vec<String>),
    /// Any other pickled numpy array.
    Array(Tensor),
}

/// Reads `data_batch_1`, `test_batch`, `train`, `test`, `batches.meta`, `meta`, or a pickled array.
pub fn read(name: &str, source: &str, bytes: &Bytes, limits: &Limits) -> Result<Batch, ImportError> {
    let (pickle, _) = pickle::parse(bytes, limits.pickle_values)?;
    let root = pickle.root();
    let foreign = pickle.foreign_globals(&["numpy"]);
    if !foreign.is_empty() {
        return Err(ImportError::unsupported(
            "pickle",
            format!("code it would call: {}", foreign.join(", ")),
            "numbers, text and numpy arrays",
            "Nothing of it was executed. If you do not know the file's author, delete it.",
        ));
    }
    for key in ["label_names", "fine_label_names"] {
        if let Some(names) = pickle.entry(root, key) {
            return names_of(&pickle, names, key).map(Batch::ClassNames);
        }
    }
    let Some(data) = pickle.entry(root, "data") else {
        if pickle.call(root).is_some() {
            return pickle::array(&pickle, root, "pickle").map(Batch::Array);
        }
        return Err(ImportError::unsupported(
            "pickle",
            pickle.describe(root),
            "a CIFAR batch: a dict with data and labels",
            "Save the arrays with numpy.savez and open the .npz file.",
        ));
    };
    let pixels = pickle::array(&pickle, data, "data")?;
    let count = pixels.shape().first().copied().unwrap_or(0);
    let is_batch = matches!(pixels.shape(), [_, PIXEL_BYTES] | [_, 3, 32, 32]) && pixels.dtype() == DType::Uint8;
    if !is_batch || count == 0 {
        return Err(ImportError::format(
            "data",
            format!("{}{:?}", pixels.dtype(), pixels.shape()),
            format!("uint8[images, {PIXEL_BYTES}]"),
            "Save the arrays with numpy.savez and open the .npz file.",
        ));
    }
    let keys = ["labels", "fine_labels"];
    let labels = keys.iter().find_map(|key| pickle.entry(root, key)).map(|id| labels_of(&pickle, id)).transpose()?;
    let names = pickle.entry(root, "filenames").map(|id| names_of(&pickle, id, "filenames")).transpose()?;
    let pixels = Pixels::Planar {
        height: 32,
        width: 32,
        channels: 3,
        stride_bytes: PIXEL_BYTES,
        offset_bytes: 0,
        bytes: pixels.bytes().clone().into(),
    };
    let set = Dataset { labels, sample_names: names, ..Dataset::new(name, source, count, pixels) };
    let is_cifar10 = pickle.entry(root, "labels").is_some() && set.labels.iter().flatten().all(|&label| label < 10);
    let set = if is_cifar10 { with_assumed_names(set) } else { set };
    set.check().map(|set| Batch::Images(Box::new(set)))
}

fn labels_of(pickle: &Pickle, id: Id) -> Result<Vec<u32>, ImportError> {
    let values: Option<Vec<i64>> = match pickle.items(id) {
        Some(items) => items.iter().map(|&item| pickle::integer(pickle, item)).collect(),
        None => pickle::array(pickle, id, "labels")?.to_i64().ok(),
    };
    let labels = values.and_then(|values| values.into_iter().map(|v| u32::try_from(v).ok()).collect::<Option<_>>());
    labels.ok_or_else(|| {
        let expected = "a list of class numbers from 0 up";
        ImportError::format("labels", pickle.describe(id), expected, "Export the batch again.")
    })
}

fn names_of(pickle: &Pickle, id: Id, key: &'static str) -> Result<Vec<String>, ImportError> {
    let items = pickle.items(id);
    let names = items.and_then(|items| items.iter().map(|&i| pickle.text(i).map(|t| t.into_owned())).collect());
    names.ok_or_else(|| ImportError::format(key, pickle.describe(id), "a list of names", "Export the file again."))
}
