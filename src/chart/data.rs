//! What a chart is made of: plain numbers with names, units and directions.
//!
//! NaN means "no value" (a gap); infinite values are real (an exact match has an SQNR of +∞) and are drawn at the edge.

use super::theme::Role;

/// Which way a figure is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Neither way.
    #[default]
    None,
    /// More is better.
    HigherIsBetter,
    /// Less is better.
    LowerIsBetter,
}

/// What an axis measures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// The quantity: "weight value", "SQNR".
    pub title: String,
    /// Its unit: "dB", "%"; empty when it has none.
    pub unit: String,
    /// Which way is good.
    pub direction: Direction,
}

impl Axis {
    /// An axis without a direction.
    pub fn new(title: impl Into<String>, unit: impl Into<String>) -> Self {
        Self { title: title.into(), unit: unit.into(), direction: Direction::None }
    }

    /// The same axis with a direction.
    pub fn directed(self, direction: Direction) -> Self {
        Self { direction, ..self }
    }

    /// "SQNR (dB, higher is better)".
    pub fn label(&self) -> String {
        let direction = match self.direction {
            Direction::None => "",
            Direction::HigherIsBetter => "higher is better",
            Direction::LowerIsBetter => "lower is better",
        };
        let notes: Vec<&str> = [self.unit.as_str(), direction].into_iter().filter(|note| !note.is_empty()).collect();
        match (self.title.is_empty(), notes.is_empty()) {
            (_, true) => self.title.clone(),
            (true, false) => notes.join(", "),
            (false, false) => format!("{} ({})", self.title, notes.join(", ")),
        }
    }
}

/// Named numbers of one identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The name in legend, read-out and table. Hiding and re-runs know a series by it: it must be unique in its chart.
    pub name: String,
    /// Whose numbers these are; decides the colour.
    pub role: Role,
    /// One number per bin, channel or layer; NaN where there is none.
    pub values: Vec<f64>,
}

impl Series {
    /// A series.
    pub fn new(name: impl Into<String>, role: Role, values: Vec<f64>) -> Self {
        Self { name: name.into(), role, values }
    }

    /// The number at `index`; NaN outside.
    pub fn at(&self, index: usize) -> f64 {
        self.values.get(index).copied().unwrap_or(f64::NAN)
    }
}

/// A vertical line that the user drags.
#[derive(Clone, Debug, PartialEq)]
pub struct Handle {
    /// What comes back with the drag.
    pub id: String,
    /// Where it stands, in data units.
    pub x: f64,
    /// Its accessible name: "lower clip".
    pub label: String,
    /// Its colour.
    pub role: Role,
}

/// Counts over shared bins: `values.len() == edges.len() - 1` for every series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// What is binned.
    pub x: Axis,
    /// What is counted: "values", "share" in %.
    pub y: Axis,
    /// Ascending bin edges, as in `numpy.histogram`: every bin is half open, the last is closed.
    pub edges: Vec<f64>,
    /// The first visible series is filled, the others are outlines.
    pub series: Vec<Series>,
    /// The sub-range that is looked at: shaded, with a line at both ends.
    pub shaded: Option<(f64, f64)>,
    /// What lies outside of it saturates: hatched, bars in the colour of clipping.
    pub clip: Option<(f64, f64)>,
    /// Where values are rounded and not cut off: shaded in the colour of rounding.
    pub rounded: Option<(f64, f64)>,
    /// Draggable lines.
    pub handles: Vec<Handle>,
}

/// How channels are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelMarks {
    /// A bar from zero: for magnitudes, scales, ranges.
    #[default]
    Bars,
    /// A dot: for zero points and other values whose zero means nothing.
    Dots,
}

/// One value per channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Channels {
    /// What the channels are: "output channel".
    pub x: Axis,
    /// What is measured.
    pub y: Axis,
    /// One value per channel each.
    pub series: Vec<Series>,
    /// Minimum and maximum per channel, drawn as whiskers; empty for none.
    pub whiskers: Vec<(f64, f64)>,
    /// The channel that stands out.
    pub highlighted: Option<usize>,
    /// Bars or dots.
    pub marks: ChannelMarks,
}

/// One layer's ranges.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeRow {
    /// The layer's name.
    pub label: String,
    /// Minimum and maximum per series, in the order of [`Ranges::series`]; `None` where a variant lacks the tensor.
    pub spans: Vec<Option<(f64, f64)>>,
}

/// What a range bar's colour says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RangeColor {
    /// Whose range it is.
    #[default]
    BySeries,
    /// How wide it is, on the sequential ramp from the narrowest to the widest row.
    ByWidth,
}

/// Minimum to maximum of every layer, a row each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranges {
    /// What the bars measure.
    pub x: Axis,
    /// Name and role of the bars in a row.
    pub series: Vec<(String, Role)>,
    /// The layers, in the order to show.
    pub rows: Vec<RangeRow>,
    /// What colour says.
    pub color: RangeColor,
    /// The selected row.
    pub selected: Option<usize>,
}

/// Values along the depth of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Depth {
    /// What the positions are: "layer".
    pub x: Axis,
    /// What is measured.
    pub y: Axis,
    /// The positions' names, from input to output.
    pub labels: Vec<String>,
    /// Drawn as lines; the second and later of the same role are dashed.
    pub lines: Vec<Series>,
    /// Drawn as hollow points.
    pub points: Vec<Series>,
    /// The selected position.
    pub selected: Option<usize>,
}

/// A number for each pair of a row and a column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heatmap {
    /// What the columns are.
    pub x: Axis,
    /// What the rows are.
    pub y: Axis,
    /// What is measured.
    pub z: Axis,
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows' names, from the top.
    pub rows: Vec<String>,
    /// The numbers, row by row; NaN where there is none yet.
    pub values: Vec<f64>,
    /// Further numbers of every cell, for read-out and table.
    pub details: Vec<Series>,
    /// The numbers at both ends of the colour ramp.
    pub range: (f64, f64),
    /// Decimals of the numbers in the cells.
    pub decimals: usize,
    /// The cell that stands out.
    pub selected: Option<usize>,
}

impl Heatmap {
    /// The number of a cell; NaN outside.
    pub fn at(&self, index: usize) -> f64 {
        self.values.get(index).copied().unwrap_or(f64::NAN)
    }

    /// Names of a cell's row and column.
    pub fn names(&self, index: usize) -> Option<(&str, &str)> {
        let columns = self.columns.len().max(1);
        Some((self.rows.get(index / columns)?, self.columns.get(index % columns)?))
    }
}

/// A point of a [`Scatter`].
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterPoint {
    /// What it is.
    pub label: String,
    /// Across.
    pub x: f64,
    /// Up.
    pub y: f64,
    /// An interval around `y`.
    pub whisker: Option<(f64, f64)>,
    /// Position in [`Scatter::groups`].
    pub group: usize,
}

/// Points that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterGroup {
    /// The name in the legend.
    pub name: String,
    /// Its colour.
    pub role: Role,
    /// Whether its points are solid and joined by a line, from left to right; otherwise they are hollow.
    pub joined: bool,
}

/// One measure over another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scatter {
    /// What is across.
    pub x: Axis,
    /// What is up.
    pub y: Axis,
    /// The groups, drawn in this order.
    pub groups: Vec<ScatterGroup>,
    /// The points.
    pub points: Vec<ScatterPoint>,
    /// What is asked of x: a dashed line.
    pub x_limit: Option<f64>,
    /// What is asked of y.
    pub y_limit: Option<f64>,
}

/// What a chart shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Plot {
    /// Counts over bins.
    Histogram(Histogram),
    /// A value per channel.
    Channels(Channels),
    /// Minimum to maximum per layer.
    Ranges(Ranges),
    /// Lines and points over depth.
    Depth(Depth),
    /// A number per pair.
    Heatmap(Heatmap),
    /// Points over two measures.
    Scatter(Scatter),
}

/// A chart with its words.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// The heading, which is also the region's accessible name.
    pub title: String,
    /// A short remark beside the heading: "9,216 values, 50 bins".
    pub note: String,
    /// Exported files are called this, with the format's extension.
    pub file_stem: String,
    /// The numbers.
    pub plot: Plot,
}

impl Chart {
    /// A chart of nothing, for the time before there is an answer.
    pub fn empty() -> Self {
        Self {
            title: String::new(),
            note: String::new(),
            file_stem: String::new(),
            plot: Plot::Histogram(Histogram::default()),
        }
    }

    /// Name and role of every series, in legend order.
    pub fn legend(&self) -> Vec<(&str, Role)> {
        match &self.plot {
            Plot::Histogram(histogram) => {
                histogram.series.iter().map(|series| (series.name.as_str(), series.role)).collect()
            }
            Plot::Channels(channels) => {
                channels.series.iter().map(|series| (series.name.as_str(), series.role)).collect()
            }
            Plot::Ranges(ranges) => ranges.series.iter().map(|(name, role)| (name.as_str(), *role)).collect(),
            Plot::Depth(depth) => {
                depth.lines.iter().chain(&depth.points).map(|series| (series.name.as_str(), series.role)).collect()
            }
            // Its colours are amounts, not identities.
            Plot::Heatmap(_) => Vec::new(),
            Plot::Scatter(scatter) => scatter.groups.iter().map(|group| (group.name.as_str(), group.role)).collect(),
        }
    }

    /// Whether a logarithmic y axis makes sense: counts and channel magnitudes.
    pub fn allows_log_y(&self) -> bool {
        match &self.plot {
            Plot::Histogram(_) => true,
            Plot::Channels(channels) => channels.marks == ChannelMarks::Bars,
            Plot::Ranges(_) | Plot::Depth(_) | Plot::Heatmap(_) | Plot::Scatter(_) => false,
        }
    }

    /// How many bins, channels, rows or positions there are.
    pub fn len(&self) -> usize {
        let longest = |series: &[Series]| series.iter().map(|series| series.values.len()).max().unwrap_or(0);
        match &self.plot {
            Plot::Histogram(histogram) => histogram.edges.len().saturating_sub(1),
            Plot::Channels(channels) => longest(&channels.series).max(channels.whiskers.len()),
            Plot::Ranges(ranges) => ranges.rows.len(),
            Plot::Depth(depth) => depth.labels.len(),
            Plot::Heatmap(map) => map.columns.len() * map.rows.len(),
            Plot::Scatter(scatter) => scatter.points.len(),
        }
    }

    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A sentence for those who do not see the picture.
    pub fn summary(&self) -> String {
        let names: Vec<&str> = self.legend().into_iter().map(|(name, _)| name).collect();
        let (what, x, y) = match &self.plot {
            Plot::Histogram(histogram) => ("bins", histogram.x.label(), histogram.y.label()),
            Plot::Channels(channels) => ("channels", channels.x.label(), channels.y.label()),
            Plot::Ranges(ranges) => ("layers", ranges.x.label(), String::new()),
            Plot::Depth(depth) => ("layers", depth.x.label(), depth.y.label()),
            Plot::Heatmap(map) => {
                let (z, y, x) = (map.z.label(), map.y.label(), map.x.label());
                return format!("{}: {z} over {y} and {x}, {} cells", self.title, self.len());
            }
            Plot::Scatter(scatter) => ("points", scatter.x.label(), scatter.y.label()),
        };
        let axes: Vec<String> = [x, y].into_iter().filter(|axis| !axis.is_empty()).collect();
        format!("{}: {} over {} {what}; {}", self.title, names.join(", "), self.len(), axes.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_says_unit_and_direction() {
        assert_eq!(Axis::new("SQNR", "dB").directed(Direction::HigherIsBetter).label(), "SQNR (dB, higher is better)");
        assert_eq!(Axis::new("weight value", "").label(), "weight value");
        assert_eq!(Axis::new("", "%").label(), "%");
        assert_eq!(Axis::default().label(), "");
    }

    #[test]
    fn the_summary_names_series_and_sizes() {
        let chart = Chart {
            title: "Weight distribution".into(),
            note: String::new(),
            file_stem: "conv".into(),
            plot: Plot::Histogram(Histogram {
                x: Axis::new("weight", ""),
                y: Axis::new("values", ""),
                edges: vec![0.0, 1.0, 2.0],
                series: vec![Series::new("float", Role::Float, vec![3.0, 4.0])],
                ..Histogram::default()
            }),
        };
        assert_eq!(chart.summary(), "Weight distribution: float over 2 bins; weight, values");
        assert!(chart.allows_log_y() && !chart.is_empty());
    }
}
