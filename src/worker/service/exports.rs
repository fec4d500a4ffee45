//! What the user takes home of a run.

use super::model::OpenModel;
use super::{Answered, Failure, Job, Service, internal_problem};
use crate::export::{
    Compression, InputReport, ModelReport, OpsetReport, PredictionReport, QuantizationReport, Report, ValueReport, npz,
};
use crate::problem::Problem;
use crate::quant::{Granularity, Parameters, QuantizedTensor};
use crate::tensor::Tensor;
use crate::worker::protocol::{ModelId, PortSummary, Reply, RunResult, preprocessing};

impl Service {
    /// .npz of every tensor of a model's last run, its input first, under the ONNX value names.
    pub(super) async fn export_activations(&self, id: ModelId, job: &impl Job) -> Answered {
        let model = self.models.iter().find(|model| model.id == id);
        let captured = self.last_run.as_ref().and_then(|run| run.model(id));
        let (Some(model), Some(captured)) = (model, captured) else {
            return Err(Failure::from(Problem {
                file: model.map_or_else(|| "the model".to_owned(), |model| model.summary.file.clone()),
                place: "activations".to_owned(),
                found: "no run of this model".to_owned(),
                expected: "tensors that a run left".to_owned(),
                advice: "Run an input first.".to_owned(),
            }));
        };
        if !job.checkpoint("Writing activations", 0, 1).await {
            return Err(Failure::Cancelled);
        }
        let arrays: Vec<(&str, &Tensor)> =
            captured.order.iter().filter_map(|name| Some((name.as_str(), captured.values.get(name)?))).collect();
        let file = npz(&arrays, Compression::Deflated).map_err(|error| internal_problem(&error.to_string()))?;
        let reply = Reply::File {
            name: format!("{}-activations.npz", model.summary.name),
            media_type: "application/zip".to_owned(),
        };
        Ok((reply, Some(file.bytes)))
    }

    /// JSON of everything open: cards, quantization parameters, predictions of the last run.
    pub(super) fn export_report(&self) -> Answered {
        let run = self.last_run.as_ref().map(|run| &run.result);
        let semantics = run.map_or_else(String::new, |run| format!("{:?}", run.order.semantics).to_lowercase());
        let mut report = Report::new(&semantics);
        report.input = run.map(|run| input(run, &self.models));
        report.models = self.models.iter().map(|model| model_report(model, run)).collect();
        report.unmatched = self.layout.unmatched_tensors(&self.models);
        report.problems = self.models.iter().flat_map(|model| model.summary.issues.clone()).collect();
        let json = report.to_json().map_err(|error| internal_problem(&error.to_string()))?;
        let reply =
            Reply::File { name: "quantscope-report.json".to_owned(), media_type: "application/json".to_owned() };
        Ok((reply, Some(json.into_bytes())))
    }
}

fn input(run: &RunResult, models: &[OpenModel]) -> InputReport {
    let edits = run.order.preprocess.as_ref();
    let preprocess = models.iter().find_map(|model| model.summary.preprocessed(edits));
    let name = |label: u32| run.class_names.as_ref().and_then(|names| names.get(label as usize).cloned());
    InputReport {
        source: run.input.clone(),
        preprocessing: preprocess.as_ref().map(preprocessing).unwrap_or_default(),
        label: run.label.map(|label| label as usize),
        label_name: run.label.and_then(name),
    }
}

fn model_report(model: &OpenModel, run: Option<&RunResult>) -> ModelReport {
    let summary = &model.summary;
    let outcome = run.and_then(|run| run.outcomes.iter().find(|outcome| outcome.model == model.id));
    let predictions = outcome.and_then(|outcome| outcome.result.as_ref().ok()?.predictions.clone());
    let ports = |ports: &[PortSummary]| -> Vec<ValueReport> {
        let port = |port: &PortSummary| ValueReport {
            name: port.name.clone(),
            dtype: port.dtype.clone(),
            shape: port.shape.clone(),
        };
        ports.iter().map(port).collect()
    };
    ModelReport {
        name: summary.name.clone(),
        file_size_bytes: summary.size_bytes,
        sha256: summary.sha256.clone(),
        producer: summary.producer.clone(),
        ir_version: Some(summary.ir_version),
        opsets: summary
            .opsets
            .iter()
            .map(|(domain, version)| OpsetReport { domain: domain.clone(), version: *version })
            .collect(),
        inputs: ports(&summary.inputs),
        outputs: ports(&summary.outputs),
        parameters: summary.parameters,
        macs: summary.macs,
        node_count: summary.nodes,
        op_counts: summary.op_counts.iter().cloned().collect(),
        quantize_linear: summary.quantize_linear,
        dequantize_linear: summary.dequantize_linear,
        quantized_share: summary.quantize_share,
        quantization: model.quantized.iter().filter_map(quantization).collect(),
        predictions: predictions
            .map_or_else(Vec::new, |predictions| predictions.top.into_iter().map(PredictionReport::from).collect()),
    }
}

/// The parameters of one tensor; tensors whose parameters are computed in the run have none to report.
fn quantization(tensor: &QuantizedTensor) -> Option<QuantizationReport> {
    let Parameters::Fixed(params) = &tensor.params else { return None };
    let (granularity, axis) = match params.granularity {
        Granularity::PerTensor => ("per-tensor", None),
        Granularity::PerChannel { axis } => ("per-channel", Some(axis)),
        Granularity::Blocked { axis, .. } => ("blocked", Some(axis)),
    };
    let (low, high) = tensor.range().unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
    Some(QuantizationReport {
        tensor: tensor.value.clone(),
        kind: format!("{:?}", tensor.kind).to_lowercase(),
        dtype: params.dtype.name().to_owned(),
        scale: params.scale.clone(),
        zero_point: params.zero_point.clone(),
        axis,
        granularity: granularity.to_owned(),
        symmetric: tensor.symmetric(),
        range: [f64::from(low), f64::from(high)],
    })
}
