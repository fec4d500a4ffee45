//! Python that records the layer outputs of a model in its own framework, for a comparison with the converted one.

use crate::analysis::{RECORDED_INPUT, RECORDED_OUTPUT};
use crate::tensor::DType;

/// The framework that runs a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorder {
    /// `keras.models.load_model`.
    Keras,
    /// A pickled module or fx graph, with forward hooks.
    Torch,
    /// A TorchScript archive: its outputs alone, since hooks see nothing inside.
    TorchScript,
    /// TensorFlow Lite's interpreter.
    Tflite,
    /// ONNX Runtime.
    OnnxRuntime,
}

/// What the code has to know of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedModel<'a> {
    /// The file's name.
    pub file: &'a str,
    /// Inputs: name, type, dims with `None` for open ones.
    pub inputs: Vec<(String, DType, Vec<Option<usize>>)>,
    /// For each input, the smallest and the largest real number of the quantizer that reads it, where one does. What is
    /// farther out is cut there, and reaches what nobody calibrated.
    pub ranges: Vec<Option<(f32, f32)>>,
    /// Whether values of 0 to 255 are usual rather than -1 to 1.
    pub pixels: bool,
    /// The largest index that an embedding of the model has a row for; inputs are whole numbers up to it then.
    pub most_index: Option<usize>,
}

/// Examples in a batch whose size is open.
const BATCH: usize = 4;

/// Three lines of Python that run the model on random inputs, or on what the user puts in their place, and write
/// `recorded.npz`: keys `input:NAME` and `output:LAYER`. Names are quoted, so that nothing of the file becomes code.
pub fn recorder(recorder: Recorder, model: &RecordedModel) -> String {
    let file = quoted(model.file);
    let inputs: Vec<String> = model
        .inputs
        .iter()
        .enumerate()
        .map(|(at, (name, dtype, shape))| {
            let range = model.ranges.get(at).copied().flatten();
            format!("{}: {}", quoted(name), random(*dtype, shape, range, model))
        })
        .collect();
    let x = format!("x = {{{}}}  # or your own data", inputs.join(", "));
    let saved = format!("**{{\"{RECORDED_INPUT}\" + k: v for k, v in x.items()}}");
    let output = RECORDED_OUTPUT;
    match recorder {
        // Called on numbers, a layer gives what it gives in any kind of model. Layers of models inside have the names of the
        // models in front. Of layers called twice it is not told here which call is which.
        Recorder::Keras => format!(
            "import keras, numpy as np; m = keras.models.load_model({file}, compile=False)\n{x}\n\
             y = {{k: [v] for k, v in x.items()}}; inside = lambda m, p=\"\": sum((inside(l, p + l.name + \"/\") if \
             hasattr(l, \"layers\") else [(p + l.name, l)] for l in m.layers), []); [setattr(l, \"call\", lambda *a, n=n, \
             f=l.call, **k: y.setdefault(n, []).append(f(*a, **k)) or y[n][-1]) for n, l in inside(m)]; m(list(x.values()) if len(x) > 1 else list(x.values())[0]); np.savez(\"recorded.npz\", {saved}, \
             **{{\"{output}\" + n: np.array(v[0]) for n, v in y.items() if len(v) == 1 and not isinstance(v[0], (list, \
             tuple, dict))}})\n"
        ),
        Recorder::Torch => format!(
            "import torch, numpy as np; m = torch.load({file}, weights_only=False); m = (m[\"model\"] if isinstance(m, \
             dict) else m).eval(); y = {{}}\n{x}\n\
             [l.register_forward_hook(lambda l, i, o, n=n: y.setdefault(\"{output}\" + n, o)) for n, l in \
             m.named_modules()]; m(*map(torch.from_numpy, x.values())); np.savez(\"recorded.npz\", {saved}, **{{k: \
             v.detach().dequantize().numpy() for k, v in y.items() if torch.is_tensor(v)}})\n"
        ),
        Recorder::TorchScript => format!(
            "import torch, numpy as np; m = torch.jit.load({file}).eval()\n{x}\n\
             y = m(*map(torch.from_numpy, x.values())); np.savez(\"recorded.npz\", {saved}, **{{f\"{output}output_{{n}}\": \
             v.detach().numpy() for n, v in enumerate(y if isinstance(y, (list, tuple)) else [y])}})\n"
        ),
        // Quantized tensors are recorded as the real numbers that their codes stand for, the input too.
        Recorder::Tflite => format!(
            "import tensorflow as tf, numpy as np; m = tf.lite.Interpreter({file}, \
             experimental_preserve_all_tensors=True); real = lambda v, scales, zero_points, quantized_dimension: \
             np.moveaxis((np.moveaxis(v, quantized_dimension, -1).astype(\"float32\") - zero_points) * scales, -1, \
             quantized_dimension).astype(\"float32\") if len(scales) else v; code = lambda v, t, q: \
             (np.clip(np.round(v / q[\"scales\"][0]) + q[\"zero_points\"][0], np.iinfo(t).min, np.iinfo(t).max) if \
             len(q[\"scales\"]) else v).astype(t)\n{x}\n\
             i = m.get_input_details(); c = [code(v, d[\"dtype\"], d[\"quantization_parameters\"]) for d, v in zip(i, \
             x.values())]; x = {{k: real(v, **d[\"quantization_parameters\"]) for k, d, v in zip(x, i, c)}}; \
             [m.resize_tensor_input(d[\"index\"], v.shape) for d, v in zip(i, c)]; m.allocate_tensors(); \
             [m.set_tensor(d[\"index\"], v) for d, v in zip(i, c)]; m.invoke(); np.savez(\"recorded.npz\", {saved}, \
             **{{\"{output}\" + d[\"name\"]: real(m.get_tensor(d[\"index\"]), **d[\"quantization_parameters\"]) for d \
             in m.get_tensor_details() if d[\"name\"] and d[\"shape\"].size}})\n"
        ),
        Recorder::OnnxRuntime => format!(
            "import onnx, onnxruntime as ort, numpy as np; m = onnx.load({file}); have = {{o.name for o in \
             m.graph.output}}; names = [o for n in m.graph.node for o in n.output if o]; \
             m.graph.output.extend(onnx.ValueInfoProto(name=o) for o in names if o not in have)\n{x}\n\
             s = ort.SessionOptions(); s.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL; \
             np.savez(\"recorded.npz\", {saved}, **dict(zip([\"{output}\" + o for o in names], \
             ort.InferenceSession(m.SerializeToString(), s).run(names, x))))\n"
        ),
    }
}

/// A Python string literal: only printable ASCII stays as it is.
fn quoted(text: &str) -> String {
    let mut literal = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => literal.extend(['\\', c]),
            ' '..='~' => literal.push(c),
            c => literal.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    literal + "\""
}

/// numpy code for values of this type and shape.
fn random(dtype: DType, shape: &[Option<usize>], range: Option<(f32, f32)>, model: &RecordedModel) -> String {
    let dims: Vec<String> = shape
        .iter()
        .enumerate()
        .map(|(axis, dim)| dim.unwrap_or(if axis == 0 { BATCH } else { 8 }).to_string())
        .collect();
    let shape = if dims.len() == 1 { format!("({},)", dims.concat()) } else { format!("({})", dims.join(", ")) };
    let generator = "np.random.default_rng(0)";
    match dtype {
        DType::Bool => format!("{generator}.integers(0, 2, {shape}).astype(bool)"),
        dtype if dtype.is_int() || model.most_index.is_some() => {
            let name = if dtype.is_int() { dtype.name() } else { "float32" };
            let end = model.most_index.unwrap_or(99).saturating_add(1);
            format!("{generator}.integers(0, {end}, {shape}).astype(\"{name}\")")
        }
        dtype => {
            let ends = match range {
                Some((low, high)) => format!("{low}, {high}"),
                None => if model.pixels { "0, 255" } else { "-1, 1" }.to_owned(),
            };
            let name = if matches!(dtype, DType::Float64 | DType::Float16) { dtype.name() } else { "float32" };
            format!("{generator}.uniform({ends}, {shape}).astype(\"{name}\")")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_lines_that_quote_what_the_file_says() {
        let inputs = vec![("in\"put\n".to_owned(), DType::Float32, vec![None, Some(4)])];
        let model = RecordedModel { file: "a\\b.h5", inputs, ranges: Vec::new(), pixels: false, most_index: None };
        for kind in [Recorder::Keras, Recorder::Torch, Recorder::TorchScript, Recorder::Tflite, Recorder::OnnxRuntime] {
            let code = recorder(kind, &model);
            assert_eq!(code.lines().count(), 3, "{code}");
            assert!(code.contains(r#""a\\b.h5""#) && code.contains(r#""in\"put\U0000000a""#), "{code}");
            assert!(code.contains("uniform(-1, 1, (4, 4))"), "{code}");
        }
        let words =
            RecordedModel { file: "", inputs: Vec::new(), ranges: Vec::new(), pixels: true, most_index: Some(8) };
        let expected = "np.random.default_rng(0).integers(0, 9, (2,)).astype(\"int64\")";
        assert_eq!(random(DType::Int64, &[Some(2)], None, &words), expected);
        let pixels = RecordedModel { most_index: None, ..words };
        let code = random(DType::Float32, &[Some(2)], Some((-0.5, 0.49609375)), &pixels);
        assert!(code.contains("uniform(-0.5, 0.49609375, (2,))"), "{code}");
    }
}
