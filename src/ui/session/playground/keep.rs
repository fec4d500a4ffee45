//! Edits that outlive the page, come from a file and go into one.

use super::super::Session;
use super::orders::Order;
use super::quantized;
use crate::platform::{self, PickedFile, storage};
use crate::worker::{
    EditsFormat, History, ModelId, PlaygroundAsk, PlaygroundRequest, Request, TableFormat, TextFormat,
};
use leptos::prelude::*;
use leptos::task::spawn_local;

/// Under this and the model's SHA-256 the browser keeps its edits.
const KEY: &str = "quantscope.edits.";

/// How long a new list waits for a newer one.
const KEEP_AFTER_MS: i32 = 120;

/// Edits of an earlier visit that were applied when their model was opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Restored {
    /// The model.
    pub model: ModelId,
    /// How many edits.
    pub edits: usize,
}

impl Session {
    pub(super) fn key(self, model: ModelId) -> Option<String> {
        self.workspace.with_untracked(|workspace| {
            let model = workspace.models.iter().find(|open| open.id == model)?;
            Some(format!("{KEY}{}", model.sha256))
        })
    }

    /// Applies the edits of earlier visits to models that have just been opened.
    pub(super) fn restore_edits(self) {
        let models: Vec<ModelId> =
            self.workspace.with_untracked(|workspace| quantized(workspace).map(|model| model.id).collect());
        for model in models {
            let new = self.playground.known.try_update_value(|known| known.insert(model));
            let given_up = |key: &String| self.playground.given_up.with_value(|given_up| given_up.contains(key));
            let key = self.key(model).filter(|key| new == Some(true) && !given_up(key));
            if let Some(json) = key.and_then(|key| storage::recall(&key)) {
                self.order_for(model, Order::Apply { json, kept: true });
            }
        }
    }

    pub(super) fn say_restored(self, model: ModelId, edits: usize) {
        self.playground.restored.set((edits > 0).then_some(Restored { model, edits }));
    }

    /// Everything as in the file again, and nothing kept for the next visit.
    pub fn discard_restored(self) {
        if let Some(Restored { model, .. }) = self.playground.restored.get_untracked() {
            self.order_for(model, Order::Reset);
        }
    }

    /// The list of a model's edits; `None` where it is as in its file.
    pub fn edits_of(self, model: ModelId) -> Option<String> {
        self.playground.edit_lists.with_value(|lists| lists.get(&model).cloned())
    }

    pub(super) fn note_edits(self, model: ModelId, history: &History) {
        self.playground.edit_lists.update_value(|lists| {
            if history.dirty {
                lists.insert(model, history.edits_json.clone());
            } else {
                lists.remove(&model);
            }
        });
        let edits = if history.dirty { history.applied.max(1) } else { 0 };
        if self.playground.edits.with_untracked(|all| all.get(&model).copied().unwrap_or(0)) != edits {
            self.playground.edits.update(|all| {
                if edits > 0 {
                    all.insert(model, edits)
                } else {
                    all.remove(&model)
                };
            });
        }
    }

    /// Keeps the edits for the next visit, or forgets them where there are none. A drag makes sixty lists a second, and
    /// writing one blocks the page: the last of them is written.
    pub(super) fn keep_edits(self, model: ModelId, history: &History) {
        let Some(key) = self.key(model) else { return };
        let list = history.dirty.then(|| history.edits_json.clone());
        let keeping = self.playground.keeping;
        let waiting = keeping.try_update_value(|keeping| keeping.insert(key.clone(), list).is_some());
        if waiting == Some(false) {
            spawn_local(async move {
                platform::sleep_ms(KEEP_AFTER_MS).await;
                if let Some(list) = keeping.try_update_value(|keeping| keeping.remove(&key)).flatten() {
                    keep(&key, list.as_deref());
                }
            });
        }
    }

    /// Keeps what still waits when the page is left.
    pub(super) fn keep_before_leaving(self) {
        let keeping = self.playground.keeping;
        platform::on_leaving(move || {
            for (key, list) in keeping.try_update_value(std::mem::take).unwrap_or_default() {
                keep(&key, list.as_deref());
            }
        });
    }

    /// Applies a shared edit list.
    pub fn import_edits(self, files: Vec<PickedFile>) {
        let (Some(model), Some(picked)) = (self.playground.model.get_untracked(), files.into_iter().next()) else {
            return;
        };
        spawn_local(async move {
            match platform::read_text(&picked.file).await {
                Ok(json) => self.order_for(model, Order::Apply { json, kept: false }),
                Err(error) => self.say(
                    &picked.path,
                    &error.to_string(),
                    "an edit list as Export edits writes it",
                    "Choose the .json file of an export.",
                ),
            }
        });
    }

    /// Saves the edited model.
    pub fn export_onnx(self, format: TableFormat) {
        self.export(PlaygroundAsk::ExportOnnx(format), "Writing and checking the model");
    }

    /// Saves the .npz of every tensor of the edited model on the last input.
    pub fn export_edited_activations(self, format: TableFormat) {
        self.export(PlaygroundAsk::ExportActivations(format), "Running the edited model");
    }

    /// Saves all values of the selected tensor, or of its channel, in the three versions.
    pub fn export_values(self, format: TextFormat) {
        if let Some(tensor) = self.playground.tensor.get_untracked() {
            let channel = self.playground.channel.get_untracked();
            self.export(PlaygroundAsk::ExportValues { tensor, channel, format }, "Writing values");
        }
    }

    /// Saves the edit list.
    pub fn export_edits(self, format: EditsFormat) {
        self.export(PlaygroundAsk::ExportEdits(format), "Writing the edits");
    }

    fn export(self, ask: PlaygroundAsk, label: &str) {
        if let Some(model) = self.playground.model.get_untracked() {
            self.save(Request::Playground(PlaygroundRequest { model, ask }), label);
        }
    }
}

/// Where storage is switched off or full, edits last as long as the page: the file export remains.
fn keep(key: &str, list: Option<&str>) {
    match list {
        Some(list) => drop(storage::remember(key, list)),
        None => storage::forget(key),
    }
}
