//! What `forward` of the modules that PyTorch ships does, for pickled models whose classes come without code; and of
//! those that onnx2torch makes.

use super::graph::{Args, Made, Refusal};
use super::machine::Machine;
use super::python::{ObjectId, Py};

/// How a class calls its operation.
enum Form {
    /// The operation with the input and these attributes.
    Call(&'static str, &'static [&'static str]),
    /// The input as it is.
    Identity,
    /// The submodules one after the other.
    Sequence,
}

use Form::{Call, Identity, Sequence};

const CONV: &[&str] = &["weight", "bias", "stride", "padding", "dilation", "groups"];
const CONV_TRANSPOSE: &[&str] = &["weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"];
const BATCH_NORM: &[&str] = &["weight", "bias", "running_mean", "running_var", "", "momentum", "eps"];
const INSTANCE_NORM: &[&str] =
    &["weight", "bias", "running_mean", "running_var", "track_running_stats", "momentum", "eps"];
const MAX_POOL: &[&str] = &["kernel_size", "stride", "padding", "dilation", "ceil_mode"];
const AVG_POOL: &[&str] = &["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"];

/// The classes of `torch.nn.modules` by their last name.
fn form(class: &str) -> Option<Form> {
    Some(match class {
        "Conv1d" => Call("torch.conv1d", CONV),
        "Conv2d" => Call("torch.conv2d", CONV),
        "Conv3d" => Call("torch.conv3d", CONV),
        "ConvTranspose1d" => Call("torch.conv_transpose1d", CONV_TRANSPOSE),
        "ConvTranspose2d" => Call("torch.conv_transpose2d", CONV_TRANSPOSE),
        "ConvTranspose3d" => Call("torch.conv_transpose3d", CONV_TRANSPOSE),
        "Linear" | "NonDynamicallyQuantizableLinear" => Call("torch.linear", &["weight", "bias"]),
        "BatchNorm1d" | "BatchNorm2d" | "BatchNorm3d" | "SyncBatchNorm" => Call("torch.batch_norm", BATCH_NORM),
        "InstanceNorm1d" | "InstanceNorm2d" | "InstanceNorm3d" => Call("torch.instance_norm", INSTANCE_NORM),
        "LayerNorm" => Call("torch.layer_norm", &["normalized_shape", "weight", "bias", "eps"]),
        "GroupNorm" => Call("torch.group_norm", &["num_groups", "weight", "bias", "eps"]),
        "MaxPool1d" => Call("torch.max_pool1d", MAX_POOL),
        "MaxPool2d" => Call("torch.max_pool2d", MAX_POOL),
        "MaxPool3d" => Call("torch.max_pool3d", MAX_POOL),
        "AvgPool1d" => Call("torch.avg_pool1d", &AVG_POOL[..5]),
        "AvgPool2d" => Call("torch.avg_pool2d", AVG_POOL),
        "AvgPool3d" => Call("torch.avg_pool3d", AVG_POOL),
        "AdaptiveAvgPool1d" => Call("torch.adaptive_avg_pool1d", &["output_size"]),
        "AdaptiveAvgPool2d" => Call("torch.adaptive_avg_pool2d", &["output_size"]),
        "AdaptiveAvgPool3d" => Call("torch.adaptive_avg_pool3d", &["output_size"]),
        "AdaptiveMaxPool1d" => Call("torch.adaptive_max_pool1d", &["output_size"]),
        "AdaptiveMaxPool2d" => Call("torch.adaptive_max_pool2d", &["output_size"]),
        "ReLU" => Call("torch.relu", &[]),
        "ReLU6" => Call("torch.relu6", &[]),
        "Hardtanh" => Call("torch.hardtanh", &["min_val", "max_val"]),
        "LeakyReLU" => Call("torch.leaky_relu", &["negative_slope"]),
        "ELU" => Call("torch.elu", &["alpha"]),
        "CELU" => Call("torch.celu", &["alpha"]),
        "SELU" => Call("torch.selu", &[]),
        "PReLU" => Call("torch.prelu", &["weight"]),
        "Sigmoid" => Call("torch.sigmoid", &[]),
        "Tanh" => Call("torch.tanh", &[]),
        "Softplus" => Call("torch.softplus", &["beta", "threshold"]),
        "Softsign" => Call("torch.softsign", &[]),
        "Hardswish" => Call("torch.hardswish", &[]),
        "Hardsigmoid" => Call("torch.hardsigmoid", &[]),
        "SiLU" => Call("torch.silu", &[]),
        "Mish" => Call("torch.mish", &[]),
        "GELU" => Call("torch.gelu", &["approximate"]),
        "Softmax" => Call("torch.softmax", &["dim"]),
        "LogSigmoid" => Call("torch.log_sigmoid", &[]),
        "LogSoftmax" => Call("torch.log_softmax", &["dim"]),
        "Flatten" => Call("torch.flatten", &["start_dim", "end_dim"]),
        "Unflatten" => Call("torch.unflatten", &["dim", "unflattened_size"]),
        "Upsample" => Call("torch.nn.functional.interpolate", &["size", "scale_factor", "mode", "align_corners"]),
        "PixelShuffle" => Call("torch.pixel_shuffle", &["upscale_factor"]),
        "Embedding" => Call("torch.nn.functional.embedding", &["weight"]),
        "Identity" | "Dropout" | "Dropout1d" | "Dropout2d" | "Dropout3d" | "AlphaDropout" | "FeatureAlphaDropout" => {
            Identity
        }
        "Sequential" | "Conv2dNormActivation" | "ConvNormActivation" => Sequence,
        _ => return None,
    })
}

/// Whether a class is one whose operation is known here.
pub(super) fn knows(class: &str) -> bool {
    let last = class.rsplit('.').next().unwrap_or(class);
    class.starts_with("torch.nn.") && form(last).is_some()
}

/// Calls a module without code.
pub(super) fn call(machine: &mut Machine<'_>, module: ObjectId, args: Args) -> Made<Py> {
    let class = machine.heap.get(module).class.clone();
    if class.starts_with("onnx2torch.") {
        return onnx2torch(machine, module, &class, args);
    }
    let last = class.rsplit('.').next().unwrap_or(&class);
    let shipped = class.starts_with("torch.nn.") || class.starts_with("torchvision.ops.");
    if shipped && let Some(padding) = last.strip_suffix("Pad1d").or(last.strip_suffix("Pad2d")) {
        let mode = match padding {
            "Reflection" => "reflect",
            "Replication" => "replicate",
            "Circular" => "circular",
            _ => "constant",
        };
        let value = machine.heap.attribute(module, "value").unwrap_or(Py::Float(0.0));
        let pads = machine.heap.attribute(module, "padding").unwrap_or(Py::None);
        let input = args.required(0, "input")?.clone();
        return machine.call_name("torch.pad", Args::of(vec![input, pads, Py::text(mode), value]));
    }
    let Some(form) = form(last).filter(|_| shipped) else { return unknown(machine, &class, &args) };
    let input = args.required(0, "input")?.clone();
    match form {
        Identity => Ok(input),
        Sequence => {
            let modules = match machine.heap.get(module).get("_modules") {
                Some(Py::Dict(pairs)) => pairs.borrow().iter().map(|(_, value)| value.clone()).collect(),
                _ => Vec::new(),
            };
            modules.into_iter().try_fold(input, |value, module| match module {
                Py::Object(module) => machine.call_module(module, Args::of(vec![value])),
                other => Err(Refusal::new(format!("{} in a sequence", other.describe()))),
            })
        }
        Call(name, attributes) => {
            let mut given = vec![input];
            for attribute in attributes {
                let value = match *attribute {
                    // A pickled model is converted as it is used: for inference.
                    "" => Py::Bool(false),
                    // Without recorded statistics the input's own are used.
                    "track_running_stats" => {
                        let recorded = machine.heap.attribute(module, attribute).and_then(|value| value.as_int());
                        Py::Bool(recorded.unwrap_or(0) == 0)
                    }
                    "padding" => padded(machine, module, &mut given)?,
                    attribute => machine.heap.attribute(module, attribute).unwrap_or(Py::None),
                };
                given.push(value);
            }
            machine.call_name(name, Args::of(given))
        }
    }
}

/// The padding of a convolution; one that is no zeros is put in front of it.
fn padded(machine: &mut Machine<'_>, module: ObjectId, given: &mut [Py]) -> Made<Py> {
    let padding = machine.heap.attribute(module, "padding").unwrap_or(Py::None);
    let mode = machine.heap.attribute(module, "padding_mode");
    let Some(mode) = mode.as_ref().and_then(Py::as_text).filter(|mode| *mode != "zeros") else { return Ok(padding) };
    let pads = machine.heap.attribute(module, "_reversed_padding_repeated_twice").unwrap_or(Py::None);
    if let Some(first) = given.first_mut() {
        *first = machine.call_name("torch.pad", Args::of(vec![first.clone(), pads, Py::text(mode)]))?;
    }
    Ok(Py::Int(0))
}

/// A class whose code is not in the file.
fn unknown(machine: &mut Machine<'_>, class: &str, args: &Args) -> Made<Py> {
    machine.foreign(class, args)
}

/// The modules that onnx2torch writes for ONNX operators.
fn onnx2torch(machine: &mut Machine<'_>, module: ObjectId, class: &str, args: Args) -> Made<Py> {
    let last = class.rsplit('.').next().unwrap_or(class);
    let attribute = |machine: &Machine<'_>, name: &str| machine.heap.attribute(module, name).unwrap_or(Py::None);
    let input = args.positional.first().cloned().unwrap_or(Py::None);
    let with = |rest: Vec<Py>| Args::of([input.clone()].into_iter().chain(rest).collect());
    match last {
        "OnnxTranspose" => {
            let order = attribute(machine, "perm");
            if order.is_none() {
                return Err(Refusal::new("a transposition without an order"));
            }
            machine.call_name("torch.permute", with(vec![order]))
        }
        "OnnxBinaryMathOperation" | "OnnxFunction" | "OnnxGlobalAveragePool" | "OnnxSoftmaxV1V11" => {
            let function = ["math_op_function", "function"].iter().find_map(|name| match attribute(machine, name) {
                Py::Name(name) => Some(name),
                _ => None,
            });
            match (function, last) {
                (Some(name), _) => machine.call_name(&name, args),
                (None, "OnnxGlobalAveragePool") => {
                    machine.call_name("torch.adaptive_avg_pool2d", with(vec![Py::Int(1)]))
                }
                _ => unknown(machine, class, &args),
            }
        }
        "OnnxGlobalAveragePoolWithKnownInputShape" => {
            machine.call_name("torch.adaptive_avg_pool2d", with(vec![Py::Int(1)]))
        }
        "OnnxPadStatic" => {
            let rest =
                vec![attribute(machine, "pads"), attribute(machine, "mode"), attribute(machine, "constant_value")];
            machine.call_name("torch.pad", with(rest))
        }
        "OnnxReshape" => {
            let shape = match args.positional.get(1) {
                Some(Py::Tensor(constant)) => {
                    constant.tensor.to_i64().map_err(|error| Refusal::new(error.to_string()))?
                }
                _ => return Err(Refusal::new("a reshape to a shape that is computed")),
            };
            machine.call_name("torch.reshape", with(vec![Py::ints(&shape)]))
        }
        "OnnxMatMul" => machine.call_name("torch.matmul", args),
        "OnnxFlatten" => machine.call_name("torch.flatten", with(vec![attribute(machine, "axis")])),
        "OnnxConcat" => {
            let list = Py::list(args.positional.clone());
            machine.call_name("torch.cat", Args::of(vec![list, attribute(machine, "axis")]))
        }
        "OnnxConstant" => Ok(attribute(machine, "value")),
        "OnnxIdentity" | "OnnxDropoutDynamic" | "OnnxCopyIdentity" => Ok(input),
        "OnnxErf" => machine.call_name("torch.erf", args),
        "OnnxPow" => machine.call_name("torch.pow", args),
        "OnnxSqrt" => machine.call_name("torch.sqrt", args),
        "OnnxReduceStaticAxes" | "OnnxReduceSumStaticAxes" => {
            let name = match attribute(machine, "operation_type").as_text().unwrap_or("ReduceSum") {
                "ReduceMean" => "torch.mean",
                "ReduceMax" => "torch.amax",
                "ReduceMin" => "torch.amin",
                "ReduceSum" => "torch.sum",
                _ => return unknown(machine, class, &args),
            };
            let keep = attribute(machine, "keepdims").as_int().unwrap_or(1) != 0;
            machine.call_name(name, with(vec![attribute(machine, "axes"), Py::Bool(keep)]))
        }
        _ => unknown(machine, class, &args),
    }
}
