//! What has been edited, in order.

use crate::quant::table::{Change, Edit, QuantTable, Row};
use std::mem::{Discriminant, discriminant};

/// One drag: its number, and what kind of change it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gesture(u32, Discriminant<Change>);

impl Gesture {
    /// The drag of this number that makes changes like this one.
    pub fn of(number: u32, change: &Change) -> Gesture {
        Gesture(number, discriminant(change))
    }
}

/// One entry: rows before and after.
pub struct Entry {
    /// In words.
    name: String,
    /// Edits of one drag have the same.
    gesture: Option<Gesture>,
    before: Vec<Row>,
    after: Vec<Row>,
}

/// Entries and how many of them are applied.
#[derive(Default)]
pub struct Timeline {
    entries: Vec<Entry>,
    applied: usize,
}

impl Timeline {
    /// Adds what was just done; what could be redone before is gone. An edit of the same drag as the last entry
    /// becomes part of it.
    pub fn push(&mut self, name: String, gesture: Option<Gesture>, before: Vec<Row>, after: Vec<Row>) {
        self.entries.truncate(self.applied);
        if let Some(last) = self.entries.last_mut()
            && gesture.is_some()
            && last.gesture == gesture
        {
            for (old, new) in before.into_iter().zip(after) {
                match last.after.iter_mut().find(|row| row.tensor == new.tensor) {
                    Some(row) => *row = new,
                    None => {
                        last.before.push(old);
                        last.after.push(new);
                    }
                }
            }
            last.name = name;
            return;
        }
        self.entries.push(Entry { name, gesture, before, after });
        self.applied = self.entries.len();
    }

    /// The rows as they were before a drag that is the last applied entry; none before its first step.
    pub fn began(&self, gesture: Option<Gesture>) -> &[Row] {
        let last = self.applied.checked_sub(1).and_then(|place| self.entries.get(place));
        let last = last.filter(|entry| gesture.is_some() && entry.gesture == gesture);
        last.map(|entry| entry.before.as_slice()).unwrap_or_default()
    }

    /// The same entries over another table of the same tensors: their grids and switches, its constants. `None` where a
    /// row is not there, or refuses a grid.
    pub fn over(&self, table: &QuantTable) -> Option<Timeline> {
        let rows = |rows: &[Row]| rows.iter().map(|row| moved(row, table)).collect::<Option<Vec<Row>>>();
        let entry = |entry: &Entry| {
            let (before, after) = (rows(&entry.before)?, rows(&entry.after)?);
            Some(Entry { name: entry.name.clone(), gesture: entry.gesture, before, after })
        };
        let entries = self.entries.iter().map(entry).collect::<Option<Vec<Entry>>>()?;
        Some(Timeline { entries, applied: self.applied })
    }

    /// The rows as they were before the last applied entry, which is applied no more.
    pub fn undo(&mut self) -> Option<Vec<Row>> {
        let entry = self.entries.get(self.applied.checked_sub(1)?)?;
        let rows = entry.before.clone();
        self.applied -= 1;
        Some(rows)
    }

    /// The rows as the next entry left them.
    pub fn redo(&mut self) -> Option<Vec<Row>> {
        let rows = self.entries.get(self.applied)?.after.clone();
        self.applied += 1;
        Some(rows)
    }

    /// Forgets what could be redone.
    pub fn forget(&mut self) {
        self.entries.truncate(self.applied);
    }

    /// Every entry by name, oldest first.
    pub fn names(&self) -> Vec<String> {
        self.entries.iter().map(|entry| entry.name.clone()).collect()
    }

    /// How many are applied.
    pub fn applied(&self) -> usize {
        self.applied
    }
}

/// A row's grid and switch on the row of the same tensor in an unedited table.
pub fn moved(row: &Row, table: &QuantTable) -> Option<Row> {
    let file = table.row(&row.tensor).filter(|file| file.bias_of == row.bias_of && file.mode == row.mode)?;
    let mut moved = Row { grid: row.grid.clone(), enabled: row.enabled, ..file.clone() };
    if let Some(constant) = moved.constant.as_mut() {
        row.grid.check(Some(constant.float.shape())).ok()?;
        // The file's codes are those of the file's grid.
        constant.stored = constant.stored.take().filter(|_| row.grid == file.grid);
    }
    Some(moved)
}

/// An edit in words: "conv1/weight: scale 0.0123".
pub fn words(edit: &Edit, table: &QuantTable) -> String {
    let of = |channel: &Option<usize>| channel.map_or_else(String::new, |channel| format!(" of channel {channel}"));
    let what = match &edit.change {
        Change::Scale { channel, scale } => format!("scale{} {scale}", of(channel)),
        Change::ZeroPoint { channel, zero_point } => format!("zero point{} {zero_point}", of(channel)),
        Change::Range { channel, low, high } => format!("range{} {low} to {high}", of(channel)),
        Change::Codes { bits, signed, narrow_range } => {
            let sign = if *signed { "int" } else { "uint" };
            format!("{sign}{bits}{}", if *narrow_range { ", narrow range" } else { "" })
        }
        Change::Type(dtype) => format!("stored as {dtype}"),
        Change::Symmetric(true) => "symmetric".to_owned(),
        Change::Symmetric(false) => "asymmetric".to_owned(),
        Change::PerChannel(true) => "a scale per channel".to_owned(),
        Change::PerChannel(false) => "one scale".to_owned(),
        Change::Enabled(true) => "on".to_owned(),
        Change::Enabled(false) => "off".to_owned(),
        Change::Grid(grid) => match (grid.params.scale.as_slice(), grid.params.zero_point.as_slice()) {
            ([scale], [zero_point]) => format!("scale {scale}, zero point {zero_point}, {} bits", grid.bits),
            (scales, _) => format!("{} scales, {} bits", scales.len(), grid.bits),
        },
        Change::Reset => "as in the file".to_owned(),
    };
    let known = table.row(&edit.tensor).map_or(edit.tensor.as_str(), |row| row.tensor.as_str());
    format!("{known}: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::table::Grid;
    use crate::quant::{Granularity, QuantParams, TensorKind};
    use crate::tensor::DType;

    fn row(tensor: &str, scale: f32) -> Row {
        let params = QuantParams {
            scale: vec![scale],
            zero_point: vec![0],
            dtype: DType::Int8,
            granularity: Granularity::PerTensor,
        };
        Row::new(tensor, TensorKind::Activation, Grid::of(params).unwrap())
    }

    #[test]
    fn a_drag_is_one_entry() {
        let mut timeline = Timeline::default();
        let drag = |number| Some(Gesture::of(number, &Change::Scale { channel: None, scale: 1.0 }));
        timeline.push("a".to_owned(), drag(1), vec![row("a", 1.0)], vec![row("a", 2.0)]);
        assert_eq!(timeline.began(drag(1)), [row("a", 1.0)]);
        assert!(timeline.began(drag(2)).is_empty() && timeline.began(None).is_empty());
        timeline.push("a more".to_owned(), drag(1), vec![row("a", 2.0)], vec![row("a", 3.0)]);
        assert_eq!(timeline.began(drag(1)), [row("a", 1.0)]);
        timeline.push("b".to_owned(), drag(2), vec![row("b", 1.0)], vec![row("b", 2.0)]);
        assert!(timeline.began(Some(Gesture::of(2, &Change::Reset))).is_empty(), "another kind of change");
        assert_eq!(timeline.names(), ["a more", "b"]);
        assert_eq!(timeline.undo().unwrap()[0].tensor, "b");
        assert_eq!(timeline.undo().unwrap(), [row("a", 1.0)]);
        assert!(timeline.undo().is_none());
        assert_eq!(timeline.redo().unwrap(), [row("a", 3.0)]);
        // What could have been redone is gone after another edit.
        timeline.push("c".to_owned(), None, vec![row("a", 3.0)], vec![row("a", 4.0)]);
        assert!(timeline.redo().is_none());
        assert_eq!((timeline.names().len(), timeline.applied()), (2, 2));
    }

    #[test]
    fn a_history_goes_over_to_another_table() {
        let mut timeline = Timeline::default();
        timeline.push("a".to_owned(), None, vec![row("a", 1.0)], vec![row("a", 2.0)]);
        timeline.push("a off".to_owned(), None, vec![row("a", 2.0)], vec![Row { enabled: false, ..row("a", 2.0) }]);
        timeline.undo();
        let absorbed = Some(crate::quant::table::Clamp { low: 0.0, high: 6.0 });
        let table = QuantTable { rows: vec![Row { absorbed, ..row("a", 1.0) }], ..QuantTable::default() };
        let mut over = timeline.over(&table).unwrap();
        assert_eq!((over.names(), over.applied()), (timeline.names(), 1));
        assert_eq!(over.redo().unwrap(), [Row { absorbed, enabled: false, ..row("a", 2.0) }]);
        over.undo();
        assert_eq!(over.undo().unwrap(), [Row { absorbed, ..row("a", 1.0) }]);
        assert!(timeline.over(&QuantTable::default()).is_none());
    }
}
