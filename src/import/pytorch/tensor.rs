//! Tensors out of what a pickle says of them: a storage, an offset, sizes and strides.

use super::dtype::TorchType;
use super::storage::{Storages, storage_ref};
use crate::import::ImportError;
use crate::import::limits::Budget;
use crate::import::pickle::{Id, Object, Pickle, Value};
use crate::quant::{Granularity, QuantParams};
use crate::tensor::{DType, Tensor};
use bytes::Bytes;

/// A tensor of a PyTorch file.
#[derive(Clone, Debug, PartialEq)]
pub struct TorchTensor {
    /// Its name in the state dict: `layer1.0.conv1.weight`.
    pub name: String,
    /// PyTorch's name of its element type, without `torch.`: `float32`, `qint8`.
    pub dtype: String,
    /// Its elements in C order; of a quantized tensor the stored integers.
    pub tensor: Tensor,
    /// Scale, zero point and axis of a quantized tensor.
    pub quant: Option<QuantParams>,
}

/// A tensor that has no name yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    pub dtype: &'static str,
    pub tensor: Tensor,
    pub quant: Option<QuantParams>,
}

impl Constant {
    /// A plain tensor.
    pub fn plain(tensor: Tensor) -> Self {
        Constant { dtype: TorchType::of_dtype(tensor.dtype()).map_or("", |found| found.name), tensor, quant: None }
    }
}

/// Most dims that a tensor may have.
const MAX_RANK: usize = 64;

/// What rebuilding one call gives.
pub(super) enum Rebuilt {
    Tensor(Box<Constant>),
    /// A tensor of which only shape and type are wanted.
    Shape(Vec<usize>, Option<TorchType>),
    /// Wrapped around another value: a `Parameter`.
    Same(Id),
    /// No tensor, or one of a kind that is not read, in words.
    Other(Option<String>),
}

/// Rebuilds what `torch._utils._rebuild_*` would have made.
pub(super) fn rebuild(
    pickle: &Pickle,
    (module, name, object): (&str, &str, &Object),
    storages: &mut Storages<'_>,
    budget: &mut Budget,
) -> Result<Rebuilt, ImportError> {
    let args = pickle.items(object.args).unwrap_or_default();
    let mut reader = Reader { pickle, storages, budget };
    Ok(match (module, name, args) {
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2", [storage, offset, size, stride, ..]) => {
            reader.plain(*storage, *offset, *size, *stride, None)?
        }
        ("torch._utils", "_rebuild_tensor_v3", [storage, offset, size, stride, _grad, _hooks, dtype, ..]) => {
            reader.plain(*storage, *offset, *size, *stride, pickle.global(*dtype).map(|global| global.1))?
        }
        ("torch._utils", "_rebuild_qtensor", [storage, offset, size, stride, quantizer, ..]) => {
            reader.quantized(*storage, *offset, *size, *stride, *quantizer)?
        }
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state", [data, ..]) => Rebuilt::Same(*data),
        ("torch.nn.parameter", "Parameter" | "Buffer", [data, ..]) => Rebuilt::Same(*data),
        ("torch._tensor", "_rebuild_from_type_v2", [function, _class, args, ..]) => {
            let Some((module, name)) = pickle.global(*function) else { return Ok(Rebuilt::Other(None)) };
            let call = Object { args: *args, ..object.clone() };
            // Only the plain functions can be meant; one that names itself again would not end.
            if name == "_rebuild_from_type_v2" {
                return Ok(Rebuilt::Other(None));
            }
            return rebuild(pickle, (module, name, &call), reader.storages, reader.budget);
        }
        ("torch._utils", "_rebuild_meta_tensor_no_storage", _) => {
            Rebuilt::Other(Some("a tensor on the meta device, which has no elements".to_owned()))
        }
        ("torch._utils", "_rebuild_sparse_tensor" | "_rebuild_sparse_csr_tensor", _) => {
            Rebuilt::Other(Some("a sparse tensor".to_owned()))
        }
        ("torch._utils", other, _) if other.starts_with("_rebuild") => {
            Rebuilt::Other(Some(format!("a tensor of a kind that is not read ({other})")))
        }
        _ => Rebuilt::Other(None),
    })
}

struct Reader<'a, 'b, 'c, 'd> {
    pickle: &'a Pickle,
    storages: &'b mut Storages<'d>,
    budget: &'b mut Budget<'c>,
}

fn broken(found: impl Into<String>, expected: &'static str) -> ImportError {
    ImportError::format("tensor", found.into(), expected, "The file is damaged: copy or save it again.")
}

impl Reader<'_, '_, '_, '_> {
    fn sizes(&self, id: Id) -> Result<Vec<usize>, ImportError> {
        // `torch.Size([..])` is a call around the tuple.
        let inner = match self.pickle.call(id) {
            Some((_, "Size", object)) => {
                self.pickle.items(object.args).and_then(|args| args.first().copied()).unwrap_or(id)
            }
            _ => id,
        };
        let items = self.pickle.items(inner);
        let sizes: Option<Vec<usize>> = items.and_then(|items| {
            items.iter().map(|&item| self.pickle.int(item).and_then(|n| usize::try_from(n).ok())).collect()
        });
        sizes
            .filter(|sizes| sizes.len() <= MAX_RANK)
            .ok_or_else(|| broken(format!("sizes that are {}", self.pickle.describe(id)), "a tuple of sizes"))
    }

    fn plain(
        &mut self,
        storage: Id,
        offset: Id,
        size: Id,
        stride: Id,
        dtype: Option<&str>,
    ) -> Result<Rebuilt, ImportError> {
        if self.storages.shapes_only() {
            return Ok(Rebuilt::Shape(
                self.sizes(size)?,
                storage_ref(self.pickle, storage).and_then(|found| found.kind),
            ));
        }
        let (kind, tensor) = self.elements(storage, offset, size, stride, dtype)?;
        Ok(Rebuilt::Tensor(Box::new(Constant { dtype: kind.name, tensor, quant: None })))
    }

    fn elements(
        &mut self,
        storage: Id,
        offset: Id,
        size: Id,
        stride: Id,
        dtype: Option<&str>,
    ) -> Result<(TorchType, Tensor), ImportError> {
        let (shape, strides) = (self.sizes(size)?, self.sizes(stride)?);
        let reference = storage_ref(self.pickle, storage)
            .ok_or_else(|| broken(self.pickle.describe(storage), "a storage of the file"))?;
        let kind = match dtype {
            Some(name) => TorchType::of_name(name),
            None => reference.kind,
        };
        let kind = kind.ok_or_else(|| {
            let what = format!("the element type {}", dtype.unwrap_or("of an untyped storage"));
            ImportError::unsupported("tensor", what, "a type of torch 2", "Convert the tensor before saving it.")
        })?;
        let offset = self.pickle.int(offset).and_then(|offset| usize::try_from(offset).ok());
        let offset = offset.ok_or_else(|| broken("an offset that is no size", "an offset into the storage"))?;
        let mut bytes = self.storages.fetch(&reference, self.budget)?;
        if let Some((start, count)) = reference.view {
            let range = kind.dtype.bytes_for(start).zip(kind.dtype.bytes_for(count));
            let range = range.and_then(|(start, size)| Some(start..start.checked_add(size)?));
            let range = range.filter(|range| range.end <= bytes.len());
            bytes = bytes.slice(range.ok_or_else(|| broken("a view beyond its storage", "a view inside of it"))?);
        }
        let place = format!("storage {}", reference.key);
        let bytes = contiguous(&bytes, kind.dtype, offset, &shape, &strides, &place, self.budget)?;
        let tensor = Tensor::new(kind.dtype, shape, bytes);
        Ok((kind, tensor.map_err(|error| broken(error.to_string(), "as many bytes as type and shape take"))?))
    }

    fn quantized(
        &mut self,
        storage: Id,
        offset: Id,
        size: Id,
        stride: Id,
        quantizer: Id,
    ) -> Result<Rebuilt, ImportError> {
        if self.storages.shapes_only() {
            return Ok(Rebuilt::Shape(
                self.sizes(size)?,
                storage_ref(self.pickle, storage).and_then(|found| found.kind),
            ));
        }
        let (kind, tensor) = self.elements(storage, offset, size, stride, None)?;
        let wrong = |found: String| broken(found, "a quantizer of per-tensor or per-channel scales");
        let pickle = self.pickle;
        let scheme = pickle.items(quantizer).and_then(|items| items.split_first());
        let (scheme, parameters) = scheme.ok_or_else(|| wrong(pickle.describe(quantizer)))?;
        let name = pickle.global(*scheme).map_or("", |global| global.1);
        let (scale, zero_point, granularity) = match (name, parameters) {
            ("per_tensor_affine" | "per_tensor_symmetric", [scale, zero_point]) => {
                let scale = match pickle.get(*scale) {
                    Value::Float(scale) => *scale,
                    _ => return Err(wrong(format!("a scale that is {}", pickle.describe(*scale)))),
                };
                let zero_point = pickle.int(*zero_point).and_then(|zero_point| i32::try_from(zero_point).ok());
                let zero_point = zero_point.ok_or_else(|| wrong("a zero point that is no integer".to_owned()))?;
                (vec![scale as f32], vec![zero_point], Granularity::PerTensor)
            }
            (
                "per_channel_affine" | "per_channel_symmetric" | "per_channel_affine_float_qparams",
                [scales, zero_points, axis],
            ) => {
                let scale = self.numbers(*scales)?;
                let zero_point = self.numbers(*zero_points)?;
                let axis = pickle.int(*axis).and_then(|axis| usize::try_from(axis).ok());
                let axis = axis.filter(|&axis| tensor.shape().get(axis) == Some(&scale.len()));
                let axis = axis.ok_or_else(|| wrong(format!("{} scales that fit no axis", scale.len())))?;
                if zero_point.len() != scale.len() {
                    return Err(wrong(format!("{} scales, {} zero points", scale.len(), zero_point.len())));
                }
                if zero_point.iter().any(|value| value.fract() != 0.0 || value.abs() > f64::from(i32::MAX)) {
                    // An embedding's zero points are floats: its integers are shown as they are.
                    return Ok(Rebuilt::Tensor(Box::new(Constant { dtype: kind.name, tensor, quant: None })));
                }
                (
                    scale.into_iter().map(|scale| scale as f32).collect(),
                    zero_point.into_iter().map(|zero_point| zero_point as i32).collect(),
                    Granularity::PerChannel { axis },
                )
            }
            (other, _) => return Err(wrong(format!("the scheme '{other}'"))),
        };
        let quant = Some(QuantParams { scale, zero_point, dtype: kind.dtype, granularity });
        Ok(Rebuilt::Tensor(Box::new(Constant { dtype: kind.name, tensor, quant })))
    }

    /// The elements of a small tensor or list of numbers.
    fn numbers(&mut self, id: Id) -> Result<Vec<f64>, ImportError> {
        if let Some(items) = self.pickle.items(id) {
            let number = |&item: &Id| match self.pickle.get(item) {
                Value::Float(value) => Some(*value),
                _ => self.pickle.int(item).map(|value| value as f64),
            };
            let numbers: Option<Vec<f64>> = items.iter().map(number).collect();
            return numbers.ok_or_else(|| broken("a list of other things", "a list of numbers"));
        }
        let call = self.pickle.call(id).ok_or_else(|| broken(self.pickle.describe(id), "a tensor of numbers"))?;
        // A quantizer whose scales are a quantized tensor themselves would go on for ever.
        if call.1 == "_rebuild_qtensor" || call.1 == "_rebuild_from_type_v2" {
            return Err(broken("scales that are quantized", "scales that are floats"));
        }
        match rebuild(self.pickle, call, self.storages, self.budget)? {
            Rebuilt::Tensor(found) => {
                found.tensor.to_f64().map_err(|error| broken(error.to_string(), "a tensor of numbers"))
            }
            _ => Err(broken(self.pickle.describe(id), "a tensor of numbers")),
        }
    }
}

/// The elements at these strides, in C order. A slice where they lie so already.
fn contiguous(
    storage: &Bytes,
    dtype: DType,
    offset: usize,
    shape: &[usize],
    strides: &[usize],
    place: &str,
    budget: &mut Budget,
) -> Result<Bytes, ImportError> {
    let outside = |found: String| {
        let expected = format!("elements inside of its {} bytes", storage.len());
        ImportError::format(place.to_owned(), found, expected, "The file is damaged: copy or save it again.")
    };
    let count = shape.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    let count = count.ok_or_else(|| outside(format!("a tensor of shape {shape:?}")))?;
    if strides.len() != shape.len() {
        return Err(outside(format!("{} strides for {} dims", strides.len(), shape.len())));
    }
    if count == 0 {
        return Ok(Bytes::new());
    }
    let last = shape
        .iter()
        .zip(strides)
        .try_fold(offset, |last, (&dim, &stride)| last.checked_add(dim.checked_sub(1)?.checked_mul(stride)?));
    let end = last.and_then(|last| dtype.bytes_for(last.checked_add(1)?));
    if end.is_none_or(|end| end > storage.len()) {
        return Err(outside(format!("a tensor of shape {shape:?}, strides {strides:?} from element {offset} on")));
    }
    let dense = dense_strides(shape);
    let in_order = shape.iter().zip(strides).zip(&dense).all(|((&dim, &stride), &dense)| dim == 1 || stride == dense);
    let bits = dtype.bits().unwrap_or(8);
    if in_order && (offset * bits).is_multiple_of(8) {
        let start = offset * bits / 8;
        let size = dtype.bytes_for(count).unwrap_or(0);
        return Ok(storage.slice(start..start + size));
    }
    if !bits.is_multiple_of(8) {
        return Err(outside("packed elements that are not in order".to_owned()));
    }
    let width = bits / 8;
    // An expanded tensor can be far larger than its storage.
    budget.charge(place, (count as u64).saturating_mul(width as u64))?;
    let mut out = Vec::with_capacity(count * width);
    let mut index = vec![0usize; shape.len()];
    let mut at = offset;
    for _ in 0..count {
        out.extend_from_slice(storage.get(at * width..(at + 1) * width).unwrap_or_default());
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * index[axis];
            index[axis] = 0;
        }
    }
    Ok(out.into())
}

/// The strides of a tensor in C order.
fn dense_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1);
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::Limits;

    fn read(shape: &[usize], strides: &[usize], offset: usize) -> Result<Bytes, ImportError> {
        let limits = Limits { unpacked_bytes: 1 << 20, ..Limits::default() };
        let storage = Bytes::from((0u8..24).collect::<Vec<_>>());
        contiguous(&storage, DType::Uint8, offset, shape, strides, "storage 0", &mut Budget::new(&limits))
    }

    #[test]
    fn strides_are_followed() {
        assert_eq!(read(&[2, 3], &[3, 1], 6).unwrap().as_ref(), [6, 7, 8, 9, 10, 11]);
        assert_eq!(read(&[2, 3], &[1, 2], 0).unwrap().as_ref(), [0, 2, 4, 1, 3, 5]);
        assert_eq!(read(&[2, 2], &[0, 1], 4).unwrap().as_ref(), [4, 5, 4, 5]);
        assert_eq!(read(&[2, 2, 2], &[1, 2, 4], 0).unwrap().as_ref(), [0, 4, 2, 6, 1, 5, 3, 7]);
        assert_eq!(read(&[], &[], 23).unwrap().as_ref(), [23]);
        assert!(read(&[0, 5], &[9, 9], 99).unwrap().is_empty());
    }

    #[test]
    fn what_lies_outside_is_an_error() {
        assert!(read(&[5, 5], &[5, 1], 0).is_err());
        assert!(read(&[2], &[usize::MAX], 1).is_err());
        assert!(read(&[usize::MAX, 2], &[0, 0], 0).is_err());
        assert!(read(&[2], &[1, 1], 0).is_err());
        // An expanded tensor of 4 MiB: over the limit before anything is taken.
        assert!(matches!(read(&[1 << 22], &[0], 0), Err(ImportError::LimitExceeded { .. })));
    }
}
