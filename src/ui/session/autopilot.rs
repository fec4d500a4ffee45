//! A search for the best quantized model, in a worker of its own, so that the page stays usable.

use super::Session;
use super::evaluate::Stop;
use super::quantize::Form;
use crate::worker::{AutopilotOrder, AutopilotReport, Member, Notice, Progress, Reply, Request, Target, Workspace};
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// What the user asks of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// The model; `None`: the first that can be quantized.
    pub model: Option<u32>,
    /// Calibration data; `None`: as for Quantize.
    pub calibration: Option<u32>,
    /// Measurement data; `None`: another data set with labels, where there is one.
    pub measurement: Option<u32>,
    /// Most points lost.
    pub points: f64,
    /// Most kilobytes of 1000 bytes.
    pub kilobytes: f64,
    /// Seed of the split.
    pub seed: u64,
    /// Calibration images to use.
    pub images: usize,
    /// Measurement images to use; `None`: all.
    pub measured: Option<usize>,
    /// Whether activations may have 16 bits.
    pub wide: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Wish {
            model: None,
            calibration: None,
            measurement: None,
            points: 0.5,
            kilobytes: 130.0,
            seed: 1,
            images: 1000,
            measured: None,
            wide: true,
        }
    }
}

impl Wish {
    /// The model in hand.
    pub fn model_in(&self, workspace: &Workspace) -> Option<u32> {
        let models = Form::models(workspace);
        let named = models.iter().find(|model| Some(model.id) == self.model);
        named.or(models.first()).map(|model| model.id)
    }

    /// The calibration data in hand.
    pub fn calibration_in(&self, workspace: &Workspace) -> Option<u32> {
        let form = Form { source: self.calibration, ..Form::default() };
        form.source_in(workspace)
    }

    /// The measurement data in hand: the one chosen, else another one with labels, else the calibration data, of which
    /// what is left over then measures.
    pub fn measurement_in(&self, workspace: &Workspace) -> Option<u32> {
        let calibration = self.calibration_in(workspace);
        let sources = Form::sources(workspace);
        let named = sources.iter().find(|source| Some(source.id) == self.measurement);
        let other = || sources.iter().find(|source| source.labelled && Some(source.id) != calibration);
        named.or_else(other).map(|source| source.id).or(calibration)
    }
}

/// A search, running or ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Flight {
    /// What it has found; `None` before the first word of it.
    pub report: Option<AutopilotReport>,
    /// The chosen model's file.
    pub file: Option<Arc<[u8]>>,
    /// How far the present stage is.
    pub progress: Option<Progress>,
    /// Whether it still runs.
    pub running: bool,
    /// Whether the user has asked it to stop.
    pub stopping: bool,
}

/// What is to be sent to the worker of a search.
#[derive(Default)]
struct Line {
    member: RefCell<Option<Member>>,
    request: Cell<Option<u32>>,
    stopped: Cell<bool>,
}

impl Session {
    /// Starts a search; one that runs is ended and forgotten.
    pub fn start_autopilot(self, wish: &Wish) {
        let chosen = self.workspace.with_untracked(|workspace| {
            let source = |id: u32| workspace.sources.iter().find(|source| source.id == id).cloned();
            let id = wish.model_in(workspace)?;
            let model = workspace.models.iter().find(|model| model.id == id)?.clone();
            Some((model, source(wish.calibration_in(workspace)?)?, source(wish.measurement_in(workspace)?)?))
        });
        let Some((model, calibration, measurement)) = chosen else { return };
        self.stop_autopilot();
        let line = Rc::new(Line::default());
        let stop: Stop = {
            let line = line.clone();
            Rc::new(move || {
                line.stopped.set(true);
                if let (Some(member), Some(request)) = (line.member.borrow().as_ref(), line.request.get()) {
                    // A worker that is gone has stopped already.
                    let _ = member.client.cancel(request);
                }
            })
        };
        self.autopilot_stop.set_value(Some(stop));
        self.autopilot.set(Some(Flight { report: None, file: None, progress: None, running: true, stopping: false }));
        let (batches, conversions) = (self.opened.get_value(), self.conversion.list());
        let (preprocess, wish) = (self.preprocess.get_untracked(), wish.clone());
        spawn_local(async move {
            let heard = {
                let line = line.clone();
                move |notice| {
                    if line.request.get().is_some() {
                        self.hear(notice);
                    }
                }
            };
            let member = match Member::start(&batches, &conversions, heard).await {
                Ok(member) => member,
                Err(error) => return self.autopilot_failed(&error.to_string()),
            };
            let known = (member.model(&model), member.source(&calibration), member.source(&measurement));
            let (Some(model), Some(calibration), Some(measurement)) = known else {
                return self.autopilot_failed("the model or the data is not open in the search's worker");
            };
            if line.stopped.get() {
                return self.autopilot.set(None);
            }
            let order = AutopilotOrder {
                model,
                calibration,
                measurement,
                target: Target { max_drop_points: wish.points, max_bytes: (wish.kilobytes.max(0.0) * 1000.0) as usize },
                seed: wish.seed,
                images: wish.images,
                measured_images: wish.measured.unwrap_or(usize::MAX),
                wide_activations: wish.wide,
                preprocess,
            };
            let (request, answer) = member.client.ask(Request::Autopilot(Box::new(order)), &[]);
            *line.member.borrow_mut() = Some(member);
            line.request.set(Some(request));
            let answer = answer.await;
            line.request.set(None);
            match answer {
                Ok(answer) => match (answer.reply, answer.blob) {
                    (Reply::Autopilot(report), Some(file)) => self.autopilot.update(|flight| {
                        let (report, file) = (Some(*report), Some(file.into()));
                        *flight = Some(Flight { report, file, progress: None, running: false, stopping: false });
                    }),
                    (Reply::Failed(problems), _) => {
                        self.problems.update(|all| all.extend(problems));
                        self.autopilot.set(None);
                    }
                    _ => self.autopilot.set(None),
                },
                Err(error) => self.autopilot_failed(&error.to_string()),
            }
            // Its worker has no more to do.
            line.member.borrow_mut().take();
        });
    }

    /// Ends the running search; it gives the best model so far.
    pub fn stop_autopilot(self) {
        if let Some(stop) = self.autopilot_stop.get_value() {
            stop();
        }
        self.autopilot.update(|flight| {
            if let Some(flight) = flight.as_mut().filter(|flight| flight.running) {
                flight.stopping = true;
            }
        });
    }

    fn hear(self, notice: Notice) {
        self.autopilot.update(|flight| {
            let Some(flight) = flight.as_mut().filter(|flight| flight.running) else { return };
            match notice {
                Notice::Partial(Reply::Autopilot(report)) => flight.report = Some(*report),
                Notice::Progress(progress) => flight.progress = Some(progress),
                _ => {}
            }
        });
    }

    fn autopilot_failed(self, found: &str) {
        self.autopilot.set(None);
        self.say("the autopilot", found, "a search in a worker of its own", "Start it again.");
    }

    /// Opens the model that the search has given.
    pub fn open_autopilot(self) {
        self.with_autopilot_file(|name, bytes| self.open_made(name, bytes));
    }

    /// Offers it as a file.
    pub fn save_autopilot(self) {
        self.with_autopilot_file(|name, bytes| self.save_made(name, bytes));
    }

    fn with_autopilot_file(self, take: impl FnOnce(&str, &[u8])) {
        let found = self.autopilot.with_untracked(|flight| {
            let flight = flight.as_ref()?;
            let name = flight.report.as_ref()?.chosen.as_ref()?.name.clone();
            Some((name, flight.file.clone()?))
        });
        if let Some((name, bytes)) = found {
            take(&name, &bytes);
        }
    }
}
