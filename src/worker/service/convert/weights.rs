//! The tensors of a source file in the model it became.

use super::super::model::OpenModel;
use super::super::{Failure, Job, Service};
use crate::analysis::{compare_tensors, match_tensors};
use crate::export::weights;
use crate::import::{Limits, SourceTensor, convert};
use crate::problem::Problem;
use crate::tensor::Tensor;
use crate::worker::protocol::{ModelId, WeightCheck, WeightRow, WeightTarget};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// A constant this far from a source tensor (root mean square, relative) is another one: what is computed from it.
const MOST_RELATIVE_DIFFERENCE: f64 = 1e-6;

impl Service {
    /// Reads the source file again and finds each of its tensors among the model's constants.
    pub(super) async fn check_weights(&self, id: ModelId, job: &impl Job) -> Result<WeightCheck, Failure> {
        let model = self.model(id)?;
        if model.original.is_none() {
            return Err(Failure::from(Problem {
                file: model.summary.file.clone(),
                place: "the weights".to_owned(),
                found: "an ONNX file, whose weights are the model's own".to_owned(),
                expected: "a model that was converted here".to_owned(),
                advice: "Compare it with another file of the same network under Parity.".to_owned(),
            }));
        }
        Self::step(job, "Reading the source", 0, 2).await?;
        let tensors = source_tensors(model)?;
        Self::step(job, "Comparing weights", 1, 2).await?;
        let targets = targets(model, &tensors)?;
        let row = |source: SourceTensor| WeightRow {
            sha256: Sha256::digest(source.tensor.bytes()).iter().map(|byte| format!("{byte:02x}")).collect(),
            target: targets.get(&source.path).cloned(),
            path: source.path,
            dtype: source.dtype,
            shape: source.shape,
        };
        Ok(WeightCheck { model: id, rows: tensors.into_iter().map(row).collect() })
    }
}

/// Every tensor of the file that a model was converted from; none for an ONNX file.
pub(super) fn source_tensors(model: &OpenModel) -> Result<Vec<SourceTensor>, Problem> {
    let Some(original) = &model.original else { return Ok(Vec::new()) };
    let file = &model.summary.file;
    let conversion = convert(original.kind, &original.bytes, file, &original.options, &Limits::default());
    Ok(conversion.map_err(|error| error.into_problem(file))?.converted.source_tensors)
}

/// The constant that holds each source tensor, by the source's path.
pub(super) fn targets(model: &OpenModel, tensors: &[SourceTensor]) -> Result<HashMap<String, WeightTarget>, Problem> {
    let constants = weights(&model.document).map_err(|error| error.problem(&model.summary.file))?;
    let named: Vec<(String, Tensor)> =
        tensors.iter().map(|source| (source.path.clone(), source.tensor.clone())).collect();
    let mut found = HashMap::new();
    for pair in match_tensors(&named, &constants) {
        let of = |list: &[(String, Tensor)], name: &str| {
            list.iter().find(|(own, _)| own == name).map(|(_, tensor)| tensor.clone())
        };
        let (Some(a), Some(b)) = (of(&named, &pair.a), of(&constants, &pair.b)) else { continue };
        // NaN is as far as can be.
        if pair.relative_difference.is_nan() || pair.relative_difference > MOST_RELATIVE_DIFFERENCE {
            continue;
        }
        let target = WeightTarget {
            name: pair.b,
            shape: b.shape().to_vec(),
            transposition: pair.transposition,
            max_abs_difference: pair.max_abs_difference,
            equal_bits: compare_tensors(&a, &b).is_some_and(|difference| difference.equal_bits),
        };
        found.insert(pair.a, target);
    }
    Ok(found)
}
