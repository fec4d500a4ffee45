//! Histograms and ranges of parameters, over all variants.

use super::model::OpenModel;
use super::{Answered, Failure, Service};
use crate::analysis::{HistogramError, Inside, Span, Stats, ValueRange, tensor_histogram, tensor_inside, tensor_stats};
use crate::problem::Problem;
use crate::tensor::{DType, Tensor};
use crate::worker::protocol::{
    Distribution, DistributionQuery, DistributionSeries, LayerId, RangeRow, Reply, ValueView,
};

impl Service {
    /// The row of a layer; a question about an older workspace has no answer any more.
    pub(super) fn row(&self, layer: LayerId) -> Result<usize, Failure> {
        let current = layer.revision == self.revision && layer.row < self.layout.rows.len();
        if current { Ok(layer.row) } else { Err(Failure::Cancelled) }
    }

    /// A histogram per variant, all on one grid: from the smallest to the largest value of all.
    pub(super) fn distribution(&self, query: DistributionQuery) -> Answered {
        let row = self.row(query.layer)?;
        let mut absent = Vec::new();
        let mut found = Vec::new();
        for (model, member) in self.models.iter().zip(&self.layout.members[row]) {
            let name = &model.summary.name;
            let value = member.as_ref().and_then(|member| member.values.get(query.parameter).cloned().flatten());
            let Some(value) = value else {
                absent.push(format!("{name} has no such parameter."));
                continue;
            };
            match values(model, &value, query.view) {
                Ok(Some(values)) => found.push((model, value, values)),
                Ok(None) => absent.push(format!("{name} stores no integers here: its values are real.")),
                Err(problem) => absent.push(format!("{name}: {}", problem.found)),
            }
        }
        let bounds = found.iter().filter_map(|(_, _, values)| Some((values.stats.min?, values.stats.max?)));
        let whole = bounds.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let alone = found.len() == 1 && query.range.is_none();
        let range = query.range.or(whole);
        let mut series = Vec::new();
        let mut tensors = Vec::new();
        for (model, value, values) in found {
            // A series that is alone, without a given range, is counted exactly as numpy.histogram counts it by itself.
            let range = range.filter(|_| !alone).map(|(low, high)| ValueRange { low, high });
            let histogram = tensor_histogram(&values.tensor, query.bins, range);
            let histogram = histogram.map_err(|error| refused(&model.summary.file, &value, &error))?;
            series.push(DistributionSeries {
                model: model.id,
                value,
                dtype: values.dtype,
                shape: values.tensor.shape().to_vec(),
                histogram,
                stats: values.stats,
                inside: Inside { count: 0, percent: 0.0 },
            });
            tensors.push(values.tensor);
        }
        let default = series.first().and_then(|first| first.stats.one_std_range());
        let given = query.window.map(|(low, high)| ValueRange { low, high });
        let window = given.or(default).unwrap_or(ValueRange { low: 0.0, high: 0.0 });
        for (series, tensor) in series.iter_mut().zip(&tensors) {
            // The tensor gave a histogram above, so it has numbers.
            series.inside = tensor_inside(tensor, window).unwrap_or(series.inside);
        }
        let window = (window.low, window.high);
        Ok((Reply::Distribution(Distribution { query, window, series, absent }), None))
    }

    /// min and max of the real values of each layer's first parameter: a row per layer, so that the whole model fits one
    /// screen. The first is the weight wherever there is one.
    pub(super) fn ranges(&self) -> Answered {
        let mut rows = Vec::new();
        for (layer, members) in self.layout.members.iter().enumerate() {
            if !self.layout.rows[layer].parameters.is_empty() {
                let parameter = 0;
                let range = |(model, member): (&OpenModel, &Option<super::align::Member>)| {
                    let value = member.as_ref()?.values.get(parameter)?.as_ref()?;
                    let view = model.weight(value)?.ok()?;
                    Span::of(&view.real).map(|span| (span.min, span.max))
                };
                let ranges: Vec<_> = self.models.iter().zip(members).map(range).collect();
                if ranges.iter().any(Option::is_some) {
                    rows.push(RangeRow { layer, parameter, ranges });
                }
            }
        }
        Ok((Reply::Ranges(rows), None))
    }
}

/// The values that a series counts.
struct Values {
    /// In a type that numpy bins the same way as the file's: float32, or an integer.
    tensor: Tensor,
    /// The type they have in the file.
    dtype: DType,
    stats: Stats,
}

/// The values of a parameter in the asked view; `None` where it stores no integers.
fn values(model: &OpenModel, value: &str, view: ValueView) -> Result<Option<Values>, Problem> {
    let weight = match model.weight(value) {
        Some(weight) => weight.map_err(|error| error.problem(&model.summary.file))?,
        None => return Ok(None),
    };
    let (tensor, dtype) = match (view, weight.stored) {
        (ValueView::Real, _) => (Tensor::from_vec(weight.shape, weight.real), DType::Float32),
        (ValueView::Stored, Some(stored)) => {
            let dtype = weight.params.map_or(weight.dtype, |params| params.dtype);
            (Tensor::from_vec(weight.shape, stored), dtype)
        }
        (ValueView::Stored, None) => return Ok(None),
    };
    let counted = tensor.and_then(|tensor| Ok(Values { stats: tensor_stats(&tensor)?, tensor, dtype }));
    counted.map(Some).map_err(|error| crate::worker::service::internal_problem(&error.to_string()))
}

fn refused(file: &str, value: &str, error: &HistogramError) -> Failure {
    Failure::from(Problem {
        file: file.to_owned(),
        place: format!("histogram of '{value}'"),
        found: error.to_string(),
        expected: "a range with room for the bins".to_owned(),
        advice: "Choose a wider range or fewer bins.".to_owned(),
    })
}
