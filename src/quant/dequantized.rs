//! A tensor of stored integers as real numbers.

use super::lookup_ranges::scale_indices;
use super::params::QuantParams;
use super::{Parameters, dequantize};
use crate::tensor::{DType, Tensor};

/// `scale x (q - zero_point)` for every element, with the element's own scale; `None` where the tensor holds no
/// integers of up to 32 bits or its shape does not fit the parameters.
pub fn dequantize_tensor(params: &QuantParams, tensor: &Tensor) -> Option<Vec<f32>> {
    let indices = scale_indices(params, tensor.shape())?;
    let stored = tensor.to_i64().ok()?;
    let real = stored.into_iter().zip(indices).map(|(q, index)| {
        let (scale, zero_point) = (params.scale.get(index)?, params.zero_point.get(index)?);
        Some(dequantize(i32::try_from(q).ok()?, *scale, *zero_point))
    });
    real.collect()
}

impl Parameters {
    /// Type of the stored values, where it is known.
    pub fn dtype(&self) -> Option<DType> {
        match self {
            Parameters::Fixed(params) => Some(params.dtype),
            Parameters::AtRunTime { dtype } | Parameters::NoScale { dtype } => Some(*dtype),
            Parameters::Unusable(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::Granularity;

    #[test]
    fn every_channel_has_its_own_scale() {
        let params = QuantParams {
            scale: vec![0.5, 2.0],
            zero_point: vec![0, 1],
            dtype: DType::Int8,
            granularity: Granularity::PerChannel { axis: 1 },
        };
        let stored = Tensor::from_vec(vec![2, 2], vec![4i8, 4, -2, -1]).unwrap();
        assert_eq!(dequantize_tensor(&params, &stored), Some(vec![2.0, 6.0, -1.0, -4.0]));
        let other = Tensor::from_vec(vec![2, 3], vec![0i8; 6]).unwrap();
        assert_eq!(dequantize_tensor(&params, &other), None);
    }
}
