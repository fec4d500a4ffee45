//! Sizes and attributes that would make tract panic, or ask for more memory than there is, are refused here.

use super::kernel::Inputs;
use super::value::KernelError;
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;
use tract_onnx::pb;
use tract_onnx::tract_hir::internal::{ShapeFact, TractResult, format_err};

/// Most elements one tensor may have: 2^28 floats are 1 GiB, a quarter of what a wasm instance can ever address.
pub(crate) const MAX_ELEMENTS: usize = 1 << 28;

/// Largest kernel, stride, dilation or padding: anything above it is a damaged file.
const MAX_WINDOW: i64 = 1 << 20;

/// Fails where a tensor's known shape has more than [`MAX_ELEMENTS`].
pub(crate) fn check_elements(shape: &ShapeFact) -> TractResult<()> {
    let Some(dims) = shape.as_concrete() else { return Ok(()) };
    let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    match count {
        Some(count) if count <= MAX_ELEMENTS => Ok(()),
        _ => {
            Err(format_err!("a tensor of shape {dims:?} is larger than the engine's limit of {MAX_ELEMENTS} elements"))
        }
    }
}

/// Refuses window attributes outside of what an operator can mean.
pub(crate) fn check_attributes(node: &NodeProto) -> Result<(), KernelError> {
    let list = |name: &str, low: i64| match NodeExt::ints(node, name).iter().find(|&&v| v < low || v > MAX_WINDOW) {
        Some(bad) => Err(format!("the attribute {name} holds {bad}")),
        None => Ok(()),
    };
    list("kernel_shape", 1)?;
    list("strides", 1)?;
    list("dilations", 1)?;
    list("output_padding", 0)?;
    if node.op_type() != "Pad" {
        list("pads", 0)?;
    }
    if let Some(group) = NodeExt::int(node, "group").filter(|&g| !(1..=MAX_WINDOW).contains(&g)) {
        return Err(format!("the attribute group is {group}"));
    }
    if let Some(size) = NodeExt::int(node, "blocksize").filter(|&g| !(1..=MAX_WINDOW).contains(&g)) {
        return Err(format!("the attribute blocksize is {size}"));
    }
    Ok(())
}

fn attribute<'a>(node: &'a pb::NodeProto, name: &str) -> Option<&'a pb::AttributeProto> {
    node.attribute.iter().find(|a| a.name == name)
}

/// Refuses inputs that an operator's specification rules out and tract does not check.
pub(crate) fn check_inputs(op_type: &str, node: &pb::NodeProto, inputs: Inputs<'_>) -> Result<(), KernelError> {
    let shape = |position: usize| Some(inputs.get(position)?.as_ref()?.value.shape());
    match op_type {
        "Conv" | "ConvTranspose" => {
            let (Some(x), Some(w)) = (shape(0), shape(1)) else { return Err("data and weights are needed".to_owned()) };
            let group = attribute(node, "group").map_or(1, |a| a.i).max(1) as usize;
            let (over, under) = if op_type == "Conv" { (1, 0) } else { (0, 1) };
            if x.len() < 3 || w.len() != x.len() {
                return Err(format!("data of shape {x:?} does not go with weights of shape {w:?}"));
            }
            let channels = if op_type == "Conv" { w[over].checked_mul(group) } else { Some(w[over]) };
            if channels != Some(x[1]) || w[0] % group != 0 || w[under] == 0 {
                return Err(format!("data of shape {x:?} does not go with weights of shape {w:?} in {group} group(s)"));
            }
            let windows = ["kernel_shape", "strides", "dilations"];
            for name in windows {
                if attribute(node, name).is_some_and(|a| !a.ints.is_empty() && a.ints.len() != x.len() - 2) {
                    return Err(format!("the attribute {name} does not have {} entries", x.len() - 2));
                }
            }
            if let Some(kernel) = attribute(node, "kernel_shape").filter(|a| !a.ints.is_empty())
                && kernel.ints.iter().zip(&w[2..]).any(|(&k, &d)| k != d as i64)
            {
                return Err(format!("kernel_shape {:?} differs from the weights {w:?}", kernel.ints));
            }
            check_window(node, x, &w[2..])?;
            if let Some(bias) = shape(2) {
                let outputs = if op_type == "Conv" { w[0] } else { w[1] * group };
                if bias != [outputs] {
                    return Err(format!("a bias of shape {bias:?} does not go with {outputs} output channels"));
                }
            }
        }
        "MaxPool" | "AveragePool" | "LpPool" => {
            let Some(x) = shape(0) else { return Err("data is needed".to_owned()) };
            let kernel: Vec<usize> =
                attribute(node, "kernel_shape").map_or(&[][..], |a| &a.ints).iter().map(|&k| k as usize).collect();
            if x.len() < 3 || kernel.len() != x.len() - 2 {
                return Err(format!("a window of {kernel:?} does not go with data of shape {x:?}"));
            }
            check_window(node, x, &kernel)?;
        }
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" if shape(0).is_none_or(|x| x.len() < 2) => {
            return Err("data with at least 2 axes is needed".to_owned());
        }
        _ => {}
    }
    Ok(())
}

/// The window, with its dilation, has to fit into the padded data at least once.
fn check_window(node: &pb::NodeProto, x: &[usize], kernel: &[usize]) -> Result<(), KernelError> {
    let list = |name: &str| attribute(node, name).map_or(&[][..], |a| a.ints.as_slice());
    let spatial = kernel.len();
    let pads = list("pads");
    if !pads.is_empty() && pads.len() != 2 * spatial {
        return Err(format!("the attribute pads does not have {} entries", 2 * spatial));
    }
    let auto = attribute(node, "auto_pad").map_or(&b""[..], |a| &a.s);
    if auto.starts_with(b"SAME") || node.op_type == "ConvTranspose" {
        return Ok(());
    }
    for (axis, (&size, &dim)) in kernel.iter().zip(x.iter().skip(2)).enumerate() {
        let dilation = list("dilations").get(axis).copied().unwrap_or(1) as usize;
        let pad = |at: usize| pads.get(at).copied().unwrap_or(0) as usize;
        let reach = (size.max(1) - 1) * dilation + 1;
        if reach > dim + pad(axis) + pad(axis + spatial) {
            return Err(format!("a window of {reach} does not fit into data of shape {x:?}"));
        }
    }
    Ok(())
}
