//! Data sets larger than memory: their file stays where it is.

use super::cifar::{self, Layout};
use super::source::base_name;
use super::{Dataset, FileParts, ImportError, Kind, Store, detect, npy};

/// Bytes that tell what a file is.
const HEAD_BYTES: usize = 1 << 20;
/// Records whose labels are read at a time: 12.6 MB.
const RECORDS_AT_ONCE: usize = 4096;

/// The data set in a large file, with its labels but without its images in memory: a CIFAR batch in the binary format,
/// or an .npy of 8-bit images. `None` for every other file: it has to be read as a whole.
pub fn open_streamed(path: &str, file: &FileParts) -> Option<Result<Dataset, ImportError>> {
    // Whoever reads the whole file next says why it cannot be read.
    let head = file.read(0, HEAD_BYTES).ok()?;
    if detect(path, &head, file.len()) == Kind::Npy {
        return array(path, &head, file);
    }
    let layout = [Layout::Cifar10, Layout::Cifar100].into_iter().find(|layout| {
        let whole = file.len().is_multiple_of(layout.record_bytes() as u64);
        whole && layout.labels_fit(&head)
    })?;
    Some(records(path, layout, file))
}

fn records(path: &str, layout: Layout, file: &FileParts) -> Result<Dataset, ImportError> {
    let record_bytes = layout.record_bytes();
    let count = file.len() / record_bytes as u64;
    let too_many = |_| ImportError::LimitExceeded {
        place: "the file".into(),
        what: "images".into(),
        found: count,
        limit: u64::from(u32::MAX),
    };
    let count = u32::try_from(count).map_err(too_many)? as usize;
    let mut labels = Vec::new();
    while labels.len() < count {
        let now = RECORDS_AT_ONCE.min(count - labels.len());
        let start = labels.len() as u64 * record_bytes as u64;
        let part = file.read(start, now * record_bytes).map_err(|reason| {
            ImportError::format(format!("byte {start}"), reason, "a file that can be read", "Open the file again.")
        })?;
        if part.len() < now * record_bytes {
            return Err(ImportError::cut_short(
                format!("byte {start}"),
                format!("{} bytes", part.len()),
                format!("{} bytes", now * record_bytes),
            ));
        }
        cifar::read_labels(layout, &part, &mut labels)?;
    }
    let pixels = cifar::planar(layout, Store::File(file.clone()));
    let set = Dataset { labels: Some(labels), ..Dataset::new(base_name(path), path, count, pixels) };
    let set = if layout == Layout::Cifar10 { cifar::with_assumed_names(set) } else { set };
    set.check()
}

fn array(path: &str, head: &[u8], file: &FileParts) -> Option<Result<Dataset, ImportError>> {
    let (shape, start) = npy::images_of_bytes(head)?;
    let (&count, sample) = shape.split_first()?;
    let size = sample.iter().try_fold(1usize, |size, &dim| size.checked_mul(dim))?;
    let len = (count as u64).checked_mul(size as u64)?;
    // A file that is cut short is said when it is read as a whole.
    if start.checked_add(len)? > file.len() {
        return None;
    }
    let whole = file.clone();
    let data = FileParts::new(len, move |from, bytes| whole.read(start + from, bytes));
    let pixels = super::arrays::image_pixels(sample, Store::File(data), false)?;
    Some(Dataset::new(base_name(path), path, count, pixels).check())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(bytes: Vec<u8>) -> FileParts {
        FileParts::new(bytes.len() as u64, move |start, count| {
            let start = start as usize;
            Ok(bytes.get(start..start + count).unwrap_or_default().to_vec())
        })
    }

    #[test]
    fn a_streamed_batch_is_the_batch() {
        // More records than the head holds.
        const RECORDS: usize = HEAD_BYTES / 3073 + 60;
        let bytes: Vec<u8> = (0..RECORDS)
            .flat_map(|image| {
                std::iter::once((image % 10) as u8).chain((0..3072).map(move |at| (image * 31 + at * 7) as u8))
            })
            .collect();
        let whole = cifar::read("a.bin", "a.bin", bytes.clone().into()).unwrap();
        let streamed = open_streamed("a.bin", &parts(bytes.clone())).unwrap().unwrap();
        assert_eq!((streamed.count, &streamed.labels), (RECORDS, &whole.labels));
        assert_eq!(streamed.class_names, whole.class_names);
        for index in [0, 150, RECORDS - 1] {
            assert_eq!(streamed.image(index).unwrap(), whole.image(index).unwrap());
        }
        assert!(streamed.image(RECORDS).is_err());
        let with_label = |record: usize, label: u8| {
            let mut wrong = bytes.clone();
            wrong[3073 * record] = label;
            open_streamed("a.bin", &parts(wrong))
        };
        assert!(with_label(290, 77).is_none(), "a head with such a label is no batch's");
        let error = with_label(RECORDS - 1, 77).unwrap().unwrap_err();
        assert!(error.to_string().contains("77"), "{error}");
    }

    #[test]
    fn a_streamed_array_is_the_array() {
        let header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (3, 2, 2, 3), }\n";
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header);
        bytes.extend(0..36u8);
        let set = open_streamed("x.npy", &parts(bytes.clone())).unwrap().unwrap();
        assert_eq!(set.count, 3);
        assert_eq!(set.image(2).unwrap().data, (24..36).collect::<Vec<u8>>());
        bytes.pop();
        assert!(open_streamed("x.npy", &parts(bytes)).is_none(), "a cut file is left to the reader that says so");
        assert!(open_streamed("x.onnx", &parts(vec![8; 3073 * 2 + 1])).is_none());
    }
}
