//! The .npy format, versions 1 to 3 (numpy's `lib/format.py`): magic, version, header length, a Python dict, the data.
//! Read by hand: the format is thirty lines, and no crate reads every dtype to our [`Tensor`] under our errors.

use super::ImportError;
use crate::tensor::{DType, Tensor, TensorError};
use bytes::Bytes;

/// The first bytes of every .npy file.
pub const MAGIC: &[u8] = b"\x93NUMPY";
const SAVE_AGAIN: &str = "Save it again with numpy.save.";

/// Reads an array into row-major little-endian order. Bytes behind the data are ignored, as numpy does.
pub fn read(bytes: &Bytes) -> Result<Tensor, ImportError> {
    let (header, data_start) = header(bytes)?;
    let text = String::from_utf8_lossy(header);
    let fields = Fields::parse(&text).ok_or_else(|| {
        let found = text.chars().take(60).collect::<String>();
        let expected = "a dict with descr, fortran_order and shape";
        ImportError::format("header", format!("{found:?}"), expected, SAVE_AGAIN)
    })?;
    let descr = Descr::parse(&fields.descr)?;
    array(&descr, &fields.shape, fields.fortran_order, &bytes.slice(data_start..))
}

/// Type, shape and start of the data of an array whose samples lie in its file as they are used: numbers in row-major
/// and little-endian order. From the beginning of the file; `None` for everything else.
pub(super) fn layout(head: &[u8]) -> Option<(DType, Vec<usize>, u64)> {
    let (header, data_start) = header(head).ok()?;
    let fields = Fields::parse(&String::from_utf8_lossy(header))?;
    let Descr { dtype, big_endian } = Descr::parse(&fields.descr).ok()?;
    // Booleans have to be looked at: only 0 and 1 are some.
    if fields.fortran_order || (big_endian && dtype.bits() != Some(8)) || dtype == DType::Bool {
        return None;
    }
    let shape = fields.shape.iter().map(|&dim| usize::try_from(dim).ok()).collect::<Option<_>>()?;
    Some((dtype, shape, data_start as u64))
}

/// The header's text and where the data start.
fn header(bytes: &[u8]) -> Result<(&[u8], usize), ImportError> {
    let magic = bytes.get(..MAGIC.len());
    if magic != Some(MAGIC) {
        return Err(ImportError::format("first bytes", format!("{magic:02x?}"), "the magic \\x93NUMPY", SAVE_AGAIN));
    }
    let cut = || ImportError::cut_short("header", format!("{} bytes", bytes.len()), "a whole header");
    let major = *bytes.get(MAGIC.len()).ok_or_else(cut)?;
    let (length, start) = match major {
        1 => (bytes.get(8..10).ok_or_else(cut)?.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b)), 10),
        2 | 3 => {
            let raw: [u8; 4] = bytes.get(8..12).and_then(|raw| raw.try_into().ok()).ok_or_else(cut)?;
            (usize::try_from(u32::from_le_bytes(raw)).unwrap_or(usize::MAX), 12)
        }
        other => {
            let found = format!("format version {other}");
            return Err(ImportError::unsupported("header, byte 6", found, "version 1, 2 or 3", SAVE_AGAIN));
        }
    };
    let end = usize::checked_add(start, length).filter(|&end| end <= bytes.len());
    let end = end.ok_or_else(|| {
        let found = format!("{} bytes in the file", bytes.len());
        ImportError::cut_short("header", found, format!("the {length} header bytes it announces"))
    })?;
    Ok((bytes.get(start..end).ok_or_else(cut)?, end))
}

/// The three fields of the header dict.
#[derive(Debug, Default)]
struct Fields {
    descr: String,
    fortran_order: bool,
    shape: Vec<i128>,
}

impl Fields {
    /// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`, the only form numpy writes.
    fn parse(text: &str) -> Option<Self> {
        let body = text.trim_matches(['\0', ' ', '\n', '\r', '\t']).strip_prefix('{')?.strip_suffix('}')?;
        let descr = after_key(body, "descr")?;
        // A structured dtype is a list: kept whole, refused by name later.
        let descr = match descr.chars().next()? {
            quote @ ('\'' | '"') => descr[1..].split(quote).next()?.to_owned(),
            _ => descr.split("'fortran_order'").next()?.trim_end_matches([',', ' ']).to_owned(),
        };
        let order = after_key(body, "fortran_order")?;
        let fortran_order = if order.starts_with("True") {
            true
        } else if order.starts_with("False") {
            false
        } else {
            return None;
        };
        let (inside, _) = after_key(body, "shape")?.strip_prefix('(')?.split_once(')')?;
        // Python 2 wrote longs: (3L, 4L).
        let dims = inside.split(',').map(|dim| dim.trim().trim_end_matches('L')).filter(|dim| !dim.is_empty());
        let shape = dims.map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Fields { descr, fortran_order, shape })
    }
}

fn after_key<'a>(body: &'a str, key: &str) -> Option<&'a str> {
    let quoted = [format!("'{key}'"), format!("\"{key}\"")];
    let rest = quoted.iter().find_map(|quoted| body.split_once(quoted.as_str()))?.1;
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

/// A numpy element type with its byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descr {
    /// The ONNX type of the same layout.
    pub dtype: DType,
    /// The file's bytes are most significant first.
    pub big_endian: bool,
}

impl Descr {
    /// Reads `<f4`, `|u1`, `>i8`, `f4` (native, taken as little-endian).
    pub fn parse(descr: &str) -> Result<Self, ImportError> {
        let code = descr.trim_start_matches(['<', '>', '|', '=']);
        let dtype = match code {
            "f2" => DType::Float16,
            "f4" => DType::Float32,
            "f8" => DType::Float64,
            "i1" => DType::Int8,
            "i2" => DType::Int16,
            "i4" => DType::Int32,
            "i8" => DType::Int64,
            "u1" => DType::Uint8,
            "u2" => DType::Uint16,
            "u4" => DType::Uint32,
            "u8" => DType::Uint64,
            "b1" => DType::Bool,
            _ => {
                let (kind, advice) = match code.chars().next() {
                    Some('O') => (
                        "Python objects (a pickle)",
                        "Convert it to numbers first: numpy.save(file, array.astype('float32'), allow_pickle=False).",
                    ),
                    Some('c') => ("complex numbers", "Save array.real, array.imag or numpy.abs(array)."),
                    Some('U' | 'S') => ("text", "Save class names as a text file, one per line."),
                    Some('[') => ("a structured dtype", "Save each field as an array of its own."),
                    Some('V') => ("raw bytes", "Convert it first: array.astype('float32')."),
                    _ => ("an unknown dtype", "Convert it first: array.astype('float32')."),
                };
                let what = format!(
                    "dtype {descr:?}: {kind}, {}",
                    if code.starts_with('O') { "object" } else { "no numbers we read" }
                );
                return Err(ImportError::unsupported("header", what, "real numbers or booleans", advice));
            }
        };
        Ok(Descr { dtype, big_endian: descr.starts_with('>') })
    }
}

/// An array from its raw bytes: checked against its shape, turned to row-major and little-endian.
pub fn array(descr: &Descr, shape: &[i128], fortran_order: bool, data: &Bytes) -> Result<Tensor, ImportError> {
    let impossible = |reason: &str| {
        let found = format!("shape {shape:?} ({reason})");
        ImportError::format("header", found, "dims that the data can fill", SAVE_AGAIN)
    };
    let dims = shape.iter().map(|&dim| usize::try_from(dim)).collect::<Result<Vec<_>, _>>();
    let dims = dims.map_err(|_| impossible("a dim is negative or too large"))?;
    let count = dims.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim)).ok_or_else(|| impossible("too large"))?;
    let size_bytes = descr.dtype.bytes_for(count).ok_or_else(|| impossible("too large"))?;
    if size_bytes > data.len() {
        return Err(ImportError::cut_short(
            "data",
            format!("{} bytes", data.len()),
            format!("{size_bytes} bytes for {}, shape {dims:?}", descr.dtype),
        ));
    }
    let mut data = data.slice(..size_bytes);
    let width = descr.dtype.bytes_for(1).unwrap_or(1);
    if descr.big_endian && width > 1 {
        let mut swapped = data.to_vec();
        swapped.chunks_exact_mut(width).for_each(<[u8]>::reverse);
        data = swapped.into();
    }
    if fortran_order && dims.len() > 1 && count > 0 {
        data = fortran_to_c(&data, &dims, width).into();
    }
    if descr.dtype == DType::Bool && data.iter().any(|&byte| byte > 1) {
        return Err(ImportError::format("data", "a boolean other than 0 and 1", "0 or 1", SAVE_AGAIN));
    }
    Tensor::new(descr.dtype, dims, data).map_err(|error: TensorError| impossible(&error.to_string()))
}

/// Column-major to row-major.
fn fortran_to_c(data: &[u8], dims: &[usize], width: usize) -> Vec<u8> {
    let mut strides = Vec::with_capacity(dims.len());
    let mut step = width;
    for &dim in dims {
        strides.push(step);
        step = step.saturating_mul(dim);
    }
    let mut out = Vec::with_capacity(data.len());
    let mut index = vec![0usize; dims.len()];
    let mut position = 0usize;
    while out.len() < data.len() {
        match data.get(position..position + width) {
            Some(element) => out.extend_from_slice(element),
            None => break,
        }
        // The last axis turns fastest.
        for ((at, &dim), &stride) in index.iter_mut().zip(dims).zip(&strides).rev() {
            *at += 1;
            position += stride;
            if *at < dim {
                break;
            }
            position -= stride * dim;
            *at = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(version: u8, header: &str, data: &[u8]) -> Bytes {
        let mut out = MAGIC.to_vec();
        out.extend([version, 0]);
        match version {
            1 => out.extend((header.len() as u16).to_le_bytes()),
            _ => out.extend((header.len() as u32).to_le_bytes()),
        }
        out.extend(header.as_bytes());
        out.extend(data);
        out.into()
    }

    #[test]
    fn versions_orders_and_byte_orders() {
        let c = npy(
            1,
            "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }  \n",
            &[1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0],
        );
        assert_eq!(read(&c).unwrap().to_i64().unwrap(), [1, 2, 3, 4, 5, 6]);
        let f =
            npy(2, "{'descr': '>i2', 'fortran_order': True, 'shape': (2L, 3L)}", &[0, 1, 0, 4, 0, 2, 0, 5, 0, 3, 0, 6]);
        assert_eq!(read(&f).unwrap(), read(&c).unwrap());
        let scalar = npy(3, "{'descr': '|u1', 'fortran_order': False, 'shape': ()}", &[9]);
        assert_eq!((read(&scalar).unwrap().shape(), read(&scalar).unwrap().len()), ([].as_slice(), 1));
        let empty = npy(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (0, 3)}", &[]);
        assert!(read(&empty).unwrap().is_empty());
    }

    #[test]
    fn fortran_order_of_three_dims() {
        // numpy.arange(24).reshape(2, 3, 4, order="F")[i, j, k] == i + 2 j + 6 k
        let data: Vec<u8> = (0..24).collect();
        let tensor = read(&npy(1, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 4)}", &data)).unwrap();
        let expected = (0..2).flat_map(|i| (0..3).flat_map(move |j| (0..4).map(move |k| i + 2 * j + 6 * k)));
        assert_eq!(tensor.to_i64().unwrap(), expected.collect::<Vec<i64>>());
    }

    #[test]
    fn refusals_name_the_place() {
        let object = npy(1, "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", &[0; 8]);
        let error = read(&object).unwrap_err();
        assert!(matches!(&error, ImportError::Unsupported { advice, .. } if advice.contains("allow_pickle=False")));
        for (shape, data) in [("(-2, 3)", 24), ("(1099511627776, 1024)", 24), ("(4294967296, 4294967296, 3)", 24)] {
            let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}");
            let error = read(&npy(1, &header, &vec![0; data])).unwrap_err();
            assert!(error.to_string().contains("shape"), "{error}");
        }
        assert!(read(&npy(1, "not a dict", &[])).unwrap_err().to_string().contains("header"));
        assert!(read(&Bytes::from_static(b"\x93NUMPY\x02\x00\xff\xff\xff\x7f")).is_err());
        assert!(read(&Bytes::new()).is_err());
    }
}
