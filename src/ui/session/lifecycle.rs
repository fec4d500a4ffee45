//! Starting the worker, asking it, and starting it anew when it broke down.

use super::{Engine, JobStatus, Session};
use crate::platform::PickedFile;
use crate::problem::Problem;
use crate::worker::{Answer, Client, ClientError, ModelSummary, Notice, Progress, Reply, Request};
use leptos::prelude::*;
use leptos::task::spawn_local;

/// A job that does not stop within this time of a cancel is stopped by ending its worker.
const CANCEL_PATIENCE_MS: i32 = 3000;

impl Session {
    /// Starts the worker and links the selection to the address.
    pub fn start(self) {
        self.link_address();
        self.link_playground();
        self.start_worker();
    }

    fn start_worker(self) {
        let started = Client::start(
            move |id, notice| match notice {
                Notice::Ready => self.engine.set(Engine::Ready),
                Notice::Progress(progress) => self.show_progress(id, &progress),
                Notice::Partial(reply) => self.take_partial(id, reply),
                // The client turns this one into a crash.
                Notice::Panicked(_) => {}
            },
            move |message| self.revive(&message),
        );
        match started {
            Ok(client) => self.client.set_value(Some(client)),
            Err(error) => self.engine.set(Engine::Broken(error.to_string())),
        }
    }

    fn show_progress(self, id: u32, progress: &Progress) {
        let Progress { job, done, total, elapsed_ms } = progress;
        let rate = *elapsed_ms / (*done).max(1) as f64;
        self.job.update(|current| {
            let cancelling = current.as_ref().is_some_and(|job| job.id == id && job.cancelling);
            *current = Some(JobStatus {
                id,
                label: job.clone(),
                steps: (*done, *total),
                remaining_ms: (*done > 0).then(|| rate * (total.saturating_sub(*done)) as f64),
                cancelling,
            });
        });
    }

    /// Sends a request; `answered` gets every reply but failures, which become messages.
    pub(super) fn ask(
        self,
        request: Request,
        files: &[PickedFile],
        answered: impl FnOnce(Reply, Option<Vec<u8>>) + 'static,
    ) -> Option<u32> {
        let client = self.client.get_value()?;
        let (id, answer) = client.ask(request, files);
        spawn_local(async move {
            let answer = answer.await;
            if self.job.with_untracked(|job| job.as_ref().is_some_and(|job| job.id == id)) {
                self.job.set(None);
            }
            match answer {
                Ok(Answer { reply: Reply::Failed(problems), .. }) => {
                    self.problems.update(|all| all.extend(problems));
                    answered(Reply::Cancelled, None);
                }
                Ok(Answer { reply, blob, .. }) => answered(reply, blob),
                // `revive` has said it once for all that waited.
                Err(ClientError::Crashed(_)) => {}
                Err(error) => self.say("the page", &error.to_string(), "a working browser worker", "Reload the page."),
            }
        });
        Some(id)
    }

    /// Adds a message that did not come from the worker.
    pub fn say(self, place: &str, found: &str, expected: &str, advice: &str) {
        self.problems.update(|all| {
            all.push(Problem {
                file: "Quantscope".to_owned(),
                place: place.to_owned(),
                found: found.to_owned(),
                expected: expected.to_owned(),
                advice: advice.to_owned(),
            });
        });
    }

    /// After a crash: a message, a fresh worker, and the same files open in it. Files of an opening that had not
    /// ended are left out, or a file that breaks the worker would break every worker after it.
    fn revive(self, message: &str) {
        let waiting_files = self.opening.get_untracked();
        self.job.set(None);
        self.result.set(None);
        self.forget_playground();
        self.engine.set(Engine::Loading);
        self.say(
            if waiting_files.is_empty() { "the worker" } else { "opening files" },
            message,
            "the computation to end",
            "A fresh worker was started with the files that were open. If it happens again with the same step, that \
             file or step is the cause.",
        );
        self.opening.set(Vec::new());
        self.start_worker();
        let kept: Vec<(String, String)> =
            self.workspace.with_untracked(|workspace| workspace.models.iter().map(identity).collect());
        let mut batches = self.opened.get_value();
        let last = batches.pop();
        for batch in batches {
            self.send_open(batch, |_| {});
        }
        // The worker answers in order: with the last batch everything is there.
        if let Some(last) = last {
            self.send_open(last, move |session| {
                session.repeat_conversions(0, Box::new(move |session| session.close_models_but(&kept)));
            });
        }
    }

    /// Models that were closed before a crash are closed again.
    fn close_models_but(self, kept: &[(String, String)]) {
        let models = self.workspace.with_untracked(|workspace| workspace.models.clone());
        for model in models.iter().filter(|model| !kept.contains(&identity(model))) {
            self.close_model(model.id);
        }
    }

    /// Stops a request that is not the running job. A worker that does not listen is found out by the next one.
    pub(super) fn cancel_request(self, id: u32) {
        if let Some(client) = self.client.get_value() {
            let _ = client.cancel(id);
        }
    }

    /// Stops the running job; where it does not listen, its worker.
    pub fn cancel(self) {
        let Some(job) = self.job.get_untracked() else { return };
        if job.id == super::sample::LOADING_JOB {
            return self.stop_loading_sample();
        }
        if job.id == super::evaluate::POOL_JOB {
            self.job.update(|job| {
                if let Some(job) = job {
                    job.cancelling = true;
                }
            });
            return self.stop_evaluation();
        }
        self.job.update(|job| {
            if let Some(job) = job {
                job.cancelling = true;
            }
        });
        if let Some(client) = self.client.get_value()
            && client.cancel(job.id).is_err()
        {
            return self.revive("the worker does not listen any more");
        }
        spawn_local(async move {
            crate::platform::sleep_ms(CANCEL_PATIENCE_MS).await;
            let still = self.job.with_untracked(|now| now.as_ref().is_some_and(|now| now.id == job.id));
            if still {
                self.revive("the job did not stop when it was cancelled, and was ended");
            }
        });
    }
}

fn identity(model: &ModelSummary) -> (String, String) {
    (model.file.clone(), model.sha256.clone())
}
