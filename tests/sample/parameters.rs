//! Scales, zero points and axes.

use crate::support::{document, expected};
use quantscope::quant::{Granularity, TensorKind, quantized_tensors};

#[test]
fn every_recorded_scale_and_zero_point() {
    let expected = expected();
    for model in ["int8", "uint8"] {
        let found = quantized_tensors(&document(model));
        let rows = expected["models"][model]["quantized"].as_array().unwrap();
        assert_eq!((found.len(), rows.len()), (66, 66), "{model}");
        for row in rows {
            let integers = row["integers"].as_str().unwrap();
            let tensor =
                found.iter().find(|t| t.stored == integers).unwrap_or_else(|| panic!("{model}: no {integers}"));
            let params = tensor.fixed().unwrap();
            // The record holds the float64 of a float32; narrowing takes back what reading decimals may be off by.
            let recorded_scale = row["scale"].as_f64().unwrap() as f32;
            let zero_points: Vec<i64> = params.zero_point.iter().map(|&zero_point| zero_point.into()).collect();
            assert_eq!(params.scale, [recorded_scale], "{integers}");
            assert_eq!(zero_points, [row["zero_point"].as_i64().unwrap()], "{integers}");
            assert!(row["axis"].is_null() && params.granularity == Granularity::PerTensor, "{integers}");
            assert_eq!(params.dtype.to_string(), row["dtype"].as_str().unwrap(), "{integers}");
            assert_eq!(tensor.scale_name.as_deref(), row["scale_name"].as_str(), "{integers}");
            assert_eq!(tensor.zero_point_name.as_deref(), row["zero_point_name"].as_str(), "{integers}");
            let role = match tensor.kind {
                TensorKind::Activation => "activation",
                TensorKind::Bias => "bias",
                // The record does not tell the factors and summands of batch normalisation from weights.
                TensorKind::Weight | TensorKind::Constant => "weight",
            };
            assert_eq!(row["role"], role, "{integers}");
            if let Some(before) = row["before"].as_str() {
                assert_eq!(tensor.value, before);
            }
        }
    }
}
