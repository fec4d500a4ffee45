//! Type and shape of what one node writes, from what is known of what it reads.
//!
//! Source: the shape inference of each operator in the ONNX specification (docs/Operators.md) and, for
//! `com.microsoft`, docs/ContribOperators.md. An operator that is not here gives unknown values, never wrong ones.

use super::attributes::NodeExt;
use super::document::Document;
use super::facts::{Dim, Facts, ValueFact};
use super::operands::Signature;
use super::proto::NodeProto;
use super::shape;
use crate::tensor::DType;

/// A fact, and the elements where the value is a small integer one.
pub(super) type Inferred = (ValueFact, Option<Vec<Dim>>);

/// What a node reads, by position.
pub(super) struct Reader<'a> {
    pub document: &'a Document,
    pub node: &'a NodeProto,
    pub facts: &'a Facts,
}

impl Reader<'_> {
    pub fn shape(&self, position: usize) -> Option<Vec<Dim>> {
        self.facts.shape(self.node.input_name(position)?).map(<[Dim]>::to_vec)
    }

    pub fn dtype(&self, position: usize) -> Option<DType> {
        self.facts.dtype(self.node.input_name(position)?)
    }

    pub fn content(&self, position: usize) -> Option<Vec<Dim>> {
        self.facts.content(self.node.input_name(position)?).map(<[Dim]>::to_vec)
    }

    /// The elements of a constant integer input, negative ones included.
    pub fn constant_ints(&self, position: usize) -> Option<Vec<i64>> {
        self.document.constant(self.node.input_name(position)?)?.ok()?.to_i64().ok()
    }

    /// A list that newer operator sets take as an input and older ones as an attribute.
    pub fn ints_at(&self, position: usize, attribute: &str) -> Option<Vec<i64>> {
        match self.node.input_name(position) {
            Some(_) => self.constant_ints(position),
            None => NodeExt::attribute(self.node, attribute).map(|attribute| attribute.ints.clone()),
        }
    }
}

/// What a node writes, output by output; fewer where nothing is known of the rest.
pub(super) fn infer(document: &Document, node: &NodeProto, facts: &Facts) -> Vec<Inferred> {
    let read = Reader { document, node, facts };
    let signature = Signature::of(node);
    // Where the first data input is: QLinear operators put scales between, QLinearConcat before.
    let data: Vec<usize> = signature.operands.iter().map(|operand| operand.position).collect();
    let first = data.first().copied().unwrap_or(0);
    let weight = data.get(1).copied().unwrap_or(1);
    let result_dtype = match signature.result {
        Some((_, zero_point)) => read.dtype(zero_point).or_else(|| read.dtype(first)),
        None if node.op_type() == "QGemm" => Some(DType::Float32),
        None => read.dtype(first),
    };
    let contrib = node.domain_name() == "com.microsoft";
    if !matches!(node.domain_name(), "" | "com.microsoft") {
        return Vec::new();
    }
    let one = |dtype, shape| vec![(ValueFact::new(dtype, shape), None)];
    let same = || one(result_dtype, read.shape(first));
    match (node.op_type(), signature.op.as_str()) {
        ("ConvInteger", _) => one(Some(DType::Int32), shape::conv(&read, first, weight)),
        ("MatMulInteger", _) => one(Some(DType::Int32), shape::matmul(&read, first, weight)),
        ("MatMulIntegerToFloat", _) => one(read.dtype(2), shape::matmul(&read, first, weight)),
        ("NhwcFusedConv" | "NhwcMaxPool", _) => one(result_dtype, None),
        (_, "Conv") if contrib && node.int("channels_last").unwrap_or(0) != 0 => one(result_dtype, None),
        (_, "Conv") => one(result_dtype, shape::conv(&read, first, weight)),
        ("FusedMatMul" | "TransposeMatMul", _) => one(result_dtype, None),
        (_, "MatMul") => one(result_dtype, shape::matmul(&read, first, weight)),
        (_, "Gemm") => one(result_dtype, shape::gemm(&read, first, weight)),
        ("ConvTranspose", _) => one(result_dtype, shape::conv_transpose(&read)),
        (_, "MaxPool" | "AveragePool" | "LpPool") => {
            let shape = shape::pool(&read, first);
            vec![(ValueFact::new(result_dtype, shape.clone()), None), (ValueFact::new(Some(DType::Int64), shape), None)]
        }
        (_, "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool") => {
            let channels_last = node.int("channels_last").unwrap_or(0) != 0;
            one(result_dtype, shape::global_pool(read.shape(first), channels_last))
        }
        (_, "Concat") => concat(&read, &data, result_dtype),
        ("Add" | "Sub" | "Mul" | "Div" | "Pow" | "Mod" | "PRelu" | "BitShift" | "QLinearAdd" | "QLinearMul", _) => {
            one(result_dtype, shape::broadcast(read.shape(first), read.shape(weight)))
        }
        ("And" | "Or" | "Xor" | "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual", _) => {
            one(Some(DType::Bool), shape::broadcast(read.shape(0), read.shape(1)))
        }
        ("Max" | "Min" | "Sum" | "Mean", _) => {
            let shapes = data.iter().map(|&position| read.shape(position));
            one(result_dtype, shapes.reduce(shape::broadcast).flatten())
        }
        ("Where", _) => {
            one(read.dtype(1), shape::broadcast(shape::broadcast(read.shape(0), read.shape(1)), read.shape(2)))
        }
        ("QuantizeLinear", _) => {
            let declared = node.int("output_dtype").filter(|&number| number != 0);
            let declared = declared.and_then(|number| DType::from_onnx(i32::try_from(number).ok()?));
            one(read.dtype(2).or(declared).or(Some(DType::Uint8)), read.shape(0))
        }
        ("DequantizeLinear", _) => one(read.dtype(1), read.shape(0)),
        ("DynamicQuantizeLinear", _) => vec![
            (ValueFact::new(Some(DType::Uint8), read.shape(0)), None),
            (ValueFact::new(Some(DType::Float32), Some(vec![])), None),
            (ValueFact::new(Some(DType::Uint8), Some(vec![])), None),
        ],
        ("DynamicQuantizeMatMul", _) => one(Some(DType::Float32), shape::matmul(&read, first, weight)),
        ("Cast", _) => {
            let to = node.int("to").and_then(|number| DType::from_onnx(i32::try_from(number).ok()?));
            vec![(ValueFact::new(to, read.shape(0)), read.content(0))]
        }
        ("Identity", _) => vec![(ValueFact::new(read.dtype(0), read.shape(0)), read.content(0))],
        ("Dropout", _) => vec![
            (ValueFact::new(read.dtype(0), read.shape(0)), None),
            (ValueFact::new(Some(DType::Bool), read.shape(0)), None),
        ],
        ("Shape", _) => shape_of(&read),
        ("Size", _) => one(Some(DType::Int64), Some(vec![])),
        ("Transpose", _) => one(result_dtype, shape::transpose(read.shape(0), node.ints("perm"))),
        ("Reshape", _) => vec![(ValueFact::new(result_dtype, shape::reshape(&read)), read.content(0))],
        ("Flatten", _) => one(result_dtype, shape::flatten(read.shape(0), node.int("axis").unwrap_or(1))),
        ("Squeeze", _) => {
            let axes = read.ints_at(1, "axes");
            vec![(ValueFact::new(result_dtype, shape::squeeze(read.shape(0), axes)), read.content(0))]
        }
        ("Unsqueeze", _) => {
            let axes = read.ints_at(1, "axes");
            vec![(ValueFact::new(result_dtype, shape::unsqueeze(read.shape(0), axes)), read.content(0))]
        }
        ("Slice", _) => shape::slice(&read, result_dtype),
        ("Gather", _) => shape::gather(&read, result_dtype),
        ("Pad", _) => one(result_dtype, shape::pad(&read)),
        ("Expand", _) => one(result_dtype, shape::broadcast(read.shape(0), read.content(1))),
        ("ConstantOfShape", _) => {
            let dtype = node.tensor("value").map_or(Some(DType::Float32), |t| DType::from_onnx(t.data_type()));
            one(dtype, read.content(0))
        }
        ("Split", _) => shape::split(&read, result_dtype),
        ("Resize" | "Upsample", _) => one(result_dtype, shape::resize(&read)),
        ("DepthToSpace" | "SpaceToDepth", _) => one(result_dtype, shape::depth_space(&read)),
        ("ArgMax" | "ArgMin", _) => {
            one(Some(DType::Int64), shape::reduce(&read, first, Some(vec![node.int("axis").unwrap_or(0)])))
        }
        (op, "ReduceMean") if op.starts_with("QLinear") => {
            let axes = NodeExt::attribute(node, "axes").map(|attribute| attribute.ints.clone());
            one(result_dtype, shape::reduce(&read, first, axes))
        }
        (op, _) if op.starts_with("Reduce") => {
            let axes = read.ints_at(1, "axes");
            // Axes that are computed leave the rank open.
            let open = node.input_name(1).is_some() && axes.is_none();
            one(result_dtype, if open { None } else { shape::reduce(&read, first, axes) })
        }
        ("BatchNormalization", _) => one(result_dtype, read.shape(0)),
        ("Not" | "IsNaN" | "IsInf", _) => one(Some(DType::Bool), read.shape(0)),
        (_, op) if SAME_SHAPE.contains(&op) => same(),
        _ => Vec::new(),
    }
}

/// Operators that write a value of the type and shape of their first input.
const SAME_SHAPE: &[&str] = &[
    "Relu",
    "LeakyRelu",
    "Elu",
    "Selu",
    "Celu",
    "ThresholdedRelu",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Swish",
    "Mish",
    "Gelu",
    "FastGelu",
    "BiasGelu",
    "QuickGelu",
    "Tanh",
    "Softplus",
    "Softsign",
    "Softmax",
    "LogSoftmax",
    "Hardmax",
    "Clip",
    "Abs",
    "Neg",
    "Exp",
    "Log",
    "Sqrt",
    "Reciprocal",
    "Floor",
    "Ceil",
    "Round",
    "Sign",
    "Erf",
    "Sin",
    "Cos",
    "Tan",
    "Asin",
    "Acos",
    "Atan",
    "Sinh",
    "Cosh",
    "Asinh",
    "Acosh",
    "Atanh",
    "InstanceNormalization",
    "LayerNormalization",
    "GroupNormalization",
    "LpNormalization",
    "MeanVarianceNormalization",
    "LRN",
    "CumSum",
    "Trilu",
    "Shrink",
    "ScatterElements",
    "ScatterND",
    "Bernoulli",
    "BitwiseNot",
];

fn concat(read: &Reader, data: &[usize], dtype: Option<DType>) -> Vec<Inferred> {
    let shapes: Option<Vec<Vec<Dim>>> = data.iter().map(|&position| read.shape(position)).collect();
    let shape = shapes.and_then(|shapes| shape::concat(&shapes, read.node.int("axis")?));
    let content = data.iter().map(|&position| read.content(position)).collect::<Option<Vec<_>>>();
    vec![(ValueFact::new(dtype, shape), content.map(|parts| parts.concat()))]
}

fn shape_of(read: &Reader) -> Vec<Inferred> {
    let dims = read.shape(0).map(|dims| {
        let rank = dims.len() as i64;
        let bound = |value: i64| (if value < 0 { value.saturating_add(rank) } else { value }).clamp(0, rank) as usize;
        let start = bound(read.node.int("start").unwrap_or(0));
        let end = bound(read.node.int("end").unwrap_or(rank));
        dims.get(start..end.max(start)).unwrap_or_default().to_vec()
    });
    let shape = dims.as_ref().map(|dims| vec![Dim::Known(dims.len())]).unwrap_or(vec![Dim::Unknown]);
    vec![(ValueFact::new(Some(DType::Int64), Some(shape)), dims)]
}
