//! The layers of a quantized model whose weights can be rounded to data.

use super::clamp::node_label;
use super::rounding::{Gram, Window, patches, round_outputs};
use super::{QuantizeError, Quantized};
use crate::onnx::proto::NodeProto;
use crate::onnx::{Document, NodeExt};
use crate::quant::table::{Row, integers};
use crate::quant::{Granularity, QuantParams};
use crate::tensor::{DType, Tensor};
use std::ops::Range;

/// Inputs of one output at most: their products take the square of it, 42 MB here.
const MOST_INPUTS: usize = 2304;
/// Products of all groups of a layer at most, as many.
const MOST_PRODUCTS: usize = MOST_INPUTS * MOST_INPUTS;

/// A convolution of one or two axes, a `Gemm` or a `MatMul` with a quantized constant weight.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundingSite {
    /// The node.
    pub layer: String,
    /// The tensor that it reads.
    pub input: String,
    /// The tensor that it makes.
    pub output: String,
    /// `tensor` of the weight's row.
    pub weight: String,
    /// Inputs of one output: channels of a group times kernel elements.
    pub size: usize,
    /// Output channels.
    pub outputs: usize,
    groups: usize,
    kind: Kind,
}

/// How a weight meets its input.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// `kernel`, `strides`, `dilations` and pads before (`None`: SAME, the odd one behind or before) of one or two axes.
    Conv { kernel: [usize; 2], strides: [usize; 2], dilations: [usize; 2], pads: Pads },
    /// The last axis of the input; whether the weight is [inputs, outputs].
    Matrix { inputs_first: bool },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Pads {
    Before([usize; 2]),
    Same { odd_before: bool },
}

/// The layers that can be rounded to data, in the order in which they run, and why each other layer with a quantized
/// weight cannot be.
pub fn rounding_sites(quantized: &Quantized) -> (Vec<RoundingSite>, Vec<String>) {
    let (mut sites, mut refused) = (Vec::new(), Vec::new());
    for &position in quantized.document.index().order() {
        let Some(node) = quantized.document.node(position) else { continue };
        let weight = node.input_name(1).and_then(|name| quantized.table.row(name));
        let Some(row) = weight.filter(|row| row.enabled && row.constant.is_some()) else { continue };
        if !matches!(node.op_type(), "Conv" | "ConvTranspose" | "Gemm" | "MatMul") {
            continue;
        }
        match site(&quantized.document, node, row) {
            Ok(site) => sites.push(site),
            Err(reason) => refused.push(format!("{} is rounded to nearest: {reason}", node_label(node))),
        }
    }
    (sites, refused)
}

fn site(document: &Document, node: &NodeProto, row: &Row) -> Result<RoundingSite, String> {
    let (Some(constant), Some(input), Some(output)) = (&row.constant, node.input_name(0), node.output_name(0)) else {
        return Err("it has no constant weight".to_owned());
    };
    let shape = constant.float.shape();
    if document.index().consumers(&row.tensor).len() != 1 {
        return Err("others use its weight too".to_owned());
    }
    if !matches!(row.grid.params.granularity, Granularity::PerTensor | Granularity::PerChannel { .. }) {
        return Err("its weight has a scale for each block".to_owned());
    }
    let (kind, groups, outputs, size) = match (node.op_type(), shape) {
        ("Conv", [outputs, per_group, kernel @ ..]) if matches!(kernel.len(), 1 | 2) => {
            let groups = usize::try_from(node.int("group").unwrap_or(1)).unwrap_or(0);
            if groups == 0 || !outputs.is_multiple_of(groups) {
                return Err("its groups do not divide its channels".to_owned());
            }
            let size = kernel.iter().product::<usize>() * per_group;
            (conv(node, kernel)?, groups, *outputs, size)
        }
        ("Gemm", [first, second]) if node.int("transA").unwrap_or(0) == 0 => {
            let inputs_first = node.int("transB").unwrap_or(0) == 0;
            let (outputs, size) = if inputs_first { (*second, *first) } else { (*first, *second) };
            (Kind::Matrix { inputs_first }, 1, outputs, size)
        }
        ("MatMul", [size, outputs]) => (Kind::Matrix { inputs_first: true }, 1, *outputs, *size),
        (op, shape) => return Err(format!("{op} with a weight of rank {} is not looked at", shape.len())),
    };
    if size == 0 || outputs == 0 {
        return Err("its weight is empty".to_owned());
    }
    if size > MOST_INPUTS || size * size > MOST_PRODUCTS / groups {
        return Err(format!("{size} inputs of each output in {groups} groups are beyond {MOST_INPUTS}"));
    }
    let (layer, input, output) = (node_label(node), input.to_owned(), output.to_owned());
    Ok(RoundingSite { layer, input, output, weight: row.tensor.clone(), size, outputs, groups, kind })
}

fn conv(node: &NodeProto, kernel: &[usize]) -> Result<Kind, String> {
    // One spatial axis is two with a single row.
    let two = |values: &[usize], missing: usize| match values {
        [columns] => Some([missing, *columns]),
        [rows, columns] => Some([*rows, *columns]),
        _ => None,
    };
    let listed = |name: &str, usual: usize| -> Result<Vec<usize>, String> {
        match node.ints(name) {
            [] => Ok(vec![usual; kernel.len()]),
            values => values
                .iter()
                .map(|&value| usize::try_from(value).map_err(|_| format!("its {name} are negative")))
                .collect(),
        }
    };
    let fit = |name: &str| format!("its {name} do not fit its kernel");
    let pads = match node.string("auto_pad").unwrap_or("NOTSET") {
        "SAME_UPPER" => Pads::Same { odd_before: false },
        "SAME_LOWER" => Pads::Same { odd_before: true },
        "VALID" => Pads::Before([0, 0]),
        _ => {
            let all = listed("pads", 0)?;
            let before = all.get(..kernel.len()).ok_or_else(|| fit("pads"))?;
            Pads::Before(two(before, 0).ok_or_else(|| fit("pads"))?)
        }
    };
    Ok(Kind::Conv {
        kernel: two(kernel, 1).ok_or_else(|| fit("dims"))?,
        strides: two(&listed("strides", 1)?, 1).ok_or_else(|| fit("strides"))?,
        dilations: two(&listed("dilations", 1)?, 1).ok_or_else(|| fit("dilations"))?,
        pads,
    })
}

impl RoundingSite {
    /// Sums for the layer, one for each group.
    pub fn grams(&self) -> Vec<Gram> {
        vec![Gram::new(self.size); self.groups]
    }

    /// Bytes that the sums take.
    pub fn bytes(&self) -> usize {
        self.groups.saturating_mul(self.size.saturating_mul(self.size)).saturating_mul(size_of::<f64>())
    }

    /// How many outputs of one channel an output of this shape has.
    pub fn places(&self, output: &[usize]) -> usize {
        output.iter().product::<usize>() / self.outputs.max(1)
    }

    /// Takes the inputs of every `every`th place of a run. Shapes that do not fit the layer are left out.
    pub fn add(&self, input: &[f32], shape: &[usize], output: &[usize], every: usize, grams: &mut [Gram]) {
        match &self.kind {
            Kind::Matrix { .. } => {
                if let (Some(gram), Some(&last)) = (grams.first_mut(), shape.last())
                    && last == self.size
                {
                    input.chunks_exact(last).step_by(every.max(1)).for_each(|inputs| gram.add(inputs));
                }
            }
            Kind::Conv { kernel, strides, dilations, pads } => {
                let (four, spatial) = match (shape, output) {
                    ([n, c, w], [_, _, columns]) => ([*n, *c, 1, *w], [1, *columns]),
                    ([n, c, h, w], [_, _, rows, columns]) => ([*n, *c, *h, *w], [*rows, *columns]),
                    _ => return,
                };
                if !four[1].is_multiple_of(self.groups) {
                    return;
                }
                let pads_before = match pads {
                    Pads::Before(pads) => *pads,
                    Pads::Same { odd_before } => [0, 1].map(|axis| {
                        let reach = (kernel[axis].saturating_sub(1)) * dilations[axis] + 1;
                        let needed = spatial[axis].saturating_sub(1) * strides[axis] + reach;
                        let all = needed.saturating_sub(four[2 + axis]);
                        if *odd_before { all.div_ceil(2) } else { all / 2 }
                    }),
                };
                let window =
                    Window { kernel: *kernel, strides: *strides, dilations: *dilations, pads_before, output: spatial };
                let per_group = four[1] / self.groups;
                for (group, gram) in grams.iter_mut().enumerate() {
                    let channels = group * per_group..(group + 1) * per_group;
                    patches(input, four, channels, &window, every, |patch| gram.add(patch));
                }
            }
        }
    }

    /// The codes of some output channels, each channel's in the order of its inputs.
    pub fn round(
        &self,
        quantized: &Quantized,
        grams: &[Gram],
        outputs: Range<usize>,
    ) -> Result<Vec<i64>, QuantizeError> {
        let Some((row, constant)) = self.row(quantized) else { return Ok(Vec::new()) };
        let fail = |source| QuantizeError::Scale { tensor: self.weight.clone(), source };
        let (weight, params) = match self.kind {
            Kind::Matrix { inputs_first: true } => {
                let values = constant.to_f32().map_err(|error| fail(error.into()))?;
                let turned = turned(&values, self.size, self.outputs);
                let weight = Tensor::from_vec(vec![self.outputs, self.size], turned);
                let params = QuantParams {
                    granularity: match row.grid.params.granularity {
                        Granularity::PerChannel { axis } => Granularity::PerChannel { axis: 1 - axis.min(1) },
                        other => other,
                    },
                    ..row.grid.params.clone()
                };
                (weight.map_err(|error| fail(error.into()))?, params)
            }
            _ => (constant.clone(), row.grid.params.clone()),
        };
        let mut codes = round_outputs(&weight, &params, grams, outputs).map_err(fail)?;
        // Codes may be fewer than the type has.
        let (low, high) = row.grid.codes();
        codes.iter_mut().for_each(|code| *code = (*code).clamp(low.into(), high.into()));
        Ok(codes)
    }

    /// Gives the weight its codes, which [`RoundingSite::round`] found for all output channels in order. Returns how
    /// many of them differ from rounding to nearest.
    pub fn store(&self, quantized: &mut Quantized, codes: &[i64]) -> Result<usize, QuantizeError> {
        let fail = |source: crate::tensor::TensorError| QuantizeError::Scale {
            tensor: self.weight.clone(),
            source: source.into(),
        };
        let Some((row, constant)) = self.row(quantized) else { return Ok(0) };
        let (shape, dtype) = (constant.shape().to_vec(), row.grid.params.dtype);
        let nearest = constant.to_f32().and_then(|values| row.grid.quantize(&values, &shape)?.to_i64());
        let codes = match self.kind {
            Kind::Matrix { inputs_first: true } => turned(codes, self.outputs, self.size),
            _ => codes.to_vec(),
        };
        let changed = nearest.map_err(fail)?.iter().zip(&codes).filter(|(nearest, code)| nearest != code).count();
        let stored = integers(dtype, &shape, &codes).map_err(fail)?;
        if let Some(constant) = quantized.table.row_mut(&self.weight).and_then(|row| row.constant.as_mut()) {
            constant.stored = Some(stored);
        }
        Ok(changed)
    }

    fn row<'a>(&self, quantized: &'a Quantized) -> Option<(&'a Row, &'a Tensor)> {
        let row = quantized.table.row(&self.weight)?;
        let constant = row.constant.as_ref()?;
        (constant.float.dtype() == DType::Float32).then_some((row, &constant.float))
    }
}

/// A matrix of `rows` by `columns`, turned.
fn turned<T: Copy>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    (0..columns)
        .flat_map(|column| (0..rows).filter_map(move |row| values.get(row * columns + column).copied()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_turned() {
        assert_eq!(turned(&[1, 2, 3, 4, 5, 6], 2, 3), [1, 4, 2, 5, 3, 6]);
        assert_eq!(turned(&turned(&[1, 2, 3, 4, 5, 6], 2, 3), 3, 2), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn padding_is_that_of_the_attribute() {
        let site = |odd_before| RoundingSite {
            layer: String::new(),
            input: String::new(),
            output: String::new(),
            weight: String::new(),
            size: 2,
            outputs: 1,
            groups: 1,
            kind: Kind::Conv { kernel: [1, 2], strides: [1, 1], dilations: [1, 1], pads: Pads::Same { odd_before } },
        };
        // Three columns seen by a kernel of two: (1, 2), (2, 3), (3, 0) or (0, 1), (1, 2), (2, 3).
        for (odd_before, unseen) in [(false, 1.0), (true, 0.0)] {
            let site = site(odd_before);
            let mut grams = site.grams();
            site.add(&[1.0, 2.0, 3.0], &[1, 1, 3], &[1, 1, 3], 1, &mut grams);
            assert_eq!(grams[0].samples(), 3);
            // The sum of squares under the kernel's second element: what it does not see is missing.
            assert_eq!(14.0 - grams[0].error(&[0.0, 1.0]), unseen);
        }
    }
}
