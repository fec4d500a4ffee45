//! The words at a mark: what a tooltip shows and what a screen reader says.

use super::data::{Chart, Plot, Series};
use super::format;
use super::theme::Role;
use super::view::View;
use std::fmt;
use std::ops::Range;

/// Significant digits of a read value: enough to tell float from its dequantized neighbour.
const DIGITS: usize = 5;

/// One line of a read-out.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadoutRow {
    /// Whose value, for the swatch.
    pub role: Option<Role>,
    /// The series or quantity.
    pub label: String,
    /// The value with its unit.
    pub value: String,
}

/// What is under the pointer, in words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readout {
    /// The bin, channel or layer.
    pub title: String,
    /// A line per visible series.
    pub rows: Vec<ReadoutRow>,
}

impl fmt::Display for Readout {
    /// One sentence for a live region: "−0.05 to 0: float 504, int8 513".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<String> = self.rows.iter().map(|row| format!("{} {}", row.label, row.value)).collect();
        write!(f, "{}: {}", self.title, rows.join(", "))
    }
}

fn with_unit(value: f64, unit: &str) -> String {
    if value.is_nan() {
        return "no value".into();
    }
    let value = format::value(value, DIGITS);
    if unit.is_empty() { value } else { format!("{value} {unit}") }
}

fn row(role: Role, label: &str, value: String) -> ReadoutRow {
    ReadoutRow { role: Some(role), label: label.to_owned(), value }
}

fn values<'a>(series: impl Iterator<Item = &'a Series>, index: usize, unit: &str, view: &View) -> Vec<ReadoutRow> {
    series
        .filter(|series| view.shows(&series.name))
        .map(|series| row(series.role, &series.name, with_unit(series.at(index), unit)))
        .collect()
}

/// The words for the data in `span`; a span outside the data gives an empty read-out.
pub fn readout(chart: &Chart, view: &View, span: Range<usize>) -> Readout {
    let index = span.start;
    match &chart.plot {
        Plot::Histogram(histogram) => {
            let (Some(from), Some(to)) = (histogram.edges.get(index), histogram.edges.get(index + 1)) else {
                return Readout::default();
            };
            let title = format!("{} to {}", format::value(*from, 4), format::value(*to, 4));
            Readout { title, rows: values(histogram.series.iter(), index, &histogram.y.unit, view) }
        }
        Plot::Channels(channels) => {
            let what = if channels.x.title.is_empty() { "channel" } else { &channels.x.title };
            let unit = &channels.y.unit;
            let whisker = super::axis::extent(
                span.clone().filter_map(|index| channels.whiskers.get(index)).flat_map(|(lo, hi)| [*lo, *hi]),
            );
            let (title, mut rows) = if span.len() > 1 {
                let shown = channels.series.iter().filter(|series| view.shows(&series.name));
                let rows = shown.filter_map(|series| {
                    let (lo, hi) = super::axis::extent(span.clone().map(|index| series.at(index)))?;
                    Some(row(series.role, &series.name, format!("{} to {}", with_unit(lo, ""), with_unit(hi, unit))))
                });
                (format!("{what} {index} to {}", span.end.saturating_sub(1)), rows.collect())
            } else {
                (format!("{what} {index}"), values(channels.series.iter(), index, unit, view))
            };
            rows.extend(whisker.map(|(lo, hi)| ReadoutRow {
                role: None,
                label: "min to max".into(),
                value: format!("{} to {}", with_unit(lo, ""), with_unit(hi, unit)),
            }));
            Readout { title, rows }
        }
        Plot::Ranges(ranges) => {
            let Some(layer) = ranges.rows.get(index) else { return Readout::default() };
            let mut rows = Vec::new();
            for ((name, role), span) in ranges.series.iter().zip(&layer.spans).filter(|((name, _), _)| view.shows(name))
            {
                let value = match span {
                    Some((lo, hi)) => format!(
                        "{} to {}, width {}",
                        format::value(*lo, DIGITS),
                        format::value(*hi, DIGITS),
                        with_unit(hi - lo, &ranges.x.unit)
                    ),
                    None => "no value".into(),
                };
                rows.push(row(*role, name, value));
            }
            Readout { title: layer.label.clone(), rows }
        }
        Plot::Depth(depth) => {
            let Some(label) = depth.labels.get(index) else { return Readout::default() };
            let series = depth.lines.iter().chain(&depth.points);
            Readout { title: label.clone(), rows: values(series, index, &depth.y.unit, view) }
        }
        Plot::Heatmap(map) => {
            let Some((row_name, column)) = map.names(index) else { return Readout::default() };
            let plain = |label: &str, value: String| ReadoutRow { role: None, label: label.to_owned(), value };
            let mut rows = vec![plain(&map.z.title, with_unit(map.at(index), &map.z.unit))];
            let details = map.details.iter().filter(|detail| !detail.at(index).is_nan());
            rows.extend(details.map(|detail| plain(&detail.name, with_unit(detail.at(index), ""))));
            Readout { title: format!("{} {row_name}, {} {column}", map.y.title, map.x.title), rows }
        }
        Plot::Scatter(scatter) => {
            let Some(point) = scatter.points.get(index) else { return Readout::default() };
            let role = scatter.groups.get(point.group).map(|group| group.role);
            let value = match point.whisker {
                Some((lo, hi)) => {
                    let unit = &scatter.y.unit;
                    format!("{} ({} to {})", with_unit(point.y, unit), with_unit(lo, ""), with_unit(hi, unit))
                }
                None => with_unit(point.y, &scatter.y.unit),
            };
            let row = |label: &str, value| ReadoutRow { role, label: label.to_owned(), value };
            let rows = vec![row(&scatter.x.title, with_unit(point.x, &scatter.x.unit)), row(&scatter.y.title, value)];
            Readout { title: point.label.clone(), rows }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::data::{Axis, Channels, Depth, Heatmap, Histogram, RangeRow, Ranges, Scatter, ScatterPoint};

    fn chart(plot: Plot) -> Chart {
        Chart { title: "t".into(), note: String::new(), file_stem: "t".into(), plot }
    }

    #[test]
    fn a_bin_reads_its_edges_and_the_visible_series() {
        let histogram = chart(Plot::Histogram(Histogram {
            y: Axis::new("share", "%"),
            edges: vec![-0.5, 0.0, 0.5],
            series: vec![
                Series::new("float", Role::Float, vec![12.5, 9216.0]),
                Series::new("int8", Role::Int8, vec![f64::NAN, 3.0]),
            ],
            ..Histogram::default()
        }));
        let view = View::default();
        assert_eq!(readout(&histogram, &view, 0..1).to_string(), "−0.5000 to 0: float 12.500 %, int8 no value");
        let mut hidden = view.clone();
        hidden.toggle("int8");
        assert_eq!(readout(&histogram, &hidden, 1..2).to_string(), "0 to 0.5000: float 9,216 %");
        assert_eq!(readout(&histogram, &view, 7..8), Readout::default());
    }

    #[test]
    fn grouped_channels_read_as_a_range() {
        let channels = chart(Plot::Channels(Channels {
            x: Axis::new("output channel", ""),
            series: vec![Series::new("scale", Role::Int8, vec![1.0, 4.0, 2.0])],
            whiskers: vec![(-1.0, 1.0), (-3.0, 2.0), (0.0, 5.0)],
            ..Channels::default()
        }));
        let words = readout(&channels, &View::default(), 0..2).to_string();
        assert_eq!(words, "output channel 0 to 1: scale 1 to 4, min to max −3 to 2");
    }

    #[test]
    fn rows_and_positions_read_their_names() {
        let ranges = chart(Plot::Ranges(Ranges {
            series: vec![("float".into(), Role::Float), ("int8".into(), Role::Int8)],
            rows: vec![RangeRow { label: "conv2d".into(), spans: vec![Some((-1.0, 2.0)), None] }],
            ..Ranges::default()
        }));
        let words = readout(&ranges, &View::default(), 0..1).to_string();
        assert_eq!(words, "conv2d: float −1 to 2, width 3, int8 no value");
        let depth = chart(Plot::Depth(Depth {
            y: Axis::new("SQNR", "dB"),
            labels: vec!["conv".into()],
            lines: vec![Series::new("int8", Role::Int8, vec![f64::INFINITY])],
            ..Depth::default()
        }));
        assert_eq!(readout(&depth, &View::default(), 0..1).to_string(), "conv: int8 ∞ dB");
        let map = chart(Plot::Heatmap(Heatmap {
            x: Axis::new("activations", "bits"),
            y: Axis::new("weights", "bits"),
            z: Axis::new("accuracy", "%"),
            columns: vec!["4".into(), "8".into()],
            rows: vec!["float".into()],
            values: vec![f64::NAN, 87.5],
            details: vec![Series::new("correct", Role::Neutral, vec![f64::NAN, 7.0])],
            ..Heatmap::default()
        }));
        let words = |cell: usize| readout(&map, &View::default(), cell..cell + 1).to_string();
        assert_eq!(words(1), "weights float, activations 8: accuracy 87.500 %, correct 7");
        assert_eq!(words(0), "weights float, activations 4: accuracy no value");
        assert_eq!(readout(&map, &View::default(), 2..3), Readout::default());
        let scatter = chart(Plot::Scatter(Scatter {
            x: Axis::new("size", "KB"),
            y: Axis::new("accuracy", "%"),
            points: vec![ScatterPoint { label: "a".into(), x: 12.5, y: 90.0, whisker: Some((85.0, 93.0)), group: 0 }],
            ..Scatter::default()
        }));
        let words = readout(&scatter, &View::default(), 0..1).to_string();
        assert_eq!(words, "a: size 12.500 KB, accuracy 90 % (85 to 93 %)");
    }
}
