//! Which of some arrays are images, which are labels, and which are just arrays.

use super::dataset::Member;
use super::limits::{Budget, Limits};
use super::{Dataset, ImportError, Pixels, Store, archive};
use crate::tensor::{DType, Tensor};
use bytes::Bytes;
use std::collections::HashSet;

/// An array with the name it has in its file.
#[derive(Clone, Debug)]
pub struct NamedArray {
    /// Key in the .npz, or the file's stem.
    pub name: String,
    /// Its values.
    pub tensor: Tensor,
}

/// An array whose values may still lie in their file.
#[derive(Clone, Debug)]
pub struct StoredArray {
    /// Key in the .npz, or the file's stem.
    pub name: String,
    /// Type of its elements, of 8 bits or more.
    pub dtype: DType,
    /// Dims.
    pub shape: Vec<usize>,
    /// Row-major, little-endian.
    pub bytes: Store,
}

impl From<NamedArray> for StoredArray {
    fn from(NamedArray { name, tensor }: NamedArray) -> Self {
        let (dtype, shape) = (tensor.dtype(), tensor.shape().to_vec());
        StoredArray { name, dtype, shape, bytes: tensor.bytes().clone().into() }
    }
}

impl StoredArray {
    /// Its values, where they are in memory.
    fn tensor(&self) -> Option<Tensor> {
        match &self.bytes {
            Store::Memory(bytes) => Tensor::new(self.dtype, self.shape.clone(), bytes.clone()).ok(),
            Store::File(_) => None,
        }
    }
}

/// Reads every array of an .npz file, in the archive's order, within the limits. Fails on the first member that is none.
pub fn read_npz(bytes: &Bytes, limits: &Limits) -> Result<Vec<NamedArray>, ImportError> {
    let members = archive::unzip(bytes, &mut Budget::new(limits));
    if let Some(error) = members.errors.into_iter().next() {
        return Err(error);
    }
    let read = |member: super::SourceFile| {
        let name = member.path.strip_suffix(".npy").unwrap_or(&member.path).to_owned();
        Ok(NamedArray { name, tensor: super::read_npy(&member.bytes)? })
    };
    members.files.into_iter().map(read).collect()
}

/// Words for samples, and the words that their labels go by: `x_train` belongs to `y_train`.
const PAIRS: [(&str, &[&str]); 5] = [
    ("x", &["y", "labels", "label", "targets", "target"]),
    ("images", &["labels", "label", "y", "targets", "target"]),
    ("image", &["label", "labels", "y", "target"]),
    ("data", &["labels", "label", "targets", "target", "y"]),
    ("features", &["labels", "label", "targets", "target", "y"]),
];
const LABEL_WORDS: [&str; 8] = ["y", "label", "labels", "target", "targets", "classes", "class", "ids"];

/// Splits arrays into data sets and the rest. `source` names the file they share; empty: each is a file of its own.
/// Images are 8-bit arrays of 4 dims (channels first or last) or, where there are labels for them, of 3 (grey). Any other
/// numbers are samples where there are labels for them or where they lie in their file, floats also where `lone` asks
/// for 4 dims to be taken as images. Labels are integers of shape (N) or (N, 1).
pub fn assign(
    arrays: Vec<StoredArray>,
    source: &str,
    lone: bool,
) -> Result<(Vec<Dataset>, Vec<NamedArray>), ImportError> {
    let mut used = HashSet::new();
    let mut sets = Vec::new();
    for (index, array) in arrays.iter().enumerate() {
        let Some(count) = sample_count(&array.shape) else { continue };
        let labels_at = find_labels(&arrays, index, count);
        let Some(pixels) = pixels(array, labels_at.is_some(), lone) else { continue };
        let (name, origin) = match (source, array.name.as_str()) {
            // Files of their own: the array's name is the file's stem.
            ("", name) => (format!("{name}.npy"), format!("{name}.npy")),
            (source, "") => (source.to_owned(), source.to_owned()),
            (source, _) if arrays.len() == 1 => (source.to_owned(), source.to_owned()),
            (source, name) => (format!("{name} ({source})"), format!("{source}/{name}")),
        };
        let mut set = Dataset::new(name, origin, count, pixels);
        let mut member = Member { file: source.to_owned(), name: array.name.clone(), labels: None };
        if let Some(found) = labels_at.and_then(|at| arrays.get(at)) {
            set.labels = Some(labels(found)?);
            member.labels = Some(found.name.clone());
        }
        used.extend(labels_at);
        set.member = Some(member);
        used.insert(index);
        sets.push(set.check()?);
    }
    let rest = arrays.into_iter().enumerate().filter(|(at, _)| !used.contains(at));
    let rest = rest.filter_map(|(_, array)| Some(NamedArray { tensor: array.tensor()?, name: array.name }));
    Ok((sets, rest.collect()))
}

/// How many samples an array of these dims may hold: at least one, of at least one element.
fn sample_count(shape: &[usize]) -> Option<usize> {
    let is_samples = shape.len() >= 2 && !shape.contains(&0);
    is_samples.then(|| shape.first().copied()).flatten()
}

fn is_label_shape(shape: &[usize], count: usize) -> bool {
    matches!(shape, [n] | [n, 1] if *n == count)
}

/// The array that labels samples number `index`: the one whose name pairs, else the only one that fits.
fn find_labels(arrays: &[StoredArray], index: usize, count: usize) -> Option<usize> {
    let samples = arrays.get(index)?;
    if is_label_shape(&samples.shape, count) {
        return None;
    }
    let fits = |array: &StoredArray| {
        array.dtype.is_int() && is_label_shape(&array.shape, count) && matches!(array.bytes, Store::Memory(_))
    };
    let fitting: Vec<usize> = (0..arrays.len()).filter(|&at| at != index && arrays.get(at).is_some_and(fits)).collect();
    let named = |at: &usize| arrays.get(*at).is_some_and(|array| is_pair(&samples.name, &array.name));
    if let Some(at) = fitting.iter().copied().find(named) {
        return Some(at);
    }
    match fitting.as_slice() {
        [only] => Some(*only),
        several => several.iter().copied().find(|&at| arrays.get(at).is_some_and(|array| is_label_word(&array.name))),
    }
}

fn words(name: &str) -> Vec<String> {
    name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

fn is_label_word(name: &str) -> bool {
    words(name).iter().any(|word| LABEL_WORDS.contains(&word.as_str()))
}

/// Whether two names are equal but for one word of samples and its word of labels.
fn is_pair(samples: &str, labels: &str) -> bool {
    let (samples, labels) = (words(samples), words(labels));
    let differing: Vec<_> = samples.iter().zip(&labels).filter(|(a, b)| a != b).collect();
    let pairs = |a: &str, b: &str| PAIRS.iter().any(|(sample, label)| *sample == a && label.contains(&b));
    samples.len() == labels.len() && matches!(differing.as_slice(), [(a, b)] if pairs(a, b))
}

fn labels(array: &StoredArray) -> Result<Vec<u32>, ImportError> {
    let wrong = |found: String| {
        let expected = "class numbers from 0 up";
        ImportError::format(array.name.clone(), found, expected, "Save integer labels that count classes from 0.")
    };
    let tensor = array.tensor().ok_or_else(|| wrong("values that are not in memory".to_owned()))?;
    let values = tensor.to_i64().map_err(|error| wrong(error.to_string()))?;
    let label =
        |(at, value): (usize, i64)| u32::try_from(value).map_err(|_| wrong(format!("label {value} of sample {at}")));
    values.into_iter().enumerate().map(label).collect()
}

/// Which dim of one sample holds the channels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelsAt {
    First,
    Last,
}

/// Channels first or last, by which dim is 1, 3 or 4; last where both are.
pub(super) fn channels_at(dims: &[usize]) -> Option<ChannelsAt> {
    const CHANNELS: [usize; 3] = [1, 3, 4];
    match dims {
        [.., last] if dims.len() == 3 && CHANNELS.contains(last) => Some(ChannelsAt::Last),
        [first, ..] if dims.len() == 3 && CHANNELS.contains(first) => Some(ChannelsAt::First),
        _ => None,
    }
}

/// Images of 8-bit numbers with these dims; without channels only where they are `labelled`.
pub(super) fn image_pixels(sample: &[usize], bytes: Store, labelled: bool) -> Option<Pixels> {
    match (sample, channels_at(sample)) {
        (&[height, width, channels], Some(ChannelsAt::Last)) => {
            Some(Pixels::Interleaved { height, width, channels, bytes })
        }
        (&[channels, height, width], Some(ChannelsAt::First)) => {
            let stride_bytes = channels.checked_mul(height)?.checked_mul(width)?;
            Some(Pixels::Planar { height, width, channels, stride_bytes, offset_bytes: 0, bytes })
        }
        (&[height, width], None) if labelled => Some(Pixels::Interleaved { height, width, channels: 1, bytes }),
        _ => None,
    }
}

fn pixels(array: &StoredArray, labelled: bool, lone: bool) -> Option<Pixels> {
    let (&count, sample) = array.shape.split_first()?;
    let (dtype, bytes) = (array.dtype, array.bytes.clone());
    if dtype == DType::Uint8
        && let Some(images) = image_pixels(sample, bytes.clone(), labelled)
    {
        return Some(images);
    }
    let streamed = matches!(bytes, Store::File(_));
    // One integer tensor beside one number is rather a recorded activation than a sample with its class.
    let labelled = labelled && (dtype.is_float() || (dtype.is_int() && count > 1));
    let wanted = streamed || labelled || (dtype.is_float() && lone && channels_at(sample).is_some());
    (wanted && dtype.bits() >= Some(8)).then(|| Pixels::Values { dtype, shape: sample.to_vec(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn u8s(name: &str, shape: &[usize]) -> StoredArray {
        let values = vec![1u8; shape.iter().product()];
        NamedArray { name: name.to_owned(), tensor: Tensor::from_vec(shape.to_vec(), values).unwrap() }.into()
    }
    fn f32s(name: &str, shape: &[usize]) -> StoredArray {
        let values = vec![1f32; shape.iter().product()];
        NamedArray { name: name.to_owned(), tensor: Tensor::from_vec(shape.to_vec(), values).unwrap() }.into()
    }

    #[test]
    fn names_pair_samples_and_labels() {
        assert!(is_pair("x_train", "y_train") && is_pair("train_images", "train_labels") && is_pair("X", "y"));
        assert!(!is_pair("x_train", "y_test") && !is_pair("x", "x"));
        let arrays = vec![
            u8s("x_train", &[4, 8, 8, 3]),
            u8s("y_train", &[4, 1]),
            u8s("x_test", &[4, 8, 8, 3]),
            u8s("y_test", &[4]),
        ];
        let (sets, rest) = assign(arrays, "mnist.npz", false).unwrap();
        assert_eq!(sets.iter().map(|set| set.labels.is_some()).collect::<Vec<_>>(), [true, true]);
        assert!(rest.is_empty());
        assert_eq!(sets[1].name, "x_test (mnist.npz)");
        let member = sets[1].member.as_ref().unwrap();
        assert_eq!((member.file.as_str(), member.name.as_str()), ("mnist.npz", "x_test"));
        assert_eq!(member.labels.as_deref(), Some("y_test"));
    }

    #[test]
    fn labelled_integers_that_are_no_images_are_samples() {
        let (sets, rest) = assign(vec![u8s("x", &[4, 784]), u8s("y", &[4])], "mnist.npz", false).unwrap();
        assert_eq!((sets.len(), rest.len()), (1, 0));
        assert!(!sets[0].has_images() && sets[0].labels.is_some());
        assert_eq!(
            (sets[0].tensor(3).unwrap().shape(), sets[0].tensor(3).unwrap().dtype()),
            (&[784][..], DType::Uint8)
        );
        // An exported activation beside a number stays an array.
        let (sets, rest) = assign(vec![u8s("relu", &[1, 16]), u8s("zero", &[1])], "a.npz", false).unwrap();
        assert_eq!((sets.len(), rest.len()), (0, 2));
    }

    #[test]
    fn what_lies_in_its_file_finds_its_labels_and_is_a_set_without() {
        let read = |_, count| Ok(vec![0; count]);
        let bytes = Store::File(super::super::FileParts::new(4 * 16 * 4, read));
        let x = StoredArray { name: "x".to_owned(), dtype: DType::Float32, shape: vec![4, 16], bytes };
        let (sets, _) = assign(vec![x.clone(), u8s("y", &[4])], "", true).unwrap();
        assert_eq!((sets[0].count, sets[0].labels.as_deref()), (4, Some(&[1, 1, 1, 1][..])));
        let (sets, rest) = assign(vec![x], "", true).unwrap();
        assert_eq!((sets.len(), rest.len(), sets[0].labels.is_some()), (1, 0, false));
        assert_eq!(sets[0].tensor(3).unwrap().shape(), [16]);
    }

    #[test]
    fn layouts() {
        let (sets, _) = assign(vec![u8s("a", &[2, 3, 5, 7])], "a.npy", true).unwrap();
        let size = sets[0].image_size().unwrap();
        assert_eq!((size.height, size.width, size.channels), (5, 7, 3));
        let (sets, _) = assign(vec![u8s("x", &[2, 28, 28]), u8s("y", &[2])], "a.npz", false).unwrap();
        assert_eq!(sets[0].image_size().unwrap().channels, 1);
    }

    #[test]
    fn activations_stay_arrays() {
        let (sets, rest) =
            assign(vec![f32s("relu", &[2, 8, 8, 3]), f32s("add", &[2, 8, 8, 16])], "a.npz", false).unwrap();
        assert_eq!((sets.len(), rest.len()), (0, 2));
        let (sets, rest) = assign(vec![f32s("x", &[2, 640]), u8s("y", &[2])], "a.npz", false).unwrap();
        assert_eq!((sets.len(), rest.len()), (1, 0));
        assert_eq!(sets[0].tensor(0).unwrap().shape(), [640]);
        let (sets, rest) = assign(vec![f32s("empty", &[0, 8, 8, 3]), u8s("one", &[4])], "a.npz", true).unwrap();
        assert_eq!((sets.len(), rest.len()), (0, 2));
    }
}
