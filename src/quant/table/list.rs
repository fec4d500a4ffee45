//! Edits as a small JSON file that applies to the same model.

use super::apply::apply;
use super::edit::{Change, Edit};
use super::error::TableError;
use super::grid::Grid;
use super::row::QuantTable;
use serde::{Deserialize, Serialize};

/// The form of the file; others are refused.
pub const EDIT_LIST_VERSION: u32 = 1;

/// Which rows of a model's table differ from its file, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EditList {
    /// [`EDIT_LIST_VERSION`].
    pub schema_version: u32,
    /// SHA-256 of the model's file in hexadecimal: the list is for no other one.
    pub model_sha256: String,
    /// Its name, for people.
    pub model_name: String,
    /// Changed rows in the table's order. Biases follow and are not listed, unless they are switched.
    pub edits: Vec<RowEdit>,
}

/// A changed row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowEdit {
    /// [`super::Row::tensor`].
    pub tensor: String,
    /// Its grid; `None` where that is the file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<Grid>,
    /// Whether it is on.
    pub enabled: bool,
}

impl EditList {
    /// What leads from the file's table to the edited one.
    pub fn between(original: &QuantTable, edited: &QuantTable, model_name: &str, model_sha256: &str) -> EditList {
        let edits = edited.rows.iter().filter_map(|row| {
            let file = original.row(&row.tensor)?;
            let grid = (row.grid != file.grid && row.bias_of.is_none()).then(|| row.grid.clone());
            let changed = grid.is_some() || row.enabled != file.enabled;
            changed.then(|| RowEdit { tensor: row.tensor.clone(), grid, enabled: row.enabled })
        });
        EditList {
            schema_version: EDIT_LIST_VERSION,
            model_sha256: model_sha256.to_owned(),
            model_name: model_name.to_owned(),
            edits: edits.collect(),
        }
    }

    /// The list as JSON.
    pub fn to_json(&self) -> String {
        // Plain data: it has no key that is no string and no number that JSON lacks, as grids are checked.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Reads a list; fails on anything that is none, with what was found.
    pub fn from_json(json: &str) -> Result<EditList, TableError> {
        let list: EditList = serde_json::from_str(json)
            .map_err(|error| TableError::EditList(format!("the file is no list of edits: {error}")))?;
        match list.schema_version {
            EDIT_LIST_VERSION => Ok(list),
            found => Err(TableError::EditList(format!(
                "the list of edits has the form {found}; this application reads form {EDIT_LIST_VERSION}"
            ))),
        }
    }

    /// The file's table with the edits; fails where the list is for another model, or a row refuses its grid.
    pub fn apply(&self, original: &QuantTable, model_sha256: &str) -> Result<QuantTable, TableError> {
        if !self.model_sha256.eq_ignore_ascii_case(model_sha256) {
            return Err(TableError::EditList(format!(
                "the edits are for '{}' (SHA-256 {}), this model has {model_sha256}",
                self.model_name, self.model_sha256
            )));
        }
        let mut table = original.clone();
        for row in &self.edits {
            let changes = row.grid.clone().map(Change::Grid).into_iter().chain([Change::Enabled(row.enabled)]);
            for change in changes {
                let edit = Edit { tensor: row.tensor.clone(), change };
                apply(&mut table, original, &edit, None)
                    .map_err(|error| TableError::row(&row.tensor, error.to_string()))?;
            }
        }
        Ok(table)
    }
}
