//! Arithmetic, comparisons and logic, element by element with broadcasting.

use crate::export::pytorch::code;
use crate::export::pytorch::emit::Emitter;
use crate::export::pytorch::error::Refusal;
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;
use crate::tensor::DType;

/// Functions of one tensor that torch has by another name.
const UNARY: &[(&str, &str)] = &[
    ("Abs", "torch.abs"),
    ("Acos", "torch.acos"),
    ("Acosh", "torch.acosh"),
    ("Asin", "torch.asin"),
    ("Asinh", "torch.asinh"),
    ("Atan", "torch.atan"),
    ("Atanh", "torch.atanh"),
    ("Ceil", "torch.ceil"),
    ("Cos", "torch.cos"),
    ("Cosh", "torch.cosh"),
    ("Erf", "torch.erf"),
    ("Exp", "torch.exp"),
    ("Floor", "torch.floor"),
    ("IsNaN", "torch.isnan"),
    ("Log", "torch.log"),
    ("Neg", "torch.neg"),
    ("Not", "torch.logical_not"),
    ("Reciprocal", "torch.reciprocal"),
    ("Round", "torch.round"),
    ("Sign", "torch.sign"),
    ("Sin", "torch.sin"),
    ("Sinh", "torch.sinh"),
    ("Sqrt", "torch.sqrt"),
    ("Tan", "torch.tan"),
];

/// Python's signs.
const INFIX: &[(&str, &str)] = &[
    ("Add", "+"),
    ("Sub", "-"),
    ("Mul", "*"),
    ("Equal", "=="),
    ("Less", "<"),
    ("Greater", ">"),
    ("LessOrEqual", "<="),
    ("GreaterOrEqual", ">="),
];

fn in_table(table: &[(&str, &'static str)], op_type: &str) -> Option<&'static str> {
    table.iter().find(|(name, _)| *name == op_type).map(|(_, word)| *word)
}

pub(super) fn node(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<bool, Refusal> {
    let op_type = node.op_type();
    let expression = if let Some(function) = in_table(UNARY, op_type) {
        format!("{function}({})", emitter.input(node, 0)?)
    } else if let Some(sign) = in_table(INFIX, op_type) {
        let (a, b) = operands(emitter, node)?;
        format!("{a} {sign} {b}")
    } else {
        match op_type {
            "Div" => division(emitter, node)?,
            "Pow" => format!("torch.pow({}, {})", emitter.input(node, 0)?, emitter.operand(node, 1)?),
            "Mod" => {
                let function = if node.int("fmod").unwrap_or(0) == 0 { "torch.remainder" } else { "torch.fmod" };
                format!("{function}({}, {})", emitter.input(node, 0)?, emitter.operand(node, 1)?)
            }
            "And" | "Or" | "Xor" => {
                let function = format!("torch.logical_{}", op_type.to_ascii_lowercase());
                format!("{function}({}, {})", emitter.input(node, 0)?, emitter.input(node, 1)?)
            }
            "Min" => folded(emitter, node, |a, b| format!("torch.minimum({a}, {b})"))?,
            "Max" => folded(emitter, node, |a, b| format!("torch.maximum({a}, {b})"))?,
            "Sum" => folded(emitter, node, |a, b| format!("{a} + {b}"))?,
            "Mean" => format!("({}) / {}", folded(emitter, node, |a, b| format!("{a} + {b}"))?, node.input.len()),
            "Where" => {
                let (condition, a, b) = (emitter.input(node, 0)?, emitter.input(node, 1)?, emitter.input(node, 2)?);
                format!("torch.where({condition}, {a}, {b})")
            }
            "Cast" => cast(emitter, node)?,
            "CastLike" => format!("{}.to({}.dtype)", emitter.input(node, 0)?, emitter.input(node, 1)?),
            _ => return Ok(false),
        }
    };
    let name = emitter.name_of(node);
    emitter.assign(node, 0, &name, &expression);
    Ok(true)
}

/// Two operands, of which one at most is written out as a number.
fn operands(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(String, String), Refusal> {
    let b = emitter.operand(node, 1)?;
    let b_is_tensor =
        b.starts_with(|c: char| c.is_ascii_alphabetic()) && !b.starts_with("float(") && b != "True" && b != "False";
    let a = if b_is_tensor { emitter.operand(node, 0)? } else { emitter.input(node, 0)? };
    Ok((a, b))
}

fn division(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<String, Refusal> {
    if emitter.dtype(node, 0).is_float() {
        let (a, b) = operands(emitter, node)?;
        return Ok(format!("{a} / {b}"));
    }
    let (a, b) = (emitter.input(node, 0)?, emitter.operand(node, 1)?);
    Ok(format!("torch.div({a}, {b}, rounding_mode=\"trunc\")"))
}

fn folded(emitter: &mut Emitter<'_>, node: &NodeProto, pair: impl Fn(&str, &str) -> String) -> Result<String, Refusal> {
    let mut folded = emitter.input(node, 0)?;
    for at in 1..node.input.len() {
        let next = emitter.input(node, at)?;
        folded = pair(&folded, &next);
    }
    Ok(folded)
}

fn cast(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<String, Refusal> {
    let number = node.int("to").and_then(|number| i32::try_from(number).ok());
    let dtype = number.and_then(DType::from_onnx).ok_or("a cast to a type that is not known")?;
    let narrow = matches!(dtype, DType::Int4 | DType::Uint4 | DType::Int2 | DType::Uint2);
    let torch = code::torch_type(dtype).filter(|_| !narrow).ok_or_else(|| format!("a cast to {dtype}"))?;
    Ok(format!("{}.to({torch})", emitter.input(node, 0)?))
}
