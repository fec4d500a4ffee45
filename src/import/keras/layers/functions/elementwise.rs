//! Functions of each element: arithmetic, comparisons, logic, choices, activations.

use super::given::Operand;
use super::{cast, shapes};
use crate::import::keras::config::number;
use crate::import::keras::context::Context;
use crate::import::keras::layers::activation::{self, Function};
use crate::import::keras::layers::merge;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::value::Value;
use crate::tensor::DType;

/// The result of such a function; `None` where the name is not one of theirs.
pub(super) fn function(context: &mut Context, name: &str, operands: &[Operand]) -> Result<Option<Value>, Stop> {
    if let Some(op_type) = arithmetic(name) {
        return binary(context, name, op_type, operands).map(Some);
    }
    if let Some(op_type) = logic(name) {
        return logical(context, op_type, operands).map(Some);
    }
    if name == "where" {
        return choice(context, operands).map(Some);
    }
    let Some(Operand::Tensor(value)) = operands.first() else { return Ok(None) };
    if let Some(function) = activation_of(context, name)? {
        return activation::apply(context, value, Some(function)).map(Some);
    }
    unary(context, name, value)
}

/// The operator of a function of two operands.
fn arithmetic(name: &str) -> Option<&'static str> {
    Some(match name {
        "add" | "addn" | "addv2" => "Add",
        "subtract" => "Sub",
        "multiply" => "Mul",
        "truedivide" => "Div",
        "floordivide" | "floordiv" => "Div",
        "squareddifference" => "Sub",
        "maximum" => "Max",
        "minimum" => "Min",
        "power" => "Pow",
        "greater" => "Greater",
        "greaterequal" => "GreaterOrEqual",
        "less" => "Less",
        "lessequal" => "LessOrEqual",
        "equal" => "Equal",
        "notequal" => "Equal",
        _ => return None,
    })
}

fn binary(context: &mut Context, name: &str, op_type: &str, operands: &[Operand]) -> Result<Value, Stop> {
    let result = match operands {
        [Operand::Tensor(first), Operand::Tensor(second)] => {
            let pair = shapes::same_rank(context, &[first.clone(), second.clone()])?;
            merge::elementwise(context, &pair, op_type)?
        }
        [Operand::Tensor(value), Operand::Number(number)] => {
            let value = context.float(value);
            let number = context.floats("operand", &[], &[*number as f32])?;
            vec![value.named(context.node(op_type, &[&value.name, &number], op_type, &[]))]
        }
        [Operand::Number(number), Operand::Tensor(value)] => {
            let value = context.float(value);
            let number = context.floats("operand", &[], &[*number as f32])?;
            vec![value.named(context.node(op_type, &[&number, &value.name], op_type, &[]))]
        }
        many if name == "addn" => {
            let tensors = super::given::tensors(many)?;
            merge::elementwise(context, &tensors, op_type)?
        }
        other => return unsupported(format!("the function '{name}' of these {} operands", other.len())),
    };
    let Some(result) = result.into_iter().next() else { return unsupported(format!("the function '{name}'")) };
    Ok(match name {
        "floordivide" | "floordiv" => context.same("Floor", &result, &[]),
        "squareddifference" => {
            let name = context.node("Mul", &[&result.name, &result.name], "Mul", &[]);
            result.named(name)
        }
        "greater" | "greaterequal" | "less" | "lessequal" | "equal" => Value { dtype: DType::Bool, ..result },
        "notequal" => context.same("Not", &Value { dtype: DType::Bool, ..result }, &[]),
        _ => result,
    })
}

/// The operator of a function on booleans.
fn logic(name: &str) -> Option<&'static str> {
    Some(match name {
        "logicalor" => "Or",
        "logicaland" => "And",
        "logicalxor" => "Xor",
        "logicalnot" => "Not",
        _ => return None,
    })
}

/// Functions on booleans; of numbers, everything but 0 is true.
fn logical(context: &mut Context, op_type: &str, operands: &[Operand]) -> Result<Value, Stop> {
    let values = super::given::tensors(operands)?;
    let values: Vec<Value> = shapes::same_rank(context, &values)?
        .iter()
        .map(|value| {
            let value = context.low.as_is(value);
            cast(context, &value, DType::Bool)
        })
        .collect();
    let inputs: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
    let Some(first) = values.first().filter(|_| values.len() == if op_type == "Not" { 1 } else { 2 }) else {
        return unsupported(format!("a logical function of {} operands", values.len()));
    };
    let shape = merge::broadcast(context, &values)?;
    let name = context.node(op_type, &inputs, op_type, &[]);
    Ok(Value { shape, ..first.named(name) })
}

/// `where`: the second operand where the first is true, the third elsewhere.
fn choice(context: &mut Context, operands: &[Operand]) -> Result<Value, Stop> {
    let [Operand::Tensor(condition), rest @ ..] = operands else { return unsupported("a choice without a condition") };
    if rest.len() != 2 {
        return unsupported("the positions of what is true, which nobody can count before");
    }
    let mut values = vec![cast(context, condition, DType::Bool)];
    for operand in rest {
        values.push(match operand {
            Operand::Tensor(value) => context.float(value),
            Operand::Number(number) => {
                let name = context.floats("operand", &[], &[*number as f32])?;
                Value::new(name, Some(Vec::new()), crate::import::keras::value::Layout::AsIs)
            }
        });
    }
    let values: Vec<Value> = values.iter().map(|value| context.low.as_is(value)).collect();
    let shape = merge::broadcast(context, &values)?;
    let names: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
    let name = context.node("Where", &names, "Where", &[]);
    Ok(Value::new(name, shape, crate::import::keras::value::Layout::AsIs))
}

/// The activation of this name, with the options that it is given.
fn activation_of(context: &Context, name: &str) -> Result<Option<Function>, Stop> {
    let config = context.config;
    let axis = || match config.axes("axis", &[-1])?.as_slice() {
        [axis] => Ok(*axis),
        _ => unsupported("a softmax over more than one axis"),
    };
    let slope = |keys: &[&str], default: f64| match config.first(keys) {
        None => Ok(default as f32),
        Some(value) => number(value)
            .map(|number| number as f32)
            .ok_or_else(|| config.wrong(keys.first().copied().unwrap_or_default(), "a number")),
    };
    let named = match name {
        "softmax" => return Ok(Some(Function::Softmax { axis: axis()? })),
        "logsoftmax" => return Ok(Some(Function::LogSoftmax { axis: axis()? })),
        "leakyrelu" => {
            let slope = slope(&["negative_slope", "alpha"], 0.2)?;
            return Ok(Some(Function::Relu { limit: None, slope, threshold: 0.0 }));
        }
        "elu" => return Ok(Some(Function::Elu { alpha: slope(&["alpha"], 1.0)? })),
        "gelu" if config.bool("approximate", false)? => "gelu_tanh",
        "celu" if slope(&["alpha"], 1.0)? != 1.0 => return unsupported("celu with another alpha"),
        "relu" | "relu6" | "silu" | "gelu" | "selu" | "celu" | "softplus" | "softsign" | "tanh" | "sigmoid"
        | "mish" | "exp" | "squareplus" => name,
        "hardsigmoid" => "hard_sigmoid",
        "hardsilu" | "hardswish" => "hard_silu",
        "hardtanh" => "hard_tanh",
        "logsigmoid" => "log_sigmoid",
        "tanhshrink" => "tanh_shrink",
        "softshrink" => "soft_shrink",
        "hardshrink" => "hard_shrink",
        "sparseplus" => "sparse_plus",
        "sparsesigmoid" => "sparse_sigmoid",
        _ => return Ok(None),
    };
    let is_usual = |key: &str, usual: f64| config.get(key).and_then(number).is_none_or(|given| given == usual);
    if !is_usual("threshold", 0.5) || (name == "squareplus" && !is_usual("b", 4.0)) {
        return unsupported(format!("the function '{name}' with other options"));
    }
    Ok(Some(Function::Named(named.to_owned())))
}

fn unary(context: &mut Context, name: &str, value: &Value) -> Result<Option<Value>, Stop> {
    let op_type = match name {
        "identity" => return Ok(Some(value.clone())),
        "cast" | "saturatecast" => return to_type(context, value).map(Some),
        "clip" => return clip(context, value).map(Some),
        "log" => "Log",
        "sqrt" => "Sqrt",
        "absolute" => "Abs",
        "negative" => "Neg",
        "sin" => "Sin",
        "cos" => "Cos",
        "tan" => "Tan",
        "arcsin" | "asin" => "Asin",
        "arccos" | "acos" => "Acos",
        "arctan" | "atan" => "Atan",
        "sinh" => "Sinh",
        "cosh" => "Cosh",
        "sign" => "Sign",
        "floor" => "Floor",
        "ceil" => "Ceil",
        "round" => "Round",
        "erf" => "Erf",
        "reciprocal" => "Reciprocal",
        "square" | "rsqrt" | "log1p" | "expm1" => "",
        _ => return Ok(None),
    };
    let value = context.float(value);
    let one = |context: &mut Context| context.floats("one", &[], &[1.0]);
    Ok(Some(match name {
        "square" => {
            let name = context.node("Mul", &[&value.name, &value.name], "Mul", &[]);
            value.named(name)
        }
        "rsqrt" => {
            let root = context.same("Sqrt", &value, &[]);
            context.same("Reciprocal", &root, &[])
        }
        "log1p" => {
            let one = one(context)?;
            let name = context.node("Add", &[&value.name, &one], "Add", &[]);
            context.same("Log", &value.named(name), &[])
        }
        "expm1" => {
            let (one, power) = (one(context)?, context.same("Exp", &value, &[]));
            let name = context.node("Sub", &[&power.name, &one], "Sub", &[]);
            value.named(name)
        }
        _ => context.same(op_type, &value, &[]),
    }))
}

/// `cast`: every float type is float32 here.
fn to_type(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    let dtype = match context.config.text("dtype", "float32")? {
        "bool" => DType::Bool,
        "int8" => DType::Int8,
        "int16" => DType::Int16,
        "int32" => DType::Int32,
        "int64" => DType::Int64,
        "uint8" => DType::Uint8,
        "uint16" => DType::Uint16,
        "uint32" => DType::Uint32,
        name if name.contains("float") => DType::Float32,
        name => return unsupported(format!("numbers of type '{name}'")),
    };
    Ok(cast(context, value, dtype))
}

fn clip(context: &mut Context, value: &Value) -> Result<Value, Stop> {
    let bounds = ["x_min", "x_max"].map(|key| context.config.get(key).and_then(number));
    let [Some(low), Some(high)] = bounds else { return unsupported("bounds that are no numbers") };
    let value = context.float(value);
    let low = context.floats("x_min", &[], &[low as f32])?;
    let high = context.floats("x_max", &[], &[high as f32])?;
    let name = context.node("Clip", &[&value.name, &low, &high], "Clip", &[]);
    Ok(value.named(name))
}
