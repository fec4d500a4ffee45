//! A table as the page shows it.

use super::super::Service;
use super::session::Session;
use crate::quant::Granularity;
use crate::quant::table::{Row, RowMode};
use crate::worker::protocol::{History, RowState, TableState};

impl Session {
    /// The whole state.
    pub fn state(&self, service: &Service) -> TableState {
        let name = |id| service.models.iter().find(|open| open.id == id).map(|open| open.summary.name.clone());
        let float_words = match self.float_model.and_then(name) {
            Some(name) => format!("the open float model {name}"),
            None => "this model with nothing rounded, its weights dequantized from the integers".to_owned(),
        };
        TableState {
            model: self.model,
            rows: self.edited.rows.iter().map(|row| self.row_state(row)).collect(),
            format: self.original.format,
            as_written: self.as_written.clone(),
            float_model: self.float_model,
            float_words,
            notes: self.notes.clone(),
            history: self.history(service),
        }
    }

    /// A row.
    pub fn row_state(&self, row: &Row) -> RowState {
        let shape = self.shape(row);
        let channels = row.channel_axis.and_then(|axis| Some((axis, *shape.as_ref()?.get(axis)?)));
        RowState {
            tensor: row.tensor.clone(),
            kind: row.kind,
            layer: self.layers.get(&row.tensor).copied(),
            grid: row.grid.clone(),
            original: self.original.row(&row.tensor).map_or_else(|| row.grid.clone(), |row| row.grid.clone()),
            enabled: row.enabled,
            mode: row.mode,
            absorbed: row.absorbed,
            channels,
            derived: row.bias_of.is_some(),
            float_is_original: row.constant.as_ref().map(|constant| constant.float_is_original),
            dirty: self.is_dirty(row),
            reach: if row.mode == RowMode::Dynamic { Vec::new() } else { row.grid.reach() },
            shape,
        }
    }

    /// Dims of a row's tensor: as on the page's input, else as the graph says.
    fn shape(&self, row: &Row) -> Option<Vec<usize>> {
        if let Some(constant) = &row.constant {
            return Some(constant.float.shape().to_vec());
        }
        let run = self.runs.as_ref().and_then(|runs| runs.shape(&row.tensor)).map(<[usize]>::to_vec);
        run.or_else(|| self.facts.get(&row.tensor)?.known_shape())
    }

    /// History and dirty mark.
    pub fn history(&self, service: &Service) -> History {
        let dirty = !self.dirty_rows().is_empty();
        let model = service.models.iter().find(|open| open.id == self.model);
        History {
            entries: self.timeline.names(),
            applied: self.timeline.applied(),
            dirty,
            edits_json: model.map(|model| self.edit_list(model)).unwrap_or_default(),
        }
    }
}

/// The axis along which a row has channels: that of its scales, else the one it may have scales along.
pub fn channel_axis(row: &Row) -> Option<usize> {
    match row.grid.params.granularity {
        Granularity::PerChannel { axis } => Some(axis),
        _ => row.channel_axis,
    }
}
