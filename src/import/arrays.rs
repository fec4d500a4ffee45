//! Which of some arrays are images, which are labels, and which are just arrays.

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
/// Images are 8-bit arrays of 4 dims (channels first or last) or, where there are labels for them, of 3 (grey); float
/// arrays are samples where there are labels for them or `lone` asks for 4 dims to be taken as images. Labels are
/// integers of shape (N) or (N, 1).
pub fn assign(
    arrays: Vec<NamedArray>,
    source: &str,
    lone: bool,
) -> Result<(Vec<Dataset>, Vec<NamedArray>), ImportError> {
    let mut used = HashSet::new();
    let mut sets = Vec::new();
    for (index, array) in arrays.iter().enumerate() {
        let Some(count) = sample_count(&array.tensor) else { continue };
        let labels_at = find_labels(&arrays, index, count);
        let Some(pixels) = pixels(&array.tensor, labels_at.is_some(), lone) else { continue };
        let (name, origin) = match (source, array.name.as_str()) {
            // Files of their own: the array's name is the file's stem.
            ("", name) => (format!("{name}.npy"), format!("{name}.npy")),
            (source, "") => (source.to_owned(), source.to_owned()),
            (source, _) if arrays.len() == 1 => (source.to_owned(), source.to_owned()),
            (source, name) => (format!("{name} ({source})"), format!("{source}/{name}")),
        };
        let mut set = Dataset::new(name, origin, count, pixels);
        if let Some(at) = labels_at {
            set.labels = arrays.get(at).map(labels).transpose()?;
            used.insert(at);
        }
        used.insert(index);
        sets.push(set.check()?);
    }
    let rest = arrays.into_iter().enumerate().filter(|(at, _)| !used.contains(at)).map(|(_, array)| array).collect();
    Ok((sets, rest))
}

/// How many samples an array may hold: at least one, of at least one element.
fn sample_count(tensor: &Tensor) -> Option<usize> {
    let is_samples = tensor.shape().len() >= 2 && !tensor.is_empty();
    is_samples.then(|| tensor.shape().first().copied()).flatten()
}

fn is_label_shape(shape: &[usize], count: usize) -> bool {
    matches!(shape, [n] | [n, 1] if *n == count)
}

/// The array that labels samples number `index`: the one whose name pairs, else the only one that fits.
fn find_labels(arrays: &[NamedArray], index: usize, count: usize) -> Option<usize> {
    let samples = arrays.get(index)?;
    if is_label_shape(samples.tensor.shape(), count) {
        return None;
    }
    let fits = |array: &NamedArray| array.tensor.dtype().is_int() && is_label_shape(array.tensor.shape(), count);
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

fn labels(array: &NamedArray) -> Result<Vec<u32>, ImportError> {
    let wrong = |found: String| {
        let expected = "class numbers from 0 up";
        ImportError::format(array.name.clone(), found, expected, "Save integer labels that count classes from 0.")
    };
    let values = array.tensor.to_i64().map_err(|error| wrong(error.to_string()))?;
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

fn pixels(tensor: &Tensor, labelled: bool, lone: bool) -> Option<Pixels> {
    let bytes = tensor.bytes().clone();
    let sample = tensor.shape().get(1..)?;
    if tensor.dtype() == DType::Uint8 {
        return image_pixels(sample, bytes.into(), labelled);
    }
    let wanted = labelled || (lone && channels_at(sample).is_some());
    if !tensor.dtype().is_float() || !wanted {
        return None;
    }
    let bytes = match tensor.dtype() {
        DType::Float32 => bytes,
        _ => Bytes::from(bytemuck::cast_slice::<f32, u8>(&tensor.to_f32().ok()?).to_vec()),
    };
    Some(Pixels::F32 { shape: sample.to_vec(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn u8s(name: &str, shape: &[usize]) -> NamedArray {
        let values = vec![1u8; shape.iter().product()];
        NamedArray { name: name.to_owned(), tensor: Tensor::from_vec(shape.to_vec(), values).unwrap() }
    }
    fn f32s(name: &str, shape: &[usize]) -> NamedArray {
        let values = vec![1f32; shape.iter().product()];
        NamedArray { name: name.to_owned(), tensor: Tensor::from_vec(shape.to_vec(), values).unwrap() }
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
