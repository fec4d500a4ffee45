//! What the page and the worker say to each other.

mod autopilot;
mod bit_widths;
mod convert;
mod evaluate;
mod graph;
mod playground;
mod preprocess;
mod quantize;

pub use autopilot::*;
pub use bit_widths::*;
pub use convert::*;
pub use evaluate::*;
pub use graph::*;
pub use playground::*;
pub use preprocess::preprocessing;
pub use quantize::*;

use crate::analysis::{ActivationView, Histogram, Inside, ParameterSummary, Predictions, Stats};
use crate::engine::{Semantics, UnsupportedNode};
use crate::import::{Preprocess, PreprocessEdits};
use crate::problem::Problem;
use crate::quant::QuantizedTensor;
use crate::tensor::DType;
use serde::{Deserialize, Serialize};

/// Number of an open model; never used again after the model is closed.
pub type ModelId = u32;
/// Number of an open data set, image or array, likewise.
pub type SourceId = u32;

/// A question or an order. The worker answers each with one [`Reply`] under the same number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    /// Open the attached files, all at once: side data finds its model.
    Open {
        /// A path for each attached file.
        paths: Vec<String>,
    },
    /// Close a model.
    CloseModel(ModelId),
    /// Close a data set, image or array.
    CloseSource(SourceId),
    /// Everything the inspector shows of a layer.
    Inspect(LayerId),
    /// Histograms of a layer's parameter, every variant on one bin grid.
    Distribution(DistributionQuery),
    /// min..max of every layer's first parameter, for all variants.
    Ranges,
    /// Run every open model on one input and keep all intermediate tensors.
    Run(RunOrder),
    /// What the last run left at a layer, every variant side by side.
    Activation(ActivationQuery),
    /// A small picture of an input, as RGBA bytes in the reply's blob.
    Thumbnail {
        /// Which data set or image.
        source: SourceId,
        /// Which of its images.
        index: usize,
    },
    /// .npz of every tensor of a model's last run, in the reply's blob.
    ExportActivations(ModelId),
    /// JSON of model cards, quantization parameters and predictions, in the reply's blob.
    ExportReport,
    /// The layer where two models part on the last run's input.
    Parting {
        /// The reference.
        first: ModelId,
        /// The other one.
        second: ModelId,
    },
    /// Quantize a float model; the file is in the reply's blob.
    Quantize(Box<QuantizeOrder>),
    /// Run a classifier on some items of a data set.
    Evaluate(EvaluateOrder),
    /// Count right answers with weights and activations of so many bits.
    BitWidths(Box<BitWidthsOrder>),
    /// Search for the best quantized model under a target; its file is in the blob.
    Autopilot(Box<AutopilotOrder>),
    /// Something about a quantization table.
    Playground(PlaygroundRequest),
    /// Something about conversion.
    Convert(ConvertRequest),
    /// A model's network, laid out.
    Graph(GraphQuery),
}

/// The answer to a [`Request`]. Large bytes travel beside it as a blob.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The state of everything open, after it changed.
    Workspace(Workspace),
    /// Answer to `Inspect`.
    Inspection(Inspection),
    /// Answer to `Distribution`.
    Distribution(Distribution),
    /// Answer to `Ranges`.
    Ranges(Vec<RangeRow>),
    /// Answer to `Run`.
    Run(RunResult),
    /// Answer to `Activation`.
    Activation(LayerActivations),
    /// Answer to `Thumbnail`.
    Picture(Picture),
    /// A file to save is in the blob.
    File {
        /// The name to save it under.
        name: String,
        /// Its media type.
        media_type: String,
    },
    /// Answer to `Parting`; `None` where no layer of both has been run.
    Parting(Option<Parting>),
    /// Answer to `Quantize`.
    Quantized(QuantizedFile),
    /// Answer to `Evaluate`.
    Scores(Scores),
    /// Answer to `BitWidths`.
    BitWidths(BitWidthsCell),
    /// Answer to `Autopilot`.
    Autopilot(Box<AutopilotReport>),
    /// Answer to `Playground`.
    Playground(Box<PlaygroundReply>),
    /// Answer to `Convert`.
    Converted(Box<ConvertReply>),
    /// Answer to `Graph`.
    Graph(Box<GraphDrawing>),
    /// It could not be done; nothing that was open is lost.
    Failed(Vec<Problem>),
    /// The user cancelled it.
    Cancelled,
}

/// What the worker says unasked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Notice {
    /// The worker is loaded and listens.
    Ready,
    /// A job goes on.
    Progress(Progress),
    /// What a job has found so far: the answer it would give now.
    Partial(Reply),
    /// The worker is about to break down, with the panic's message.
    Panicked(String),
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done, for the status line.
    pub job: String,
    /// Steps done.
    pub done: usize,
    /// Steps in all.
    pub total: usize,
    /// Time since the job began.
    pub elapsed_ms: f64,
}

/// A message from the page.
#[derive(Clone, Debug, Serialize, Deserialize)]
// Made once for an answer and moved once: a box around the largest would save nothing.
#[allow(clippy::large_enum_variant)]
pub enum ToWorker {
    /// A request to be put in line.
    Ask(Request),
    /// Stop the request with this number, whether it runs or waits.
    Cancel(u32),
}

/// A message to the page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToPage {
    /// The answer to the request with the frame's number.
    Reply(Reply),
    /// Something said unasked.
    Notice(Notice),
}

/// Position of a layer in [`Workspace::layers`], together with the revision that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LayerId {
    /// [`Workspace::revision`].
    pub revision: u32,
    /// Position in the list.
    pub row: usize,
}

/// Everything open, without payloads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Workspace {
    /// Grows whenever something is opened or closed.
    pub revision: u32,
    /// Open models in the order they were opened.
    pub models: Vec<ModelSummary>,
    /// Open data sets, images and arrays.
    pub sources: Vec<SourceSummary>,
    /// Layers of all models, aligned.
    pub layers: Vec<LayerRow>,
    /// Layers of one model that no other has, in words.
    pub unmatched: Vec<String>,
    /// What went wrong in the last opening.
    pub problems: Vec<Problem>,
}

/// Which identity a model has among the variants; it decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Variant {
    /// No quantization parameters.
    Float,
    /// Signed 8-bit activations.
    Int8,
    /// Unsigned 8-bit activations.
    Uint8,
    /// Any other or mixed quantization.
    Other,
}

/// A model's card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSummary {
    /// Its number.
    pub id: ModelId,
    /// File name without extension, unique among the open models.
    pub name: String,
    /// File name.
    pub file: String,
    /// Size of the file.
    pub size_bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Which identity it has.
    pub variant: Variant,
    /// "float", "QDQ int8", "QOperator uint8", ...
    pub format: String,
    /// Producer and its version.
    pub producer: String,
    /// Name of the graph.
    pub graph_name: String,
    /// `doc_string` of the model.
    pub doc_string: String,
    /// IR version.
    pub ir_version: i64,
    /// Operator sets, (domain, version); the default domain is written "ai.onnx".
    pub opsets: Vec<(String, i64)>,
    /// Metadata properties.
    pub metadata: Vec<(String, String)>,
    /// Graph inputs that are not initializers.
    pub inputs: Vec<PortSummary>,
    /// Graph outputs.
    pub outputs: Vec<PortSummary>,
    /// Elements of all weights.
    pub parameters: u64,
    /// Multiply-accumulates for one batch item; `None` where a shape is unknown.
    pub macs: Option<u64>,
    /// Nodes of the main graph.
    pub nodes: usize,
    /// (operator with domain, how often), most frequent first.
    pub op_counts: Vec<(String, usize)>,
    /// QuantizeLinear nodes.
    pub quantize_linear: usize,
    /// DequantizeLinear nodes.
    pub dequantize_linear: usize,
    /// Both as a share of all nodes, 0 to 1.
    pub quantize_share: f64,
    /// Local functions: name and number of nodes.
    pub functions: Vec<(String, usize)>,
    /// Why it cannot run; empty where it can.
    pub unsupported: Vec<UnsupportedNode>,
    /// What is wrong inside the file, though it can be looked at.
    pub issues: Vec<Problem>,
    /// Whether an encode of the document gives the file's own bytes.
    pub lossless: bool,
    /// How an image becomes the model's input, as far as the model tells, and why.
    pub preprocess: Option<(Preprocess, String)>,
}

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PortSummary {
    /// Value name.
    pub name: String,
    /// Element type, by its ONNX name.
    pub dtype: String,
    /// Dims: numbers, symbol names, or "?".
    pub shape: Vec<String>,
}

/// An open input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceSummary {
    /// Its number.
    pub id: SourceId,
    /// Name for people.
    pub name: String,
    /// What it is.
    pub kind: SourceKind,
    /// Number of images; of an array: of items along the first axis, as an open model takes them.
    pub count: usize,
    /// "32 x 32 x 3 uint8".
    pub shape: String,
    /// Whether items are pictures, which become a model's input by its preprocessing.
    pub pictures: bool,
    /// Class names, where known.
    pub class_names: Option<Vec<String>>,
    /// Whether there is a label per item.
    pub labelled: bool,
}

impl SourceSummary {
    /// What is run of it unless something else is chosen: its first item, an array as it is.
    pub fn first_input(&self) -> InputChoice {
        match self.kind {
            SourceKind::Array => InputChoice::Whole { source: self.id },
            _ => InputChoice::Item { source: self.id, index: 0 },
        }
    }
}

/// What an open input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceKind {
    /// Images with or without labels.
    Dataset,
    /// One picture.
    Image,
    /// A numeric array: an input as it is, or several items along its first axis.
    Array,
}

/// A row of the layer tree: the same layer in every variant that has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerRow {
    /// Its name, unique in the list; stands in the address.
    pub name: String,
    /// Canonical operator.
    pub op: String,
    /// Facts in a line: "3x3, 16 -> 32, stride 2, 2.36 M MAC".
    pub detail: String,
    /// Whether any variant has quantization parameters here.
    pub quantized: bool,
    /// Whether any variant calls a local function or holds a subgraph here.
    pub composite: bool,
    /// The layer's parameters.
    pub parameters: Vec<ParameterRow>,
    /// For each open model, in order: the value the layer puts out there.
    pub outputs: Vec<Option<String>>,
}

/// A parameter of a layer, in every variant that has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParameterRow {
    /// "weight", "bias", ...
    pub role: String,
    /// Shape, where the first variant that has it is read.
    pub shape: Vec<usize>,
    /// For each open model, in order: the value name there.
    pub values: Vec<Option<String>>,
    /// Whether any variant quantizes it.
    pub quantized: bool,
    /// Width of its float range, or of the first variant's: what a sorted tree draws. `None` where it is not numeric.
    pub width: Option<f64>,
}

/// The inspector's content for a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// The layer asked for.
    pub layer: LayerId,
    /// Per variant that has the layer.
    pub members: Vec<InspectedMember>,
}

/// A layer in one variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InspectedMember {
    /// Which model.
    pub model: ModelId,
    /// Name of the node.
    pub node: String,
    /// Its operator, with the domain where it is not the default one.
    pub op: String,
    /// Attributes in words.
    pub attributes: Vec<(String, String)>,
    /// Inputs: name, type and dims in words.
    pub inputs: Vec<PortSummary>,
    /// Outputs.
    pub outputs: Vec<PortSummary>,
    /// Quantization parameters of everything the layer reads and makes.
    pub quantization: Vec<QuantizedTensor>,
    /// The scales of each tensor summed up, in the order of `quantization`; `None` without a constant scale.
    pub channels: Vec<Option<ParameterSummary>>,
}

/// Which values of a quantized parameter a histogram counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ValueView {
    /// Real values: floats, and integers dequantized.
    Real,
    /// Integers as stored.
    Stored,
}

/// Asks for a parameter's histograms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DistributionQuery {
    /// The layer.
    pub layer: LayerId,
    /// Position in [`LayerRow::parameters`].
    pub parameter: usize,
    /// Number of bins.
    pub bins: usize,
    /// Bounds of the grid; `None`: from the smallest to the largest value of all variants.
    pub range: Option<(f64, f64)>,
    /// Which values.
    pub view: ValueView,
    /// Bounds between which values are counted; `None`: mean ± std of the first variant.
    pub window: Option<(f64, f64)>,
}

/// Histograms of one parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// The query answered.
    pub query: DistributionQuery,
    /// The bounds that were counted between.
    pub window: (f64, f64),
    /// A series per variant that has the parameter in this view.
    pub series: Vec<DistributionSeries>,
    /// Variants that do not, in words.
    pub absent: Vec<String>,
}

/// The histogram of one variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DistributionSeries {
    /// Which model.
    pub model: ModelId,
    /// Value name there.
    pub value: String,
    /// Element type shown.
    pub dtype: DType,
    /// Dims.
    pub shape: Vec<usize>,
    /// Counts and edges.
    pub histogram: Histogram,
    /// Statistics of all values.
    pub stats: Stats,
    /// How many values lie inside the window, bounds included.
    pub inside: Inside,
}

/// A row of the range overview: one layer's first parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RangeRow {
    /// Position of the layer in the list.
    pub layer: usize,
    /// Position of the parameter in the layer.
    pub parameter: usize,
    /// min and max of the real values, for each open model in order.
    pub ranges: Vec<Option<(f64, f64)>>,
}

/// Where the input of a run comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum InputChoice {
    /// An item of an open source.
    Item {
        /// Which source.
        source: SourceId,
        /// Which of its items.
        index: usize,
    },
    /// All of an array in one run, as it is.
    Whole {
        /// Which source.
        source: SourceId,
    },
    /// Seeded random values.
    Random {
        /// The seed.
        seed: u64,
    },
}

impl InputChoice {
    /// The source that it comes from; `None` for random values.
    pub fn source(&self) -> Option<SourceId> {
        match self {
            InputChoice::Item { source, .. } | InputChoice::Whole { source } => Some(*source),
            InputChoice::Random { .. } => None,
        }
    }
}

/// Runs all open models on one input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunOrder {
    /// The input.
    pub input: InputChoice,
    /// What is set by hand of how an image becomes a tensor; the rest is as read off each model.
    pub preprocess: Option<PreprocessEdits>,
    /// How quantized operators are computed.
    pub semantics: Semantics,
}

/// What a run gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// The order carried out.
    pub order: RunOrder,
    /// What the input is, in words.
    pub input: String,
    /// The true class, where the source has labels.
    pub label: Option<u32>,
    /// Class names that predictions are shown with.
    pub class_names: Option<Vec<String>>,
    /// Per model, in the order they are open.
    pub outcomes: Vec<Outcome>,
}

/// What one model made of the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which model.
    pub model: ModelId,
    /// Its predictions, or why it could not run.
    pub result: Result<ModelRun, Problem>,
}

/// A model's run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRun {
    /// Classes by falling probability; `None` where the output is not a vector of class scores.
    pub predictions: Option<Predictions>,
    /// Outputs: name, type, dims.
    pub outputs: Vec<PortSummary>,
    /// Time of the run itself, without compiling the plan.
    pub run_ms: f64,
    /// Time to compile the plan; 0 where it was there already.
    pub compile_ms: f64,
    /// Number of tensors captured.
    pub captured: usize,
    /// Inputs that the chosen data has no array for, and that were given seeded random values.
    pub random_inputs: Vec<String>,
}

/// Asks what the last run left at a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActivationQuery {
    /// The layer.
    pub layer: LayerId,
    /// Number of histogram bins.
    pub bins: usize,
    /// The first value listed.
    pub first_value: usize,
    /// Most values listed.
    pub values: usize,
    /// The first feature map shown.
    pub first_map: usize,
    /// Most feature maps shown.
    pub maps: usize,
}

/// What the last run left at a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerActivations {
    /// The query answered.
    pub query: ActivationQuery,
    /// Per variant that ran and has the layer.
    pub variants: Vec<VariantActivation>,
}

/// A layer's output in one variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariantActivation {
    /// Which model.
    pub model: ModelId,
    /// Value name.
    pub value: String,
    /// Element type.
    pub dtype: DType,
    /// Dims.
    pub shape: Vec<usize>,
    /// Statistics of all values.
    pub stats: Stats,
    /// Counts on a grid shared by all variants; `None` where there is no finite value.
    pub histogram: Option<Histogram>,
    /// Channels as small pictures, or bars; `None` where there is nothing to draw.
    pub picture: Option<ActivationView>,
    /// A page of values from `first_value` on, in memory order.
    pub values: Vec<f64>,
}

/// A picture's size; its RGBA bytes are in the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}
