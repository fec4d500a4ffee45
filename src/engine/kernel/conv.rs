//! `Conv` with its products added in the order of ONNX Runtime, so that a float gets the same bits.
//!
//! ONNX Runtime's kernels (`MlasConvOperation` and `MlasSgemmOperation`, onnxruntime/core/mlas/lib/convolve.cpp and
//! sgemm.cpp) multiply the filters with the unfolded input in blocks of products: a block's sum starts from 0 and grows
//! by fused multiply-adds in the order channel, row, column; blocks are added one after the other, the bias last. tract
//! adds all products in one go, which differs in the last bits of a long sum, and after a few quantized layers in whole
//! steps. Where a sum is longer than a block this kernel has tract compute each block by itself.
//!
//! In WebAssembly there is no fused multiply-add; the sums are close there, not equal, and nothing is split.

use super::{Input, Inputs, Kernel, required};
use crate::engine::lower::FlatNode;
use crate::engine::tract_node::TractNode;
use crate::engine::value::{KernelError, Value};
use crate::onnx::NodeExt;
use crate::tensor::DType;
use std::ops::Range;

/// Products of a block, and outputs of a block, before they are traded for each other (`MLAS_SGEMM_STRIDEK` and
/// `MLAS_SGEMM_STRIDEN`).
const STRIDE: usize = 128;
/// Fewer outputs are never taken at once.
const LEAST_OUTPUTS: usize = 16;

/// How many of `products` are summed before the sum is put away, for `outputs` outputs of a channel.
fn block_length(outputs: usize, products: usize) -> usize {
    let (mut across, mut along) = (STRIDE, STRIDE);
    if outputs >= products {
        while along / 2 >= products {
            (across, along) = (across * 2, along / 2);
        }
    } else {
        while across > LEAST_OUTPUTS && across / 2 >= outputs {
            (across, along) = (across / 2, along * 2);
        }
    }
    along
}

/// A part of the products: its input channels, and the filters for them, 0 at products of the neighbour blocks.
struct Part {
    channels: Range<usize>,
    weights: Value,
    node: TractNode,
}

/// A convolution without groups.
pub(crate) struct Convolution {
    flat: FlatNode,
    plain: TractNode,
    /// Shapes of the input and of one image's output, once they are known.
    met: Option<(Vec<usize>, usize)>,
    /// The weights that the parts were made of.
    weights: Option<Value>,
    parts: Vec<Part>,
    in_one_go: bool,
}

impl Convolution {
    /// The kernel of a `Conv` node.
    pub fn new(flat: &FlatNode) -> Result<Self, KernelError> {
        let plain = TractNode::new(flat)?;
        Ok(Convolution { flat: flat.clone(), plain, met: None, weights: None, parts: Vec::new(), in_one_go: false })
    }

    /// Outputs of a channel for this input; the first time they are counted in a result.
    fn outputs(&mut self, inputs: Inputs<'_>, x: &Value) -> Result<usize, KernelError> {
        if let Some((shape, outputs)) = &self.met
            && shape == x.shape()
        {
            return Ok(*outputs);
        }
        let result = self.plain.run(inputs)?;
        let shape = result.first().map(Value::shape).unwrap_or_default();
        let outputs = shape.get(2..).unwrap_or_default().iter().product();
        self.met = Some((x.shape().to_vec(), outputs));
        self.parts.clear();
        Ok(outputs)
    }

    fn split(&mut self, weights: &Value, block: usize) -> Result<(), KernelError> {
        let shape = weights.shape();
        let &[filters, channels, ..] = shape else { return Err(format!("filters of shape {shape:?}")) };
        let window: usize = shape.get(2..).unwrap_or_default().iter().product();
        let products = channels * window;
        let numbers = weights.f32s()?;
        self.parts.clear();
        for first in (0..products).step_by(block) {
            let mine = first..products.min(first + block);
            let channels = first / window..mine.end.div_ceil(window);
            let (from, to) = (channels.start * window, channels.end * window);
            let mut part = Vec::with_capacity(filters * (to - from));
            for filter in numbers.chunks_exact(products) {
                let own = (from..to).zip(filter.get(from..to).unwrap_or_default());
                part.extend(own.map(|(at, &number)| if mine.contains(&at) { number } else { 0.0 }));
            }
            let mut dims = shape.to_vec();
            if let Some(dim) = dims.get_mut(1) {
                *dim = channels.len();
            }
            let mut proto = self.flat.proto.clone();
            proto.input.truncate(2);
            let node = TractNode::new(&FlatNode { proto, ..self.flat.clone() })?;
            self.parts.push(Part { channels, weights: Value::from_vec(DType::Float32, &dims, part)?, node });
        }
        self.weights = Some(weights.clone());
        Ok(())
    }

    fn in_blocks(&mut self, inputs: Inputs<'_>, x: &Value) -> Result<Vec<Value>, KernelError> {
        let constant = inputs.get(1).is_some_and(|input| input.as_ref().is_some_and(|input| input.constant));
        let mut sum: Option<(Vec<usize>, Vec<f32>)> = None;
        for part in &mut self.parts {
            let slice = channels_of(x, &part.channels)?;
            let given =
                [Some(Input { value: slice, constant: false }), Some(Input { value: part.weights.clone(), constant })];
            let result = part.node.run(&given)?.into_iter().next().ok_or("the convolution gave no result")?;
            match &mut sum {
                None => sum = Some((result.shape().to_vec(), result.f32s()?.to_vec())),
                Some((_, sum)) => sum.iter_mut().zip(result.f32s()?).for_each(|(sum, &more)| *sum += more),
            }
        }
        let (shape, mut sum) = sum.ok_or("the convolution has no products")?;
        if let Some(bias) = super::optional(inputs, 2) {
            let bias = bias.f32s()?;
            let outputs: usize = shape.get(2..).unwrap_or_default().iter().product();
            let rows = sum.chunks_exact_mut(outputs.max(1)).zip(bias.iter().cycle());
            rows.for_each(|(row, &bias)| row.iter_mut().for_each(|sum| *sum += bias));
        }
        // The zeros beside a block spoil what is not finite.
        if !sum.iter().all(|sum| sum.is_finite()) {
            return self.plain.run(inputs);
        }
        Ok(vec![Value::from_vec(DType::Float32, &shape, sum)?])
    }
}

/// Some channels of data of shape (batch, channels, spatial...).
fn channels_of(x: &Value, channels: &Range<usize>) -> Result<Value, KernelError> {
    let shape = x.shape();
    let &[_, all, ..] = shape else { return Err(format!("data of shape {shape:?}")) };
    if channels.len() == all {
        return Ok(x.clone());
    }
    let plane: usize = shape.get(2..).unwrap_or_default().iter().product();
    let images = x.f32s()?.chunks_exact((all * plane).max(1));
    let picked = images.flat_map(|image| image.get(channels.start * plane..channels.end * plane).unwrap_or_default());
    let mut dims = shape.to_vec();
    if let Some(dim) = dims.get_mut(1) {
        *dim = channels.len();
    }
    Value::from_vec(DType::Float32, &dims, picked.copied().collect())
}

impl Kernel for Convolution {
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        let (x, weights) = (required(inputs, 0)?, required(inputs, 1)?);
        let floats = x.dtype() == DType::Float32 && weights.dtype() == DType::Float32;
        let grouped = NodeExt::int(&self.flat.proto, "group").unwrap_or(1) != 1;
        let products: usize = weights.shape().get(1..).unwrap_or_default().iter().product();
        let fits = x.shape().len() == weights.shape().len() && x.shape().get(1) == weights.shape().get(1);
        // Blocks never have fewer products than half of the stride.
        let plain = self.in_one_go || cfg!(target_arch = "wasm32");
        if !floats || grouped || !fits || products <= STRIDE || plain {
            return self.plain.run(inputs);
        }
        let block = block_length(self.outputs(inputs, x)?, products);
        if products <= block {
            return self.plain.run(inputs);
        }
        let same = self.weights.as_ref().is_some_and(|known| known.same_bits(weights));
        if self.parts.is_empty() || !same {
            self.split(weights, block)?;
        }
        self.in_blocks(inputs, x)
    }

    fn sum_in_one_go(&mut self) {
        self.in_one_go = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto::NodeProto;

    fn fused() -> bool {
        #[cfg(target_arch = "x86_64")]
        let fused = std::arch::is_x86_feature_detected!("fma");
        #[cfg(not(target_arch = "x86_64"))]
        let fused = cfg!(target_arch = "aarch64");
        fused
    }

    #[test]
    fn few_outputs_are_traded_for_longer_sums() {
        // Outputs and products of ResNet8's convolutions, and what ONNX Runtime's own results were found to need.
        for (outputs, products, block) in [(1024, 144, 128), (256, 288, 128), (64, 288, 256), (64, 576, 256)] {
            assert_eq!(block_length(outputs, products), block, "{outputs} outputs of {products} products");
        }
        assert_eq!(block_length(1, 4096), 1024);
        assert_eq!(block_length(4096, 20), 32);
    }

    #[test]
    fn the_sum_of_the_blocks_is_the_sum_in_their_order() {
        let (channels, filters, side) = (31, 3, 12);
        let number = |i: usize| ((i * 7919) % 1009) as f32 / 97.0 - 5.0;
        let x: Vec<f32> = (0..2 * channels * side * side).map(number).collect();
        let w: Vec<f32> = (0..filters * channels * 9).map(|i| number(i + 13)).collect();
        let bias: Vec<f32> = (0..filters).map(number).collect();
        let value =
            |shape: &[usize], numbers: &[f32]| Value::from_vec(DType::Float32, shape, numbers.to_vec()).unwrap();
        let proto = NodeProto {
            op_type: Some("Conv".into()),
            input: vec!["x".into(), "w".into(), "b".into()],
            output: vec!["y".into()],
            ..NodeProto::default()
        };
        let mut conv = Convolution::new(&FlatNode { proto, opset: 13, captured: Vec::new() }).unwrap();
        let inputs = [
            Some(Input { value: value(&[2, channels, side, side], &x), constant: false }),
            Some(Input { value: value(&[filters, channels, 3, 3], &w), constant: true }),
            Some(Input { value: value(&[filters], &bias), constant: true }),
        ];
        let y = conv.run(&inputs).unwrap();
        let out = side - 2;
        assert_eq!(y[0].shape(), [2, filters, out, out]);
        let block = block_length(out * out, channels * 9);
        assert!(block < channels * 9 && conv.parts.len() > 1);
        for (at, &found) in y[0].f32s().unwrap().iter().enumerate() {
            let (image, filter) = (at / (filters * out * out), at / (out * out) % filters);
            let (row, column) = (at / out % out, at % out);
            let mut sum = None;
            for first in (0..channels * 9).step_by(block) {
                let part = (first..(channels * 9).min(first + block)).fold(0f32, |sum, k| {
                    let (c, i, j) = (k / 9, k / 3 % 3, k % 3);
                    let x = x[((image * channels + c) * side + row + i) * side + column + j];
                    x.mul_add(w[filter * channels * 9 + k], sum)
                });
                sum = Some(sum.map_or(part, |sum: f32| sum + part));
            }
            let expected = sum.unwrap() + bias[filter];
            // A machine without fused multiply-adds rounds each product as well.
            let equal = found == expected || !fused();
            assert!(equal, "{found} instead of {expected} at {at}");
        }
    }
}
