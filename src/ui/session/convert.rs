//! Conversion: a model made again with other options, taken home in other forms, and compared with its source.

use super::Session;
use crate::platform::{self, PickedFile};
use crate::worker::{
    ConversionCard, ConvertOptions, ConvertReply, ConvertRequest, ExportForm, ModelId, ModelSummary, OutputCheck,
    Parity, Reply, Request, WeightCheck,
};
use leptos::prelude::*;
use leptos::task::spawn_local;

/// What the Convert tab shows.
#[derive(Clone, Copy)]
pub struct Conversion {
    /// The model that the user chose.
    pub chosen: RwSignal<Option<ModelId>>,
    /// Recorded outputs compared with the model's.
    pub outputs: RwSignal<Option<OutputCheck>>,
    /// The source's tensors in the model.
    pub weights: RwSignal<Option<WeightCheck>>,
    /// The weights of all open models.
    pub parity: RwSignal<Option<Parity>>,
    /// How far a layer may be off, where the user has set it.
    pub tolerance: RwSignal<Option<f64>>,
    /// What was converted again (file, SHA-256 before, options), in order, so that other workers can be brought to the
    /// same state.
    done: StoredValue<Vec<(String, String, ConvertOptions)>>,
}

impl Conversion {
    /// What was converted again: file, SHA-256 before, options.
    pub(super) fn list(&self) -> Vec<(String, String, ConvertOptions)> {
        self.done.get_value()
    }

    pub(super) fn new() -> Self {
        Conversion {
            chosen: RwSignal::default(),
            outputs: RwSignal::default(),
            weights: RwSignal::default(),
            parity: RwSignal::default(),
            tolerance: RwSignal::default(),
            done: StoredValue::new(Vec::new()),
        }
    }
}

impl Session {
    /// The model that the Convert tab is about: the chosen one, else the first of another format, else the first.
    pub fn conversion_model(self) -> Option<ModelSummary> {
        self.workspace.with(|workspace| {
            let chosen = self.conversion.chosen.get();
            let foreign = |model: &&ModelSummary| model.metadata.iter().any(|(key, _)| key == "source");
            let chosen = workspace.models.iter().find(|model| Some(model.id) == chosen);
            chosen.or_else(|| workspace.models.iter().find(foreign)).or(workspace.models.first()).cloned()
        })
    }

    /// What the worker knows of that model's source.
    pub fn conversion_card(self) -> super::query::Query<ConversionCard> {
        let question = move || Some(Request::Convert(ConvertRequest::Card(self.conversion_model()?.id)));
        self.query(question, |reply, _| match reply {
            Reply::Converted(reply) => {
                if let ConvertReply::Card(card) = *reply {
                    Some(card)
                } else {
                    None
                }
            }
            _ => None,
        })
    }

    /// Converts a model's file again; the result takes its place.
    pub fn convert_again(self, model: ModelId, options: ConvertOptions) {
        let before = self.workspace.with_untracked(|workspace| {
            workspace.models.iter().position(|open| open.id == model).map(|at| (at, workspace.models[at].clone()))
        });
        let Some((at, before)) = before else { return };
        let order = Request::Convert(ConvertRequest::Again { model, options: options.clone() });
        let id = self.ask(order, &[], move |reply, _| {
            let Reply::Workspace(workspace) = reply else { return };
            let made = workspace.models.get(at).map(|model| model.id);
            self.conversion.done.update_value(|done| done.push((before.file, before.sha256, options)));
            self.conversion.outputs.set(None);
            self.conversion.weights.set(None);
            self.workspace.set(workspace);
            self.conversion.chosen.set(made);
        });
        self.begin(id, format!("Converting {}", before.name));
    }

    /// In a fresh worker, converts again what was converted again before, from the `at`th on; then goes on.
    pub(super) fn repeat_conversions(self, at: usize, then: Box<dyn FnOnce(Self)>) {
        let next = self.conversion.done.with_value(|done| done.get(at).cloned());
        let Some((file, sha256, options)) = next else { return then(self) };
        let model = self.workspace.with_untracked(|workspace| {
            let same = |model: &&ModelSummary| model.file == file && model.sha256 == sha256;
            workspace.models.iter().find(same).map(|model| model.id)
        });
        let Some(model) = model else { return self.repeat_conversions(at + 1, then) };
        let order = Request::Convert(ConvertRequest::Again { model, options });
        self.ask(order, &[], move |reply, _| {
            if let Reply::Workspace(workspace) = reply {
                self.workspace.set(workspace);
            }
            self.repeat_conversions(at + 1, then);
        });
    }

    /// Saves a model in another form.
    pub fn export_form(self, model: ModelId, form: ExportForm) {
        self.save(Request::Convert(ConvertRequest::Export { model, form }), "Exporting");
    }

    /// Compares recorded outputs with those of the Convert tab's model.
    pub fn check_outputs(self, mut files: Vec<PickedFile>) {
        let Some(model) = untrack(|| self.conversion_model()) else { return };
        files.truncate(1);
        let Some(recording) = files.first().map(|file| file.path.clone()) else { return };
        let label = format!("Comparing {} with {recording}", model.name);
        let order = ConvertRequest::CheckOutputs { model: model.id, recording };
        self.ask_conversion(order, &files, label, move |reply| {
            if let ConvertReply::Outputs(check) = reply {
                self.conversion.outputs.set(Some(check));
            }
        });
    }

    /// Compares every tensor of the source file with the constants of the Convert tab's model.
    pub fn check_weights(self) {
        let Some(model) = untrack(|| self.conversion_model()) else { return };
        let label = format!("Comparing the weights of {}", model.name);
        self.ask_conversion(ConvertRequest::CheckWeights(model.id), &[], label, move |reply| {
            if let ConvertReply::Weights(check) = reply {
                self.conversion.weights.set(Some(check));
            }
        });
    }

    /// Compares the weights of all open models.
    pub fn compare_parity(self) {
        let models = self.workspace.with_untracked(|workspace| workspace.models.iter().map(|model| model.id).collect());
        self.ask_conversion(ConvertRequest::Parity(models), &[], "Comparing weights".to_owned(), move |reply| {
            if let ConvertReply::Parity(parity) = reply {
                self.conversion.parity.set(Some(parity));
            }
        });
    }

    fn ask_conversion(
        self,
        request: ConvertRequest,
        files: &[PickedFile],
        label: String,
        take: impl FnOnce(ConvertReply) + 'static,
    ) {
        let id = self.ask(Request::Convert(request), files, move |reply, _| {
            if let Reply::Converted(reply) = reply {
                take(*reply);
            }
        });
        self.begin(id, label);
    }

    /// Puts a text on the clipboard.
    pub fn copy(self, text: String) {
        spawn_local(async move {
            if let Err(error) = platform::copy_text(&text).await {
                self.say("copying", &error.to_string(), "a clipboard", "Select the text and copy it by hand.");
            }
        });
    }
}
