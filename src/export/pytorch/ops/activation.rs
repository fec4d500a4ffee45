//! Activations.

use crate::export::pytorch::code;
use crate::export::pytorch::emit::Emitter;
use crate::export::pytorch::error::Refusal;
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;
use crate::tensor::Tensor;

/// The operator set from which on Softmax works along one axis.
const ALONG_ONE_AXIS: i64 = 13;

pub(super) fn node(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<bool, Refusal> {
    let number = |name: &str, default: f32| code::float(node.float(name).unwrap_or(default));
    let module = match node.op_type() {
        "Relu" => "nn.ReLU()".to_owned(),
        "LeakyRelu" => format!("nn.LeakyReLU({})", number("alpha", 0.01)),
        "Elu" => format!("nn.ELU({})", number("alpha", 1.0)),
        "Celu" => format!("nn.CELU({})", number("alpha", 1.0)),
        "Selu" if NodeExt::attribute(node, "alpha").is_none() && NodeExt::attribute(node, "gamma").is_none() => {
            "nn.SELU()".to_owned()
        }
        "Sigmoid" => "nn.Sigmoid()".to_owned(),
        "HardSwish" => "nn.Hardswish()".to_owned(),
        "Tanh" => "nn.Tanh()".to_owned(),
        "Softplus" => "nn.Softplus()".to_owned(),
        "Softsign" => "nn.Softsign()".to_owned(),
        "Mish" => "nn.Mish()".to_owned(),
        "ThresholdedRelu" => format!("nn.Threshold({}, 0.0)", number("alpha", 1.0)),
        "Gelu" => match node.string("approximate").unwrap_or("none") {
            "none" => "nn.GELU()".to_owned(),
            "tanh" => "nn.GELU(approximate=\"tanh\")".to_owned(),
            _ => return Err("an approximation that is not tanh".into()),
        },
        "Softmax" | "LogSoftmax" => return softmax(emitter, node),
        "Clip" => return clip(emitter, node),
        "Selu" | "HardSigmoid" | "PRelu" | "Shrink" | "Swish" | "Hardmax" => return formula(emitter, node),
        _ => return Ok(false),
    };
    with_module(emitter, node, &module)?;
    Ok(true)
}

fn with_module(emitter: &mut Emitter<'_>, node: &NodeProto, module: &str) -> Result<(), Refusal> {
    let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
    emitter.module_of(&name, module, vec![]);
    emitter.assign(node, 0, &name, &format!("self.{name}({x})"));
    Ok(())
}

fn softmax(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<bool, Refusal> {
    let log = node.op_type() == "LogSoftmax";
    let old = emitter.opset() < ALONG_ONE_AXIS;
    let axis = node.int("axis").unwrap_or(if old { 1 } else { -1 });
    let last = emitter.rank(node, 0).is_some_and(|rank| axis == -1 || axis == rank as i64 - 1);
    if old && !last {
        let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
        let function = if log { "F.log_softmax" } else { "F.softmax" };
        let helper = emitter.helper("_softmax_2d");
        emitter.assign(node, 0, &name, &format!("{helper}({function}, {x}, {axis})"));
        return Ok(true);
    }
    with_module(emitter, node, &format!("nn.{}(dim={axis})", if log { "LogSoftmax" } else { "Softmax" }))?;
    Ok(true)
}

fn clip(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<bool, Refusal> {
    let literal = |tensor: Option<Tensor>| tensor.as_ref().and_then(code::scalar);
    let mut bounds = Vec::new();
    for (name, at) in [("min", 1), ("max", 2)] {
        let value = match (node.float(name), node.input_name(at)) {
            // Before operator set 11 bounds are attributes.
            (Some(value), _) if emitter.opset() < 11 => Some(code::float(value)),
            (_, Some(_)) => match literal(emitter.constant_input(node, at)) {
                Some(value) => Some(value),
                None => Some(emitter.input(node, at)?),
            },
            _ => None,
        };
        bounds.push((name, value));
    }
    match bounds.as_slice() {
        [(_, Some(low)), (_, Some(high))] if low == "0.0" && high == "6.0" => with_module(emitter, node, "nn.ReLU6()")?,
        [(_, None), (_, None)] => {
            let x = emitter.input(node, 0)?;
            emitter.alias(node, x);
        }
        _ => {
            let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
            let given: Vec<String> = bounds
                .iter()
                .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={value}")))
                .collect();
            // Either both bounds are tensors, or both are numbers.
            let mixed = bounds
                .iter()
                .filter_map(|(_, value)| value.as_ref())
                .any(|value| value.starts_with(char::is_alphabetic));
            let given = if mixed && given.len() == 2 {
                let [low, high] =
                    [0, 1].map(|at| bounds.get(at).and_then(|(_, value)| value.clone()).unwrap_or_default());
                format!(
                    "torch.minimum(torch.maximum({x}, torch.as_tensor({low}, dtype={x}.dtype)), torch.as_tensor({high}, dtype={x}.dtype))"
                )
            } else {
                format!("torch.clamp({x}, {})", given.join(", "))
            };
            emitter.assign(node, 0, &name, &given);
        }
    }
    Ok(true)
}

fn formula(emitter: &mut Emitter<'_>, node: &NodeProto) -> Result<bool, Refusal> {
    let number = |name: &str, default: f32| code::float(node.float(name).unwrap_or(default));
    let (name, x) = (emitter.name_of(node), emitter.input(node, 0)?);
    let expression = match node.op_type() {
        "Selu" => {
            let (alpha, gamma) = (number("alpha", 1.673_263_2), number("gamma", 1.050_701));
            format!("{gamma} * torch.where({x} > 0, {x}, {alpha} * torch.expm1({x}))")
        }
        "HardSigmoid" => {
            format!("torch.clamp({} * {x} + {}, 0.0, 1.0)", number("alpha", 0.2), number("beta", 0.5))
        }
        "PRelu" => {
            let slope = emitter.input(node, 1)?;
            format!("torch.where({x} < 0, {slope} * {x}, {x})")
        }
        "Shrink" => {
            let (lambda, bias) = (number("lambd", 0.5), number("bias", 0.0));
            let zero = format!("torch.zeros_like({x})");
            format!("torch.where({x} < -({lambda}), {x} + {bias}, torch.where({x} > {lambda}, {x} - {bias}, {zero}))")
        }
        "Swish" => format!("{x} * torch.sigmoid({} * {x})", number("alpha", 1.0)),
        _ => {
            let axis = node.int("axis").unwrap_or(-1);
            if emitter.opset() < ALONG_ONE_AXIS {
                return Err("Hardmax before operator set 13".into());
            }
            format!("torch.zeros_like({x}).scatter({axis}, {x}.argmax({axis}, keepdim=True), 1.0)")
        }
    };
    emitter.assign(node, 0, &name, &expression);
    Ok(true)
}
