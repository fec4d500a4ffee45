//! The bit-width grid, filled by a pool of workers from coarse to fine.

use super::evaluate::POOL_JOB;
use super::quantize::Form;
use super::{JobStatus, Session};
use crate::export::ModelPreprocessing;
use crate::platform;
use crate::worker::{
    ActivationRanges, BITS, BitWidthsOrder, BitWidthsSetting, Client, FirstImages, Member, ModelSummary,
    PreprocessEdits, Reply, Request, SourceKind, SourceSummary, Workspace,
};
use futures::future::join_all;
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Most workers of a pool: each holds an engine and the files.
const MOST_WORKERS: usize = 8;
/// Images of a piece at first, and at most; a piece is about [`PIECE_MS`] long in between.
const PIECE: (usize, usize) = (32, 512);
/// Long enough to go in batches, short enough to see a cell grow.
const PIECE_MS: f64 = 400.0;
/// The page shows partial results this often.
const SHOW_EVERY_MS: f64 = 250.0;

/// What the user chose.
#[derive(Clone, Debug, PartialEq)]
pub struct BitWidthsForm {
    /// The model; `None`: the first that is float.
    pub model: Option<u32>,
    /// The labelled data set; `None`: one that is for testing.
    pub source: Option<u32>,
    /// Images of it; `None`: all.
    pub images: Option<usize>,
    /// A scale for each output channel of a weight.
    pub per_channel: bool,
    /// Activations with zero point 0.
    pub symmetric: bool,
    /// Ranges from calibration images, and not from the evaluated ones.
    pub calibrated: bool,
    /// The calibration data; `None`: what is named so.
    pub calibration: Option<u32>,
    /// Images of it.
    pub calibration_images: usize,
    /// Biases are corrected on the calibration images.
    pub correction: bool,
    /// Weights of MatMul are rounded too; `None`: where the model has no other ones.
    pub mat_mul: Option<bool>,
}

impl Default for BitWidthsForm {
    fn default() -> Self {
        BitWidthsForm {
            model: None,
            source: None,
            images: None,
            per_channel: false,
            symmetric: true,
            calibrated: true,
            calibration: None,
            calibration_images: 1000,
            correction: false,
            mat_mul: None,
        }
    }
}

impl BitWidthsForm {
    /// Data sets with labels.
    pub fn sources(workspace: &Workspace) -> Vec<SourceSummary> {
        let labelled = |source: &&SourceSummary| source.kind == SourceKind::Dataset && source.labelled;
        workspace.sources.iter().filter(labelled).cloned().collect()
    }

    /// The chosen model, else the first float one.
    pub fn model_in(&self, workspace: &Workspace) -> Option<ModelSummary> {
        let id = Form { model: self.model, ..Form::default() }.model_in(workspace)?;
        workspace.models.iter().find(|model| model.id == id).cloned()
    }

    /// The chosen data set, else one that is for testing, else the largest.
    pub fn source_in(&self, workspace: &Workspace) -> Option<SourceSummary> {
        let sources = Self::sources(workspace);
        let named = sources.iter().find(|open| Some(open.id) == self.source);
        let test = sources.iter().find(|open| open.name.contains("test"));
        named.or(test).or_else(|| sources.iter().max_by_key(|open| open.count)).cloned()
    }

    /// The calibration data.
    pub fn calibration_in(&self, workspace: &Workspace) -> Option<SourceSummary> {
        let id = Form { source: self.calibration, ..Form::default() }.source_in(workspace)?;
        workspace.sources.iter().find(|source| source.id == id).cloned()
    }

    /// Whether weights of MatMul are rounded too.
    pub fn rounds_mat_mul(&self, model: &ModelSummary) -> bool {
        let other = |(op, _): &(String, usize)| matches!(op.as_str(), "Conv" | "ConvTranspose" | "Gemm");
        self.mat_mul.unwrap_or_else(|| !model.op_counts.iter().any(other))
    }

    /// Whether calibration images are needed.
    pub fn calibrates(&self) -> bool {
        self.calibrated || self.correction
    }
}

/// What has been counted in a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Right answers.
    pub correct: usize,
    /// Images.
    pub total: usize,
}

/// A grid, running or ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// What was chosen.
    pub form: BitWidthsForm,
    /// The model.
    pub model: ModelSummary,
    /// The data set.
    pub source: SourceSummary,
    /// The calibration data, where it is needed.
    pub calibration: Option<SourceSummary>,
    /// How images become the model's input.
    pub preprocessing: Option<ModelPreprocessing>,
    /// Images of each cell.
    pub images: usize,
    /// Bits of rows (weights) and columns (activations); `None` is float.
    pub bits: Vec<Option<u8>>,
    /// The cells, row by row.
    pub cells: Vec<Counted>,
    /// Weights and activations that are rounded, and how many images' ranges were taken together (0: not so).
    pub rounded: Option<(usize, usize, usize)>,
    /// Whether it still runs.
    pub running: bool,
}

impl Grid {
    /// Bits of weights and activations of a cell.
    pub fn bits_of(&self, cell: usize) -> (Option<u8>, Option<u8>) {
        let side = self.bits.len().max(1);
        let bits = |at: usize| self.bits.get(at).copied().flatten();
        (bits(cell / side), bits(cell % side))
    }

    /// The cell without any rounding.
    pub fn float(&self) -> Counted {
        self.cells.last().copied().unwrap_or_default()
    }

    /// Fewest bits, weights and activations added, that lose no more than `points` against float; the most right of
    /// those. `None` as long as float or such a cell is not there.
    pub fn smallest_within(&self, points: f64) -> Option<usize> {
        let share = |cell: Counted| (cell.total > 0).then(|| cell.correct as f64 / cell.total as f64);
        let float = share(self.float())?;
        let whole = |cell: &Counted| cell.total == self.images;
        let cells = self.cells.iter().enumerate().filter(|(_, cell)| whole(cell));
        let cells = cells.filter(|(_, cell)| share(**cell).is_some_and(|own| 100.0 * (float - own) <= points));
        let sum = |at: usize| {
            let (weights, activations) = self.bits_of(at);
            Some(u32::from(weights?) + u32::from(activations?))
        };
        let cells = cells.filter_map(|(at, cell)| Some((sum(at)?, usize::MAX - cell.correct, at)));
        cells.min().map(|(.., at)| at)
    }
}

/// How early a number of bits comes: the corners of the grid first.
fn level(bits: Option<u8>) -> u8 {
    match bits {
        Some(4 | 8) | None => 0,
        Some(2 | 6 | 16) => 1,
        Some(_) => 2,
    }
}

/// What the pool's workers share.
struct Work {
    grid: RefCell<Grid>,
    /// The next image of each cell.
    next: RefCell<Vec<usize>>,
    /// Requests at work, to be cancelled.
    asked: RefCell<Vec<(Rc<Client>, u32)>>,
    stopped: Cell<bool>,
    done: Cell<usize>,
    began_ms: f64,
    shown_ms: Cell<f64>,
    piece: Cell<usize>,
}

impl Session {
    /// Measures the grid as the form says.
    pub fn measure_bit_widths(self) {
        let form = self.bit_widths_form.get_untracked();
        let chosen = self.workspace.with_untracked(|workspace| {
            let calibration = form.calibration_in(workspace).filter(|_| form.calibrates());
            Some((form.model_in(workspace)?, form.source_in(workspace)?, calibration))
        });
        let Some((model, source, calibration)) = chosen else { return };
        let bits: Vec<Option<u8>> = BITS.into_iter().map(Some).chain([None]).collect();
        let preprocess = self.preprocess.get_untracked();
        let grid = Grid {
            preprocessing: model.preprocessing(preprocess.as_ref()).filter(|_| source.pictures),
            images: form.images.unwrap_or(usize::MAX).min(source.count),
            cells: vec![Counted::default(); bits.len() * bits.len()],
            form,
            model,
            source,
            calibration,
            bits,
            rounded: None,
            running: true,
        };
        let work = Rc::new(Work {
            next: RefCell::new(vec![0; grid.cells.len()]),
            grid: RefCell::new(grid),
            asked: RefCell::default(),
            stopped: Cell::new(false),
            done: Cell::new(0),
            began_ms: platform::now_ms(),
            shown_ms: Cell::new(0.0),
            piece: Cell::new(PIECE.0),
        });
        self.stop_evaluation();
        let stop = work.clone();
        self.evaluation_stop.set_value(Some(Rc::new(move || stop.stop())));
        self.show_grid(&work);
        spawn_local(async move {
            let wanted = platform::core_count().clamp(1, MOST_WORKERS);
            let batches = self.opened.get_value();
            let conversions = self.conversion.list();
            let workers = (0..wanted).map(|_| {
                let (work, batches, preprocess) = (work.clone(), batches.clone(), preprocess.clone());
                let conversions = conversions.clone();
                async move {
                    match Member::start(&batches, &conversions, |_| {}).await {
                        Ok(member) => self.fill(&work, &member, preprocess).await,
                        Err(error) => {
                            work.stopped.set(true);
                            let advice = "Reload the page and try again.";
                            self.say("the bit widths", &error.to_string(), "workers that start", advice);
                        }
                    }
                }
            });
            join_all(workers).await;
            work.grid.borrow_mut().running = false;
            self.show_grid(&work);
            self.job.update(|job| {
                if job.as_ref().is_some_and(|job| job.id == POOL_JOB) {
                    *job = None;
                }
            });
        });
    }

    /// Takes pieces until there are none left.
    async fn fill(self, work: &Rc<Work>, member: &Member, preprocess: Option<PreprocessEdits>) {
        let Some(setting) = work.setting(member, preprocess) else {
            work.stopped.set(true);
            let advice = "Only models and data that were opened from files can be measured.";
            return self.say("the bit widths", "the model is not open in the workers", "a file", advice);
        };
        let mut row = None;
        while let Some((cell, first, count)) = work.take(row) {
            let (weights, activations) = work.grid.borrow().bits_of(cell);
            row = Some(weights);
            let order = BitWidthsOrder { setting: setting.clone(), weights, activations, first, count };
            let (id, answer) = member.client.ask(Request::BitWidths(Box::new(order)), &[]);
            work.asked.borrow_mut().push((member.client.clone(), id));
            let answer = answer.await;
            work.asked.borrow_mut().retain(|(client, asked)| *asked != id || !Rc::ptr_eq(client, &member.client));
            match answer.map(|answer| answer.reply) {
                Ok(Reply::BitWidths(counted)) => {
                    work.done.set(work.done.get() + counted.total);
                    let each_ms = counted.run_ms / counted.total.max(1) as f64;
                    work.piece.set(((PIECE_MS / each_ms.max(0.01)) as usize).clamp(1, PIECE.1));
                    let mut grid = work.grid.borrow_mut();
                    let known = grid.rounded.map_or(0, |(.., together)| together);
                    grid.rounded = Some((counted.weights, counted.activations, known.max(counted.together)));
                    if let Some(own) = grid.cells.get_mut(cell) {
                        own.correct += counted.correct;
                        own.total += counted.total;
                    }
                }
                Ok(Reply::Failed(problems)) => {
                    work.stop();
                    self.problems.update(|all| all.extend(problems));
                }
                Ok(_) => {}
                Err(error) => {
                    work.stop();
                    self.say("the bit widths", &error.to_string(), "the computation to end", "Measure again.");
                }
            }
            if platform::now_ms() - work.shown_ms.get() > SHOW_EVERY_MS {
                self.show_grid(work);
            }
        }
    }

    /// Puts what there is on the page.
    fn show_grid(self, work: &Work) {
        let now = platform::now_ms();
        work.shown_ms.set(now);
        let grid = work.grid.borrow().clone();
        let (done, total) = (work.done.get(), grid.images * grid.cells.len());
        if grid.running {
            self.job.set(Some(JobStatus {
                id: POOL_JOB,
                label: "Measuring bit widths".to_owned(),
                steps: (done, total),
                remaining_ms: (done > 0).then(|| (now - work.began_ms) / done as f64 * (total - done) as f64),
                cancelling: work.stopped.get(),
            }));
        }
        self.bit_widths.set(Some(grid));
    }
}

impl Work {
    /// The setting under the numbers that model and data have in a worker.
    fn setting(&self, member: &Member, preprocess: Option<PreprocessEdits>) -> Option<BitWidthsSetting> {
        let grid = self.grid.borrow();
        let images = match &grid.calibration {
            Some(source) => Some(FirstImages { source: member.source(source)?, count: grid.form.calibration_images }),
            None => None,
        };
        Some(BitWidthsSetting {
            model: member.model(&grid.model)?,
            source: member.source(&grid.source)?,
            preprocess,
            per_channel: grid.form.per_channel,
            symmetric: grid.form.symmetric,
            mat_mul: grid.form.rounds_mat_mul(&grid.model),
            ranges: match images.filter(|_| grid.form.calibrated) {
                Some(images) => ActivationRanges::Calibrated(images),
                None => ActivationRanges::Dynamic,
            },
            correction: images.filter(|_| grid.form.correction),
        })
    }

    /// Some images of a cell: (cell, first, how many). Coarse cells come first, and among those the ones with the
    /// weights that the worker has at hand (`row`).
    fn take(&self, row: Option<Option<u8>>) -> Option<(usize, usize, usize)> {
        if self.stopped.get() {
            return None;
        }
        let grid = self.grid.borrow();
        let mut next = self.next.borrow_mut();
        let open = next.iter().enumerate().filter(|(_, first)| **first < grid.images);
        let rank = |cell: usize| {
            let (weights, activations) = grid.bits_of(cell);
            (level(weights).max(level(activations)), row.is_some_and(|row| row != weights), cell)
        };
        let (.., cell) = open.map(|(cell, _)| rank(cell)).min()?;
        let first = next.get_mut(cell)?;
        // Ranges of images that are taken together need all of them at once.
        let whole = !grid.form.calibrated && grid.bits_of(cell).1.is_some();
        let count = if whole { grid.images } else { self.piece.get().min(grid.images - *first) };
        let taken = (cell, *first, count);
        *first += count;
        Some(taken)
    }

    /// Ends it: pieces at work are cancelled, what has been counted stays.
    fn stop(&self) {
        self.stopped.set(true);
        for (client, id) in self.asked.borrow().iter() {
            // A worker that does not listen ends with the pool.
            let _ = client.cancel(*id);
        }
    }
}
