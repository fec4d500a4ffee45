//! Normalizations.

use super::layer::dtype_argument;
use crate::export::pytorch::code;
use crate::export::pytorch::emit::Emitter;
use crate::export::pytorch::error::Refusal;
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;
use crate::tensor::{DType, Tensor};

pub(super) fn node(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<bool, Refusal> {
    match node.op_type() {
        "BatchNormalization" => batch(emitter, node)?,
        "LayerNormalization" => layer(emitter, node)?,
        "InstanceNormalization" => instance(emitter, node)?,
        "GroupNormalization" => group(emitter, node)?,
        "LRN" => local_response(emitter, node)?,
        "LpNormalization" => lp(emitter, node)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn batch(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    if node.int("training_mode").unwrap_or(0) != 0 || node.int("spatial").unwrap_or(1) == 0 {
        return Err("batch normalization in training mode, or per element".into());
    }
    let epsilon = code::float(node.float("epsilon").unwrap_or(1e-5));
    let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
    let constants: Option<Vec<Tensor>> = (1..5).map(|at| emitter.constant_input(node, at)).collect();
    let dims = match emitter.rank(node, 0) {
        Some(2 | 3) => Some(1),
        Some(4) => Some(2),
        Some(5) => Some(3),
        _ => None,
    };
    let constants = constants.and_then(|list| <[Tensor; 4]>::try_from(list).ok());
    let expression = match (constants, dims) {
        (Some([weight, bias, mean, variance]), Some(dims)) => {
            let dtype = dtype_argument(&weight).map(|(name, value)| format!(", {name}={value}")).unwrap_or_default();
            let constructor = format!("nn.BatchNorm{dims}d({}, eps={epsilon}{dtype})", weight.len());
            let counted = Tensor::from_vec(vec![], vec![0i64])?;
            let weights = vec![
                ("weight", weight),
                ("bias", bias),
                ("running_mean", mean),
                ("running_var", variance),
                ("num_batches_tracked", counted),
            ];
            emitter.module_of(&name, &constructor, weights);
            format!("self.{name}({x})")
        }
        _ => {
            let mut list = Vec::new();
            for at in [3, 4, 1, 2] {
                list.push(emitter.input(node, at)?);
            }
            format!("F.batch_norm({x}, {}, eps={epsilon})", list.join(", "))
        }
    };
    emitter.assign(node, 0, &name, &expression);
    Ok(())
}

fn layer(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    if node.output_name(1).is_some() || node.output_name(2).is_some() {
        return Err("layer normalization that gives its mean or deviation".into());
    }
    let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
    let axis = node.int("axis").unwrap_or(-1);
    let epsilon = code::float(node.float("epsilon").unwrap_or(1e-5));
    let scale = emitter.constant_input(node, 1);
    let bias = emitter.constant_input(node, 2);
    let normalized = emitter.rank(node, 0).and_then(|rank| {
        let from = if axis < 0 { axis + rank as i64 } else { axis };
        rank.checked_sub(usize::try_from(from).ok()?)
    });
    let fits =
        scale.as_ref().is_some_and(|scale| Some(scale.shape().len()) == normalized && scale.dtype() == DType::Float32)
            && match (&bias, node.input_name(2)) {
                (None, Some(_)) => false,
                (None, None) => true,
                (Some(bias), _) => scale.as_ref().is_some_and(|scale| scale.shape() == bias.shape()),
            };
    let expression = match scale.filter(|_| fits) {
        Some(scale) => {
            let dims: Vec<i64> = scale.shape().iter().map(|&dim| dim as i64).collect();
            let plain = if bias.is_none() { ", bias=False" } else { "" };
            let constructor = format!("nn.LayerNorm({}, eps={epsilon}{plain})", code::list(&dims));
            let bias = bias.map(|bias| ("bias", bias));
            emitter.module_of(&name, &constructor, std::iter::once(("weight", scale)).chain(bias).collect());
            format!("self.{name}({x})")
        }
        None => {
            // A scale of fewer axes is broadcast, which F.layer_norm does not do.
            let scale = emitter.input(node, 1)?;
            let shift = node.input_name(2).is_some().then(|| emitter.input(node, 2)).transpose()?;
            let shift = shift.map(|shift| format!(" + {shift}")).unwrap_or_default();
            format!("F.layer_norm({x}, {x}.shape[{axis}:], eps={epsilon}) * {scale}{shift}")
        }
    };
    emitter.assign(node, 0, &name, &expression);
    Ok(())
}

fn instance(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    let epsilon = code::float(node.float("epsilon").unwrap_or(1e-5));
    let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
    let (scale, bias) = (emitter.input(node, 1)?, emitter.input(node, 2)?);
    // As a group for each channel: F.instance_norm refuses images of one pixel.
    let expression = format!("F.group_norm({x}, {x}.shape[1], {scale}, {bias}, eps={epsilon})");
    emitter.assign(node, 0, &name, &expression);
    Ok(())
}

fn group(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    /// Before it, scale and bias are per group.
    const PER_CHANNEL: i64 = 21;
    let groups = node.int("num_groups").ok_or("no num_groups")?;
    let epsilon = code::float(node.float("epsilon").unwrap_or(1e-5));
    let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
    let (mut scale, mut bias) = (emitter.input(node, 1)?, emitter.input(node, 2)?);
    if emitter.opset() < PER_CHANNEL {
        scale = format!("{scale}.repeat_interleave({x}.shape[1] // {groups})");
        bias = format!("{bias}.repeat_interleave({x}.shape[1] // {groups})");
    }
    emitter.assign(node, 0, &name, &format!("F.group_norm({x}, {groups}, {scale}, {bias}, eps={epsilon})"));
    Ok(())
}

fn local_response(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    let size = node.int("size").ok_or("no size")?;
    if size % 2 == 0 {
        return Err("a window of even size, which torch centres otherwise".into());
    }
    let number = |name: &str, default: f32| code::float(node.float(name).unwrap_or(default));
    let (alpha, beta, bias) = (number("alpha", 1e-4), number("beta", 0.75), number("bias", 1.0));
    let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
    emitter.module_of(&name, &format!("nn.LocalResponseNorm({size}, {alpha}, {beta}, {bias})"), vec![]);
    emitter.assign(node, 0, &name, &format!("self.{name}({x})"));
    Ok(())
}

fn lp(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<(), Refusal> {
    let (axis, p) = (node.int("axis").unwrap_or(-1), node.int("p").unwrap_or(2));
    let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
    emitter.assign(node, 0, &name, &format!("F.normalize({x}, p={p}, dim={axis})"));
    Ok(())
}
