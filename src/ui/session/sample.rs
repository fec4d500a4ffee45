//! The sample that ships with the page.

use super::{JobStatus, Session, View};
use crate::platform;
use crate::worker::InputChoice;
use futures::future::join_all;
use leptos::prelude::*;
use leptos::task::spawn_local;

/// The files of the sample, the float model first: it is the one the others are compared with.
const FILES: [&str; 4] =
    ["street-digits.onnx", "street-digits-int8.onnx", "street-digits-uint8.onnx", "street-digits.tar.gz"];

/// What stands for them while they load.
const NAME: &str = "the sample";

/// Number of the job that loads them. The worker has no part in it, and counts its own requests from 0.
pub(super) const LOADING_JOB: u32 = u32::MAX - 1;

impl Session {
    /// Loads the sample, opens it, runs its first test image, and shows the whole model.
    pub fn try_sample(self) {
        self.opening.update(|names| names.push(NAME.to_owned()));
        self.show_loading(0);
        spawn_local(async move {
            let loaded = StoredValue::new_local(0);
            let load = |name| async move {
                let file = platform::fetch_file(&format!("./sample/{name}")).await;
                loaded.update_value(|count| *count += 1);
                if self.is_loading_sample() {
                    self.show_loading(loaded.get_value());
                }
                file
            };
            let files: Result<Vec<_>, _> = join_all(FILES.map(load)).await.into_iter().collect();
            if !self.is_loading_sample() {
                return;
            }
            match files {
                Ok(files) => self.send_open(files.clone(), move |session| {
                    session.opened.update_value(|batches| batches.push(files));
                    session.choose_test_images();
                    session.show(View::Overview);
                    session.run_here();
                }),
                Err(error) => {
                    self.stop_loading_sample();
                    self.say(
                        NAME,
                        &error.to_string(),
                        "a file beside the page",
                        "Reload the page while online once; after that the sample works offline too.",
                    );
                }
            }
        });
    }

    /// What is still under way is let go when it arrives.
    pub(super) fn stop_loading_sample(self) {
        self.opening.set(Vec::new());
        if self.job.with_untracked(is_loading) {
            self.job.set(None);
        }
    }

    fn is_loading_sample(self) -> bool {
        self.opening.with_untracked(|names| names.iter().any(|name| name == NAME))
    }

    /// Unless the status line tells of something else.
    fn show_loading(self, loaded: usize) {
        if self.job.with_untracked(|job| job.is_none() || is_loading(job)) {
            self.job.set(Some(JobStatus {
                id: LOADING_JOB,
                label: "Loading the sample".to_owned(),
                steps: (loaded, FILES.len()),
                remaining_ms: None,
                cancelling: false,
            }));
        }
    }

    /// Of several data sets, the first that is not for calibration.
    fn choose_test_images(self) {
        let source = self.workspace.with_untracked(|workspace| {
            let test = workspace.sources.iter().find(|source| source.name.contains("test"));
            test.map(|source| source.id)
        });
        if let Some(source) = source {
            self.input.set(Some(InputChoice::Item { source, index: 0 }));
        }
    }
}

fn is_loading(job: &Option<JobStatus>) -> bool {
    job.as_ref().is_some_and(|job| job.id == LOADING_JOB)
}
