//! Histograms and ranges of parameters, over all variants.

use super::model::OpenModel;
use super::{Answered, Failure, Service, internal_problem};
use crate::analysis::{HistogramError, Span, ValueRange, histogram, inside, stats, tensor_histogram};
use crate::problem::Problem;
use crate::quant::{WeightView, weight_view};
use crate::tensor::{DType, Tensor};
use crate::worker::protocol::{Distribution, DistributionQuery, DistributionSeries, LayerId, RangeRow, Reply, ValueView};

/// The values a series counts, in the type that numpy would count them in.
enum Values {
    Real(Vec<f32>),
    Stored(Tensor),
}

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
                Ok(Some((values, view))) => found.push((model, value, values, view)),
                Ok(None) => absent.push(format!("{name} stores no integers here: its values are real.")),
                Err(problem) => absent.push(format!("{name}: {}", problem.found)),
            }
        }
        let spans = found.iter().filter_map(|(_, _, values, _)| values.span());
        let whole = spans.reduce(|a, b| Span { min: a.min.min(b.min), max: a.max.max(b.max), width: 0.0 });
        let alone = found.len() == 1 && query.range.is_none();
        let range = query.range.or(whole.map(|span| (span.min, span.max)));
        let mut series = Vec::new();
        for (model, value, values, view) in found {
            // A single series without a given range is counted exactly as numpy.histogram counts it by itself.
            let range = range.filter(|_| !alone).map(|(low, high)| ValueRange { low, high });
            let histogram = values.histogram(query.bins, range).map_err(|error| refused(&model.summary.file, &value, &error))?;
            series.push(DistributionSeries {
                model: model.id,
                dtype: values.dtype(),
                shape: view.shape,
                histogram,
                stats: values.stats(),
                inside: 0,
                value,
            });
            let window = query.window.map(|(low, high)| ValueRange { low, high });
            let first = series.first().and_then(|first| first.stats.one_std_range());
            if let (Some(window), Some(last)) = (window.or(first), series.last_mut()) {
                last.inside = values.inside(window).count as u64;
            }
        }
        let default = series.first().and_then(|first| first.stats.one_std_range());
        let window = query.window.or(default.map(|range| (range.low, range.high))).unwrap_or((0.0, 0.0));
        Ok((Reply::Distribution(Distribution { query, window, series, absent }), None))
    }

    /// min and max of every parameter's real values.
    pub(super) fn ranges(&self) -> Answered {
        let mut rows = Vec::new();
        for (layer, members) in self.layout.members.iter().enumerate() {
            for parameter in 0..self.layout.rows[layer].parameters.len() {
                let range = |(model, member): (&OpenModel, &Option<super::align::Member>)| {
                    let value = member.as_ref()?.values.get(parameter)?.as_ref()?;
                    let view = weight_view(&model.document, value).ok()?;
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

/// The values of a parameter in the asked view; `None` where it stores no integers.
fn values(model: &OpenModel, value: &str, view: ValueView) -> Result<Option<(Values, WeightView)>, Problem> {
    let weight = weight_view(&model.document, value).map_err(|error| error.problem(&model.summary.file))?;
    match view {
        ValueView::Real => Ok(Some((Values::Real(weight.real.clone()), weight))),
        ValueView::Stored => {
            let Some(stored) = weight.stored.clone() else { return Ok(None) };
            Ok(Some((Values::Stored(stored), weight)))
        }
    }
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
