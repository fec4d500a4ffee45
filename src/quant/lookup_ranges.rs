//! What a set of parameters can represent, and which of them an element has.

use super::dequantize;
use super::params::{Granularity, QuantParams};
use crate::tensor::Channels;

/// For each scale the smallest and the largest real number that can be represented:
/// `scale x (q_min - zero_point)` and `scale x (q_max - zero_point)`. `None` where the stored type is no integer of up
/// to 32 bits.
pub fn representable_ranges(params: &QuantParams) -> Option<Vec<(f32, f32)>> {
    let (low, high) = params.dtype.int_range()?;
    let real = |q: i64, scale: f32, zero_point: i32| match i32::try_from(q) {
        Ok(q) => dequantize(q, scale, zero_point),
        // uint32 reaches beyond i32.
        Err(_) => (q - i64::from(zero_point)) as f32 * scale,
    };
    let pairs = params.scale.iter().zip(&params.zero_point);
    Some(pairs.map(|(&scale, &zero_point)| (real(low, scale, zero_point), real(high, scale, zero_point))).collect())
}

/// For each element of a row-major tensor of this shape the index of its scale; `None` where shape and parameters do
/// not fit each other.
pub fn scale_indices(params: &QuantParams, shape: &[usize]) -> Option<Vec<usize>> {
    let count = shape.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim))?;
    let split = |axis: usize| Channels::along(shape, i64::try_from(axis).ok()?);
    let (needed, indices): (usize, Vec<usize>) = match params.granularity {
        Granularity::PerTensor => (1, vec![0; count]),
        Granularity::PerChannel { axis } => {
            let channels = split(axis)?;
            (channels.count, (0..count).map(|index| channels.of(index)).collect())
        }
        Granularity::Blocked { axis, block_size } => {
            let Channels { outer, count: dim, inner } = split(axis)?;
            let blocks = dim.div_ceil(block_size.max(1));
            let block = |index: usize| {
                let (front, rest) = (index / (dim * inner).max(1), index % (dim * inner).max(1));
                let (along, back) = (rest / inner.max(1), rest % inner.max(1));
                (front * blocks + along / block_size.max(1)) * inner + back
            };
            (outer * blocks * inner, (0..count).map(block).collect())
        }
    };
    (needed == params.scale.len() || count == 0).then_some(indices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    fn params(granularity: Granularity, scale: Vec<f32>, dtype: DType) -> QuantParams {
        QuantParams { zero_point: vec![0; scale.len()], scale, dtype, granularity }
    }

    #[test]
    fn ranges_by_hand() {
        let mut int8 = params(Granularity::PerTensor, vec![0.5], DType::Int8);
        assert_eq!(representable_ranges(&int8), Some(vec![(-64.0, 63.5)]));
        int8.zero_point = vec![-128];
        assert_eq!(representable_ranges(&int8), Some(vec![(0.0, 127.5)]));
        let floats = params(Granularity::PerTensor, vec![1.0], DType::Float8E4m3fn);
        assert_eq!(representable_ranges(&floats), None);
    }

    #[test]
    fn every_element_finds_its_scale() {
        let channel = params(Granularity::PerChannel { axis: 1 }, vec![1.0; 2], DType::Int8);
        assert_eq!(scale_indices(&channel, &[2, 2, 2]), Some(vec![0, 0, 1, 1, 0, 0, 1, 1]));
        assert_eq!(scale_indices(&channel, &[2, 3]), None);
        // Blocks of 2 along an axis of 3: the last block is short.
        let blocked = params(Granularity::Blocked { axis: 0, block_size: 2 }, vec![1.0; 4], DType::Int4);
        assert_eq!(scale_indices(&blocked, &[3, 2]), Some(vec![0, 1, 0, 1, 2, 3]));
    }
}
