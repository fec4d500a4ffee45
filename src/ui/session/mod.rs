//! What the page knows (signals) and what a user can do (verbs).

pub mod autopilot;
pub mod bit_widths;
mod convert;
mod evaluate;
mod graph;
mod lifecycle;
pub mod playground;
pub mod quantize;
mod query;
mod selection;
mod verbs;

pub use convert::Conversion;
pub use evaluate::EvaluationState;
pub use graph::{ColorBy, Graph};
pub use selection::{Selection, View};

use crate::platform::PickedFile;
use crate::problem::Problem;
use crate::worker::{Client, InputChoice, PreprocessEdits, RunResult, Semantics, Workspace};
use bit_widths::{BitWidthsForm, Grid};
use leptos::prelude::*;
use playground::Playground;
use quantize::{Form, QuantizedHere};
use std::rc::Rc;

/// The running job, for the status line.
#[derive(Clone, Debug, PartialEq)]
pub struct JobStatus {
    /// Number of the request.
    pub id: u32,
    /// What is being done.
    pub label: String,
    /// Steps done and steps in all; (0, 0) before the first word of it.
    pub steps: (usize, usize),
    /// Estimated time left, once there is a rate to go by.
    pub remaining_ms: Option<f64>,
    /// The user has asked it to stop.
    pub cancelling: bool,
}

/// State of the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Its code is being loaded.
    Loading,
    /// It listens.
    Ready,
    /// It could not be started; the page can only say so.
    Broken(String),
}

/// The signals and verbs of the page. Copies share them.
#[derive(Clone, Copy)]
pub struct Session {
    /// Everything open, as the worker last told it.
    pub workspace: RwSignal<Workspace>,
    /// The selected layer and parameter.
    pub selection: RwSignal<Selection>,
    /// The open tab.
    pub view: RwSignal<View>,
    /// What stands in "Find a layer".
    pub find: RwSignal<String>,
    /// What the last run gave.
    pub result: RwSignal<Option<RunResult>>,
    /// The input of the next run.
    pub input: RwSignal<Option<InputChoice>>,
    /// The running job.
    pub job: RwSignal<Option<JobStatus>>,
    /// Messages that the user has not dismissed.
    pub problems: RwSignal<Vec<Problem>>,
    /// State of the worker.
    pub engine: RwSignal<Engine>,
    /// Grows when the worker holds new activations: queries about them are asked again.
    pub run_revision: RwSignal<u32>,
    /// How quantized operators are computed.
    pub semantics: RwSignal<Semantics>,
    /// What the user has set of the preprocessing; the rest is as read off each model.
    pub preprocess: RwSignal<Option<PreprocessEdits>>,
    /// Names of the files that are being opened.
    pub opening: RwSignal<Vec<String>>,
    /// The last evaluation, running or ended.
    pub evaluation: RwSignal<Option<EvaluationState>>,
    /// Images of the next evaluation; `None`: all.
    pub evaluation_images: RwSignal<Option<usize>>,
    /// What is to be quantized, and how.
    pub quantize_form: RwSignal<Form>,
    /// The model that was quantized here last.
    pub quantized: RwSignal<Option<QuantizedHere>>,
    /// What the bit-width grid is measured on, and how.
    pub bit_widths_form: RwSignal<BitWidthsForm>,
    /// The last bit-width grid, running or ended.
    pub bit_widths: RwSignal<Option<Grid>>,
    /// The last search, running or ended.
    pub autopilot: RwSignal<Option<autopilot::Flight>>,
    /// What the next search is asked for.
    pub autopilot_wish: RwSignal<autopilot::Wish>,
    autopilot_stop: StoredValue<Option<evaluate::Stop>, LocalStorage>,
    evaluation_stop: StoredValue<Option<evaluate::Stop>, LocalStorage>,
    /// What the Convert tab shows.
    pub conversion: Conversion,
    /// The quantization table in hand.
    pub playground: Playground,
    /// What the Graph tab shows.
    pub graph: Graph,
    client: StoredValue<Option<Rc<Client>>, LocalStorage>,
    opened: StoredValue<Vec<Vec<PickedFile>>, LocalStorage>,
}

impl Session {
    /// A session without a worker; [`Session::start`] gives it one.
    pub fn new() -> Self {
        Session {
            workspace: RwSignal::default(),
            selection: RwSignal::default(),
            view: RwSignal::default(),
            find: RwSignal::default(),
            result: RwSignal::default(),
            input: RwSignal::default(),
            job: RwSignal::default(),
            problems: RwSignal::default(),
            engine: RwSignal::new(Engine::Loading),
            run_revision: RwSignal::new(0),
            semantics: RwSignal::new(Semantics::Simulate),
            preprocess: RwSignal::default(),
            opening: RwSignal::default(),
            evaluation: RwSignal::default(),
            evaluation_images: RwSignal::default(),
            quantize_form: RwSignal::default(),
            quantized: RwSignal::default(),
            bit_widths_form: RwSignal::default(),
            bit_widths: RwSignal::default(),
            autopilot: RwSignal::default(),
            autopilot_wish: RwSignal::default(),
            autopilot_stop: StoredValue::new_local(None),
            evaluation_stop: StoredValue::new_local(None),
            conversion: Conversion::new(),
            playground: Playground::new(),
            graph: Graph::new(),
            client: StoredValue::new_local(None),
            opened: StoredValue::new_local(Vec::new()),
        }
    }
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

/// The session of this page. Every view lives below the application, which provides it.
pub fn use_session() -> Session {
    expect_context()
}
