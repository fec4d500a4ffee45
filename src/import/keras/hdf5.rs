//! An HDF5 file as Keras writes it: groups with text attributes, and data sets of numbers.

use crate::import::limits::{Limits, check_ratio};
use crate::import::{ImportError, SourceTensor};
use crate::tensor::{DType, Tensor};
use bytes::Bytes;
use hdf5_reader::group::Group;
use hdf5_reader::{Attribute, Dataset, Datatype, Hdf5File, OpenOptions};
use std::collections::HashSet;

/// Groups inside each other: Keras nests as deep as models in models go.
const DEEPEST_GROUP: usize = 64;
/// Groups and data sets of one file.
const MOST_OBJECTS: usize = 100_000;
/// Largest decoded chunk. Keras writes without chunks, other writers chunks of a few MiB.
const LARGEST_CHUNK_BYTES: usize = 64 << 20;
/// Largest object header: `model_config` of a large network is an attribute of some MiB.
const LARGEST_HEADER_BYTES: usize = 64 << 20;

/// An open file.
pub(super) struct H5 {
    file: Hdf5File,
    /// How places in it are named, for messages: empty for a bare `.h5`.
    prefix: String,
}

impl H5 {
    /// Reads the superblock; everything else is read when it is asked for.
    pub fn open(bytes: Bytes, prefix: &str) -> Result<Self, ImportError> {
        let options = OpenOptions::default()
            .with_max_read_bytes(usize::try_from(Limits::default().unpacked_bytes).unwrap_or(usize::MAX))
            .with_max_chunk_bytes(LARGEST_CHUNK_BYTES)
            .with_max_object_header_bytes(LARGEST_HEADER_BYTES);
        let file = Hdf5File::from_owner(bytes, options)
            .map_err(|error| damaged(&format!("{prefix}start of the file"), &error))?;
        Ok(H5 { file, prefix: prefix.to_owned() })
    }

    fn place(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    fn group(&self, path: &str) -> Result<Group, ImportError> {
        let group = if path.trim_matches('/').is_empty() { self.file.root_group() } else { self.file.group(path) };
        group.map_err(|error| damaged(&self.place(path), &error))
    }

    /// Names of the groups in a group; none where it is not there.
    pub fn child_groups(&self, path: &str) -> Result<Vec<String>, ImportError> {
        let (groups, _) = self.group(path)?.member_names().map_err(|error| damaged(&self.place(path), &error))?;
        Ok(groups)
    }

    fn attributes(&self, path: &str) -> Result<Vec<Attribute>, ImportError> {
        self.group(path)?.attributes().map_err(|error| damaged(&self.place(path), &error))
    }

    /// A text attribute of a group.
    pub fn text(&self, path: &str, name: &str) -> Result<Option<String>, ImportError> {
        let Some(attribute) = self.attributes(path)?.into_iter().find(|attribute| attribute.name == name) else {
            return Ok(None);
        };
        let place = || self.place(&format!("{path} attribute '{name}'"));
        attribute.read_string().map(Some).map_err(|error| damaged(&place(), &error))
    }

    /// An attribute that lists names. What does not fit into one is spread over `name0`, `name1`, ...
    pub fn texts(&self, path: &str, name: &str) -> Result<Option<Vec<String>>, ImportError> {
        let attributes = self.attributes(path)?;
        let read = |attribute: &Attribute| {
            // An empty list is written as an array of floats.
            if attribute.num_elements().is_ok_and(|count| count == 0) {
                return Ok(Vec::new());
            }
            let place = self.place(&format!("{path} attribute '{}'", attribute.name));
            attribute.read_strings().map_err(|error| damaged(&place, &error))
        };
        if let Some(whole) = attributes.iter().find(|attribute| attribute.name == name) {
            return read(whole).map(Some);
        }
        let mut parts: Vec<(usize, &Attribute)> = attributes
            .iter()
            .filter_map(|attribute| Some((attribute.name.strip_prefix(name)?.parse().ok()?, attribute)))
            .collect();
        parts.sort_by_key(|(number, _)| *number);
        if parts.is_empty() {
            return Ok(None);
        }
        let lists = parts.into_iter().map(|(_, part)| read(part)).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(lists.concat()))
    }

    /// Every data set of numbers, in the file's order. Their sizes are checked against the size of the file first.
    pub fn tensors(&self, file_bytes: u64) -> Result<Vec<SourceTensor>, ImportError> {
        let mut walk = Walk { found: Vec::new(), seen: HashSet::new(), objects: 0, read_bytes: 0, file_bytes };
        self.walk(&self.group("/")?, "", 0, &mut walk)?;
        Ok(walk.found)
    }

    fn walk(&self, group: &Group, path: &str, depth: usize, walk: &mut Walk) -> Result<(), ImportError> {
        if depth > DEEPEST_GROUP {
            return Err(limit(self.place(path), "groups inside each other", depth, DEEPEST_GROUP));
        }
        // A link back to a group above would never end.
        if !walk.seen.insert(group.address()) {
            return Ok(());
        }
        let (groups, datasets) = group.members().map_err(|error| damaged(&self.place(path), &error))?;
        walk.objects += groups.len() + datasets.len();
        if walk.objects > MOST_OBJECTS {
            return Err(limit(self.place(path), "groups and data sets", walk.objects, MOST_OBJECTS));
        }
        for dataset in &datasets {
            let path = format!("{path}/{}", dataset.name());
            if let Some(tensor) = self.dataset(dataset, path, walk)? {
                walk.found.push(tensor);
            }
        }
        for child in &groups {
            self.walk(child, &format!("{path}/{}", child.name()), depth + 1, walk)?;
        }
        Ok(())
    }

    fn dataset(&self, dataset: &Dataset, path: String, walk: &mut Walk) -> Result<Option<SourceTensor>, ImportError> {
        let place = self.place(&path);
        let Some((dtype, name)) = element_type(dataset) else { return Ok(None) };
        let dims = dataset.shape().iter().map(|&dim| usize::try_from(dim).ok());
        let shape: Option<Vec<usize>> = dims.collect();
        let count = shape.as_ref().and_then(|shape| shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim)));
        let bytes = count.and_then(|count| dtype.bytes_for(count)).map_or(u64::MAX, |bytes| bytes as u64);
        walk.read_bytes = walk.read_bytes.saturating_add(bytes);
        let limits = Limits::default();
        if walk.read_bytes > limits.unpacked_bytes {
            return Err(ImportError::LimitExceeded {
                place: place.into(),
                what: "bytes of data sets".into(),
                found: walk.read_bytes,
                limit: limits.unpacked_bytes,
            });
        }
        check_ratio(&limits, &place, walk.read_bytes, walk.file_bytes)?;
        // Memory order is file order: wasm and every supported host are little-endian.
        let data = dataset.read_native_bytes().map_err(|error| damaged(&place, &error))?;
        let shape = shape.unwrap_or_default();
        let tensor = Tensor::new(dtype, shape.clone(), data.into()).map_err(|error| {
            ImportError::format(place, error.to_string(), "as many bytes as type and shape need", DAMAGED)
        })?;
        Ok(Some(SourceTensor { path, dtype: name, shape, tensor }))
    }
}

struct Walk {
    found: Vec<SourceTensor>,
    seen: HashSet<u64>,
    objects: usize,
    read_bytes: u64,
    file_bytes: u64,
}

const DAMAGED: &str = "The file is cut short or damaged: save the model again, or copy the file again.";

fn damaged(place: &str, error: &hdf5_reader::error::Error) -> ImportError {
    ImportError::format(place.to_owned(), error.to_string(), "a readable HDF5 structure", DAMAGED)
}

fn limit(place: String, what: &'static str, found: usize, limit: usize) -> ImportError {
    ImportError::LimitExceeded { place: place.into(), what: what.into(), found: found as u64, limit: limit as u64 }
}

/// The element type, and its name as numpy writes it; `None` for texts and everything else that is no number.
fn element_type(dataset: &Dataset) -> Option<(DType, String)> {
    let order = |order: &hdf5_reader::ByteOrder, size: u8| match order {
        _ if size == 1 => '|',
        hdf5_reader::ByteOrder::LittleEndian => '<',
        hdf5_reader::ByteOrder::BigEndian => '>',
    };
    match dataset.dtype() {
        Datatype::FloatingPoint { size, byte_order } => {
            // Keras stores bfloat16 as the bits of 16-bit numbers and says so beside them.
            let is_bfloat = dataset.attributes().iter().any(|attribute| {
                attribute.name == "dtype" && attribute.read_string().is_ok_and(|text| text == "bfloat16")
            });
            let dtype = match size {
                2 if is_bfloat => DType::Bfloat16,
                2 => DType::Float16,
                4 => DType::Float32,
                8 => DType::Float64,
                _ => return None,
            };
            Some((dtype, format!("{}f{size}", order(byte_order, *size))))
        }
        Datatype::FixedPoint { size, signed, byte_order } => {
            let dtype = match (size, signed) {
                (1, true) => DType::Int8,
                (2, true) => DType::Int16,
                (4, true) => DType::Int32,
                (8, true) => DType::Int64,
                (1, false) => DType::Uint8,
                (2, false) => DType::Uint16,
                (4, false) => DType::Uint32,
                (8, false) => DType::Uint64,
                _ => return None,
            };
            Some((dtype, format!("{}{}{size}", order(byte_order, *size), if *signed { 'i' } else { 'u' })))
        }
        // numpy's bool is an enumeration of one byte.
        Datatype::Enum { base, .. } if matches!(**base, Datatype::FixedPoint { size: 1, .. }) => {
            Some((DType::Bool, "|b1".to_owned()))
        }
        _ => None,
    }
}
