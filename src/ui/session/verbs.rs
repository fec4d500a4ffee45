//! What a user can do.

use super::{JobStatus, Session, View};
use crate::platform::{self, PickedFile};
use crate::worker::{InputChoice, ModelId, Reply, Request, RunOrder, SourceId, SourceSummary};
use leptos::prelude::*;

impl Session {
    /// Opens files, all of them together.
    pub fn open(self, files: Vec<PickedFile>) {
        if files.is_empty() {
            return;
        }
        // Beside a model that is being checked, a lone .npz is a recording.
        if self.view.get_untracked() == View::Convert
            && matches!(files.as_slice(), [only] if only.path.to_lowercase().ends_with(".npz"))
            && self.workspace.with_untracked(|workspace| !workspace.models.is_empty())
        {
            return self.check_outputs(files);
        }
        self.opening.update(|names| names.extend(files.iter().map(|picked| picked.path.clone())));
        self.send_open(files.clone(), move |session| {
            session.opened.update_value(|batches| batches.push(files));
        });
    }

    pub(super) fn send_open(self, files: Vec<PickedFile>, done: impl FnOnce(Self) + 'static) {
        let paths: Vec<String> = files.iter().map(|picked| picked.path.clone()).collect();
        let label =
            format!("Opening {}", if paths.len() == 1 { paths[0].clone() } else { format!("{} files", paths.len()) });
        let id = self.ask(Request::Open { paths }, &files, move |reply, _| {
            self.opening.set(Vec::new());
            if let Reply::Workspace(workspace) = reply {
                self.problems.update(|all| all.extend(workspace.problems.clone()));
                self.workspace.set(workspace);
                self.choose_default_input();
            }
            done(self);
        });
        self.begin(id, label);
    }

    /// Shows a job in the status line before the worker's first word of it.
    pub(super) fn begin(self, id: Option<u32>, label: String) {
        if let Some(id) = id {
            self.job.set(Some(JobStatus { id, label, steps: (0, 0), remaining_ms: None, cancelling: false }));
        }
    }

    /// Closes a model.
    pub fn close_model(self, model: ModelId) {
        self.change(Request::CloseModel(model));
    }

    /// Closes a data set, image or array.
    pub fn close_source(self, source: SourceId) {
        self.change(Request::CloseSource(source));
    }

    fn change(self, request: Request) {
        self.ask(request, &[], move |reply, _| {
            if let Reply::Workspace(workspace) = reply {
                self.workspace.set(workspace);
                self.choose_default_input();
            }
        });
    }

    /// Where the chosen input is gone, or there is none yet, the newest source's first item is taken.
    fn choose_default_input(self) {
        let newest =
            self.workspace.with_untracked(|workspace| workspace.sources.last().map(SourceSummary::first_input));
        let there = |source: SourceId| {
            self.workspace.with_untracked(|workspace| workspace.sources.iter().any(|open| open.id == source))
        };
        self.input.update(|input| match (&input, newest) {
            (Some(chosen), _) if chosen.source().is_some_and(there) => {}
            (_, Some(newest)) => *input = Some(newest),
            (Some(InputChoice::Random { .. }), None) => {}
            (_, None) => *input = None,
        });
    }

    /// Runs every open model on the chosen input; without one, on random values of seed 0. From the overview it goes
    /// on to the predictions.
    pub fn run(self) {
        if self.view.get_untracked() == View::Overview {
            self.view.set(View::Run);
        }
        self.run_here();
    }

    /// Runs without leaving the view.
    pub(super) fn run_here(self) {
        let input = self.input.get_untracked().unwrap_or(InputChoice::Random { seed: 0 });
        let order =
            RunOrder { input, preprocess: self.preprocess.get_untracked(), semantics: self.semantics.get_untracked() };
        let id = self.ask(Request::Run(order), &[], move |reply, _| {
            if let Reply::Run(result) = reply {
                let failed = result.outcomes.iter().filter_map(|outcome| outcome.result.as_ref().err().cloned());
                self.problems.update(|all| all.extend(failed));
                self.result.set(Some(result));
                self.run_revision.update(|revision| *revision += 1);
            }
        });
        self.begin(id, "Running".to_owned());
    }

    /// Opens a tab.
    pub fn show(self, view: View) {
        self.view.set(view);
    }

    /// Saves the .npz of every tensor of a model's last run.
    pub fn export_activations(self, model: ModelId) {
        self.save(Request::ExportActivations(model), "Writing activations");
    }

    /// Saves the JSON report.
    pub fn export_report(self) {
        self.save(Request::ExportReport, "Writing the report");
    }

    /// Offers text as a file.
    pub fn save_text(self, name: &str, media_type: &str, text: &str) {
        if let Err(error) = platform::download::download(name, media_type, text.as_bytes()) {
            self.say("saving", &error.to_string(), "a download", "Allow downloads for this page.");
        }
    }

    pub(super) fn save(self, request: Request, label: &str) {
        let id = self.ask(request, &[], move |reply, blob| {
            if let (Reply::File { name, media_type }, Some(bytes)) = (reply, blob)
                && let Err(error) = platform::download::download(&name, &media_type, &bytes)
            {
                self.say("saving", &error.to_string(), "a download", "Allow downloads for this page.");
            }
        });
        self.begin(id, label.to_owned());
    }

    /// Takes a message away.
    pub fn dismiss(self, position: usize) {
        self.problems.update(|all| {
            if position < all.len() {
                all.remove(position);
            }
        });
    }
}
