//! Which inputs of an operator are data, which hold scales and zero points, and what float operator it stands for.
//!
//! Sources: the ONNX operator specification and ONNX Runtime's docs/ContribOperators.md.

use super::attributes::NodeExt;
use super::proto::NodeProto;

/// A data input of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    /// Position among the node's inputs.
    pub position: usize,
    /// What it is to the operator: `input`, `weight`, `bias`, `scale`, ...
    pub role: &'static str,
    /// Position of its scale, where the operator takes quantized data.
    pub scale: Option<usize>,
    /// Position of its zero point.
    pub zero_point: Option<usize>,
}

/// How an operator reads its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The float operator of `ai.onnx` it computes: `Conv` for `QLinearConv`, `ConvInteger` and `FusedConv`.
    pub op: String,
    /// The data inputs that are present, in order.
    pub operands: Vec<Operand>,
    /// Positions of the scale and the zero point of the result.
    pub result: Option<(usize, usize)>,
    /// Whether data goes in or comes out quantized.
    pub quantized: bool,
}

/// Operators that stand for another one in quantized or fused form: name, float operator.
const FORMS: &[(&str, &str)] = &[
    ("ConvInteger", "Conv"),
    ("MatMulInteger", "MatMul"),
    ("QLinearConv", "Conv"),
    ("QLinearMatMul", "MatMul"),
    ("FusedConv", "Conv"),
    ("NhwcFusedConv", "Conv"),
    ("FusedGemm", "Gemm"),
    ("FusedMatMul", "MatMul"),
    ("TransposeMatMul", "MatMul"),
    ("QGemm", "Gemm"),
    ("QLinearAdd", "Add"),
    ("QLinearMul", "Mul"),
    ("QLinearSigmoid", "Sigmoid"),
    ("QLinearLeakyRelu", "LeakyRelu"),
    ("QLinearSoftmax", "Softmax"),
    ("QLinearAveragePool", "AveragePool"),
    ("QLinearGlobalAveragePool", "GlobalAveragePool"),
    ("QLinearReduceMean", "ReduceMean"),
    ("QLinearConcat", "Concat"),
    ("QLinearWhere", "Where"),
    ("MatMulIntegerToFloat", "MatMul"),
    ("DynamicQuantizeMatMul", "MatMul"),
    ("NhwcMaxPool", "MaxPool"),
];

/// Input positions that are settings (shapes, axes, bounds), not data; `from..` for operators with many.
fn settings_from(op: &str) -> Option<usize> {
    Some(match op {
        "Reshape" | "Resize" | "Upsample" | "Pad" | "Slice" | "Squeeze" | "Unsqueeze" | "Clip" | "Expand" | "Tile"
        | "TopK" | "Split" | "OneHot" | "CumSum" | "Dropout" | "Trilu" | "CenterCropPad" => 1,
        "Range" | "ConstantOfShape" | "NonZero" | "Shape" | "Size" | "EyeLike" => 0,
        "MaxRoiPool" | "RoiAlign" | "GridSample" => 1,
        op if op.starts_with("Reduce") => 1,
        _ => return None,
    })
}

fn role(op: &str, position: usize) -> &'static str {
    match (op, position) {
        ("Conv" | "ConvTranspose" | "Gemm" | "MatMul" | "DeformConv", 1) => "weight",
        ("Conv" | "ConvTranspose" | "Gemm", 2) => "bias",
        ("BatchNormalization", 3) => "mean",
        ("BatchNormalization", 4) => "variance",
        ("BatchNormalization" | "InstanceNormalization" | "LayerNormalization" | "GroupNormalization", 1) => "scale",
        ("BatchNormalization" | "InstanceNormalization" | "LayerNormalization" | "GroupNormalization", 2) => "bias",
        ("PRelu", 1) => "slope",
        ("Add" | "Sub", _) => "bias",
        ("Mul" | "Div", _) => "scale",
        ("Gather", 0) => "weight",
        ("Gather", _) => "indices",
        ("LSTM" | "GRU" | "RNN", 1) => "weight",
        ("LSTM" | "GRU" | "RNN", 2) => "recurrence",
        ("LSTM" | "GRU" | "RNN", 3) => "bias",
        (_, 0) => "input",
        _ => "constant",
    }
}

impl Signature {
    /// The signature of a node; operators that are not known are taken as reading data everywhere.
    pub fn of(node: &NodeProto) -> Self {
        let name = node.op_type();
        let contrib = node.domain_name() == "com.microsoft";
        let form = FORMS.iter().find(|(form, _)| *form == name && (contrib || node.domain_name().is_empty()));
        let op = form.map_or(name, |(_, op)| op);
        let full = |position, role, scale, zero_point| Operand { position, role, scale, zero_point };
        let quantized = |position, role| full(position, role, Some(position + 1), Some(position + 2));
        let plain = |position, role| full(position, role, None, None);
        let count = node.input.len();
        let (operands, result) = match (form.map(|(form, _)| *form), op) {
            (Some("QLinearConv"), _) => {
                (vec![quantized(0, "input"), quantized(3, "weight"), plain(8, "bias")], Some((6, 7)))
            }
            (Some("QLinearMatMul"), _) => (vec![quantized(0, "input"), quantized(3, "weight")], Some((6, 7))),
            (Some("QGemm"), _) => (vec![quantized(0, "input"), quantized(3, "weight"), plain(6, "bias")], Some((7, 8))),
            (Some("QLinearAdd"), _) => (vec![quantized(0, "bias"), quantized(3, "bias")], Some((6, 7))),
            (Some("QLinearMul"), _) => (vec![quantized(0, "scale"), quantized(3, "scale")], Some((6, 7))),
            (Some("QLinearWhere"), _) => {
                (vec![plain(0, "input"), quantized(1, "constant"), quantized(4, "constant")], Some((7, 8)))
            }
            (Some("QLinearConcat"), _) => {
                ((2..count).step_by(3).map(|position| quantized(position, "input")).collect(), Some((0, 1)))
            }
            (Some("ConvInteger" | "MatMulInteger"), _) => {
                (vec![full(0, "input", None, Some(2)), full(1, "weight", None, Some(3))], None)
            }
            (Some("MatMulIntegerToFloat"), _) => {
                let weight = full(1, "weight", Some(3), Some(5));
                (vec![full(0, "input", Some(2), Some(4)), weight, plain(6, "bias")], None)
            }
            (Some("DynamicQuantizeMatMul"), _) => {
                (vec![plain(0, "input"), full(1, "weight", Some(2), Some(3)), plain(4, "bias")], None)
            }
            (Some(form), _) if form.starts_with("QLinear") => (vec![quantized(0, "input")], Some((3, 4))),
            (_, op) => {
                let end = settings_from(op).unwrap_or(count).min(count);
                ((0..end).map(|position| plain(position, role(op, position))).collect(), None)
            }
        };
        let present = |operand: &Operand| node.input_name(operand.position).is_some();
        let integer =
            matches!(name, "ConvInteger" | "MatMulInteger" | "MatMulIntegerToFloat" | "DynamicQuantizeMatMul");
        let qlinear = form.is_some_and(|(form, _)| form.starts_with("QLinear") || *form == "QGemm");
        let quantized = form.is_some() && (qlinear || integer);
        // QGemm without an output scale gives reals.
        let result = result.filter(|&(scale, _)| node.input_name(scale).is_some());
        Signature { op: op.to_owned(), operands: operands.into_iter().filter(present).collect(), result, quantized }
    }
}

/// Whether a node only changes the number format of a value or hands it on.
pub fn is_plumbing(node: &NodeProto) -> bool {
    match node.domain_name() {
        "" => matches!(
            node.op_type(),
            "QuantizeLinear" | "DequantizeLinear" | "DynamicQuantizeLinear" | "Identity" | "Cast" | "CastLike"
        ),
        "com.microsoft" => matches!(node.op_type(), "QuantizeLinear" | "DequantizeLinear"),
        _ => false,
    }
}

/// Whether a node is `QuantizeLinear`, of `ai.onnx` or `com.microsoft`.
pub fn is_quantize(node: &NodeProto) -> bool {
    node.op_type() == "QuantizeLinear" && matches!(node.domain_name(), "" | "com.microsoft")
}

/// Whether a node is `DequantizeLinear`, of `ai.onnx` or `com.microsoft`.
pub fn is_dequantize(node: &NodeProto) -> bool {
    node.op_type() == "DequantizeLinear" && matches!(node.domain_name(), "" | "com.microsoft")
}
