//! Settings that belong to a target, and what each cannot do.

use super::options::{QuantizeOptions, TensorOverride};
use crate::onnx::{Document, NodeExt};
use crate::quant::calibrate::CalibrationMethod;
use crate::quant::table::TableFormat;
use crate::tensor::DType;
use serde::Serialize;
use std::collections::BTreeMap;

/// A named choice of options with its limits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preset {
    /// A short name that does not change.
    pub id: &'static str,
    /// What the user reads.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// The options.
    pub options: QuantizeOptions,
    /// How ranges are calibrated.
    pub calibration: CalibrationMethod,
    /// What does not work with it, each a sentence.
    pub limits: Vec<&'static str>,
    /// Types that activations may have.
    pub activation_types: Vec<DType>,
    /// Types that weights may have.
    pub weight_types: Vec<DType>,
}

impl Preset {
    /// The options, completed for a model where the target asks for it.
    pub fn options_for(&self, document: &Document) -> QuantizeOptions {
        match self.id {
            "ort-qnn" => complete_for_qnn(&self.options, document),
            _ => self.options.clone(),
        }
    }

    /// The limits that a choice of options breaks, each with the reason; empty where it fits the preset's target.
    pub fn broken_by(&self, options: &QuantizeOptions) -> Vec<String> {
        let mut broken = Vec::new();
        let types = |types: &[DType]| types.iter().map(|dtype| dtype.name()).collect::<Vec<_>>().join(" or ");
        if !self.activation_types.contains(&options.activation_type) {
            let wanted = types(&self.activation_types);
            broken.push(format!("{} has no {} activations: use {wanted}", self.name, options.activation_type));
        }
        if !self.weight_types.contains(&options.weight_type) {
            let wanted = types(&self.weight_types);
            broken.push(format!("{} has no {} weights: use {wanted}", self.name, options.weight_type));
        }
        if self.id == "torch-qnnpack" && options.per_channel {
            broken.push(format!("{}'s default configuration has one scale per weight", self.name));
        }
        if self.id.starts_with("torch") && options.weights_symmetric == Some(false) {
            broken.push(format!("{} has symmetric weights only", self.name));
        }
        if self.id == "ort-qnn" && options.format == TableFormat::QOperator {
            broken.push(format!("{} reads the QDQ format only", self.name));
        }
        if self.id.starts_with("torch") && options.format == TableFormat::QOperator {
            broken.push(format!("{} has no QOperator form: use QDQ", self.name));
        }
        broken
    }
}

/// All presets, ONNX Runtime's first.
pub fn presets() -> Vec<Preset> {
    let base = QuantizeOptions::default;
    let eight = || vec![DType::Uint8, DType::Int8];
    vec![
        Preset {
            id: "ort-static",
            name: "ONNX Runtime",
            about: "What quantize_static does when nothing is said: QDQ, int8, one scale per tensor, MinMax.",
            options: base(),
            calibration: CalibrationMethod::MinMax,
            limits: vec!["Signed activations with unsigned weights have no kernel."],
            activation_types: vec![DType::Int8, DType::Uint8, DType::Int16, DType::Uint16],
            weight_types: vec![DType::Int8, DType::Uint8, DType::Int16, DType::Uint16, DType::Int4, DType::Uint4],
        },
        Preset {
            id: "ort-cpu",
            name: "ONNX Runtime CPU",
            about: "What runs fast on a CPU: uint8 activations, int8 weights with a scale per channel.",
            options: QuantizeOptions { activation_type: DType::Uint8, per_channel: true, ..base() },
            calibration: CalibrationMethod::MinMax,
            limits: vec![
                "On CPUs with AVX2 or AVX-512 but without VNNI, sums of two uint8 x int8 products saturate at 16 bits: \
                 reduce the range of the weights there.",
                "16-bit activations have no fast kernels.",
            ],
            activation_types: eight(),
            weight_types: eight(),
        },
        Preset {
            id: "ort-qnn",
            name: "QNN",
            about: "What ONNX Runtime's QNN provider takes: uint16 or uint8 activations, 8-bit weights, ranges of at \
                    least 0.0001.",
            options: QuantizeOptions {
                activation_type: DType::Uint8,
                weight_type: DType::Uint8,
                min_real_range: Some(0.0001),
                ..base()
            },
            calibration: CalibrationMethod::MinMax,
            limits: vec![
                "The QDQ format only.",
                "Every operator of the model is quantized but Cast, unless some are chosen.",
                "A matrix product or a layer normalization has one scale per weight, also where convolutions have one per \
                 channel; ONNX Runtime's own configuration refuses layer normalizations there.",
                "16-bit Sigmoid and Tanh have scales of their own.",
            ],
            activation_types: vec![DType::Uint8, DType::Uint16, DType::Int8, DType::Int16],
            weight_types: vec![DType::Uint8, DType::Int8, DType::Int4],
        },
        Preset {
            id: "torch-fbgemm",
            name: "PyTorch fbgemm",
            about: "PyTorch on x86: 7-bit uint8 activations from a histogram, int8 weights with a scale per channel.",
            options: QuantizeOptions {
                activation_type: DType::Uint8,
                weight_type: DType::Int8,
                per_channel: true,
                weights_use_all_numbers: true,
                reduce_activation_range: true,
                ..base()
            },
            // Its HistogramObserver looks for the least squared error over 2048 bins, with 127 steps.
            calibration: CalibrationMethod::SquaredError { bins: 2048, steps: 127, symmetric: false },
            limits: vec![
                "There are no uint8 weights.",
                "Activations use 0 to 127, so that 16-bit sums do not saturate.",
                "There is no 16-bit and no QOperator form of it.",
            ],
            activation_types: vec![DType::Uint8],
            weight_types: vec![DType::Int8],
        },
        Preset {
            id: "torch-qnnpack",
            name: "PyTorch qnnpack",
            about: "PyTorch on ARM: uint8 activations from a histogram, int8 weights with one scale.",
            options: QuantizeOptions {
                activation_type: DType::Uint8,
                weight_type: DType::Int8,
                weights_use_all_numbers: true,
                ..base()
            },
            calibration: CalibrationMethod::SquaredError { bins: 2048, steps: 255, symmetric: false },
            limits: vec![
                "There are no uint8 weights.",
                "The default configuration has one scale per weight.",
                "There is no 16-bit and no QOperator form of it.",
            ],
            activation_types: vec![DType::Uint8],
            weight_types: vec![DType::Int8],
        },
    ]
}

/// Operator types that QNN leaves as they are.
const QNN_EXCLUDED: [&str; 1] = ["Cast"];

/// The options as ONNX Runtime's `get_qnn_qdq_config` completes them for a model: all operators that it has are quantized,
/// unless some were chosen; matrix products and normalizations have one scale per weight, 16-bit Sigmoid and Tanh fixed
/// scales. Overrides that are there already stay.
pub fn complete_for_qnn(options: &QuantizeOptions, document: &Document) -> QuantizeOptions {
    let nodes = &document.graph().node;
    let mut options = options.clone();
    if options.op_types.is_none() {
        let there =
            nodes.iter().filter(|node| !options.nodes_excluded.contains(node.name())).map(|node| node.op_type());
        let types = there.filter(|op_type| !QNN_EXCLUDED.contains(op_type));
        options.op_types = Some(types.map(str::to_owned).collect());
    }
    let mut overrides = BTreeMap::new();
    for node in nodes.iter().filter(|node| options.quantizes_node(node.op_type(), node.name())) {
        let output = node.output_name(0).unwrap_or_default().to_owned();
        match (node.op_type(), options.activation_type) {
            ("MatMul" | "LayerNormalization", _) if options.per_channel => {
                let constants = node.input.iter().take(2).filter(|name| document.index().initializer(name).is_some());
                for input in constants {
                    let one = TensorOverride { axis: Some(None), ..Default::default() };
                    overrides.insert(input.clone(), one);
                }
            }
            ("Sigmoid", DType::Uint16) => {
                overrides.insert(output, fixed(1.0 / 65536.0, 0));
            }
            ("Sigmoid" | "Tanh", DType::Int16) => {
                overrides.insert(output, fixed(1.0 / 32768.0, 0));
            }
            ("Tanh", DType::Uint16) => {
                overrides.insert(output, fixed(1.0 / 32768.0, 32768));
            }
            _ => {}
        }
    }
    for (tensor, change) in overrides {
        options.overrides.entry(tensor).or_insert(change);
    }
    options
}

fn fixed(scale: f32, zero_point: i32) -> TensorOverride {
    TensorOverride { params: Some((scale, zero_point)), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_keeps_its_own_limits() {
        for preset in presets() {
            assert_eq!(preset.broken_by(&preset.options), Vec::<String>::new(), "{}", preset.id);
            assert!(preset.options.check().is_ok() && preset.calibration.check().is_ok(), "{}", preset.id);
        }
    }

    #[test]
    fn what_a_target_lacks_is_said() {
        let fbgemm = presets().into_iter().find(|preset| preset.id == "torch-fbgemm").unwrap();
        let uint8 = QuantizeOptions { weight_type: DType::Uint8, ..fbgemm.options.clone() };
        assert_eq!(fbgemm.broken_by(&uint8), ["PyTorch fbgemm has no uint8 weights: use int8"]);
        let qnnpack = presets().into_iter().find(|preset| preset.id == "torch-qnnpack").unwrap();
        assert_eq!(qnnpack.broken_by(&fbgemm.options).len(), 1);
        let operator = |preset: &Preset| QuantizeOptions { format: TableFormat::QOperator, ..preset.options.clone() };
        assert_eq!(qnnpack.broken_by(&operator(&qnnpack)), ["PyTorch qnnpack has no QOperator form: use QDQ"]);
        assert_eq!(fbgemm.broken_by(&operator(&fbgemm)).len(), 1);
        assert_eq!(presets()[0].broken_by(&operator(&presets()[0])), [""; 0]);
    }
}
