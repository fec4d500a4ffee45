//! The playground's part: edit a quantization table and see what it does.
//!
//! Every open quantized model has a table session in the worker: its lifted float graph, the table as the file says it,
//! the table as edited, and the history between them.

use super::ModelId;
use crate::analysis::{ErrorMetrics, Histogram, Predictions};
pub use crate::analysis::{ErrorShare, Quality};
use crate::quant::TensorKind;
use crate::quant::table::{Clamp, Edit, Grid, GridError, RowMode, TableFormat};
use serde::{Deserialize, Serialize};

/// A question or an order about one model's table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaygroundRequest {
    /// Which model.
    pub model: ModelId,
    /// What is asked.
    pub ask: PlaygroundAsk,
}

/// What is asked about a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PlaygroundAsk {
    /// The whole state: [`PlaygroundReply::Table`].
    Table,
    /// Change a row: [`PlaygroundReply::Edited`].
    Edit {
        /// The change.
        edit: Edit,
        /// Edits of one drag carry the same number and are one entry of the history.
        gesture: Option<u32>,
        /// The tensor whose picture is wanted with the answer.
        show: Option<TensorQuery>,
    },
    /// Take the last edit back: [`PlaygroundReply::Edited`].
    Undo(Option<TensorQuery>),
    /// Do it again: [`PlaygroundReply::Edited`].
    Redo(Option<TensorQuery>),
    /// All rows as the file says them: [`PlaygroundReply::Edited`].
    Reset(Option<TensorQuery>),
    /// Apply a shared or stored edit list: [`PlaygroundReply::Edited`]; fails where it is for another model.
    ApplyEdits {
        /// The list, as [`TableState::edits_json`] has it.
        json: String,
    },
    /// Original, edited and float side by side: [`PlaygroundReply::BeforeAfter`].
    BeforeAfter(TensorQuery),
    /// Error of every tensor over some images: [`PlaygroundReply::LayerErrors`]. This and everything below is measured
    /// in f32 between the rows (`simulate`), where every tensor has a value before its rounding.
    LayerErrors(Images),
    /// Where each layer's error comes from: [`PlaygroundReply::Ledger`].
    Ledger(Images),
    /// Each row switched off alone and on alone: [`PlaygroundReply::Sensitivity`], partial ones on the way.
    Sensitivity(Images),
    /// Where branches join: [`PlaygroundReply::Residuals`].
    Residuals(Images),
    /// What could be better: [`PlaygroundReply::Findings`].
    Findings(Images),
    /// Apply a finding's fix, measure, and keep it only when the measurement is better: [`PlaygroundReply::Fixed`].
    ApplyFix {
        /// [`Finding::id`].
        finding: u32,
        /// What it is measured on.
        images: Images,
    },
    /// The edited model as an ONNX file, checked before it is offered: a file in the blob.
    ExportOnnx(TableFormat),
    /// .npz of every tensor of the edited model on the page's input, under the names that the exported file of this
    /// format has, its inputs first: a file in the blob.
    ExportActivations(TableFormat),
    /// All values of a tensor in the three versions and their differences: a file in the blob.
    ExportValues {
        /// `tensor` of a row.
        tensor: String,
        /// Only this channel; `None`: all values.
        channel: Option<usize>,
        /// How it is written.
        format: TextFormat,
    },
    /// Edits, overrides or a snippet: a file in the blob.
    ExportEdits(EditsFormat),
}

/// What an edit list is exported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EditsFormat {
    /// Our own list, that [`PlaygroundAsk::ApplyEdits`] takes.
    Json,
    /// ONNX Runtime's `TensorQuantOverrides`, as JSON.
    Overrides,
    /// Python that repeats it with ONNX Runtime.
    Python,
}

/// What a table is exported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TextFormat {
    /// Comma-separated values, a header line first.
    Csv,
    /// An array of an object per row.
    Json,
}

impl TextFormat {
    /// The end of a file's name.
    pub fn extension(self) -> &'static str {
        match self {
            TextFormat::Csv => "csv",
            TextFormat::Json => "json",
        }
    }

    /// What a browser is told that the file is.
    pub fn media_type(self) -> &'static str {
        match self {
            TextFormat::Csv => "text/csv;charset=utf-8",
            TextFormat::Json => "application/json",
        }
    }
}

/// Images that something is measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Images {
    /// An open source; `None`: the input of the last run alone.
    pub source: Option<u32>,
    /// The first item.
    pub first: usize,
    /// How many items, at most what is there.
    pub count: usize,
}

/// Which tensor's picture is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TensorQuery {
    /// `tensor` of a row.
    pub tensor: String,
    /// Only this channel of a per-channel row; `None`: all values.
    pub channel: Option<usize>,
    /// Number of histogram bins.
    pub bins: usize,
    /// Bounds of the bins; `None`: all values of all versions.
    pub range: Option<(f64, f64)>,
    /// The first value listed.
    pub first_value: usize,
    /// Most values listed.
    pub values: usize,
}

/// Answers about a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PlaygroundReply {
    /// The whole state.
    Table(TableState),
    /// What an edit did. The model's last valid state stays where the edit was refused.
    Edited(Edited),
    /// Answer to `BeforeAfter`.
    BeforeAfter(BeforeAfter),
    /// Answer to `LayerErrors`, rows in graph order.
    LayerErrors(Measured<LayerErrorRow>),
    /// Answer to `Ledger`, in graph order.
    Ledger(Measured<LedgerRow>),
    /// Answer to `Sensitivity`, in graph order; rows not measured yet are missing in a partial answer.
    Sensitivity(SensitivityReport),
    /// Answer to `Residuals`.
    Residuals(Measured<ResidualRow>),
    /// Answer to `Findings`, worst first.
    Findings(Measured<Finding>),
    /// Answer to `ApplyFix`.
    Fixed(Fixed),
}

/// A table and its history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableState {
    /// Which model.
    pub model: ModelId,
    /// Rows in graph order.
    pub rows: Vec<RowState>,
    /// How the file is written.
    pub format: TableFormat,
    /// Nodes that are not in the table and run as the file has them, with the reason.
    pub as_written: Vec<AsWritten>,
    /// The open float variant whose weights are used and that errors are measured against.
    pub float_model: Option<ModelId>,
    /// Where no float variant is open: what the float reference is then, in words.
    pub float_words: String,
    /// Constants for which the float variant's values are not used, with the reason.
    pub notes: Vec<String>,
    /// History and dirty mark.
    pub history: History,
}

/// A node left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsWritten {
    /// Its name.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// Why it cannot be lifted without changing its result.
    pub reason: String,
}

/// What has been edited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Every edit by name, oldest first.
    pub entries: Vec<String>,
    /// How many of them are applied; those behind can be redone.
    pub applied: usize,
    /// Whether any row differs from the file.
    pub dirty: bool,
    /// The edits that lead from the file to here, with the model's SHA-256: to be stored and shared.
    pub edits_json: String,
}

/// A row of the table as the editor shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowState {
    /// Value name in the float graph.
    pub tensor: String,
    /// What it is.
    pub kind: TensorKind,
    /// Position of its layer in the workspace's list.
    pub layer: Option<usize>,
    /// Dims, where known.
    pub shape: Option<Vec<usize>>,
    /// As edited.
    pub grid: Grid,
    /// As in the file.
    pub original: Grid,
    /// Whether it is on.
    pub enabled: bool,
    /// Fixed or dynamic.
    pub mode: RowMode,
    /// The activation function that its saturation stands for.
    pub absorbed: Option<Clamp>,
    /// The axis it may be per channel along, and how many channels there are.
    pub channels: Option<(usize, usize)>,
    /// Whether its scale follows from others (a bias) and cannot be edited.
    pub derived: bool,
    /// For a constant: whether its floats are the ones that the integers were made from, and not the integers
    /// dequantized.
    pub float_is_original: Option<bool>,
    /// Whether it differs from the file.
    pub dirty: bool,
    /// Smallest and largest real number of each channel's codes.
    pub reach: Vec<(f32, f32)>,
}

/// What an edit did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edited {
    /// Which model.
    pub model: ModelId,
    /// Rows that changed.
    pub rows: Vec<RowState>,
    /// History after it.
    pub history: History,
    /// Why it was refused; then nothing changed.
    pub refused: Option<GridError>,
    /// What the model says now, where an input has been run.
    pub versions: Vec<VersionOutcome>,
    /// The picture asked for.
    pub shown: Option<BeforeAfter>,
    /// Rounded values that changed, by row tensor name.
    pub changed: Vec<String>,
    /// Nodes computed again.
    pub nodes: usize,
    /// Time in the worker.
    pub worker_ms: f64,
}

/// One of the three that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Version {
    /// No rounding.
    Float,
    /// As the file says.
    Original,
    /// As edited.
    Edited,
}

/// What a version makes of the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionOutcome {
    /// Which version.
    pub version: Version,
    /// Classes by falling probability, where the output is a vector of scores.
    pub predictions: Option<Predictions>,
    /// What goes into the last Softmax, else the output, of the first image.
    pub logits: Vec<f64>,
}

/// A tensor in the three versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BeforeAfter {
    /// The query answered.
    pub query: TensorQuery,
    /// What each version makes of the input.
    pub outcomes: Vec<VersionOutcome>,
    /// The tensor in each version that has it: as its readers see it (rounded).
    pub tensors: Vec<VersionTensor>,
    /// Histogram of the edited version's values before their own rounding, on the same bins: what the handles stand on.
    pub before_rounding: Option<Histogram>,
    /// Real bounds of the codes (of the channel, or the widest).
    pub reach: (f64, f64),
    /// What clipping does to the edited tensor.
    pub clipped: ErrorShare,
    /// What rounding does to it.
    pub rounded: ErrorShare,
    /// Dims.
    pub shape: Vec<usize>,
}

/// A tensor in one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionTensor {
    /// Which version.
    pub version: Version,
    /// Histogram on the shared bins.
    pub histogram: Option<Histogram>,
    /// Against the float version; `None` for the float version itself.
    pub error: Option<ErrorMetrics>,
    /// A page of values in memory order.
    pub values: Vec<f64>,
}

/// Rows measured on some images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured<T> {
    /// Which images.
    pub images: Images,
    /// How many there were.
    pub count: usize,
    /// The rows.
    pub rows: Vec<T>,
}

/// Error of a tensor, as DESIGN's words define local and cumulative.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerErrorRow {
    /// `tensor` of its row.
    pub tensor: String,
    /// What it is.
    pub kind: TensorKind,
    /// Position of its layer in the workspace's list.
    pub layer: Option<usize>,
    /// Before and after its own rounding, inside the edited model.
    pub local: ErrorMetrics,
    /// The float model's against the edited model's; `None` where the float model has no such tensor.
    pub cumulative: Option<ErrorMetrics>,
    /// The same two for the model as in the file; `None` while nothing is edited.
    pub original: Option<(ErrorMetrics, Option<ErrorMetrics>)>,
}

/// Where a layer's output error comes from. Every term is the projection of its part of the error vector on the whole
/// error vector, so that the terms add up to the sum of squared errors exactly; a term that works against the others is
/// negative.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// Node of the layer's operation.
    pub node: String,
    /// The output's value name.
    pub tensor: String,
    /// Position of its layer in the workspace's list.
    pub layer: Option<usize>,
    /// Mean squared error of the output against the float model's.
    pub total: f64,
    /// From the weight's rounding.
    pub weight_rounding: f64,
    /// From the weight's clipping.
    pub weight_clipping: f64,
    /// From the rounding of the output itself.
    pub activation_rounding: f64,
    /// From its clipping.
    pub activation_clipping: f64,
    /// From the bias's rounding.
    pub bias: f64,
    /// From what came in.
    pub inherited: f64,
}

/// What switching one row does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SensitivityReport {
    /// Which images.
    pub images: Images,
    /// How many there were.
    pub count: usize,
    /// Rows of the table in all.
    pub total: usize,
    /// With every row on.
    pub quantized: Quality,
    /// With every row off.
    pub float: Quality,
    /// Rows measured so far.
    pub rows: Vec<SensitivityRow>,
}

/// A row switched alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SensitivityRow {
    /// `tensor` of the row.
    pub tensor: String,
    /// What it is.
    pub kind: TensorKind,
    /// Position of its layer in the workspace's list.
    pub layer: Option<usize>,
    /// With this row alone off, all others on.
    pub off: Quality,
    /// With this row alone on, all others off.
    pub on: Quality,
}

/// A place where branches join.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResidualRow {
    /// Node of the Add, Concat or Mul.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// Position of its layer in the workspace's list.
    pub layer: Option<usize>,
    /// (tensor, scale, zero point) of each branch.
    pub branches: Vec<(String, f32, i32)>,
    /// Largest scale over smallest.
    pub ratio: f64,
    /// Scale and zero point of the result, where it is quantized per tensor.
    pub output: Option<(f32, i32)>,
    /// SQNR of the joined value when only the branches are rounded, in dB.
    pub joined_sqnr_db: Option<f64>,
    /// What that SQNR would be if every branch had the smallest scale's rounding noise: the difference is the cost.
    pub cost_db: Option<f64>,
}

/// Something that could be better, in plain words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Number for [`PlaygroundAsk::ApplyFix`].
    pub id: u32,
    /// A short sentence.
    pub title: String,
    /// Names and figures that show it.
    pub evidence: Vec<(String, String)>,
    /// `tensor` of the row it is about.
    pub tensor: String,
    /// Position of its layer in the workspace's list.
    pub layer: Option<usize>,
    /// What the fix does, as a button says it.
    pub fix: String,
    /// How bad it is: what the list is sorted by (the share of the output error that the row causes alone, 0 to 1).
    pub weight: f64,
}

/// A fix tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fixed {
    /// [`Finding::id`].
    pub finding: u32,
    /// Without it.
    pub before: Quality,
    /// With it.
    pub after: Quality,
    /// Whether it was kept because it is better.
    pub kept: bool,
    /// The state after it.
    pub edited: Edited,
}
