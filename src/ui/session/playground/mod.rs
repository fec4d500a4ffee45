//! The playground's side of the session: which table is held in hand, which of its tensors, and what the worker last
//! said of them. Orders are in `orders`, the picture of a tensor in `picture`, measurements in `measures` (what follows a
//! drag in `live`), what outlives the page in `keep`.

mod keep;
mod live;
mod measures;
mod orders;
mod picture;

pub use keep::Restored;
#[cfg(test)]
pub use measures::Subject;
pub use measures::{Answer, Measurement, Measures, Scope, Taken};
pub use orders::{Field, Refusal};
pub use picture::VALUES_PER_PAGE;

use super::{Selection, Session, View};
use crate::worker::{
    BeforeAfter, Finding, Fixed, ModelId, ModelSummary, PlaygroundAsk, PlaygroundReply, PlaygroundRequest, Reply,
    Request, RowState, TableState, TensorKind, Variant, VersionOutcome, Workspace,
};
use leptos::prelude::*;
use orders::Orders;
use picture::Window;
use std::collections::{HashMap, HashSet};

/// How long the last edit took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Number of the edit, from 1.
    pub number: u32,
    /// Time in the worker.
    pub worker_ms: f64,
    /// From the input event until the new picture was on the screen.
    pub pixels_ms: f64,
    /// Nodes computed again.
    pub nodes: usize,
}

/// The signals of the playground. Copies share them.
#[derive(Clone, Copy)]
pub struct Playground {
    /// The quantized model whose table is edited.
    pub model: RwSignal<Option<ModelId>>,
    /// Its table, as the worker last told it.
    pub table: RwSignal<Option<TableState>>,
    /// The row that is edited.
    pub tensor: RwSignal<Option<String>>,
    /// The channel of that row; `None`: all of them.
    pub channel: RwSignal<Option<usize>>,
    /// The first value that is listed.
    pub first_value: RwSignal<usize>,
    /// The row's tensor in the three versions.
    pub picture: RwSignal<Option<BeforeAfter>>,
    /// What the three versions make of the input.
    pub outcomes: RwSignal<Vec<VersionOutcome>>,
    /// Why the last edit was refused.
    pub refusal: RwSignal<Option<Refusal>>,
    /// Whether the model could not be lifted; why stands among the messages.
    pub absent: RwSignal<bool>,
    /// How long the last edit took.
    pub pace: RwSignal<Option<Pace>>,
    /// Number of applied edits of every model that differs from its file.
    pub edits: RwSignal<HashMap<ModelId, usize>>,
    /// Edits of an earlier visit that have been applied.
    pub restored: RwSignal<Option<Restored>>,
    /// The last fix tried, with the finding it was for.
    pub fixed: RwSignal<Option<(Finding, Fixed)>>,
    /// Whether a fix is being tried.
    pub fixing: RwSignal<bool>,
    /// Whether a handle is being dragged.
    pub dragging: RwSignal<bool>,
    /// Grows with every change of the table.
    pub revision: RwSignal<u32>,
    /// What is measured, on which images.
    pub measures: Measures,
    orders: StoredValue<Orders, LocalStorage>,
    window: StoredValue<Window>,
    /// Models that have been looked up in the browser's storage.
    known: StoredValue<HashSet<ModelId>>,
    /// Edits of every model that differs from its file.
    edit_lists: StoredValue<HashMap<ModelId, String>>,
    /// Edit lists that wait to be kept, by their key.
    keeping: StoredValue<HashMap<String, Option<String>>>,
    /// Kept edits under which the worker broke down: they are not tried again.
    given_up: StoredValue<HashSet<String>>,
    /// The newest question for a table.
    asked: StoredValue<u32>,
}

impl Playground {
    /// A playground without a model.
    pub fn new() -> Self {
        Playground {
            model: RwSignal::default(),
            table: RwSignal::default(),
            tensor: RwSignal::default(),
            channel: RwSignal::default(),
            first_value: RwSignal::default(),
            picture: RwSignal::default(),
            outcomes: RwSignal::default(),
            refusal: RwSignal::default(),
            absent: RwSignal::default(),
            pace: RwSignal::default(),
            edits: RwSignal::default(),
            restored: RwSignal::default(),
            fixed: RwSignal::default(),
            fixing: RwSignal::default(),
            dragging: RwSignal::default(),
            revision: RwSignal::default(),
            measures: Measures::new(),
            orders: StoredValue::new_local(Orders::default()),
            window: StoredValue::new(Window::default()),
            known: StoredValue::default(),
            edit_lists: StoredValue::default(),
            keeping: StoredValue::default(),
            given_up: StoredValue::default(),
            asked: StoredValue::default(),
        }
    }

    /// The selected row.
    pub fn row(&self) -> Option<RowState> {
        self.tensor.with(|tensor| self.table.with(|table| find(table.as_ref()?, tensor.as_deref()?).cloned()))
    }

    /// Drops everything that was said of a table.
    fn clear(&self) {
        self.table.set(None);
        self.tensor.set(None);
        self.channel.set(None);
        self.picture.set(None);
        self.outcomes.set(Vec::new());
        self.refusal.set(None);
        self.absent.set(false);
        self.pace.set(None);
        self.fixed.set(None);
        self.measures.clear();
    }
}

fn find<'a>(table: &'a TableState, tensor: &str) -> Option<&'a RowState> {
    table.rows.iter().find(|row| row.tensor == tensor)
}

/// Models that have a table.
pub fn quantized(workspace: &Workspace) -> impl Iterator<Item = &ModelSummary> {
    workspace.models.iter().filter(|model| model.variant != Variant::Float)
}

impl Session {
    /// Links the playground's signals to the rest of the page, for the page's life.
    pub(super) fn link_playground(self) {
        self.keep_before_leaving();
        self.follow_models();
        self.follow_table();
        self.follow_selection();
        self.follow_picture();
        self.follow_measures();
    }

    /// Whether any open model has a table.
    pub fn has_table(self) -> bool {
        self.workspace.with(|workspace| quantized(workspace).next().is_some())
    }

    /// After a crash nothing that was on its way comes back, and the worker's tables are gone.
    pub(super) fn forget_playground(self) {
        let restoring = self.playground.orders.try_update_value(|orders| std::mem::take(orders).restoring());
        if let Some(key) = restoring.flatten().and_then(|model| self.key(model)) {
            self.playground.given_up.update_value(|given_up| {
                given_up.insert(key);
            });
        }
        self.playground.known.set_value(HashSet::new());
        self.playground.edits.set(HashMap::new());
        self.playground.fixing.set(false);
        self.playground.model.set(None);
        self.playground.clear();
    }

    /// Where the chosen model is gone, or there is none yet, the first quantized one is taken.
    fn follow_models(self) {
        let playground = self.playground;
        Effect::new(move |_| {
            let ids: Vec<ModelId> =
                self.workspace.with(|workspace| quantized(workspace).map(|model| model.id).collect());
            let chosen = playground.model.get_untracked().filter(|chosen| ids.contains(chosen));
            let chosen = chosen.or_else(|| ids.first().copied());
            if chosen != playground.model.get_untracked() {
                playground.model.set(chosen);
            }
            self.restore_edits();
        });
    }

    /// Asks for the table when the playground is looked at, and again when a model was opened or closed: rows know
    /// their layer by its position, and a new float variant brings weights.
    fn follow_table(self) {
        let playground = self.playground;
        let revision = Memo::new(move |_| self.workspace.with(|workspace| workspace.revision));
        Effect::new(move |shown: Option<Option<ModelId>>| {
            let model = playground.model.get();
            revision.track();
            let looked_at = self.view.get() == View::Playground;
            if shown.flatten() != model {
                playground.clear();
            }
            if let Some(model) = model.filter(|_| looked_at) {
                self.ask_table(model);
            }
            model
        });
    }

    fn ask_table(self, model: ModelId) {
        let playground = self.playground;
        playground.asked.update_value(|asked| *asked += 1);
        let number = playground.asked.get_value();
        let request = PlaygroundRequest { model, ask: PlaygroundAsk::Table };
        self.ask(Request::Playground(request), &[], move |reply, _| {
            if playground.asked.get_value() != number {
                return;
            }
            let Reply::Playground(reply) = reply else { return playground.absent.set(true) };
            if let PlaygroundReply::Table(state) = *reply {
                self.note_edits(state.model, &state.history);
                playground.absent.set(false);
                playground.table.set(Some(state));
            }
        });
    }

    /// Keeps the edited tensor one of the selected layer's.
    fn follow_selection(self) {
        let playground = self.playground;
        Effect::new(move |_| {
            let (layer, kind) = self.workspace.with(|workspace| {
                self.selection.with(|selection| {
                    let row = selection.layer_in(workspace).map(|(id, _)| id.row);
                    (row, selection.parameter.as_deref().and_then(kind_of_role))
                })
            });
            let now = playground.tensor.get_untracked();
            let next = playground.table.with(|table| Some(choose(table.as_ref()?, layer, kind, now.as_deref())));
            let Some(next) = next else { return };
            if next != now {
                self.take_tensor(next);
            }
        });
    }

    /// Edits a tensor: all that is linked to its layer follows.
    pub fn edit_tensor(self, tensor: &str) {
        let layer = self.playground.table.with_untracked(|table| find(table.as_ref()?, tensor).map(|row| row.layer));
        let Some(layer) = layer else { return };
        self.take_tensor(Some(tensor.to_owned()));
        let name = self.workspace.with_untracked(|workspace| Some(workspace.layers.get(layer?)?.name.clone()));
        let selected = self.selection.with_untracked(|selection| selection.layer.clone());
        match name {
            Some(name) if Some(&name) != selected.as_ref() => self.select(&name, None),
            Some(_) => {}
            // A graph input belongs to no layer.
            None => self.selection.set(Selection::default()),
        }
    }

    fn take_tensor(self, tensor: Option<String>) {
        self.end_gesture();
        self.playground.channel.set(None);
        self.playground.first_value.set(0);
        self.playground.refusal.set(None);
        self.playground.tensor.set(tensor);
    }
}

/// What a parameter's role is called in a table.
fn kind_of_role(role: &str) -> Option<TensorKind> {
    match role {
        "weight" => Some(TensorKind::Weight),
        "bias" => Some(TensorKind::Bias),
        _ => None,
    }
}

fn first<'a>(rows: &[&'a RowState], kind: TensorKind) -> Option<&'a RowState> {
    rows.iter().find(|row| row.kind == kind).copied()
}

/// The tensor to edit for a selection: the present one where it is the layer's and of the wanted kind, else the layer's
/// row of that kind, its weight, its first. Without a layer in the selection the present one stays, or the table's
/// first weight is taken.
fn choose(table: &TableState, layer: Option<usize>, kind: Option<TensorKind>, now: Option<&str>) -> Option<String> {
    let now = now.and_then(|now| find(table, now));
    let Some(layer) = layer else {
        let rows: Vec<&RowState> = table.rows.iter().collect();
        let row = now.or_else(|| first(&rows, TensorKind::Weight)).or_else(|| rows.first().copied());
        return row.map(|row| row.tensor.clone());
    };
    let rows: Vec<&RowState> = table.rows.iter().filter(|row| row.layer == Some(layer)).collect();
    let fits = |row: &RowState| row.layer == Some(layer) && kind.is_none_or(|kind| row.kind == kind);
    let row = now.filter(|row| fits(row)).or_else(|| first(&rows, kind?));
    let row = row.or_else(|| first(&rows, TensorKind::Weight)).or_else(|| rows.first().copied());
    row.map(|row| row.tensor.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::{Granularity, QuantParams};
    use crate::tensor::DType;
    use crate::worker::{Grid, History, RowMode, TableFormat};

    fn row(tensor: &str, kind: TensorKind, layer: Option<usize>) -> RowState {
        let params = QuantParams {
            scale: vec![0.1],
            zero_point: vec![0],
            dtype: DType::Int8,
            granularity: Granularity::PerTensor,
        };
        let grid = Grid { params, bits: 8, narrow_range: false };
        RowState {
            tensor: tensor.into(),
            kind,
            layer,
            shape: None,
            original: grid.clone(),
            grid,
            enabled: true,
            mode: RowMode::Fixed,
            absorbed: None,
            channels: None,
            derived: false,
            float_is_original: None,
            dirty: false,
            reach: vec![(-12.8, 12.7)],
        }
    }

    fn table() -> TableState {
        TableState {
            model: 1,
            rows: vec![
                row("x", TensorKind::Activation, None),
                row("y", TensorKind::Activation, Some(0)),
                row("w", TensorKind::Weight, Some(0)),
                row("b", TensorKind::Bias, Some(0)),
                row("z", TensorKind::Activation, Some(1)),
            ],
            format: TableFormat::Qdq,
            as_written: Vec::new(),
            float_model: None,
            float_words: String::new(),
            notes: Vec::new(),
            history: History::default(),
        }
    }

    #[test]
    fn a_layer_is_edited_by_its_weight_first() {
        let table = table();
        assert_eq!(choose(&table, Some(0), None, None).as_deref(), Some("w"));
        assert_eq!(choose(&table, Some(0), Some(TensorKind::Bias), None).as_deref(), Some("b"));
        assert_eq!(choose(&table, Some(1), None, Some("w")).as_deref(), Some("z"), "another layer");
        assert_eq!(choose(&table, Some(9), None, Some("w")), None, "a layer without a row");
    }

    #[test]
    fn the_tensor_at_hand_stays_where_it_fits() {
        let table = table();
        assert_eq!(choose(&table, Some(0), None, Some("y")).as_deref(), Some("y"));
        assert_eq!(choose(&table, Some(0), Some(TensorKind::Weight), Some("y")).as_deref(), Some("w"));
        assert_eq!(choose(&table, None, None, Some("x")).as_deref(), Some("x"), "an input has no layer");
        assert_eq!(choose(&table, None, None, Some("gone")).as_deref(), Some("w"));
    }
}
