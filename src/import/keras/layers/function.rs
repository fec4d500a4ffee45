//! Functions between layers: `keras.ops` of Keras 3 and `TFOpLambda` of Keras 2, as `x + 1` makes them.

use super::{merge, ops};
use crate::import::keras::context::Context;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::topology::Arg;
use crate::import::keras::value::{Layout, Value};
use crate::tensor::DType;

/// What a call is given: a tensor or a number.
enum Operand {
    Tensor(Value),
    Number(f64),
}

/// The arguments in order, then the keywords that functions have operands in.
fn operands(context: &mut Context) -> Result<Vec<Operand>, Stop> {
    let call = context.call;
    let keywords = ["y", "x2"].iter().filter_map(|name| call.keyword(name));
    let mut found = Vec::new();
    for arg in call.args.iter().chain(keywords) {
        match arg {
            Arg::Tensor(tensor, shape) => match context.values.get(tensor) {
                Some(value) => found.push(Operand::Tensor(value.with_declared_shape(shape.as_deref()))),
                None => return unsupported("an argument that nothing makes"),
            },
            Arg::Plain(value) => match crate::import::keras::config::number(value) {
                Some(number) => found.push(Operand::Number(number)),
                None => match ops::constant(context, value)? {
                    Some(constant) => found.push(Operand::Tensor(constant)),
                    None => return unsupported("an argument that is no number"),
                },
            },
            Arg::List(_) => return unsupported("a list as argument"),
        }
    }
    Ok(found)
}

/// The function's name without what is around it: `__operators__.add` and `math.add` are `add`.
fn function_name<'n>(context: &'n Context) -> &'n str {
    let name = match context.layer.class.as_str() {
        "TFOpLambda" | "SlicingOpLambda" => context.config.text("function", "").unwrap_or_default(),
        class => class,
    };
    name.rsplit('.').next().unwrap_or(name)
}

/// Elementwise functions of one or two operands.
pub(super) fn function(context: &mut Context) -> Result<Vec<Value>, Stop> {
    let name = function_name(context).to_owned();
    if context.layer.is_function
        && let Some(results) = ops::with_options(context, &name)?
    {
        return Ok(results);
    }
    let operands = operands(context)?;
    if let Some(op_type) = logic(&name) {
        return logical(context, op_type, &operands);
    }
    let op_type = match name.to_ascii_lowercase().as_str() {
        "add" | "__add__" => "Add",
        "subtract" | "sub" => "Sub",
        "multiply" | "mul" => "Mul",
        "divide" | "true_divide" | "truedivide" | "truediv" | "realdiv" => "Div",
        "maximum" => "Max",
        "minimum" => "Min",
        "power" | "pow" => "Pow",
        "not_equal" | "notequal" => "NotEqual",
        other => return unary(context, other, &operands),
    };
    let [first, second] = operands.as_slice() else {
        return unsupported(format!("the function '{name}' of {} operands", operands.len()));
    };
    let (first, second) = match (first, second) {
        (Operand::Tensor(first), Operand::Tensor(second)) if op_type != "NotEqual" => {
            let (first, second) = ops::same_rank(context, first.clone(), second.clone())?;
            return merge::elementwise(context, &[first, second], op_type);
        }
        (Operand::Tensor(value), Operand::Number(number)) => (Ok(value.clone()), Err(*number)),
        (Operand::Number(number), Operand::Tensor(value)) => (Err(*number), Ok(value.clone())),
        _ => return unsupported(format!("the function '{name}' of these operands")),
    };
    let mut whole = None;
    let mut read = |context: &mut Context, operand: Result<Value, f64>| match operand {
        Ok(value) => {
            let value = context.float(&value);
            whole = Some(value.clone());
            Ok(value.name)
        }
        Err(number) => context.floats("operand", &[], &[number as f32]),
    };
    let (first, second) = (read(context, first)?, read(context, second)?);
    let Some(value) = whole else { return unsupported("a function of numbers only") };
    if op_type == "NotEqual" {
        let equal = context.node("Equal", &[&first, &second], "Equal", &[]);
        let name = context.node("Not", &[&equal], "Not", &[]);
        return Ok(vec![Value { dtype: DType::Bool, ..value.named(name) }]);
    }
    let name = context.node(op_type, &[&first, &second], op_type, &[]);
    Ok(vec![value.named(name)])
}

/// The operator of a function on booleans.
fn logic(name: &str) -> Option<&'static str> {
    Some(match name.to_ascii_lowercase().as_str() {
        "logical_or" | "logicalor" => "Or",
        "logical_and" | "logicaland" => "And",
        "logical_xor" | "logicalxor" => "Xor",
        "logical_not" | "logicalnot" => "Not",
        _ => return None,
    })
}

/// Functions on booleans; of numbers, everything but 0 is true.
fn logical(context: &mut Context, op_type: &str, operands: &[Operand]) -> Result<Vec<Value>, Stop> {
    let mut values = Vec::new();
    for operand in operands {
        let Operand::Tensor(value) = operand else { return unsupported("a logical function of a number") };
        let value = context.low.as_is(value);
        let to = i64::from(DType::Bool.to_onnx());
        values.push(match value.dtype {
            DType::Bool => value,
            _ => {
                let name = context.node("Cast", &[&value.name], "Cast", &[("to", to.into())]);
                Value { dtype: DType::Bool, ..value.named(name) }
            }
        });
    }
    let inputs: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
    let wanted = if op_type == "Not" { 1 } else { 2 };
    let widest = values.iter().max_by_key(|value| value.rank());
    let Some(widest) = widest.filter(|_| values.len() == wanted) else {
        return unsupported(format!("a logical function of {} operands", values.len()));
    };
    let shape = if wanted == 2 { merge::broadcast(context, &values)? } else { widest.shape.clone() };
    let name = context.node(op_type, &inputs, op_type, &[]);
    Ok(vec![Value { shape, mask: None, ..widest.named(name) }])
}

fn unary(context: &mut Context, name: &str, operands: &[Operand]) -> Result<Vec<Value>, Stop> {
    let op_type = match name {
        "relu" => "Relu",
        "sigmoid" => "Sigmoid",
        "tanh" => "Tanh",
        "exp" => "Exp",
        "log" => "Log",
        "sqrt" => "Sqrt",
        "abs" | "absolute" => "Abs",
        "negative" | "neg" => "Neg",
        "softplus" => "Softplus",
        "square" => "Square",
        _ => return unsupported(format!("the function '{name}'")),
    };
    let [Operand::Tensor(value)] = operands else { return unsupported(format!("the function '{name}' with options")) };
    let value = context.float(value);
    if op_type == "Square" {
        let name = context.node("Mul", &[&value.name, &value.name], "Mul", &[]);
        return Ok(vec![value.named(name)]);
    }
    Ok(vec![context.same(op_type, &value, &[])])
}

/// `Masking`: the tensor with steps of nothing but one value set to 0, and marked as steps to skip.
pub(super) fn masking(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let value = context.single(inputs)?;
    let value = context.float(value);
    let value = context.low.as_is(&value);
    let skipped = context.config.float("mask_value", 0.0)? as f32;
    let skipped = context.floats("mask_value", &[], &[skipped])?;
    let equal = context.node("Equal", &[&value.name, &skipped], "Equal", &[]);
    let differs = context.node("Not", &[&equal], "Not", &[]);
    let number = context.node("Cast", &[&differs], "Cast", &[("to", i64::from(DType::Float32.to_onnx()).into())]);
    let kept = ops::reduced(context, "ReduceMax", &number, &[-1], true, "kept")?;
    let name = context.node("Mul", &[&value.name, &kept], "Mul", &[]);
    let flat = ops::reduced(context, "ReduceMax", &number, &[-1], false, "steps")?;
    let mask = context.node("Cast", &[&flat], "mask", &[("to", i64::from(DType::Bool.to_onnx()).into())]);
    Ok(vec![Value { mask: Some(mask), ..Value::new(name, value.shape.clone(), Layout::AsIs) }])
}
