//! Reading recorded answers, and running float models for their activations.

use bytes::Bytes;
use quantscope::engine::{Plan, PlanOptions, Semantics};
use quantscope::import::read_npy;
use quantscope::onnx::proto::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use quantscope::onnx::{Attr, Dim, Document, tensor_to_proto, value_info};
use quantscope::quant::TensorKind;
use quantscope::quant::quantizer::{QuantizeOptions, Quantized, Ranges, presets, with_quantizers};
use quantscope::quant::table::TableFormat;
use quantscope::tensor::{DType, Tensor};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Biases follow the scale of the input, whose last bits differ where we calibrated ourselves.
const BIAS_STEPS: f64 = 2.0;

/// The reference data, or `None` with a line that says so.
pub fn reference() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference");
    let folder = std::env::var_os("QUANTSCOPE_REFERENCE").map_or(default, PathBuf::from);
    if !folder.join("models").is_dir() {
        eprintln!("skipped: the reference data is not at {}", folder.display());
        return None;
    }
    Some(folder)
}

/// The project's own recorded answers.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/quantize")
}

pub fn bytes(path: &Path) -> Bytes {
    Bytes::from(std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

pub fn document(path: &Path) -> Document {
    Document::decode(bytes(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&bytes(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every array of an .npz by its name.
pub fn npz(path: &Path) -> BTreeMap<String, Tensor> {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut archive = zip::ZipArchive::new(file).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut entry = archive.by_index(index).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.name().unwrap().trim_end_matches(".npy").to_owned(), read_npy(&Bytes::from(bytes)).unwrap())
        })
        .collect()
}

/// Images of a CIFAR-10 binary file as float NHWC, 0..255.
pub struct Cifar {
    bytes: Bytes,
}

impl Cifar {
    pub fn open(path: &Path) -> Self {
        Cifar { bytes: bytes(path) }
    }

    pub fn len(&self) -> usize {
        self.bytes.len() / 3073
    }

    /// One image as a (1, 32, 32, 3) tensor.
    pub fn image(&self, index: usize) -> Tensor {
        let planes = &self.bytes[index * 3073 + 1..(index + 1) * 3073];
        let pixels = (0..1024).flat_map(|at| (0..3).map(move |c| f32::from(planes[c * 1024 + at])));
        Tensor::from_vec(vec![1, 32, 32, 3], pixels.collect()).unwrap()
    }
}

/// A float model that gives every tensor that is calibrated.
pub struct Runner {
    plan: Plan,
    input: String,
    tensors: Vec<String>,
}

impl Runner {
    pub fn new(document: &Document, tensors: Vec<String>) -> Self {
        let plan = Plan::compile(document, Semantics::Simulate, &PlanOptions::default()).unwrap();
        let input = plan.inputs()[0].name.clone();
        Runner { plan, input, tensors }
    }

    /// Runs one input and hands the elements of every tensor over.
    pub fn run(&mut self, input: Tensor, mut take: impl FnMut(&str, &[f32])) {
        self.run_shaped(input, |tensor, value| take(tensor, &value.to_f32().unwrap()));
    }

    /// Runs one input and hands every tensor over.
    pub fn run_shaped(&mut self, input: Tensor, mut take: impl FnMut(&str, Tensor)) {
        self.plan.run(&[(self.input.clone(), input)]).unwrap();
        for tensor in &self.tensors {
            take(tensor, self.plan.value(tensor).unwrap_or_else(|| panic!("no value '{tensor}'")));
        }
    }
}

/// A recorded run of quantize_static.
pub struct Case {
    pub name: String,
    pub document: Document,
    pub ranges: Ranges,
    pub options: QuantizeOptions,
    pub recorded: Recorded,
    /// Domains and versions.
    pub opsets: BTreeMap<String, i64>,
}

/// Operator, domain, name, inputs, outputs.
pub type RecordedNode = (String, String, String, Vec<String>, Vec<String>);

/// What a quantized file holds.
pub struct Recorded {
    /// Operator, domain, name, inputs, outputs.
    pub nodes: Vec<RecordedNode>,
    /// Type, dims and values of the initializers that the float model does not have.
    pub initializers: BTreeMap<String, (String, Vec<usize>, Vec<f64>)>,
}

/// A number that was float32 or a whole one when it was written; the reader may be off in the last bit of its f64.
pub fn number(value: &Value) -> f64 {
    let number = value.as_f64().unwrap();
    if number.fract() == 0.0 { number } else { f64::from(number as f32) }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn dtype(name: &str) -> DType {
    match name {
        "int8" => DType::Int8,
        "uint8" => DType::Uint8,
        "int16" => DType::Int16,
        "uint16" => DType::Uint16,
        "int4" => DType::Int4,
        "uint4" => DType::Uint4,
        other => panic!("{other}"),
    }
}

impl Recorded {
    fn of_case(case: &Value) -> Self {
        let node = |node: &Value| {
            let text = |at: usize| node[at].as_str().unwrap().to_owned();
            (text(0), text(1), text(2), texts(&node[3]), texts(&node[4]))
        };
        let initializer = |(name, tensor): (&String, &Value)| {
            let numbers = |key: &str| tensor[key].as_array().unwrap().iter().map(number);
            let dims = numbers("dims").map(|dim| dim as usize).collect();
            let dtype = tensor["dtype"].as_str().unwrap();
            let dtype = if dtype == "float" { "float32" } else { dtype };
            (name.clone(), (dtype.to_owned(), dims, numbers("values").collect()))
        };
        Recorded {
            nodes: case["nodes"].as_array().unwrap().iter().map(node).collect(),
            initializers: case["initializers"].as_object().unwrap().iter().map(initializer).collect(),
        }
    }

    /// What a quantized file holds, `float` being the model it was made from.
    pub fn of_file(file: &Document, float: &Document) -> Self {
        let node = |node: &quantscope::onnx::proto::NodeProto| {
            let domain = node.domain().to_owned();
            (node.op_type().to_owned(), domain, node.name().to_owned(), node.input.clone(), node.output.clone())
        };
        let new = file.graph().initializer.iter().filter(|t| float.index().initializer(t.name()).is_none());
        let initializer = |proto: &quantscope::onnx::proto::TensorProto| {
            let tensor = file.tensor(proto).unwrap();
            let values = tensor.to_f64().unwrap();
            (proto.name().to_owned(), (tensor.dtype().name().to_owned(), tensor.shape().to_vec(), values))
        };
        Recorded { nodes: file.graph().node.iter().map(node).collect(), initializers: new.map(initializer).collect() }
    }

    fn scalar(&self, name: &str) -> Option<Vec<f64>> {
        self.initializers.get(name).map(|(_, _, values)| values.clone())
    }

    /// Says, line by line, where a table is not what the file holds.
    pub fn differences(&self, quantized: &Quantized, format: TableFormat) -> Vec<String> {
        self.compare(quantized, format, 0.0)
    }

    /// The same, scales of activations and what follows from them only within `tolerance`, relative.
    pub fn compare(&self, quantized: &Quantized, format: TableFormat, tolerance: f64) -> Vec<String> {
        let mut lines = Vec::new();
        let qdq = format == TableFormat::Qdq;
        let rows = &quantized.table.rows;
        for row in rows {
            let (names, params) = (&row.names, &row.grid.params);
            let bias = row.kind == TensorKind::Bias;
            if qdq || !bias {
                let scale: Vec<f64> = params.scale.iter().map(|&scale| scale.into()).collect();
                let zero: Vec<f64> = params.zero_point.iter().map(|&zero| zero.into()).collect();
                match (self.scalar(&names.scale), self.scalar(&names.zero_point)) {
                    (Some(s), Some(z)) => {
                        let close = |a: &f64, b: &f64| (a - b).abs() <= tolerance * b.abs();
                        if s.len() != scale.len() || !scale.iter().zip(&s).all(|(a, b)| close(a, b)) {
                            lines.push(format!("{}: scale {scale:?} instead of {s:?}", row.tensor));
                        }
                        // A bias zero point is one number, whatever the number of scales.
                        if z != zero && !(bias && z.iter().chain(&zero).all(|zero| *zero == 0.0)) {
                            lines.push(format!("{}: zero point {zero:?} instead of {z:?}", row.tensor));
                        }
                        let found = self.initializers[&names.zero_point].0.clone();
                        if found != params.dtype.name() {
                            lines.push(format!("{}: {} instead of {found}", row.tensor, params.dtype));
                        }
                    }
                    _ => {
                        lines.push(format!("{}: the file has no '{}', '{}'", row.tensor, names.scale, names.zero_point))
                    }
                }
            }
            if row.constant.is_some() {
                let stored = row.codes_tensor().unwrap().unwrap();
                match self.initializers.get(&names.quantized) {
                    None => lines.push(format!("{}: the file has no '{}'", row.tensor, names.quantized)),
                    Some((_, dims, values)) => {
                        let found = stored.to_f64().unwrap();
                        let steps = if bias && tolerance > 0.0 { BIAS_STEPS } else { 0.0 };
                        let equal = found.iter().zip(values).all(|(a, b)| (a - b).abs() <= steps);
                        if stored.shape() != dims || found.len() != values.len() || !equal {
                            lines.push(format!("{}: other integers, {found:?} instead of {values:?}", row.tensor));
                        }
                    }
                }
            }
            if qdq {
                let dequantize = |node: &&(String, String, String, Vec<String>, Vec<String>)| {
                    node.0 == "DequantizeLinear"
                        && node.2 == names.dequantize_node
                        && node.3 == [names.quantized.clone(), names.scale.clone(), names.zero_point.clone()]
                        && node.4 == [names.dequantized.clone()]
                };
                if self.nodes.iter().filter(dequantize).count() != 1 {
                    lines.push(format!("{}: no such DequantizeLinear {names:?}", row.tensor));
                }
                let quantize = |node: &&(String, String, String, Vec<String>, Vec<String>)| {
                    node.0 == "QuantizeLinear"
                        && node.2 == names.quantize_node
                        && node.3[1..] == [names.scale.clone(), names.zero_point.clone()]
                        && node.4 == [names.quantized.clone()]
                };
                let needed = usize::from(row.constant.is_none());
                if self.nodes.iter().filter(quantize).count() != needed {
                    lines.push(format!("{}: no such QuantizeLinear {names:?}", row.tensor));
                }
            }
        }
        self.count(quantized, qdq, &mut lines);
        lines
    }

    /// Whether the file has anything that the table does not.
    fn count(&self, quantized: &Quantized, qdq: bool, lines: &mut Vec<String>) {
        let rows = &quantized.table.rows;
        let ours: BTreeSet<&str> = rows
            .iter()
            .filter(|row| qdq || row.kind != TensorKind::Bias)
            .flat_map(|row| [row.names.scale.as_str(), row.names.zero_point.as_str()])
            .chain(rows.iter().filter(|row| row.constant.is_some()).map(|row| row.names.quantized.as_str()))
            .collect();
        let theirs: BTreeSet<&str> = self.initializers.keys().map(String::as_str).collect();
        theirs.difference(&ours).for_each(|name| lines.push(format!("the table lacks '{name}'")));
        let plumbing = |op: &str| matches!(op, "QuantizeLinear" | "DequantizeLinear");
        let mut names: Vec<&str> =
            self.nodes.iter().filter(|node| !plumbing(&node.0)).map(|node| node.2.trim_end_matches("_quant")).collect();
        let mut found: Vec<&str> = quantized
            .document
            .graph()
            .node
            .iter()
            .map(|node| node.name())
            .filter(|name| !name.ends_with("_copy_Identity"))
            .collect();
        names.sort_unstable();
        found.sort_unstable();
        if names != found {
            lines.push(format!("nodes {found:?} instead of {names:?}"));
        }
        if qdq {
            let count = self.nodes.iter().filter(|node| node.0 == "DequantizeLinear").count();
            if count != rows.len() {
                lines.push(format!("{} rows for {count} DequantizeLinear nodes", rows.len()));
            }
        }
    }
}

/// The cases of `tools/fixtures/ort_quantize.py`.
pub fn cases() -> Vec<Case> {
    let recorded = json(&fixtures().join("cases.json"));
    let case = |(name, case): (&String, &Value)| {
        let (arguments, extra) = (&case["arguments"], &case["extra"]);
        let flag = |name: &str, default: bool| extra[name].as_bool().unwrap_or(default);
        let set = |value: &Value| texts(value).into_iter().collect::<BTreeSet<String>>();
        let axes = extra["QDQOpTypePerChannelSupportToAxis"].as_object().into_iter().flatten();
        let options = QuantizeOptions {
            format: match arguments["quant_format"].as_str() {
                Some("QOperator") => TableFormat::QOperator,
                _ => TableFormat::Qdq,
            },
            activation_type: dtype(case["activations"].as_str().unwrap()),
            weight_type: dtype(case["weights"].as_str().unwrap()),
            activations_symmetric: flag("ActivationSymmetric", false),
            weights_symmetric: extra["WeightSymmetric"].as_bool(),
            per_channel: arguments["per_channel"].as_bool().unwrap_or(false),
            reduce_range: arguments["reduce_range"].as_bool().unwrap_or(false),
            min_real_range: extra["MinimumRealRange"].as_f64().map(|width| width as f32),
            op_types: arguments["op_types_to_quantize"].is_array().then(|| set(&arguments["op_types_to_quantize"])),
            nodes: set(&arguments["nodes_to_quantize"]),
            nodes_excluded: set(&arguments["nodes_to_exclude"]),
            op_types_with_float_output: set(&extra["OpTypesToExcludeOutputQuantization"]),
            keep_activation_functions: flag("QDQKeepRemovableActivations", false),
            quantize_bias: flag("QuantizeBias", true),
            force_pass_through: flag("ForceQuantizeNoInputCheck", false),
            channel_axis: axes.map(|(op, axis)| (op.clone(), axis.as_i64().unwrap())).collect(),
            ..Default::default()
        };
        let path = fixtures().join(format!("{}.onnx", case["model"].as_str().unwrap()));
        let (document, _) = with_quantizers(&document(&path));
        let options = match extra["preset"].as_str() {
            Some(id) => {
                let mut preset = presets().into_iter().find(|preset| preset.id == id).unwrap();
                preset.options = QuantizeOptions { min_real_range: preset.options.min_real_range, ..options };
                preset.options_for(&document)
            }
            None => options,
        };
        let bound = |range: &Value, at: usize| number(&range[at]) as f32;
        let ranges = case["ranges"].as_object().unwrap().iter();
        Case {
            name: name.clone(),
            document,
            ranges: ranges.map(|(tensor, range)| (tensor.clone(), (bound(range, 0), bound(range, 1)))).collect(),
            options,
            recorded: Recorded::of_case(case),
            opsets: case["opsets"].as_object().unwrap().iter().map(|(d, v)| (d.clone(), v.as_i64().unwrap())).collect(),
        }
    };
    recorded["cases"].as_object().unwrap().iter().map(case).collect()
}

/// The extremes that onnxruntime calibrated on the reference images.
pub fn recorded_minmax(folder: &Path) -> Ranges {
    let all = json(&folder.join("expected/calibration_ranges.json"));
    let pairs = all["minmax"].as_object().unwrap().iter();
    pairs.map(|(t, r)| (t.clone(), (number(&r["low"]) as f32, number(&r["high"]) as f32))).collect()
}

/// A node of a model that a test writes.
pub fn node(op: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attr)]) -> NodeProto {
    NodeProto {
        op_type: Some(op.to_owned()),
        name: Some(format!("{output}/{op}")),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute: attributes.iter().map(|(name, value)| value.clone().into_proto(name)).collect(),
        ..Default::default()
    }
}

/// Numbers of a fixed sequence between -1 and 1, other ones for each seed.
pub fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A constant of such numbers.
pub fn weights(name: &str, shape: &[usize]) -> (String, Tensor) {
    let seed = name.bytes().fold(7u32, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    let values = numbers(seed, shape.iter().product());
    (name.to_owned(), Tensor::from_vec(shape.to_vec(), values).unwrap())
}

/// A model of opset 13 from `x` to `y`.
pub fn model(nodes: Vec<NodeProto>, constants: Vec<(String, Tensor)>, input: &[usize]) -> Document {
    let dims: Vec<Dim> = input.iter().map(|&dim| Dim::Known(dim)).collect();
    let graph = GraphProto {
        name: Some("written".to_owned()),
        node: nodes,
        input: vec![value_info("x", DType::Float32, Some(&dims))],
        output: vec![value_info("y", DType::Float32, None)],
        initializer: constants.iter().map(|(name, tensor)| tensor_to_proto(name, tensor)).collect(),
        ..Default::default()
    };
    let opset = OperatorSetIdProto { domain: Some(String::new()), version: Some(13) };
    let proto = ModelProto { graph: Some(graph), opset_import: vec![opset], ir_version: Some(8), ..Default::default() };
    let document = Document::from_proto(proto).unwrap();
    assert!(document.issues().is_empty(), "{:?}", document.issues());
    document
}

/// What a model gives for the first numbers of the sequence, output by output.
pub fn answers(document: &Document, semantics: Semantics) -> BTreeMap<String, Tensor> {
    let mut plan = Plan::compile(document, semantics, &PlanOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    let feed: Vec<(String, Tensor)> = (plan.inputs().iter())
        .map(|fact| {
            let shape: Vec<usize> = fact.shape.iter().map(|dim| dim.unwrap_or(2)).collect();
            let values = numbers(3, shape.iter().product());
            (fact.name.clone(), Tensor::from_vec(shape, values).unwrap())
        })
        .collect();
    plan.run(&feed).unwrap_or_else(|e| panic!("{e}"));
    plan.outputs().iter().map(|name| (name.clone(), plan.value(name).unwrap())).collect()
}

/// The largest difference of two answers.
pub fn apart(a: &BTreeMap<String, Tensor>, b: &BTreeMap<String, Tensor>) -> f64 {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    let values =
        |all: &BTreeMap<String, Tensor>| -> Vec<f64> { all.values().flat_map(|t| t.to_f64().unwrap()).collect() };
    let (a, b) = (values(a), values(b));
    assert_eq!(a.len(), b.len());
    a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}
