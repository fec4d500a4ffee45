//! Class scores read off a model's output.

use super::activation::real_values;
use super::model::OpenModel;
use crate::analysis::{ItemScore, OutputFacts, Predictions, ScoreKind, predictions, score, score_kind};
use crate::tensor::Tensor;

/// Classes listed in a prediction.
const CLASSES_SHOWN: usize = 10;

/// The classes of an output that is a vector of scores for one item: `[classes]`, `[1, classes]`, `[1, classes, 1, 1]`.
pub fn classes(model: &OpenModel, name: &str, tensor: &Tensor, class_names: Option<&[String]>) -> Option<Predictions> {
    let (scores, facts) = class_scores(model, name, tensor)?;
    let names = class_names.filter(|names| names.len() == scores.len()).unwrap_or_default();
    Some(predictions(&scores, names, CLASSES_SHOWN, facts))
}

/// The score of an item by the same rules.
pub fn score_of(model: &OpenModel, name: &str, tensor: &Tensor, item: u32, label: Option<u32>) -> Option<ItemScore> {
    let (scores, facts) = class_scores(model, name, tensor)?;
    score(item, &scores, label, score_kind(&scores, facts) != ScoreKind::SoftmaxApplied)
}

fn class_scores(model: &OpenModel, name: &str, tensor: &Tensor) -> Option<(Vec<f32>, OutputFacts)> {
    let count = tensor.shape().iter().copied().find(|&dim| dim != 1)?;
    // Several dims are a map or a batch; no element is no score.
    if tensor.len() != count || count == 0 {
        return None;
    }
    let quantized = model.quantized.iter().find(|quantized| quantized.value == name || quantized.stored == name);
    let scores = real_values(tensor, quantized)?;
    Some((scores, output_facts(model, name)))
}

/// What the graph tells of an output's scores.
pub fn output_facts(model: &OpenModel, name: &str) -> OutputFacts {
    let quantized = model.quantized.iter().find(|quantized| quantized.value == name || quantized.stored == name);
    OutputFacts {
        after_softmax: after_softmax(model, name),
        quantization_step: quantized.and_then(|quantized| quantized.fixed()?.scale.first().copied()),
    }
}

/// Whether the scores are probabilities by the graph; `None` where it does not tell, so that the values decide.
fn after_softmax(model: &OpenModel, name: &str) -> Option<bool> {
    let mut value = model.document.origin(name);
    // A loop of such nodes is a broken file; as many steps as layers are enough for any other.
    for _ in 0..model.layers.len() {
        let makes = |output: &str| output == value;
        let maker = model
            .layers
            .iter()
            .find(|layer| makes(&layer.output) || layer.dequantized.as_deref().is_some_and(makes))?;
        match maker.op.as_str() {
            "Softmax" | "Sigmoid" => return Some(true),
            // Sums of products are no probabilities, whatever they happen to add up to.
            "Gemm" | "MatMul" | "Conv" | "Add" if !maker.is_function_call => return Some(false),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose" | "Identity" | "Dropout" => {
                value = maker.inputs.first()?.clone();
            }
            _ => return None,
        }
    }
    None
}
