//! Operators that move elements, and those that ask for shapes.

use crate::export::pytorch::code;
use crate::export::pytorch::emit::Emitter;
use crate::export::pytorch::error::Refusal;
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;

pub(super) fn node(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<bool, Refusal> {
    let expression = match node.op_type() {
        "Identity" => {
            let x = emitter.input(node, 0)?;
            emitter.alias(node, x);
            return Ok(true);
        }
        "Dropout" => {
            if node.output_name(1).is_some() {
                return Err("Dropout that gives its mask".into());
            }
            let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
            let ratio =
                node.float("ratio").or_else(|| emitter.constant_input(node, 1)?.to_f32().ok()?.first().copied());
            emitter.module_of(&name, &format!("nn.Dropout({})", code::float(ratio.unwrap_or(0.5))), vec![]);
            emitter.assign(node, 0, &name, &format!("self.{name}({x})"));
            return Ok(true);
        }
        "Flatten" => flatten(emitter, node)?,
        "Reshape" => reshape(emitter, node)?,
        "Transpose" => {
            let x = emitter.input(node, 0)?;
            match node.ints("perm") {
                [] => format!("{x}.permute(*range({x}.dim() - 1, -1, -1))"),
                axes => format!("{x}.permute({})", axes.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")),
            }
        }
        "Concat" => {
            let parts = (0..node.input.len()).map(|at| emitter.input(node, at)).collect::<Result<Vec<_>, _>>()?;
            format!("torch.cat([{}], dim={})", parts.join(", "), node.int("axis").unwrap_or(0))
        }
        "Slice" => slice(emitter, node)?,
        "Pad" => pad(emitter, node)?,
        "Squeeze" | "Unsqueeze" => ones(emitter, node)?,
        "Gather" => gather(emitter, node)?,
        "GatherElements" => {
            let (x, indices, axis) = (emitter.input(node, 0)?, emitter.input(node, 1)?, node.int("axis").unwrap_or(0));
            format!(
                "torch.gather({x}, {axis}, torch.where({indices} < 0, {indices} + {x}.shape[{axis}], {indices}).to(torch.int64))"
            )
        }
        "Expand" => {
            let (x, shape) = (emitter.input(node, 0)?, emitter.list_input(node, 1)?);
            format!("{x}.expand(torch.broadcast_shapes({x}.shape, {shape}))")
        }
        "Tile" => format!("{}.repeat({})", emitter.input(node, 0)?, emitter.list_input(node, 1)?),
        "Split" => return split(emitter, node).map(|()| true),
        "Shape" => {
            let (x, start) = (emitter.input(node, 0)?, node.int("start").unwrap_or(0));
            let end = node.int("end").map(|end| end.to_string()).unwrap_or_default();
            let part = if start == 0 && end.is_empty() { String::new() } else { format!("[{start}:{end}]") };
            format!("torch.tensor({x}.shape{part}, dtype=torch.int64)")
        }
        "Size" => format!("torch.tensor({}.numel(), dtype=torch.int64)", emitter.input(node, 0)?),
        "ConstantOfShape" => {
            let shape = emitter.list_input(node, 0)?;
            let tensor = node.tensor("value").map(|tensor| emitter.document.tensor(tensor)).transpose()?;
            let (value, dtype) = match &tensor {
                Some(tensor) => (code::scalar(tensor), code::torch_type(tensor.dtype())),
                None => (Some("0.0".to_owned()), Some("torch.float32")),
            };
            let (value, dtype) = (value.ok_or("a value that is no number")?, dtype.ok_or("a value that is no number")?);
            format!("torch.full({shape}, {value}, dtype={dtype})")
        }
        "Range" => {
            let parts = (0..3).map(|at| emitter.operand(node, at)).collect::<Result<Vec<_>, _>>()?;
            let dtype = code::torch_type(emitter.dtype(node, 0)).ok_or("a type that torch has not")?;
            format!("torch.arange({}, dtype={dtype})", parts.join(", "))
        }
        "Trilu" => {
            let function = if node.int("upper").unwrap_or(1) != 0 { "torch.triu" } else { "torch.tril" };
            let diagonal = match node.input_name(1) {
                Some(_) => {
                    emitter.integers(node, 1).and_then(|list| list.first().copied()).ok_or("a computed diagonal")?
                }
                None => 0,
            };
            format!("{function}({}, diagonal={diagonal})", emitter.input(node, 0)?)
        }
        _ => return Ok(false),
    };
    let name = emitter.name_of(node);
    emitter.assign(node, 0, &name, &expression);
    Ok(true)
}

fn flatten(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<String, Refusal> {
    let (x, axis) = (emitter.input(node, 0)?, node.int("axis").unwrap_or(1));
    if axis == 1 && emitter.rank(node, 0).is_some_and(|rank| rank >= 2) {
        return Ok(format!("torch.flatten({x}, 1)"));
    }
    // Products, because a -1 cannot be told for an empty tensor.
    Ok(format!("{x}.reshape(math.prod({x}.shape[:{axis}]), math.prod({x}.shape[{axis}:]))"))
}

fn reshape(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<String, Refusal> {
    let x = emitter.input(node, 0)?;
    let allow_zero = node.int("allowzero").unwrap_or(0) != 0;
    if let Some(shape) = emitter.integers(node, 1) {
        let dim = |(at, &dim): (usize, &i64)| {
            if dim == 0 && !allow_zero { format!("{x}.shape[{at}]") } else { dim.to_string() }
        };
        let dims: Vec<String> = shape.iter().enumerate().map(dim).collect();
        return Ok(format!("{x}.reshape([{}])", dims.join(", ")));
    }
    let (helper, shape) = (emitter.helper("_reshape"), emitter.list_input(node, 1)?);
    Ok(format!("{helper}({x}, {shape}, {})", code::boolean(allow_zero)))
}

fn slice(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<String, Refusal> {
    let x = emitter.input(node, 0)?;
    if node.input.len() < 3 {
        // Before operator set 10 bounds are attributes.
        let axes = node.ints("axes");
        let mut parts = vec![x, code::list(node.ints("starts")), code::list(node.ints("ends"))];
        parts.extend((!axes.is_empty()).then(|| code::list(axes)));
        return Ok(format!("{}({})", emitter.helper("_slice"), parts.join(", ")));
    }
    let given = |at: usize| node.input_name(at).map(|_| emitter.integers(node, at));
    let (starts, ends, axes, steps) = (given(1), given(2), given(3), given(4));
    let rank = emitter.rank(node, 0);
    if let (Some(Some(starts)), Some(Some(ends)), Some(rank)) = (&starts, &ends, rank) {
        let axes = axes.clone().unwrap_or_else(|| Some((0..starts.len() as i64).collect()));
        let steps = steps.clone().unwrap_or_else(|| Some(vec![1; starts.len()]));
        if let (Some(axes), Some(steps)) = (axes, steps)
            && steps.iter().all(|&step| step > 0)
            && let Some(text) = plain_slice(starts, ends, &axes, &steps, rank)
        {
            return Ok(format!("{x}[{text}]"));
        }
    }
    let mut parts = vec![x];
    for at in 1..5 {
        parts.push(if node.input_name(at).is_some() { emitter.list_input(node, at)? } else { "None".to_owned() });
    }
    Ok(format!("{}({})", emitter.helper("_slice"), parts.join(", ")))
}

/// Python's own slices, for steps forward.
fn plain_slice(starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64], rank: usize) -> Option<String> {
    /// Ends from here on mean all that is left.
    const TO_THE_END: i64 = i32::MAX as i64;
    let mut parts = vec![":".to_owned(); rank];
    for (index, &axis) in axes.iter().enumerate() {
        let axis = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok()?;
        let (start, end, step) = (*starts.get(index)?, *ends.get(index)?, *steps.get(index)?);
        let start = if start == 0 { String::new() } else { start.to_string() };
        let end = if end >= TO_THE_END { String::new() } else { end.to_string() };
        let step = if step == 1 { String::new() } else { format!(":{step}") };
        *parts.get_mut(axis)? = format!("{start}:{end}{step}");
    }
    while parts.len() > 1 && parts.last().is_some_and(|part| part == ":") {
        parts.pop();
    }
    Some(parts.join(", "))
}

fn pad(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<String, Refusal> {
    let mode = node.string("mode").unwrap_or("constant");
    if !matches!(mode, "constant" | "reflect" | "edge" | "wrap") {
        return Err(format!("mode {mode:?}").into());
    }
    let x = emitter.input(node, 0)?;
    let pads = if node.input_name(1).is_some() { emitter.list_input(node, 1)? } else { code::list(node.ints("pads")) };
    let literal = emitter.constant_input(node, 2).as_ref().and_then(code::scalar);
    let value = match (literal, node.input_name(2), node.float("value")) {
        (Some(literal), ..) => literal,
        (None, Some(_), _) => format!("{}.item()", emitter.input(node, 2)?),
        (None, None, value) => code::float(value.unwrap_or(0.0)),
    };
    let mut parts = vec![x, pads];
    if mode != "constant" {
        parts.push(format!("mode={}", code::text(mode)));
    } else if value != "0.0" {
        parts.push(format!("value={value}"));
    }
    if node.input_name(3).is_some() {
        parts.push(format!("axes={}", emitter.list_input(node, 3)?));
    }
    Ok(format!("{}({})", emitter.helper("_pad"), parts.join(", ")))
}

fn ones(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<String, Refusal> {
    let x = emitter.input(node, 0)?;
    let squeeze = node.op_type() == "Squeeze";
    let axes = match node.input_name(1) {
        Some(_) => Some(emitter.integers(node, 1).ok_or("axes that are computed")?),
        None => Some(node.ints("axes").to_vec()).filter(|axes| !axes.is_empty()),
    };
    let Some(mut axes) = axes else {
        return if squeeze { Ok(format!("{x}.squeeze()")) } else { Err("no axes".into()) };
    };
    if squeeze {
        return Ok(format!("{x}.squeeze({})", code::tuple(&axes)));
    }
    // Axes count in the result: from the first on each is where it stays.
    let result = emitter.rank(node, 0).map(|rank| rank as i64 + axes.len() as i64);
    if axes.iter().any(|&axis| axis < 0) {
        let result = result.ok_or("axes from the end of a tensor whose rank is not known")?;
        axes.iter_mut().for_each(|axis| *axis += if *axis < 0 { result } else { 0 });
    }
    axes.sort_unstable();
    Ok(axes.iter().fold(x, |x, axis| format!("{x}.unsqueeze({axis})")))
}

fn gather(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<String, Refusal> {
    let axis = node.int("axis").unwrap_or(0);
    let x = emitter.input(node, 0)?;
    if let Some(indices) = emitter.constant_input(node, 1).filter(|indices| indices.shape().is_empty()) {
        let index = indices.to_i64()?.first().copied().ok_or("an empty index")?;
        return Ok(format!("{x}.select({axis}, {index})"));
    }
    let (helper, indices) = (emitter.helper("_gather"), emitter.input(node, 1)?);
    Ok(format!("{helper}({x}, {indices}, {axis})"))
}

fn split(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    let (name, x, axis) = (emitter.name_of(node), emitter.input(node, 0)?, node.int("axis").unwrap_or(0));
    let sizes = match (node.input_name(1), node.ints("split")) {
        (Some(_), _) => emitter.list_input(node, 1)?,
        (None, []) => {
            format!("-(-{x}.shape[{axis}] // {})", node.int("num_outputs").unwrap_or(node.output.len() as i64))
        }
        (None, sizes) => code::list(sizes),
    };
    let parts: Vec<String> = (0..node.output.len()).map(|at| emitter.give(&format!("{name}_{at}"))).collect();
    let comma = if parts.len() == 1 { "," } else { "" };
    emitter.line(format!("{}{comma} = torch.split({x}, {sizes}, dim={axis})", parts.join(", ")));
    for (at, part) in parts.iter().enumerate() {
        emitter.name_value(node, at, part);
    }
    Ok(())
}
