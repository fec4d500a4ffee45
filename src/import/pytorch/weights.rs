//! Weights without a graph, as a document.

use super::graph::zero_points;
use super::tensor::TorchTensor;
use crate::onnx::{Attr, Document, GraphBuilder, OnnxError};
use crate::quant::Granularity;
use crate::tensor::{DType, Tensor, TensorError};

/// A document of these tensors as initializers, in order and by their names. A quantized one keeps its stored integers
/// and gets a DequantizeLinear with its scale and zero point, whose result is a graph output.
pub fn weights_document(tensors: &[TorchTensor], name: &str, opset: i64) -> Result<Document, OnnxError> {
    let narrow = tensors.iter().any(|tensor| {
        tensor.quant.is_some() && !matches!(tensor.tensor.dtype(), DType::Int8 | DType::Uint8 | DType::Int32)
    });
    // 4-bit integers came with operator set 21.
    let mut builder = GraphBuilder::new(name, if narrow { opset.max(21) } else { opset });
    for tensor in tensors {
        let stored = builder.initializer(&tensor.name, &tensor.tensor);
        let Some(params) = &tensor.quant else { continue };
        let bad = |source: TensorError| OnnxError::Tensor { tensor: stored.clone(), source };
        let (shape, attributes): (Vec<usize>, Vec<(&str, Attr)>) = match params.granularity {
            Granularity::PerChannel { axis } => (vec![params.scale.len()], vec![("axis", (axis as i64).into())]),
            _ => (vec![], vec![]),
        };
        let scale = Tensor::from_vec(shape.clone(), params.scale.clone()).map_err(bad)?;
        let scale = builder.initializer(&format!("{stored}_scale"), &scale);
        let Ok(zero_point) = zero_points(params, shape) else { continue };
        let zero_point = builder.initializer(&format!("{stored}_zero_point"), &zero_point);
        let wish = format!("{stored}_dequantized");
        let real = builder.node("DequantizeLinear", &[&stored, &scale, &zero_point], &wish, &attributes);
        let dims: Vec<_> = tensor.tensor.shape().iter().map(|&dim| crate::onnx::Dim::Known(dim)).collect();
        builder.output(&real, DType::Float32, Some(&dims));
    }
    builder.finish()
}
