//! The .npz file: a zip of .npy files, as `numpy.savez` and `numpy.savez_compressed` write it.

use super::npy::{Conversion, NpyError, npy};
use crate::tensor::Tensor;
use std::collections::HashSet;
use std::io::{Cursor, Write};
use thiserror::Error;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// How the members of an archive are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As they are (`numpy.savez`): fast, and activations hardly shrink.
    Stored,
    /// Deflated (`numpy.savez_compressed`).
    Deflated,
}

/// A .npz file in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct NpzFile {
    /// The file.
    pub bytes: Vec<u8>,
    /// The arrays whose type numpy lacks, by name.
    pub conversions: Vec<(String, Conversion)>,
}

/// Why there is no archive.
#[derive(Debug, Error)]
pub enum NpzError {
    /// Two arrays have one name; a reader would see only one.
    #[error("two arrays are called '{0}'")]
    DuplicateName(String),
    /// An array has no .npy form.
    #[error("array '{name}': {source}")]
    Array {
        /// Name of the array.
        name: String,
        /// What is wrong with it.
        source: NpyError,
    },
    /// The archive cannot be written: a name beyond 64 KiB, for instance.
    #[error("the archive cannot be written at '{name}': {reason}")]
    Archive {
        /// Name of the array.
        name: String,
        /// The zip writer's words.
        reason: String,
    },
}

/// The named arrays as one archive, in the order given and with a fixed date: equal arrays give equal bytes.
///
/// Names stay as they are, `/` and `:` included, and are the keys of `numpy.load`. That holds for every name but one that
/// contains a NUL, which Python's zip reader cuts there.
pub fn npz(arrays: &[(&str, &Tensor)], compression: Compression) -> Result<NpzFile, NpzError> {
    let method = match compression {
        Compression::Stored => CompressionMethod::Stored,
        Compression::Deflated => CompressionMethod::Deflated,
    };
    let options = SimpleFileOptions::default()
        .compression_method(method)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let (mut names, mut conversions) = (HashSet::new(), Vec::new());
    for &(name, tensor) in arrays {
        if !names.insert(name) {
            return Err(NpzError::DuplicateName(name.to_owned()));
        }
        let file = npy(tensor).map_err(|source| NpzError::Array { name: name.to_owned(), source })?;
        conversions.extend(file.conversion.map(|conversion| (name.to_owned(), conversion)));
        let large = u32::try_from(file.bytes.len()).is_err();
        let archive = |reason: String| NpzError::Archive { name: name.to_owned(), reason };
        writer.start_file(format!("{name}.npy"), options.large_file(large)).map_err(|e| archive(e.to_string()))?;
        writer.write_all(&file.bytes).map_err(|e| archive(e.to_string()))?;
    }
    let end = |reason: String| NpzError::Archive { name: "its end".to_owned(), reason };
    let bytes = writer.finish().map_err(|error| end(error.to_string()))?.into_inner();
    Ok(NpzFile { bytes, conversions })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    const NAMES: [&str; 5] = ["model_1/conv2d/BiasAdd:0", "/leading/../dots", "a b\\c", "überwacht:層", ""];

    fn archive(compression: Compression) -> NpzFile {
        let tensor = |i: usize| Tensor::from_vec(vec![2, i], (0..2 * i).map(|v| v as f32 / 3.0).collect()).unwrap();
        let tensors: Vec<Tensor> = (0..NAMES.len()).map(tensor).collect();
        let arrays: Vec<(&str, &Tensor)> = NAMES.into_iter().zip(&tensors).collect();
        npz(&arrays, compression).unwrap()
    }

    #[test]
    fn members_come_back_by_name_and_in_order() {
        for compression in [Compression::Stored, Compression::Deflated] {
            let mut read = zip::ZipArchive::new(Cursor::new(archive(compression).bytes)).unwrap();
            assert_eq!(read.len(), NAMES.len());
            for (index, name) in NAMES.into_iter().enumerate() {
                let mut member = read.by_index(index).unwrap();
                assert_eq!(member.name().unwrap(), format!("{name}.npy"));
                let mut bytes = Vec::new();
                member.read_to_end(&mut bytes).unwrap();
                let expected = Tensor::from_vec(vec![2, index], (0..2 * index).map(|v| v as f32 / 3.0).collect());
                assert_eq!(bytes, npy(&expected.unwrap()).unwrap().bytes);
            }
        }
    }

    #[test]
    fn equal_arrays_give_equal_bytes() {
        assert_eq!(archive(Compression::Deflated), archive(Compression::Deflated));
    }

    #[test]
    fn a_name_is_given_once() {
        let tensor = Tensor::from_vec(vec![], vec![1u8]).unwrap();
        let twice = npz(&[("a", &tensor), ("a", &tensor)], Compression::Stored);
        assert!(matches!(twice, Err(NpzError::DuplicateName(name)) if name == "a"));
    }

    #[test]
    fn conversions_are_said_by_name() {
        let half = Tensor::from_vec(vec![1], vec![half::bf16::ONE]).unwrap();
        let file = npz(&[("x", &half)], Compression::Stored).unwrap();
        assert_eq!(file.conversions.len(), 1);
        assert_eq!(file.conversions[0].0, "x");
    }
}
