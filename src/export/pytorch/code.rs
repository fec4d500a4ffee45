//! Python literals.

use crate::tensor::{DType, Tensor};

/// A float that reads back as the same float32.
pub(super) fn float(value: f32) -> String {
    if value.is_nan() {
        return "float(\"nan\")".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "float(\"inf\")".to_owned() } else { "float(\"-inf\")".to_owned() };
    }
    let short = format!("{value:?}");
    // Python reads it as a double, which torch rounds to a float32 again.
    if short.parse::<f64>().is_ok_and(|read| read as f32 == value) { short } else { format!("{:?}", f64::from(value)) }
}

/// A float as Python's double of the same value, without any rounding behind it.
pub(super) fn double(value: f32) -> String {
    if value.is_finite() { format!("{:?}", f64::from(value)) } else { float(value) }
}

pub(super) fn list(values: &[i64]) -> String {
    format!("[{}]", values.iter().map(i64::to_string).collect::<Vec<_>>().join(", "))
}

/// A tuple, or a single number where all are equal, as modules of torch take it.
pub(super) fn size(values: &[i64]) -> String {
    match values {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => first.to_string(),
        _ => tuple(values),
    }
}

pub(super) fn tuple(values: &[i64]) -> String {
    let comma = if values.len() == 1 { "," } else { "" };
    format!("({}{comma})", values.iter().map(i64::to_string).collect::<Vec<_>>().join(", "))
}

pub(super) fn boolean(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

/// A string of this program's own words.
pub(super) fn text(value: &str) -> String {
    format!("{value:?}")
}

/// torch's name of an element type, of those that it computes with.
pub(super) fn torch_type(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::Float32 => "torch.float32",
        DType::Float64 => "torch.float64",
        DType::Float16 => "torch.float16",
        DType::Bfloat16 => "torch.bfloat16",
        DType::Int8 | DType::Int4 | DType::Int2 => "torch.int8",
        DType::Uint8 | DType::Uint4 | DType::Uint2 => "torch.uint8",
        DType::Int16 => "torch.int16",
        DType::Int32 | DType::Uint16 => "torch.int32",
        DType::Int64 | DType::Uint32 | DType::Uint64 => "torch.int64",
        DType::Bool => "torch.bool",
        _ => return None,
    })
}

/// A tensor of one element as a Python literal.
pub(super) fn scalar(tensor: &Tensor) -> Option<String> {
    if tensor.len() != 1 {
        return None;
    }
    match tensor.dtype() {
        DType::Bool => Some(boolean(tensor.to_f64().ok()?.first()? != &0.0).to_owned()),
        DType::Float64 => {
            tensor.to_f64().ok()?.first().filter(|value| value.is_finite()).map(|value| format!("{value:?}"))
        }
        dtype if dtype.is_int() => tensor.to_i64().ok()?.first().map(i64::to_string),
        _ => tensor.to_f32().ok()?.first().copied().map(float),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_read_back() {
        assert_eq!(
            (float(0.1), float(1.0), float(f32::INFINITY)),
            ("0.1".into(), "1.0".into(), "float(\"inf\")".into())
        );
        assert_eq!(double(0.1), "0.10000000149011612");
        for bits in [1u32, 0x3dcc_cccd, 0x7f7f_ffff, 0x0080_0000, 0x3f80_0001] {
            let value = f32::from_bits(bits);
            assert_eq!(float(value).parse::<f64>().unwrap() as f32, value);
            assert_eq!(double(value).parse::<f64>().unwrap(), f64::from(value));
        }
        assert_eq!((size(&[2, 2]), size(&[1, 2]), tuple(&[3])), ("2".into(), "(1, 2)".into(), "(3,)".into()));
    }
}
