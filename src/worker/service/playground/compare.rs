//! Original, edited and float side by side.

use super::super::model::OpenModel;
use super::super::scores::classes;
use super::super::source::OpenSource;
use super::super::{Failure, Service, internal_problem};
use super::runs::{Runs, Shown};
use super::session::Session;
use super::states::channel_axis;
use crate::analysis::{Clipping, ClippingSums, Histogram, ValueRange, error_metrics, histogram};
use crate::problem::Problem;
use crate::quant::table::{Row, RowMode};
use crate::quant::{Granularity, scale_indices};
use crate::tensor::{Channels, Tensor};
use crate::worker::protocol::{BeforeAfter, TensorQuery, Version, VersionOutcome, VersionTensor};
use std::borrow::Cow;

const VERSIONS: [Version; 3] = [Version::Float, Version::Original, Version::Edited];

impl Service {
    /// The picture of a tensor in the three versions.
    pub(super) fn before_after(
        &self,
        session: &mut Session,
        model: &OpenModel,
        query: TensorQuery,
    ) -> Result<BeforeAfter, Failure> {
        session.runs(self, model)?;
        let outcomes = self.outcomes(session, model);
        Ok(picture(session, query, outcomes)?)
    }

    /// What each version makes of the input; empty where nothing has been run.
    pub(super) fn outcomes(&self, session: &Session, model: &OpenModel) -> Vec<VersionOutcome> {
        let Some(runs) = &session.runs else { return Vec::new() };
        let source = runs.order.input.source();
        let names = self.sources.iter().find(|open| Some(open.id) == source).and_then(OpenSource::class_names);
        let names = names.or_else(|| self.sources.iter().find_map(OpenSource::class_names));
        VERSIONS.iter().map(|&version| outcome(session, runs, model, version, names)).collect()
    }
}

fn outcome(
    session: &Session,
    runs: &Runs,
    model: &OpenModel,
    version: Version,
    class_names: Option<&[String]>,
) -> VersionOutcome {
    let tensor = |name: &str| {
        let values = runs.seen(version, name)?;
        Tensor::from_vec(runs.shape(name)?.to_vec(), values.into_owned()).ok()
    };
    let output = runs.edited.plan().outputs().first();
    let predictions = output.and_then(|name| classes(model, name, &tensor(name)?, class_names));
    let logits = session.logits.as_deref().and_then(tensor);
    let first_image = |tensor: &Tensor| match tensor.shape() {
        [batch, _, ..] => tensor.len() / (*batch).max(1),
        _ => tensor.len(),
    };
    let logits = logits.and_then(|tensor| Some((first_image(&tensor), tensor.to_f32().ok()?)));
    VersionOutcome {
        version,
        predictions,
        logits: logits.map_or_else(Vec::new, |(count, values)| values.into_iter().take(count).map(f64::from).collect()),
    }
}

/// Only the values of a channel, or all.
fn part<'a>(values: Cow<'a, [f32]>, channels: Option<Channels>, channel: Option<usize>) -> Cow<'a, [f32]> {
    match (channels, channel) {
        (Some(channels), Some(channel)) => Cow::Owned(channels.values(&values, channel).copied().collect()),
        _ => values,
    }
}

/// How a row's scales spread over a tensor, for the ends of each element's codes.
pub fn spread(row: &Row, shape: &[usize]) -> (Channels, Vec<(f32, f32)>) {
    let count = shape.iter().product();
    let reach = row.grid.reach();
    match row.grid.params.granularity {
        _ if row.mode == RowMode::Dynamic => (Channels::whole(count), vec![(f32::NEG_INFINITY, f32::INFINITY)]),
        Granularity::PerTensor => (Channels::whole(count), reach),
        Granularity::PerChannel { axis } => {
            let along = i64::try_from(axis).ok().and_then(|axis| Channels::along(shape, axis));
            (along.unwrap_or(Channels::whole(count)), reach)
        }
        Granularity::Blocked { .. } => {
            let indices = scale_indices(&row.grid.params, shape).unwrap_or_default();
            let own = indices.into_iter().filter_map(|index| reach.get(index).copied()).collect();
            (Channels { outer: 1, count, inner: 1 }, own)
        }
    }
}

/// What clipping and rounding do to an edited row.
fn shares(before: &[f32], after: &[f32], row: &Row, shape: &[usize], channel: Option<usize>) -> Clipping {
    let mut sums = ClippingSums::default();
    if row.enabled {
        let (channels, reach) = spread(row, shape);
        let along = channel_axis(row).and_then(|axis| Channels::along(shape, i64::try_from(axis).ok()?));
        match (channel, along) {
            (Some(channel), Some(along)) => {
                let own = if reach.len() > 1 { reach.get(channel).copied() } else { reach.first().copied() };
                let (before, after) = (pick(before, along, channel), pick(after, along, channel));
                sums.add(&before, &after, Channels::whole(before.len()), own.as_slice());
            }
            _ => sums.add(before, after, channels, &reach),
        }
    }
    sums.shares()
}

fn pick(values: &[f32], channels: Channels, channel: usize) -> Vec<f32> {
    channels.values(values, channel).copied().collect()
}

/// The smallest range that holds all finite values.
fn extremes<'a>(values: impl Iterator<Item = &'a f32>) -> Option<(f32, f32)> {
    values.filter(|value| value.is_finite()).fold(None, |found: Option<(f32, f32)>, &value| {
        Some(found.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
    })
}

/// The picture of one tensor.
pub fn picture(
    session: &mut Session,
    query: TensorQuery,
    outcomes: Vec<VersionOutcome>,
) -> Result<BeforeAfter, Problem> {
    let unknown = || Problem {
        file: "the quantization table".to_owned(),
        place: format!("tensor '{}'", query.tensor),
        found: "no row of this name".to_owned(),
        expected: "a tensor of the table".to_owned(),
        advice: "Choose another tensor.".to_owned(),
    };
    let row = session.edited.row(&query.tensor).ok_or_else(unknown)?;
    let Some(runs) = session.runs.as_mut() else { return Err(internal_problem("the model has not been run")) };
    let shape = match &row.constant {
        Some(constant) => constant.float.shape().to_vec(),
        None => runs.shape(&query.tensor).ok_or_else(unknown)?.to_vec(),
    };
    let channels = channel_axis(row).and_then(|axis| Channels::along(&shape, i64::try_from(axis).ok()?));
    let channel = query.channel.filter(|&channel| channels.is_some_and(|channels| channel < channels.count));
    let seen = |version| runs.seen(version, &query.tensor).map(|values| part(values, channels, channel));
    let (float, original, edited) = (seen(Version::Float), seen(Version::Original), seen(Version::Edited));
    let before = runs.before(Version::Edited, row);
    let clipping = match (&before, runs.seen(Version::Edited, &query.tensor)) {
        (Some(before), Some(after)) => shares(before, &after, row, &shape, channel),
        _ => Clipping::default(),
    };
    let before = before.map(|values| part(values, channels, channel));
    let all = [&float, &original, &edited, &before].into_iter().flatten();
    let all = extremes(all.flat_map(|values| values.iter()));
    let range = query.range.or(all.map(|(low, high)| (f64::from(low), f64::from(high))));
    let count = |values: &[f32]| -> Option<Histogram> {
        let (low, high) = range?;
        // Equal values get half a unit on either side, as numpy does.
        let (low, high) = if low == high { (low - 0.5, high + 0.5) } else { (low, high) };
        histogram(values, query.bins.max(1), Some(ValueRange { low, high })).ok()
    };
    let version_tensor = |version, values: &[f32]| VersionTensor {
        version,
        histogram: count(values),
        error: match (&float, version) {
            (_, Version::Float) | (None, _) => None,
            (Some(float), _) => error_metrics(float, values).ok(),
        },
        values: values.iter().skip(query.first_value).take(query.values).map(|&value| f64::from(value)).collect(),
    };
    let key = |shown: &&Shown| {
        (shown.tensor.as_str(), shown.channel, shown.bins, shown.range, shown.first_value, shown.values)
            == (query.tensor.as_str(), channel, query.bins, range, query.first_value, query.values)
    };
    let kept = runs.shown.as_ref().filter(key).map(|shown| (shown.float.clone(), shown.original.clone()));
    let kept = kept.or_else(|| {
        let (float, original) = (float.as_deref()?, original.as_deref()?);
        Some((version_tensor(Version::Float, float), version_tensor(Version::Original, original)))
    });
    let mut tensors = Vec::new();
    if let Some((float, original)) = &kept {
        tensors.extend([float.clone(), original.clone()]);
    }
    tensors.extend(edited.as_deref().map(|values| version_tensor(Version::Edited, values)));
    let before_rounding = before.as_deref().and_then(count);
    let reach = reach(row, channel, edited.as_deref().unwrap_or_default());
    runs.shown = kept.map(|(float, original)| Shown {
        tensor: query.tensor.clone(),
        channel,
        bins: query.bins,
        range,
        first_value: query.first_value,
        values: query.values,
        float,
        original,
    });
    Ok(BeforeAfter {
        query,
        outcomes,
        tensors,
        before_rounding,
        reach,
        clipped: clipping.clipped,
        rounded: clipping.rounded,
        shape,
    })
}

/// Real bounds of the codes of a channel, or the widest; of the values where the range is found in the run.
fn reach(row: &Row, channel: Option<usize>, seen: &[f32]) -> (f64, f64) {
    let reach = row.grid.reach();
    let (low, high) = match channel.and_then(|channel| reach.get(channel)) {
        _ if row.mode == RowMode::Dynamic => extremes(seen.iter()).unwrap_or((0.0, 0.0)),
        Some(&own) => own,
        None => reach.iter().fold((0f32, 0f32), |(low, high), own| (low.min(own.0), high.max(own.1))),
    };
    (low.into(), high.into())
}
