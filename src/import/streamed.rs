//! Data sets larger than memory: their file stays where it is.

use super::cifar::{self, Layout};
use super::source::{base_name, stem};
use super::{Dataset, FileParts, ImportError, Kind, Store, StoredArray, detect, streamed_npz};

/// Bytes that tell what a file is.
const HEAD_BYTES: usize = 1 << 20;
/// Records whose labels are read at a time: 12.6 MB.
const RECORDS_AT_ONCE: usize = 4096;

/// What was found in a large file, and stays there.
#[derive(Clone, Debug)]
pub enum Streamed {
    /// A data set with its labels.
    Set(Box<Dataset>),
    /// The array of an .npy; its labels may lie in another file.
    Array(StoredArray),
    /// The arrays of an .npz, small ones read, and why others could not be.
    Members {
        /// In the order: those that stay, those that were read.
        arrays: Vec<StoredArray>,
        /// One for each member that could not be read.
        errors: Vec<ImportError>,
    },
}

/// What is in a large file without having its images in memory: a CIFAR batch in the binary format, the array of an .npy
/// (numbers in row-major and little-endian order), the arrays of an .npz that are stored so. `None` for every other
/// file: it has to be read as a whole.
pub fn open_streamed(path: &str, file: &FileParts) -> Option<Result<Streamed, ImportError>> {
    // Whoever reads the whole file next says why it cannot be read.
    let head = file.read(0, HEAD_BYTES).ok()?;
    match detect(path, &head, file.len()) {
        Kind::Npy => return Some(Ok(Streamed::Array(streamed_npz::array(stem(path), &head, file)?))),
        Kind::Npz => {
            let (arrays, errors) = streamed_npz::arrays(file)?;
            return Some(Ok(Streamed::Members { arrays, errors }));
        }
        _ => {}
    }
    let layout = [Layout::Cifar10, Layout::Cifar100].into_iter().find(|layout| {
        let whole = file.len().is_multiple_of(layout.record_bytes() as u64);
        whole && layout.labels_fit(&head)
    })?;
    Some(records(path, layout, file).map(|set| Streamed::Set(Box::new(set))))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(bytes: Vec<u8>) -> FileParts {
        FileParts::new(bytes.len() as u64, move |start, count| {
            let start = start as usize;
            Ok(bytes.get(start..start + count).unwrap_or_default().to_vec())
        })
    }

    fn set(found: Option<Result<Streamed, ImportError>>) -> Dataset {
        match found {
            Some(Ok(Streamed::Set(set))) => *set,
            other => panic!("{other:?}"),
        }
    }

    /// An array as numpy.save writes it.
    fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
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
        let streamed = set(open_streamed("a.bin", &parts(bytes.clone())));
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
        let array = |bytes: &[u8]| match open_streamed("dir/x.npy", &parts(bytes.to_vec())) {
            Some(Ok(Streamed::Array(array))) => Some(array),
            None => None,
            other => panic!("{other:?}"),
        };
        let mut bytes = npy("|u1", "(3, 2, 2, 3)", &(0..36).collect::<Vec<u8>>());
        let found = array(&bytes).unwrap();
        assert_eq!((found.name.as_str(), found.shape.as_slice()), ("x", [3, 2, 2, 3].as_slice()));
        let (sets, _) = super::super::arrays::assign(vec![found], "x.npy", true).unwrap();
        assert_eq!(sets[0].image(2).unwrap().data, (24..36).collect::<Vec<_>>());
        bytes.pop();
        assert!(array(&bytes).is_none(), "a cut file is left to the reader that says so");
        let floats: Vec<u8> = (0..8).flat_map(|value| (value as f32).to_le_bytes()).collect();
        let (sets, _) =
            super::super::arrays::assign(vec![array(&npy("<f4", "(4, 2)", &floats)).unwrap()], "x.npy", true).unwrap();
        assert_eq!(sets[0].tensor(3).unwrap().to_f32().unwrap(), [6.0, 7.0]);
        for (descr, shape) in [(">f4", "(4, 2)"), ("<f4", "(8,)"), ("|b1", "(16, 2)"), ("<f4", "(0, 2)")] {
            assert!(array(&npy(descr, shape, &floats)).is_none(), "{descr} {shape}");
        }
        assert!(open_streamed("x.onnx", &parts(vec![8; 3073 * 2 + 1])).is_none());
    }

    #[test]
    fn stored_members_stay_and_the_others_are_read() {
        use std::io::Write;
        use zip::write::SimpleFileOptions;
        const COUNT: usize = 600;
        let values: Vec<u8> = (0..COUNT * 512).flat_map(|at| (at as f32).to_le_bytes()).collect();
        let labels: Vec<u8> = (0..COUNT).map(|at| (at % 7) as u8).collect();
        let archive = |method: zip::CompressionMethod| {
            let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
            let members = [("x.npy", npy("<f4", "(600, 512)", &values)), ("y.npy", npy("|u1", "(600,)", &labels))];
            for (name, bytes) in members {
                zip.start_file(name, SimpleFileOptions::default().compression_method(method)).unwrap();
                zip.write_all(&bytes).unwrap();
            }
            zip.finish().unwrap().into_inner()
        };
        let stored = archive(zip::CompressionMethod::Stored);
        let Some(Ok(Streamed::Members { arrays, errors })) = open_streamed("set.npz", &parts(stored)) else { panic!() };
        assert!(errors.is_empty(), "{errors:?}");
        let kinds: Vec<bool> = arrays.iter().map(|array| matches!(array.bytes, Store::File(_))).collect();
        assert_eq!(kinds, [true, false]);
        let (sets, rest) = super::super::arrays::assign(arrays, "set.npz", false).unwrap();
        assert!(rest.is_empty());
        assert_eq!(sets[0].label(599), Some((599 % 7) as u32));
        assert_eq!(sets[0].tensor(599).unwrap().to_f32().unwrap()[511], (COUNT * 512 - 1) as f32);
        let packed = archive(zip::CompressionMethod::Deflated);
        assert!(open_streamed("set.npz", &parts(packed)).is_none(), "what is packed is read as a whole");
    }
}
