//! Reductions over axes.

use crate::export::pytorch::code;
use crate::export::pytorch::emit::Emitter;
use crate::export::pytorch::error::Refusal;
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;

pub(super) fn node(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<bool, Refusal> {
    match node.op_type() {
        "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceL1" | "ReduceL2"
        | "ReduceSumSquare" | "ReduceLogSumExp" | "ReduceLogSum" => reduce(emitter, node)?,
        "ArgMax" | "ArgMin" => arg(emitter, node)?,
        "CumSum" => cumulative(emitter, node)?,
        "TopK" => top(emitter, node)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn reduce(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
    let attribute = node.ints("axes");
    let axes = match node.input_name(1) {
        Some(_) => Some(emitter.list_input(node, 1)?).filter(|list| list != "[]"),
        None => (!attribute.is_empty()).then(|| code::list(attribute)),
    };
    if axes.is_none() && node.int("noop_with_empty_axes").unwrap_or(0) != 0 {
        emitter.alias(node, x);
        return Ok(());
    }
    let axes = axes.unwrap_or_else(|| format!("list(range({x}.dim()))"));
    let keep = code::boolean(node.int("keepdims").unwrap_or(1) != 0);
    let over = format!("dim={axes}, keepdim={keep}");
    let expression = match node.op_type() {
        "ReduceMean" => format!("torch.mean({x}, {over})"),
        // torch counts integers in int64.
        "ReduceSum" => format!("torch.sum({x}, {over}, dtype={x}.dtype)"),
        "ReduceMax" => format!("torch.amax({x}, {over})"),
        "ReduceMin" => format!("torch.amin({x}, {over})"),
        "ReduceL1" => format!("torch.sum(torch.abs({x}), {over}, dtype={x}.dtype)"),
        "ReduceL2" => format!("torch.sqrt(torch.sum({x} * {x}, {over}))"),
        "ReduceSumSquare" => format!("torch.sum({x} * {x}, {over}, dtype={x}.dtype)"),
        "ReduceLogSumExp" => format!("torch.logsumexp({x}, {over})"),
        "ReduceLogSum" => format!("torch.log(torch.sum({x}, {over}))"),
        _ => {
            // torch multiplies along one axis at a time: from the last on, so that the others keep their places.
            emitter.line(format!("{name} = {x}"));
            emitter.line(format!("for axis in sorted((axis % {x}.dim() for axis in {axes}), reverse=True):"));
            emitter.line(format!("    {name} = torch.prod({name}, dim=axis, keepdim={keep}, dtype={x}.dtype)"));
            emitter.name_value(node, 0, &name);
            return Ok(());
        }
    };
    emitter.assign(node, 0, &name, &expression);
    Ok(())
}

fn arg(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
    let axis = node.int("axis").unwrap_or(0);
    let keep = code::boolean(node.int("keepdims").unwrap_or(1) != 0);
    let function = if node.op_type() == "ArgMax" { "torch.argmax" } else { "torch.argmin" };
    let expression = if node.int("select_last_index").unwrap_or(0) != 0 {
        format!("{x}.shape[{axis}] - 1 - {function}(torch.flip({x}, [{axis}]), dim={axis}, keepdim={keep})")
    } else {
        format!("{function}({x}, dim={axis}, keepdim={keep})")
    };
    emitter.assign(node, 0, &name, &expression);
    Ok(())
}

fn cumulative(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    if node.int("exclusive").unwrap_or(0) != 0 || node.int("reverse").unwrap_or(0) != 0 {
        return Err("an exclusive or reversed CumSum".into());
    }
    let axis = emitter.integers(node, 1).and_then(|list| list.first().copied()).ok_or("an axis that is computed")?;
    let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
    emitter.assign(node, 0, &name, &format!("torch.cumsum({x}, dim={axis}, dtype={x}.dtype)"));
    Ok(())
}

fn top(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    let count = emitter.integers(node, 1).and_then(|list| list.first().copied()).ok_or("a K that is computed")?;
    let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
    let axis = node.int("axis").unwrap_or(-1);
    let [largest, sorted] = ["largest", "sorted"].map(|name| code::boolean(node.int(name).unwrap_or(1) != 0));
    let indices = emitter.give(&format!("{name}_indices"));
    let arguments = format!("{x}, {count}, dim={axis}, largest={largest}, sorted={sorted}");
    emitter.line(format!("{name}, {indices} = torch.topk({arguments})"));
    emitter.name_value(node, 0, &name);
    emitter.name_value(node, 1, &indices);
    Ok(())
}
