//! The CIFAR binary format: fixed-size records without header (<https://www.cs.toronto.edu/~kriz/cifar.html>).
//!
//! CIFAR-10: 1 label byte, then 1024 red, 1024 green, 1024 blue, row by row. CIFAR-100: a coarse and a fine label byte
//! (20 and 100 classes) before the same planes; the fine label is taken.

use super::{Dataset, ImportError, Pixels, Store};
use bytes::Bytes;

/// Bytes of the pixels of one image: 3 planes of 32 x 32.
pub const PIXEL_BYTES: usize = 3072;

/// The classes of CIFAR-10 in label order, as the format's page defines them.
pub const CIFAR10_CLASS_NAMES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// The two record layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One label byte, 0..=9.
    Cifar10,
    /// A coarse (0..=19) and a fine (0..=99) label byte.
    Cifar100,
}

impl Layout {
    /// Bytes of a record.
    pub fn record_bytes(self) -> usize {
        self.label_bounds().len() + PIXEL_BYTES
    }

    /// For every label byte: the first value that is too large.
    fn label_bounds(self) -> &'static [u8] {
        match self {
            Layout::Cifar10 => &[10],
            Layout::Cifar100 => &[20, 100],
        }
    }

    /// Whether every whole record starts with valid labels, and there is one.
    pub fn labels_fit(self, bytes: &[u8]) -> bool {
        let mut records = bytes.chunks_exact(self.record_bytes()).peekable();
        records.peek().is_some() && records.all(|record| record.iter().zip(self.label_bounds()).all(|(l, b)| l < b))
    }

    /// The layout of whole, valid records that these bytes are; CIFAR-10 first.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let fits = |layout: &Self| bytes.len().is_multiple_of(layout.record_bytes()) && layout.labels_fit(bytes);
        [Layout::Cifar10, Layout::Cifar100].into_iter().find(fits)
    }
}

/// The pixels of records.
pub(super) fn planar(layout: Layout, bytes: Store) -> Pixels {
    let (stride_bytes, offset_bytes) = (layout.record_bytes(), layout.label_bounds().len());
    Pixels::Planar { height: 32, width: 32, channels: 3, stride_bytes, offset_bytes, bytes }
}

/// Adds the labels of whole records to those of the records before.
pub(super) fn read_labels(layout: Layout, records: &[u8], labels: &mut Vec<u32>) -> Result<(), ImportError> {
    for record in records.chunks_exact(layout.record_bytes()) {
        let index = labels.len();
        for (position, (&label, &bound)) in record.iter().zip(layout.label_bounds()).enumerate() {
            if label >= bound {
                return Err(ImportError::format(
                    format!("image {index}, byte {}", index as u64 * layout.record_bytes() as u64 + position as u64),
                    format!("label {label}"),
                    format!("a label from 0 to {}", bound - 1),
                    "This is not a CIFAR batch in the binary format, or it is damaged.",
                ));
            }
        }
        labels.extend(record.get(layout.label_bounds().len() - 1).map(|&label| u32::from(label)));
    }
    Ok(())
}

/// Reads a batch. The planes stay in the file's bytes.
pub fn read(name: &str, source: &str, bytes: Bytes) -> Result<Dataset, ImportError> {
    let layout = Layout::of(&bytes).unwrap_or(Layout::Cifar10);
    let record_bytes = layout.record_bytes();
    let count = bytes.len() / record_bytes;
    let rest = bytes.len() % record_bytes;
    if rest != 0 || count == 0 {
        return Err(ImportError::cut_short(
            format!("image {count}, byte {}", count * record_bytes),
            format!("{rest} bytes ({} in all)", bytes.len()),
            format!("{record_bytes} bytes per image: a label and 3 planes of 32 x 32"),
        ));
    }
    let mut labels = Vec::with_capacity(count);
    read_labels(layout, &bytes, &mut labels)?;
    let pixels = planar(layout, bytes.into());
    let set = Dataset { labels: Some(labels), ..Dataset::new(name, source, count, pixels) };
    if layout == Layout::Cifar10 { with_assumed_names(set).check() } else { set.check() }
}

/// The set with CIFAR-10's class names, marked as assumed: a file beside it may say otherwise.
pub fn with_assumed_names(set: Dataset) -> Dataset {
    let class_names = Some(CIFAR10_CLASS_NAMES.map(str::to_owned).to_vec());
    Dataset { class_names, class_names_assumed: true, ..set }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(labels: &[u8]) -> Vec<u8> {
        let record = |&label: &u8| [vec![label], vec![label * 2; PIXEL_BYTES]].concat();
        labels.iter().flat_map(record).collect()
    }

    #[test]
    fn labels_and_pixels() {
        let set = read("a", "a", records(&[3, 9]).into()).unwrap();
        assert_eq!((set.count, set.labels.clone().unwrap()), (2, vec![3, 9]));
        assert!(set.image(1).unwrap().data.iter().all(|&value| value == 18));
    }

    #[test]
    fn two_label_bytes() {
        let bytes: Vec<u8> = [19u8, 99].into_iter().chain([5; PIXEL_BYTES]).collect();
        assert_eq!(Layout::of(&bytes), Some(Layout::Cifar100));
        assert_eq!(read("a", "a", bytes.into()).unwrap().labels, Some(vec![99]));
    }

    #[test]
    fn wrong_labels_and_wrong_lengths_are_said() {
        let wrong = read("a", "a", records(&[3, 100]).into()).unwrap_err().to_string();
        assert!(wrong.contains("image 1, byte 3073") && wrong.contains("label 100"), "{wrong}");
        let mut cut = records(&[3, 4]);
        cut.pop();
        assert!(read("a", "a", cut.into()).unwrap_err().to_string().contains("3073"));
        assert!(read("a", "a", Bytes::new()).is_err());
    }
}
