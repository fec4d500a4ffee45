//! Conversion: what a model was made of, making it again with other options, and proofs of equality.

use super::{ModelId, PortSummary};
use crate::analysis::LayerDifference;
use crate::import::ConvertOptions;
use serde::{Deserialize, Serialize};

/// A question or an order about conversion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ConvertRequest {
    /// What a model was converted from, and how.
    Card(ModelId),
    /// Convert a model's file again with other options; the result takes the model's place. Answered by the workspace.
    Again {
        /// Which model.
        model: ModelId,
        /// The options.
        options: ConvertOptions,
    },
    /// A model in another form; the file is in the reply's blob.
    Export {
        /// Which model.
        model: ModelId,
        /// The form.
        form: ExportForm,
    },
    /// Run a model on recorded inputs and compare every layer with the recorded output. The recording, an .npz file, is
    /// attached.
    CheckOutputs {
        /// Which model.
        model: ModelId,
        /// The recording's file name.
        recording: String,
    },
    /// Compare every tensor of a model's source file with the constants of what it became.
    CheckWeights(ModelId),
    /// Align the weights of several models, whatever their formats.
    Parity(Vec<ModelId>),
}

/// The forms of a model that can be taken home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExportForm {
    /// `.onnx`, as it is open.
    Onnx,
    /// A zip of `model.py`, its weights as safetensors and as a state dict, and for quantized models the PT2E form.
    Pytorch,
    /// C arrays.
    CHeader,
    /// Every constant as `.npz`.
    Weights,
}

/// The answer to a [`ConvertRequest`] other than `Again` and `Export`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ConvertReply {
    /// Answer to `Card`.
    Card(ConversionCard),
    /// Answer to `CheckOutputs`.
    Outputs(OutputCheck),
    /// Answer to `CheckWeights`.
    Weights(WeightCheck),
    /// Answer to `Parity`.
    Parity(Parity),
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConversionCard {
    /// Which model.
    pub model: ModelId,
    /// What the file is, in words: "a Keras .keras model".
    pub source: String,
    /// Whether it is a file of another format than ONNX.
    pub foreign: bool,
    /// Size of the file as it was opened.
    pub source_bytes: u64,
    /// The options it was converted with.
    pub options: ConvertOptions,
    /// Whether the shape of its first input can be given: a PyTorch file does not always tell it.
    pub takes_input_shape: bool,
    /// The operator set it has.
    pub opset: Option<i64>,
    /// The operator sets it can be written in, oldest first; the one it has alone for an ONNX file.
    pub opsets: Vec<i64>,
    /// What the converter did: layouts, folds, what is computed otherwise.
    pub notes: Vec<String>,
    /// Layers without an ONNX form.
    pub unsupported: Vec<String>,
    /// The code in the file: path, text.
    pub code: Vec<(String, String)>,
    /// Python that records the outputs of the model's layers.
    pub recorder: String,
    /// What PyTorch cannot express of a quantized model; empty for a float one.
    pub pytorch_notes: Vec<String>,
    /// How far a layer may be off by default, relative to its largest magnitude.
    pub tolerance: f64,
}

/// Recorded layer outputs against the model's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputCheck {
    /// Which model.
    pub model: ModelId,
    /// The recording's file name.
    pub recording: String,
    /// The inputs used: name, type, dims.
    pub inputs: Vec<PortSummary>,
    /// A row per recorded output that the model has, in the order of running.
    pub rows: Vec<OutputRow>,
    /// Recorded names without a counterpart, each with the reason.
    pub missing: Vec<String>,
    /// What was done to make the two comparable.
    pub notes: Vec<String>,
}

impl OutputCheck {
    /// Position of the first row that is farther off than `tolerance`, in the order of running.
    pub fn first_differing(&self, tolerance: f64) -> Option<usize> {
        self.rows.iter().position(|row| !row.is_equal(tolerance))
    }
}

/// Rounding of the real numbers that codes stand for, in steps.
const STEP_SLACK: f64 = 1e-3;

/// A layer in the recording and in the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputRow {
    /// The layer's name in the source.
    pub layer: String,
    /// The ONNX value that carries its output.
    pub value: String,
    /// The layer's name in the tree, where it has one.
    pub row: Option<String>,
    /// Dims recorded.
    pub source_shape: Vec<usize>,
    /// Dims of the model's value.
    pub shape: Vec<usize>,
    /// The step between the numbers that a quantized layer can give; `None` for others.
    pub step: Option<f64>,
    /// How many of these steps a value may be off: one, and behind a layer that is off a few.
    pub steps: u8,
    /// The differences, or why there are none.
    pub difference: Result<LayerDifference, String>,
}

impl OutputRow {
    /// Whether the two are equal as far as `tolerance`, relative to the largest magnitude, goes; for a quantized layer,
    /// as far as its steps go.
    pub fn is_equal(&self, tolerance: f64) -> bool {
        let within = |off: f64| off <= f64::from(self.steps) + STEP_SLACK;
        self.difference.as_ref().is_ok_and(|difference| difference.relative <= tolerance)
            || self.steps_off().is_some_and(within)
    }

    /// How many steps a quantized layer is off where it is farthest off. A sum that lies between two codes is rounded to
    /// either, by what its framework makes of the scales.
    pub fn steps_off(&self) -> Option<f64> {
        let found = self.difference.as_ref().ok().filter(|found| found.relative.is_finite())?;
        Some(found.metrics.max_abs? / self.step.filter(|&step| step > 0.0)?)
    }
}

/// The tensors of a source file in the model it became.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightCheck {
    /// Which model.
    pub model: ModelId,
    /// A row per tensor of the source file.
    pub rows: Vec<WeightRow>,
}

impl WeightCheck {
    /// (found as a constant, of these with equal bits, in all).
    pub fn counts(&self) -> (usize, usize, usize) {
        let found = self.rows.iter().filter_map(|row| row.target.as_ref());
        (found.clone().count(), found.filter(|target| target.equal_bits).count(), self.rows.len())
    }
}

/// A tensor of the source file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightRow {
    /// Its path in the file.
    pub path: String,
    /// Its type, as the source calls it.
    pub dtype: String,
    /// Its dims.
    pub shape: Vec<usize>,
    /// SHA-256 of its little-endian bytes in C order, in hexadecimal.
    pub sha256: String,
    /// The constant that holds it; `None` where it went into others or is not used.
    pub target: Option<WeightTarget>,
}

/// A constant of the converted model that holds a source tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightTarget {
    /// Its name.
    pub name: String,
    /// Its dims.
    pub shape: Vec<usize>,
    /// The order of the source's dims that are not 1 in which it lies there; `None`: as it is.
    pub transposition: Option<Vec<usize>>,
    /// Largest absolute difference.
    pub max_abs_difference: f64,
    /// Whether type and bits of all elements are equal.
    pub equal_bits: bool,
}

/// The weights of several models side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parity {
    /// The models.
    pub models: Vec<ModelId>,
    /// A row per weight that at least one has.
    pub rows: Vec<ParityRow>,
    /// What should be known, in words.
    pub notes: Vec<String>,
}

/// A weight in each model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParityRow {
    /// The layer's name in the tree; `None` for what only the files have.
    pub layer: Option<String>,
    /// "weight", "bias", ...
    pub role: String,
    /// For each model: the weight there. The first that has it is what the others are compared with.
    pub members: Vec<Option<ParityMember>>,
    /// Largest absolute difference among them; `None` where fewer than two have it, or shapes do not go together.
    pub max_abs_difference: Option<f64>,
    /// Whether type and bits are equal in all that have it, and at least two do.
    pub equal_bits: bool,
}

/// A weight in one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParityMember {
    /// Its name in the file: the data set's path, the key of the state dict, the initializer.
    pub name: String,
    /// Its dims there.
    pub shape: Vec<usize>,
    /// The order of the first member's dims that are not 1 in which they lie here; `None`: as there.
    pub transposition: Option<Vec<usize>>,
    /// The dims of what is flattened into a row here, where the first member has them in another order: the dims that
    /// `transposition` is of are then those with the rows split.
    pub rows: Option<Vec<usize>>,
}
