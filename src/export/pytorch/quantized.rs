//! Quantizers as modules, and what of a quantized model PyTorch's own kernels do not take.

use super::code;
use super::emit::{Emitter, Flavour};
use super::error::Refusal;
use crate::onnx::proto::NodeProto;
use crate::onnx::{Document, NodeExt};
use crate::quant::table::{TableFormat, lift, lower};
use crate::quant::{Granularity, QuantParams, TensorKind, quantized_tensors};
use crate::tensor::{DType, Tensor};

/// A `QuantizeLinear` or `DequantizeLinear` as a module that holds its scale and zero point.
pub(super) fn quantizer(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    let quantize = node.op_type() == "QuantizeLinear";
    let constant = |at: usize| match node.input_name(at) {
        Some(name) => emitter.constant(&emitter.document.origin(name)).ok_or("a scale or zero point that is computed"),
        None => Err("no scale"),
    };
    let scale = constant(1)?;
    let zero_point = if node.input_name(2).is_some() { Some(constant(2)?) } else { None };
    let declared = node.int("output_dtype").and_then(|number| DType::from_onnx(i32::try_from(number).ok()?));
    let default = if quantize { declared.unwrap_or(DType::Uint8) } else { emitter.dtype(node, 0) };
    let dtype = zero_point.as_ref().map_or(default, Tensor::dtype);
    let (Some((low, high)), Some(torch)) = (dtype.int_range(), code::torch_type(dtype)) else {
        return Err(format!("quantization to {dtype}, which has no integers").into());
    };
    if scale.dtype() != DType::Float32 {
        return Err(format!("scales of {}", scale.dtype()).into());
    }
    let scales = scale.to_f32()?;
    let mut zero_points = match &zero_point {
        Some(tensor) => tensor.to_i64()?,
        None => vec![0; scales.len()],
    };
    if let ([single], true) = (zero_points.as_slice(), scales.len() > 1) {
        zero_points = vec![*single; scales.len()];
    }
    let block = node.int("block_size").unwrap_or(0);
    let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
    let class = node.op_type();
    let bounds = format!("low={low}, high={high}, dtype={torch}");
    let (shape, constructor) = match (scales.as_slice(), zero_points.as_slice(), block) {
        (&[scale], &[zero_point], 0) => {
            (vec![], format!("{class}(scale={}, zero_point={zero_point}, {bounds})", code::double(scale)))
        }
        _ => {
            let shape = scale.shape().to_vec();
            let axis = node.int("axis").unwrap_or(1);
            let dims: Vec<i64> = shape.iter().map(|&dim| dim as i64).collect();
            let block = if block > 0 { format!(", block={block}") } else { String::new() };
            (shape, format!("{class}({bounds}, shape={}, axis={axis}{block})", code::tuple(&dims)))
        }
    };
    if !block_fits(emitter.flavour, block) {
        return Err("blocked scales, which PT2E's operators have not".into());
    }
    let scale = Tensor::from_vec(shape.clone(), scales)?;
    let zero_point = Tensor::from_vec(shape, zero_points)?;
    emitter.module_of(&name, &constructor, vec![("scale", scale), ("zero_point", zero_point)]);
    emitter.note_quantizer();
    emitter.assign(node, 0, &name, &format!("self.{name}({x})"));
    Ok(())
}

fn block_fits(flavour: Flavour, block: i64) -> bool {
    flavour == Flavour::Exact || block == 0
}

/// Whether PT2E's operators can say every scale of the model; otherwise why not.
pub(super) fn beyond_pt2e(document: &Document) -> Option<String> {
    let blocked = quantized_tensors(document).into_iter().find(|tensor| {
        tensor.fixed().is_some_and(|params| matches!(params.granularity, Granularity::Blocked { .. }))
    })?;
    Some(format!(
        "there is no PT2E form: '{}' has blocked scales, for which torch.ops.quantized_decomposed has no operator. \
         model.py computes them exactly.",
        blocked.stored
    ))
}

/// What PyTorch's quantized kernels (fbgemm, x86, qnnpack) would not take as it is.
pub(super) fn notes(document: &Document) -> Vec<String> {
    let tensors = quantized_tensors(document);
    let of_kind = |kind: TensorKind, test: &dyn Fn(&QuantParams) -> bool| -> (usize, Option<String>) {
        let found = tensors.iter().filter(|tensor| tensor.kind == kind && tensor.fixed().is_some_and(test));
        let names: Vec<&String> = found.map(|tensor| &tensor.stored).collect();
        (names.len(), names.first().map(|name| name.to_string()))
    };
    let mut notes = Vec::new();
    let mut say = |(count, first): (usize, Option<String>), text: &str| {
        if let Some(first) = first {
            let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
            notes.push(format!("'{first}'{more}: {text}"));
        }
    };
    say(
        of_kind(TensorKind::Weight, &|params| params.dtype == DType::Uint8),
        "uint8 weights. fbgemm, x86 and qnnpack take qint8 weights only, so that these layers compute in float between \
         DequantizeLinear and QuantizeLinear. Quantize the weights to int8 to lower them.",
    );
    say(
        of_kind(TensorKind::Weight, &|params| {
            params.dtype == DType::Int8 && params.zero_point.iter().any(|&zero_point| zero_point != 0)
        }),
        "int8 weights with a zero point. PT2E's quantizers and oneDNN want symmetric weights (zero point 0).",
    );
    say(
        of_kind(TensorKind::Activation, &|params| params.dtype == DType::Int8),
        "int8 activations. fbgemm and x86 take quint8 activations: the same scale with the zero point 128 higher, and \
         codes 128 higher, is the same tensor.",
    );
    let odd = |params: &QuantParams| !matches!(params.dtype, DType::Int8 | DType::Uint8);
    say(
        of_kind(TensorKind::Weight, &odd),
        "weights of another width than 8 bits: kept as integers with their own bounds.",
    );
    say(
        of_kind(TensorKind::Activation, &odd),
        "activations of another width than 8 bits: no quantized kernel takes them.",
    );
    notes
}

/// What is said of a model whose integer operators were lifted.
pub(super) const LIFTED: &str = "Integer operators are written as float ones between quantizers: a sum that lies \
                                 between two codes may be rounded to the other one.";

/// A document with integer operators as one with quantizers around float operators; `None` where there are none, and
/// where they cannot be lifted.
pub(super) fn as_qdq(document: &Document) -> Option<Document> {
    let is_integer = |node: &NodeProto| {
        let op = node.op_type();
        op.starts_with("QLinear") || matches!(op, "QGemm" | "ConvInteger" | "MatMulInteger")
    };
    if !document.graph().node.iter().any(is_integer) {
        return None;
    }
    let lifted = lift(document, None).ok()?;
    lower(&lifted.float, &lifted.table, TableFormat::Qdq).ok()
}
