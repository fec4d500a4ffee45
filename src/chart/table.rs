//! The same data as rows: for the table behind every chart, and for the CSV.

use super::data::{Axis, Chart, Plot, Series};
use super::format;

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A number; NaN is an empty cell.
    Number(f64),
}

impl Cell {
    /// As a person reads it.
    pub fn display(&self) -> String {
        match self {
            Cell::Text(text) => text.clone(),
            Cell::Number(number) => format::value(*number, 6),
        }
    }

    /// As a program reads it: the shortest decimal that gives the same f64 back; empty for NaN.
    pub fn exact(&self) -> String {
        match self {
            Cell::Text(text) => text.clone(),
            Cell::Number(number) if number.is_nan() => String::new(),
            Cell::Number(number) => number.to_string(),
        }
    }

    /// Whether it stands right-aligned.
    pub fn is_number(&self) -> bool {
        matches!(self, Cell::Number(_))
    }
}

/// A chart's data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Column names with units.
    pub columns: Vec<String>,
    /// Rows, each as long as `columns`.
    pub rows: Vec<Vec<Cell>>,
}

fn column(series: &Series, y: &Axis) -> String {
    if y.unit.is_empty() { series.name.clone() } else { format!("{} ({})", series.name, y.unit) }
}

/// All data of a chart, hidden series too: the file is complete whatever is shown.
pub fn table(chart: &Chart) -> Table {
    match &chart.plot {
        Plot::Histogram(histogram) => {
            let mut columns = vec!["bin from".to_owned(), "bin to".to_owned()];
            columns.extend(histogram.series.iter().map(|series| column(series, &histogram.y)));
            let edges = histogram.edges.iter().zip(histogram.edges.iter().skip(1));
            let rows = edges.enumerate().map(|(bin, (from, to))| {
                let mut row = vec![Cell::Number(*from), Cell::Number(*to)];
                row.extend(histogram.series.iter().map(|series| Cell::Number(series.at(bin))));
                row
            });
            Table { columns, rows: rows.collect() }
        }
        Plot::Channels(channels) => {
            let what = if channels.x.title.is_empty() { "channel" } else { &channels.x.title };
            let mut columns = vec![what.to_owned()];
            columns.extend(channels.series.iter().map(|series| column(series, &channels.y)));
            let whiskers = !channels.whiskers.is_empty();
            if whiskers {
                columns.extend(["min".to_owned(), "max".to_owned()]);
            }
            let rows = (0..chart.len()).map(|channel| {
                let mut row = vec![Cell::Number(channel as f64)];
                row.extend(channels.series.iter().map(|series| Cell::Number(series.at(channel))));
                if whiskers {
                    let (lo, hi) = channels.whiskers.get(channel).copied().unwrap_or((f64::NAN, f64::NAN));
                    row.extend([Cell::Number(lo), Cell::Number(hi)]);
                }
                row
            });
            Table { columns, rows: rows.collect() }
        }
        Plot::Ranges(ranges) => {
            let mut columns = vec!["layer".to_owned()];
            for (name, _) in &ranges.series {
                columns.extend(["min", "max", "width"].map(|end| format!("{name} {end}")));
            }
            let rows = ranges.rows.iter().map(|layer| {
                let mut row = vec![Cell::Text(layer.label.clone())];
                for place in 0..ranges.series.len() {
                    let (lo, hi) = layer.spans.get(place).copied().flatten().unwrap_or((f64::NAN, f64::NAN));
                    row.extend([lo, hi, hi - lo].map(Cell::Number));
                }
                row
            });
            Table { columns, rows: rows.collect() }
        }
        Plot::Depth(depth) => {
            let series = || depth.lines.iter().chain(&depth.points);
            let mut columns = vec![if depth.x.title.is_empty() { "layer".to_owned() } else { depth.x.title.clone() }];
            columns.extend(series().map(|series| column(series, &depth.y)));
            let rows = depth.labels.iter().enumerate().map(|(index, label)| {
                let mut row = vec![Cell::Text(label.clone())];
                row.extend(series().map(|series| Cell::Number(series.at(index))));
                row
            });
            Table { columns, rows: rows.collect() }
        }
        Plot::Heatmap(map) => {
            let mut columns = vec![map.y.label(), map.x.label(), map.z.label()];
            columns.extend(map.details.iter().map(|detail| detail.name.clone()));
            let rows = (0..chart.len()).filter_map(|cell| {
                let (row, column) = map.names(cell)?;
                let mut cells = vec![Cell::Text(row.to_owned()), Cell::Text(column.to_owned())];
                cells.push(Cell::Number(map.at(cell)));
                cells.extend(map.details.iter().map(|detail| Cell::Number(detail.at(cell))));
                Some(cells)
            });
            Table { columns, rows: rows.collect() }
        }
        Plot::Scatter(scatter) => {
            let columns = ["name", "group", &scatter.x.label(), &scatter.y.label(), "low", "high"];
            let rows = scatter.points.iter().map(|point| {
                let group = scatter.groups.get(point.group).map_or(String::new(), |group| group.name.clone());
                let (lo, hi) = point.whisker.unwrap_or((f64::NAN, f64::NAN));
                let numbers = [point.x, point.y, lo, hi].map(Cell::Number);
                [Cell::Text(point.label.clone()), Cell::Text(group)].into_iter().chain(numbers).collect()
            });
            Table { columns: columns.map(str::to_owned).to_vec(), rows: rows.collect() }
        }
    }
}

/// Writing a CSV failed; memory is all it can run out of.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The writer refused a row.
    #[error("the CSV could not be written: {0}")]
    Write(#[from] csv::Error),
    /// The buffer could not be taken back.
    #[error("the CSV could not be finished: {0}")]
    Finish(String),
}

/// The table as RFC 4180 CSV in UTF-8, numbers exact.
pub fn csv(table: &Table) -> Result<Vec<u8>, CsvError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&table.columns)?;
    for row in &table.rows {
        writer.write_record(row.iter().map(Cell::exact))?;
    }
    writer.into_inner().map_err(|error| CsvError::Finish(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::data::{Depth, Heatmap, Histogram, RangeRow, Ranges};
    use crate::chart::theme::Role;

    fn text(plot: Plot) -> String {
        let chart = Chart { title: "t".into(), note: String::new(), file_stem: "t".into(), plot };
        String::from_utf8(csv(&table(&chart)).unwrap()).unwrap()
    }

    #[test]
    fn a_histogram_is_exact_and_complete() {
        let csv = text(Plot::Histogram(Histogram {
            y: Axis::new("share", "%"),
            edges: vec![-0.1, 0.1 + 0.2, 1.0],
            series: vec![
                Series::new("float", Role::Float, vec![1.0, 2.5]),
                Series::new("int8, dequantized", Role::Int8, vec![f64::NAN]),
            ],
            ..Histogram::default()
        }));
        let expected = "bin from,bin to,float (%),\"int8, dequantized (%)\"\n\
                        -0.1,0.30000000000000004,1,\n0.30000000000000004,1,2.5,\n";
        assert_eq!(csv, expected);
    }

    #[test]
    fn ranges_and_depth_name_their_layers() {
        let csv = text(Plot::Ranges(Ranges {
            series: vec![("float".into(), Role::Float)],
            rows: vec![RangeRow { label: "a \"b\"".into(), spans: vec![Some((-1.0, 2.0))] }],
            ..Ranges::default()
        }));
        assert_eq!(csv, "layer,float min,float max,float width\n\"a \"\"b\"\"\",-1,2,3\n");
        let csv = text(Plot::Depth(Depth {
            y: Axis::new("SQNR", "dB"),
            labels: vec!["conv".into()],
            lines: vec![Series::new("int8", Role::Int8, vec![f64::INFINITY])],
            ..Depth::default()
        }));
        assert_eq!(csv, "layer,int8 (dB)\nconv,inf\n");
        let csv = text(Plot::Heatmap(Heatmap {
            x: Axis::new("activations", "bits"),
            y: Axis::new("weights", "bits"),
            z: Axis::new("accuracy", "%"),
            columns: vec!["4".into()],
            rows: vec!["8".into(), "float".into()],
            values: vec![12.5],
            details: vec![Series::new("correct", Role::Neutral, vec![1.0])],
            ..Heatmap::default()
        }));
        assert_eq!(csv, "weights (bits),activations (bits),accuracy (%),correct\n8,4,12.5,1\nfloat,4,,\n");
    }
}
