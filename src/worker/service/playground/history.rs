//! What has been edited, in order.

use crate::quant::table::{Change, Edit, QuantTable, Row};

/// One entry: rows before and after.
pub struct Entry {
    /// In words.
    name: String,
    /// Edits of one drag carry the same number.
    gesture: Option<u32>,
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
    pub fn push(&mut self, name: String, gesture: Option<u32>, before: Vec<Row>, after: Vec<Row>) {
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
        timeline.push("a".to_owned(), Some(1), vec![row("a", 1.0)], vec![row("a", 2.0)]);
        timeline.push("a more".to_owned(), Some(1), vec![row("a", 2.0)], vec![row("a", 3.0)]);
        timeline.push("b".to_owned(), Some(2), vec![row("b", 1.0)], vec![row("b", 2.0)]);
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
}
