//! Progress on a terminal.

use crate::worker::service::Job;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Instant;

/// A job whose progress is a bar on standard error, where that is a terminal. Ctrl+C ends the process.
pub struct TerminalJob {
    began: Instant,
    bar: Option<ProgressBar>,
}

impl TerminalJob {
    /// A job with a bar of its own.
    pub fn new() -> Self {
        let bar = ProgressBar::new(0);
        // The template is a constant; a bar without it is as good.
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        TerminalJob { began: Instant::now(), bar: Some(bar) }
    }

    /// A job that says nothing: one of many threads under another bar.
    pub fn silent() -> Self {
        TerminalJob { began: Instant::now(), bar: None }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Job for TerminalJob {
    fn now_ms(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * 1e3
    }

    async fn checkpoint(&self, job: &str, done: usize, total: usize) -> bool {
        if let Some(bar) = &self.bar {
            bar.set_length(total as u64);
            bar.set_message(job.to_owned());
            bar.set_position(done as u64);
        }
        true
    }
}
