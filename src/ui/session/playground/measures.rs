//! Measurements of the table: one at a time, so that each can be seen and cancelled, and given up where an edit makes
//! them old. The error of every layer follows each edit at once, in `live`.

use super::super::{Session, View};
use super::Playground;
use super::live::Live;
use crate::platform;
use crate::worker::{
    Finding, Images, LayerErrorRow, LedgerRow, Measured, ModelId, PlaygroundAsk, PlaygroundReply, PlaygroundRequest,
    Reply, Request, ResidualRow, SensitivityReport, SourceId,
};
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::collections::VecDeque;

/// An edit must be followed by this much quiet before everything is measured again.
const QUIET_MS: i32 = 300;
/// What took longer than this is measured again only when the user asks.
const CHEAP_MS: f64 = 1500.0;
/// The errors of all layers on the images of a data set are measured unasked after an edit as long as they take no longer
/// than this: the next edit cancels them.
const SETTLED_MS: f64 = 10_000.0;
/// Where the errors of all layers take longer than this, findings are looked for only when the user asks: they try
/// every row of the table.
const FINDABLE_MS: f64 = 500.0;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measurement {
    /// Error of every tensor.
    LayerErrors,
    /// Where each layer's error comes from.
    Ledger,
    /// Every row off alone, and on alone.
    Sensitivity,
    /// Where branches join.
    Residuals,
    /// What could be better.
    Findings,
}

impl Measurement {
    /// What begins unasked, in this order. Sensitivity runs the network twice per row.
    const UNASKED: [Measurement; 4] =
        [Measurement::LayerErrors, Measurement::Ledger, Measurement::Residuals, Measurement::Findings];

    fn label(self) -> &'static str {
        match self {
            Measurement::LayerErrors => "Measuring layer errors",
            Measurement::Ledger => "Splitting the error",
            Measurement::Sensitivity => "Measuring sensitivity",
            Measurement::Residuals => "Looking where branches join",
            Measurement::Findings => "Looking for findings",
        }
    }

    fn ask(self, images: Images) -> PlaygroundAsk {
        match self {
            Measurement::LayerErrors => PlaygroundAsk::LayerErrors(images),
            Measurement::Ledger => PlaygroundAsk::Ledger(images),
            Measurement::Sensitivity => PlaygroundAsk::Sensitivity(images),
            Measurement::Residuals => PlaygroundAsk::Residuals(images),
            Measurement::Findings => PlaygroundAsk::Findings(images),
        }
    }
}

/// On which images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The data set; `None`: the input of the last run.
    pub source: Option<SourceId>,
    /// How many of its images.
    pub count: usize,
}

impl Scope {
    /// How many images there are to measure.
    pub(super) fn count(self) -> usize {
        if self.source.is_some() { self.count.max(1) } else { 1 }
    }

    /// The same, to multiply a time by.
    fn images(self) -> f64 {
        self.count() as f64
    }
}

/// What an answer was measured on: another subject makes it old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    model: Option<ModelId>,
    revision: u32,
    run: u32,
    scope: Scope,
}

impl Subject {
    /// The same on the first images only.
    pub(super) fn first(self, count: usize) -> Subject {
        Subject { scope: Scope { count, ..self.scope }, ..self }
    }

    /// Whether it is of the first images of another one.
    pub fn is_part_of(&self, whole: &Subject) -> bool {
        *self != *whole && self.scope.count() < whole.scope.count() && self.first(whole.scope.count) == *whole
    }

    /// How many images it is of.
    pub fn images(&self) -> usize {
        self.scope.count()
    }
}

/// A measurement's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken<T> {
    /// The answer.
    pub answer: T,
    /// What was measured.
    pub subject: Subject,
    /// Revision of the workspace that the answer's layers are positions in.
    pub workspace: u32,
    /// `false` while it grows, and where it was cancelled.
    pub complete: bool,
    /// How long it took.
    pub took_ms: f64,
}

/// The signals of one measurement's answer.
pub type Answer<T> = RwSignal<Option<Taken<T>>>;

/// All measurements.
#[derive(Clone, Copy)]
pub struct Measures {
    /// On which images.
    pub scope: RwSignal<Scope>,
    /// Error of every tensor.
    pub layer_errors: Answer<Measured<LayerErrorRow>>,
    /// Where each layer's error comes from.
    pub ledger: Answer<Measured<LedgerRow>>,
    /// Every row off alone, and on alone.
    pub sensitivity: Answer<SensitivityReport>,
    /// Where branches join.
    pub residuals: Answer<Measured<ResidualRow>>,
    /// What could be better.
    pub findings: Answer<Measured<Finding>>,
    /// What is being measured.
    pub running: RwSignal<Option<Measurement>>,
    pub(super) live: StoredValue<Live>,
    line: StoredValue<Line>,
}

/// Measurements in line, and the one under way.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<(Measurement, bool)>,
    under_way: Option<UnderWay>,
    /// Grows with everything that makes the quiet begin anew.
    quiet: u32,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    id: Option<u32>,
    what: Measurement,
    asked: bool,
    subject: Subject,
    since_ms: f64,
}

impl Measures {
    pub(super) fn new() -> Self {
        Measures {
            scope: RwSignal::new(Scope { source: None, count: 1 }),
            layer_errors: RwSignal::default(),
            ledger: RwSignal::default(),
            sensitivity: RwSignal::default(),
            residuals: RwSignal::default(),
            findings: RwSignal::default(),
            running: RwSignal::default(),
            live: StoredValue::default(),
            line: StoredValue::default(),
        }
    }

    pub(super) fn clear(&self) {
        self.layer_errors.set(None);
        self.ledger.set(None);
        self.sensitivity.set(None);
        self.residuals.set(None);
        self.findings.set(None);
        self.running.set(None);
        self.live.set_value(Live::default());
        self.line.set_value(Line::default());
    }

    /// The images of the chosen scope.
    pub(super) fn images(&self) -> Images {
        let scope = self.scope.get_untracked();
        Images { source: scope.source, first: 0, count: scope.count() }
    }

    /// Subject and time of an answer; `None` where there is none, or a part of one.
    pub(super) fn taken(&self, what: Measurement) -> Option<(Subject, f64)> {
        fn of<T: Send + Sync + 'static>(answer: Answer<T>) -> Option<(Subject, f64)> {
            answer.with_untracked(|taken| {
                taken.as_ref().filter(|taken| taken.complete).map(|taken| (taken.subject, taken.took_ms))
            })
        }
        match what {
            Measurement::LayerErrors => of(self.layer_errors),
            Measurement::Ledger => of(self.ledger),
            Measurement::Sensitivity => of(self.sensitivity),
            Measurement::Residuals => of(self.residuals),
            Measurement::Findings => of(self.findings),
        }
    }

    fn set(&self, reply: PlaygroundReply, like: Taken<()>) {
        fn to<T: Send + Sync + 'static>(signal: Answer<T>, answer: T, like: Taken<()>) {
            let Taken { subject, workspace, complete, took_ms, .. } = like;
            signal.set(Some(Taken { answer, subject, workspace, complete, took_ms }));
        }
        match reply {
            PlaygroundReply::LayerErrors(answer) => to(self.layer_errors, answer, like),
            PlaygroundReply::Ledger(answer) => to(self.ledger, answer, like),
            PlaygroundReply::Sensitivity(answer) => to(self.sensitivity, answer, like),
            PlaygroundReply::Residuals(answer) => to(self.residuals, answer, like),
            PlaygroundReply::Findings(answer) => to(self.findings, answer, like),
            // Not an answer to a measurement.
            PlaygroundReply::Table(_)
            | PlaygroundReply::Edited(_)
            | PlaygroundReply::BeforeAfter(_)
            | PlaygroundReply::Fixed(_) => {}
        }
    }
}

impl Playground {
    /// What a measurement would measure now.
    pub fn subject(&self, run: u32) -> Subject {
        Subject { model: self.model.get(), revision: self.revision.get(), run, scope: self.measures.scope.get() }
    }
}

impl Session {
    /// Measures again what is cheap, a moment after the last change of what is measured.
    pub(super) fn follow_measures(self) {
        let playground = self.playground;
        let there = Memo::new(move |_| playground.table.with(Option::is_some));
        Effect::new(move |_| {
            playground.subject(self.run_revision.get());
            // What was dragged is measured on all images when it is let go.
            playground.dragging.track();
            let wanted = self.view.get() == View::Playground && there.get() && self.result.with(Option::is_some);
            let quiet = playground.measures.line.try_update_value(|line| {
                line.quiet += 1;
                line.quiet
            });
            if !wanted {
                return;
            }
            spawn_local(async move {
                platform::sleep_ms(QUIET_MS).await;
                if quiet == Some(playground.measures.line.with_value(|line| line.quiet)) {
                    self.measure_cheap();
                }
            });
        });
    }

    pub(super) fn subject(self) -> Subject {
        untrack(|| self.playground.subject(self.run_revision.get()))
    }

    /// Keeps an answer. Replies come in order: its layers are those of the workspace that is there now.
    pub(super) fn take(self, reply: PlaygroundReply, subject: Subject, complete: bool, took_ms: f64) {
        let workspace = self.workspace.with_untracked(|workspace| workspace.revision);
        self.playground.measures.set(reply, Taken { answer: (), subject, workspace, complete, took_ms });
    }

    /// Puts in line what is old and does not take long.
    fn measure_cheap(self) {
        let measures = self.playground.measures;
        let now = self.subject();
        // Time goes with the number of images.
        let expected = |(subject, took_ms): (Subject, f64)| took_ms * now.scope.images() / subject.scope.images();
        // What has not been measured yet goes by the errors of all layers, which come first.
        let errors_ms = measures.taken(Measurement::LayerErrors).map(expected);
        for what in Measurement::UNASKED {
            let most_ms = if what == Measurement::Findings { FINDABLE_MS } else { CHEAP_MS };
            let unmeasured = match errors_ms {
                Some(errors_ms) => errors_ms < most_ms,
                None => what == Measurement::LayerErrors,
            };
            let settled =
                what == Measurement::LayerErrors && now.scope.source.is_some() && !self.playground.is_dragging();
            let again_ms = if settled { SETTLED_MS } else { CHEAP_MS };
            let cheap = match measures.taken(what) {
                Some((subject, _)) if subject == now => false,
                Some(taken) => expected(taken) < again_ms,
                None => unmeasured,
            };
            if cheap {
                self.put_in_line(what, false);
            }
        }
        self.next_measurement();
    }

    /// Measures what the user has asked for.
    pub fn measure(self, what: Measurement) {
        // What was begun unasked gives way, and comes again afterwards.
        let unasked = self.playground.measures.line.try_update_value(|line| {
            let unasked = line.under_way.filter(|under_way| !under_way.asked && under_way.what != what)?;
            line.waiting.push_back((unasked.what, false));
            unasked.id
        });
        if let Some(id) = unasked.flatten() {
            self.cancel_request(id);
        }
        self.put_in_line(what, true);
        self.next_measurement();
    }

    fn put_in_line(self, what: Measurement, asked: bool) {
        self.playground.measures.line.update_value(|line| {
            line.waiting.retain(|(other, _)| *other != what);
            if asked { line.waiting.push_front((what, true)) } else { line.waiting.push_back((what, false)) }
        });
    }

    fn next_measurement(self) {
        let playground = self.playground;
        let measures = playground.measures;
        let Some(model) = playground.model.get_untracked() else { return };
        let subject = self.subject();
        let next = measures.line.try_update_value(|line| {
            if line.under_way.is_some() {
                return None;
            }
            let (what, asked) = line.waiting.pop_front()?;
            line.under_way = Some(UnderWay { id: None, what, asked, subject, since_ms: platform::now_ms() });
            Some((what, asked))
        });
        let Some((what, asked)) = next.flatten() else { return };
        measures.running.set(Some(what));
        let since_ms = platform::now_ms();
        let request = PlaygroundRequest { model, ask: what.ask(measures.images()) };
        let id = self.ask(Request::Playground(request), &[], move |reply, _| {
            // Another model may have been chosen since, with a line of its own.
            if playground.model.get_untracked() != Some(model) {
                return;
            }
            let answered = matches!(reply, Reply::Playground(_));
            if let Reply::Playground(reply) = reply {
                self.take(*reply, subject, true, platform::now_ms() - since_ms);
            }
            measures.line.update_value(|line| line.under_way = None);
            measures.running.set(None);
            // Now there is a time to go by for the others.
            if answered && what == Measurement::LayerErrors && subject == self.subject() {
                self.measure_cheap();
            }
            self.next_measurement();
        });
        measures.line.update_value(|line| {
            if let Some(under_way) = &mut line.under_way {
                under_way.id = id;
            }
        });
        if asked {
            self.begin(id, what.label().to_owned());
        }
    }

    /// Shows what a measurement under way has found so far.
    pub(in super::super) fn take_partial(self, id: u32, reply: Reply) {
        let measures = self.playground.measures;
        let Reply::Playground(reply) = reply else { return };
        let under_way = measures.line.with_value(|line| line.under_way.filter(|under_way| under_way.id == Some(id)));
        if let Some(UnderWay { subject, since_ms, .. }) = under_way {
            self.take(*reply, subject, false, platform::now_ms() - since_ms);
        }
    }

    /// Gives up what is being measured: an edit must not wait for it, and makes it old.
    pub(super) fn end_measuring(self) {
        let measures = self.playground.measures;
        let id = measures.line.try_update_value(|line| {
            line.waiting.clear();
            line.under_way.and_then(|under_way| under_way.id)
        });
        if let Some(id) = id.flatten() {
            self.cancel_request(id);
        }
    }

    /// Stops measuring; what has been found stays.
    pub fn stop_measuring(self) {
        self.end_measuring();
    }

    /// Chooses the images that are measured on.
    pub fn measure_on(self, scope: Scope) {
        let count = self.workspace.with_untracked(|workspace| {
            let source = workspace.sources.iter().find(|open| Some(open.id) == scope.source);
            source.map_or(1, |source| scope.count.clamp(1, source.count.max(1)))
        });
        self.end_measuring();
        self.playground.measures.scope.set(Scope { count, ..scope });
        // Whoever chooses images wants to see them measured, however long it takes: it can be cancelled.
        if self.result.with_untracked(Option::is_some) || scope.source.is_some() {
            self.put_in_line(Measurement::LayerErrors, false);
            self.next_measurement();
        }
    }

    /// The data set that more than one image are taken from: that of the next run's input, else the first.
    pub fn usual_source(self) -> Option<SourceId> {
        let chosen = self.input.get().and_then(|input| input.source());
        self.workspace.with(|workspace| {
            let mut sources = workspace.sources.iter().filter(|source| source.count > 1);
            let found = sources.clone().find(|source| Some(source.id) == chosen).or_else(|| sources.next());
            found.map(|source| source.id)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_images_are_a_part() {
        let whole = Subject { revision: 3, scope: Scope { source: Some(1), count: 200 }, ..Subject::default() };
        let part = whole.first(4);
        assert!(part.is_part_of(&whole) && !whole.is_part_of(&whole) && !whole.is_part_of(&part));
        assert!(!Subject { revision: 2, ..part }.is_part_of(&whole), "before the last edit");
        assert!(!Subject { scope: Scope { source: None, count: 1 }, ..part }.is_part_of(&whole));
    }
}
