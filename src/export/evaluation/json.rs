//! The report as JSON: one object per model.

use super::{EVALUATION_SCHEMA_VERSION, EvaluatedModel};
use crate::analysis::{Comparison, Fraction, Interval};
use crate::export::ModelPreprocessing;
use serde::{Deserialize, Serialize};

/// A model's object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationReport {
    /// [`EVALUATION_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What computed it.
    pub backend: String,
    /// File name of the model.
    pub model: String,
    /// Name of the data set.
    pub data: String,
    /// Size of the model's file.
    pub size_bytes: u64,
    /// How images became the model's input; null where it takes none.
    #[serde(default)]
    pub preprocessing: Option<ModelPreprocessing>,
    /// Over all items; accuracies are 0 to 1.
    pub overall: Fraction,
    /// 95 % Wilson interval of the accuracy.
    pub interval_95: Option<Interval>,
    /// Correct among the best 1, 2, ... 5.
    pub top_k: Vec<Fraction>,
    /// Mean cross-entropy in nats.
    pub cross_entropy: Option<f64>,
    /// Per class.
    pub per_class: Vec<ClassReport>,
    /// Rows true classes, columns predicted ones.
    pub confusion: Vec<Vec<u64>>,
    /// Against the first model of the report, on the items that both have seen; null for the first, and where there
    /// are none.
    pub comparison: Option<Comparison>,
}

/// A class's figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Its name.
    pub class_name: String,
    /// Its items that were recognized.
    pub correct: u64,
    /// Its items.
    pub total: u64,
    /// Their quotient, 0 to 1; null without items.
    pub accuracy: Option<f64>,
}

impl From<&EvaluatedModel> for EvaluationReport {
    fn from(model: &EvaluatedModel) -> Self {
        let evaluation = &model.evaluation;
        let classes = evaluation.per_class.len().max(1);
        let class = |class: &crate::analysis::ClassAccuracy| ClassReport {
            class_name: class.class_name.clone(),
            correct: class.fraction.correct,
            total: class.fraction.total,
            accuracy: class.fraction.accuracy,
        };
        EvaluationReport {
            schema_version: EVALUATION_SCHEMA_VERSION,
            backend: model.backend.clone(),
            model: model.model.clone(),
            data: model.data.clone(),
            size_bytes: model.size_bytes,
            preprocessing: model.preprocessing.clone(),
            overall: evaluation.overall,
            interval_95: evaluation.interval,
            top_k: evaluation.top_k.clone(),
            cross_entropy: evaluation.cross_entropy,
            per_class: evaluation.per_class.iter().map(class).collect(),
            confusion: evaluation.confusion.chunks(classes).map(<[u64]>::to_vec).collect(),
            comparison: model.comparison.clone(),
        }
    }
}

/// All models as an indented JSON array with a newline at the end.
pub fn evaluation_json(models: &[EvaluatedModel]) -> Result<String, serde_json::Error> {
    let reports: Vec<EvaluationReport> = models.iter().map(EvaluationReport::from).collect();
    let mut text = serde_json::to_string_pretty(&reports)?;
    text.push('\n');
    Ok(text)
}
