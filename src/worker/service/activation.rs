//! What the last run left at a layer.

use super::model::OpenModel;
use super::{Answered, Service};
use crate::analysis::{Span, ValueRange, ViewOptions, activation_view, error_metrics, guess_layout, histogram, stats};
use crate::onnx::LayerRef;
use crate::quant::{QuantizedTensor, dequantize_tensor};
use crate::tensor::Tensor;
use crate::worker::protocol::{
    ActivationQuery, LayerActivations, ModelId, PARTING_SQNR_DB, Parting, Reply, VariantActivation,
};

/// A layer's output in one variant, as real values.
struct Output<'a> {
    model: &'a OpenModel,
    value: String,
    tensor: &'a Tensor,
    real: Vec<f32>,
    spatial: bool,
}

impl Service {
    /// Statistics, a histogram on one grid, feature maps and values, for every variant that ran.
    pub(super) fn activation(&self, query: ActivationQuery) -> Answered {
        let row = self.row(query.layer)?;
        let members = self.models.iter().zip(&self.layout.members[row]);
        let outputs: Vec<Output> = members
            .filter_map(|(model, member)| self.output(model, &member.as_ref()?.operation, &self.layout.rows[row].op))
            .collect();
        let span = outputs.iter().filter_map(|output| Span::of(&output.real)).reduce(|a, b| Span {
            min: a.min.min(b.min),
            max: a.max.max(b.max),
            width: 0.0,
        });
        let grid = span.map(|span| ValueRange { low: span.min, high: span.max });
        let variants = outputs.into_iter().map(|output| view(output, grid, &query)).collect();
        Ok((Reply::Activation(LayerActivations { query, variants }), None))
    }

    /// The first layer whose outputs in two models are further apart than rounding explains.
    pub(super) fn parting(&self, first: ModelId, second: ModelId) -> Answered {
        let place = |id| self.models.iter().position(|model| model.id == id);
        let (Some(first), Some(second)) = (place(first), place(second)) else {
            return Ok((Reply::Parting(None), None));
        };
        let mut worst: Option<Parting> = None;
        for (layer, members) in self.layout.members.iter().enumerate() {
            let real = |position: usize| {
                let operation = &members.get(position)?.as_ref()?.operation;
                Some(self.output(self.models.get(position)?, operation, "")?.real)
            };
            let (Some(own), Some(other)) = (real(first), real(second)) else { continue };
            let Some(sqnr_db) = error_metrics(&own, &other).ok().and_then(|metrics| metrics.sqnr_db) else { continue };
            let parting = Parting { layer, sqnr_db };
            if sqnr_db < PARTING_SQNR_DB {
                worst = Some(parting);
                break;
            }
            if worst.is_none_or(|worst| sqnr_db < worst.sqnr_db) {
                worst = Some(parting);
            }
        }
        Ok((Reply::Parting(worst), None))
    }

    /// The value that shows what the layer puts out: behind its quantizer where it has one, since that is what the next
    /// layer reads.
    fn output<'a>(&'a self, model: &'a OpenModel, operation: &LayerRef, op: &str) -> Option<Output<'a>> {
        let run = self.last_run.as_ref()?.model(model.id)?;
        let mut names = operation.comparable.iter().chain([&operation.output]);
        let (value, tensor) = names.find_map(|name| Some((name, run.values.get(name)?)))?;
        let quantized = model.quantized.iter().find(|quantized| quantized.stored == *value);
        Some(Output {
            model,
            value: value.clone(),
            tensor,
            real: real_values(tensor, quantized)?,
            spatial: matches!(
                op,
                "Conv" | "ConvTranspose" | "MaxPool" | "AveragePool" | "GlobalAveragePool" | "BatchNormalization"
            ),
        })
    }
}

/// The tensor's real values: integers of a quantized activation are dequantized.
pub(super) fn real_values(tensor: &Tensor, quantized: Option<&QuantizedTensor>) -> Option<Vec<f32>> {
    match quantized {
        Some(quantized) if tensor.dtype().is_int() => dequantize_tensor(quantized.fixed()?, tensor),
        _ => tensor.to_f32().ok(),
    }
}

fn view(output: Output, grid: Option<ValueRange>, query: &ActivationQuery) -> VariantActivation {
    let Output { model, value, tensor, real, spatial } = output;
    let shape = tensor.shape().to_vec();
    let options = ViewOptions {
        layout: guess_layout(&shape, spatial),
        first_channel: query.first_map,
        most_maps: query.maps,
        ..ViewOptions::default()
    };
    VariantActivation {
        model: model.id,
        value,
        dtype: tensor.dtype(),
        stats: stats(&real),
        // A grid without room for its bins (a constant tensor far from zero) has no histogram; the figures remain.
        histogram: grid.and_then(|grid| histogram(&real, query.bins, Some(grid)).ok()),
        picture: activation_view(&real, &shape, &options).ok(),
        values: real.iter().skip(query.first_value).take(query.values).map(|&value| f64::from(value)).collect(),
        shape,
    }
}
