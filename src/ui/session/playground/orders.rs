//! Edits on their way to the worker. One is under way at most; while it is, the newest edit of a drag replaces the one
//! that waits, so that a drag never lags behind the hand.

use super::super::Session;
use super::{Pace, Playground, find};
use crate::platform;
use crate::ui::turns::{hurry, in_own_turn};
use crate::worker::{
    Change, Edit, Edited, Finding, Fixed, Images, ModelId, PlaygroundAsk, PlaygroundReply, PlaygroundRequest, Reply,
    Request, TensorQuery,
};
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::collections::VecDeque;

/// A field of the editor: where a refused edit is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The scale.
    Scale,
    /// The zero point.
    ZeroPoint,
    /// The stored type.
    Type,
    /// Bits, sign, narrow range.
    Codes,
    /// Which channel is edited.
    Channel,
    /// Bounds of the range, and the handles on the histogram.
    Range,
    /// Symmetric or not.
    Symmetric,
    /// A scale per channel or for all.
    PerChannel,
    /// On or off.
    Enabled,
    /// The row as a whole.
    Row,
}

impl Field {
    fn of(change: &Change) -> Field {
        match change {
            Change::Scale { .. } => Field::Scale,
            Change::ZeroPoint { .. } => Field::ZeroPoint,
            Change::Range { .. } => Field::Range,
            Change::Codes { .. } => Field::Codes,
            Change::Type(_) => Field::Type,
            Change::Symmetric(_) => Field::Symmetric,
            Change::PerChannel(_) => Field::PerChannel,
            Change::Enabled(_) => Field::Enabled,
            Change::Grid(_) | Change::Reset => Field::Row,
        }
    }
}

/// Why an edit was not made.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The tensor.
    pub tensor: String,
    /// The field that was edited.
    pub field: Field,
    /// Why, as it stands at the field.
    pub text: String,
}

/// What the worker is told to do to a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Order {
    /// Change a row.
    Edit { edit: Edit, gesture: Option<u32> },
    /// Take the last edit back.
    Undo,
    /// Do it again.
    Redo,
    /// Everything as in the file.
    Reset,
    /// Apply a list of edits; `true`: it was kept from an earlier visit.
    Apply { json: String, kept: bool },
    /// Try a finding's fix.
    Fix { finding: Box<Finding>, images: Images },
}

/// An order in line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Waiting {
    model: ModelId,
    order: Order,
    /// When the user gave it.
    since_ms: f64,
}

/// Orders in line.
#[derive(Debug, Default)]
pub(super) struct Orders {
    line: VecDeque<Waiting>,
    under_way: bool,
    /// The model whose kept edits are being applied.
    restoring: Option<ModelId>,
    gesture: Option<u32>,
    gestures: u32,
    edits: u32,
}

impl Orders {
    /// The model whose kept edits were being applied.
    pub(super) fn restoring(self) -> Option<ModelId> {
        self.restoring
    }

    /// Puts an order in line. An edit of the same gesture and tensor that is last in line gives way to it.
    fn push(&mut self, waiting: Waiting) {
        if let (Order::Edit { edit, gesture: Some(gesture) }, Some(last)) = (&waiting.order, self.line.back_mut())
            && let Order::Edit { edit: earlier, gesture: Some(same) } = &last.order
            && (same, &earlier.tensor) == (gesture, &edit.tensor)
            && last.model == waiting.model
            && Field::of(&earlier.change) == Field::of(&edit.change)
        {
            *last = waiting;
            return;
        }
        self.line.push_back(waiting);
    }
}

impl Session {
    /// Changes the selected row.
    pub fn edit(self, change: Change) {
        self.end_gesture();
        self.order_edit(change, None);
    }

    /// Changes the selected row as a part of a drag: until [`Session::end_gesture`] all changes are one edit.
    pub fn drag(self, change: Change) {
        let gesture = self.playground.orders.try_update_value(|orders| {
            let next = orders.gestures + 1;
            let gesture = *orders.gesture.get_or_insert(next);
            orders.gestures = orders.gestures.max(gesture);
            gesture
        });
        if !self.playground.dragging.get_untracked() {
            self.playground.dragging.set(true);
            hurry(true);
        }
        self.order_edit(change, gesture);
    }

    /// The drag is over: the next change is another edit.
    pub fn end_gesture(self) {
        let ended = self.playground.orders.try_update_value(|orders| orders.gesture.take()).flatten();
        if ended.is_some() {
            hurry(false);
            self.playground.dragging.set(false);
            self.refit_picture();
        }
    }

    fn order_edit(self, change: Change, gesture: Option<u32>) {
        if let Some(tensor) = self.playground.tensor.get_untracked() {
            self.order(Order::Edit { edit: Edit { tensor, change }, gesture });
        }
    }

    /// Takes the last edit back.
    pub fn undo(self) {
        self.end_gesture();
        if untrack(|| self.playground.can_undo()) || self.playground.is_editing() {
            self.order(Order::Undo);
        }
    }

    /// Does the edit again that was taken back last.
    pub fn redo(self) {
        self.end_gesture();
        if untrack(|| self.playground.can_redo()) || self.playground.is_editing() {
            self.order(Order::Redo);
        }
    }

    /// Everything as in the file.
    pub fn reset(self) {
        self.end_gesture();
        self.order(Order::Reset);
    }

    /// Tries a finding's fix; the worker keeps it only where the measurement is better.
    pub fn apply_fix(self, finding: Finding) {
        let images = self.playground.measures.images();
        self.playground.fixing.set(true);
        self.order(Order::Fix { finding: Box::new(finding), images });
    }

    /// Takes back what a field said.
    pub fn accept(self, field: Field) {
        let said = |refusal: &Option<Refusal>| refusal.as_ref().is_some_and(|refusal| refusal.field == field);
        if self.playground.refusal.with_untracked(said) {
            self.playground.refusal.set(None);
        }
    }

    /// Says at a field why what was typed there is no edit.
    pub fn refuse(self, field: Field, text: String) {
        if let Some(tensor) = self.playground.tensor.get_untracked() {
            self.playground.refusal.set(Some(Refusal { tensor, field, text }));
        }
    }

    fn order(self, order: Order) {
        if let Some(model) = self.playground.model.get_untracked() {
            self.order_for(model, order);
        }
    }

    pub(super) fn order_for(self, model: ModelId, order: Order) {
        self.end_measuring();
        let waiting = Waiting { model, order, since_ms: platform::now_ms() };
        let idle = self.playground.orders.try_update_value(|orders| {
            orders.push(waiting);
            !orders.under_way
        });
        if idle == Some(true) {
            self.next_order();
        }
    }

    fn next_order(self) {
        let orders = self.playground.orders;
        let next = orders.try_update_value(|orders| {
            let next = orders.line.pop_front();
            orders.under_way = next.is_some();
            let kept = next.as_ref().filter(|next| matches!(next.order, Order::Apply { kept: true, .. }));
            orders.restoring = kept.map(|next| next.model);
            next
        });
        let Some(waiting) = next.flatten() else { return };
        let show = self.shown_query();
        let ask = match waiting.order.clone() {
            Order::Edit { edit, gesture } => PlaygroundAsk::Edit { edit, gesture, show },
            Order::Undo => PlaygroundAsk::Undo(show),
            Order::Redo => PlaygroundAsk::Redo(show),
            Order::Reset => PlaygroundAsk::Reset(show),
            Order::Apply { json, .. } => PlaygroundAsk::ApplyEdits { json },
            Order::Fix { finding, images } => PlaygroundAsk::ApplyFix { finding: finding.id, images },
        };
        let fix = matches!(waiting.order, Order::Fix { .. });
        let request = PlaygroundRequest { model: waiting.model, ask };
        let id = self.ask(Request::Playground(request), &[], move |reply, _| {
            let reply = if let Reply::Playground(reply) = reply { Some(*reply) } else { None };
            match reply {
                Some(PlaygroundReply::Edited(edited)) => self.take_edited(&waiting, edited),
                Some(PlaygroundReply::Fixed(fixed)) => self.take_fixed(waiting, fixed),
                // A failure has been said; nothing was changed.
                _ => self.playground.fixing.set(false),
            }
            self.next_order();
        });
        if fix {
            self.begin(id, "Trying a fix".to_owned());
        }
    }

    fn take_fixed(self, waiting: Waiting, fixed: Fixed) {
        self.playground.fixing.set(false);
        self.take_edited(&waiting, fixed.edited.clone());
        if let Order::Fix { finding, .. } = waiting.order {
            self.playground.fixed.set(Some((*finding, fixed)));
        }
    }

    fn take_edited(self, waiting: &Waiting, edited: Edited) {
        let playground = self.playground;
        let Edited { model, rows, history, refused, versions, shown, nodes, worker_ms, .. } = edited;
        if let Some(refused) = refused {
            let (tensor, field) = match &waiting.order {
                Order::Edit { edit, .. } => (edit.tensor.clone(), Field::of(&edit.change)),
                _ => (playground.tensor.get_untracked().unwrap_or_default(), Field::Row),
            };
            playground.refusal.set(Some(Refusal { tensor, field, text: refused.to_string() }));
            return;
        }
        playground.refusal.set(None);
        self.note_edits(model, &history);
        self.keep_edits(model, &history);
        match &waiting.order {
            Order::Apply { kept: true, .. } => self.say_restored(model, history.applied),
            _ => playground.restored.set(None),
        }
        if playground.model.get_untracked() != Some(model) {
            return;
        }
        playground.table.update(|table| {
            if let Some(table) = table {
                for row in rows {
                    if let Some(place) = table.rows.iter().position(|old| old.tensor == row.tensor) {
                        table.rows[place] = row;
                    }
                }
                table.history = history;
            }
        });
        playground.revision.update(|revision| *revision += 1);
        if !versions.is_empty() {
            playground.outcomes.set(versions);
        }
        match shown {
            Some(shown) => self.take_picture(shown),
            None => self.refresh_picture(),
        }
        let number = playground.orders.try_update_value(|orders| {
            orders.edits += 1;
            orders.edits
        });
        self.time_pixels(number.unwrap_or(0), worker_ms, nodes, waiting.since_ms);
        if waiting_gesture(&waiting.order).is_none() {
            self.refit_picture();
        }
        self.refresh_errors();
    }

    /// Says how long an edit took when what it changed is on the screen.
    fn time_pixels(self, number: u32, worker_ms: f64, nodes: usize, since_ms: f64) {
        let say_when_painted = move || {
            spawn_local(async move {
                platform::painted().await;
                let pixels_ms = platform::now_ms() - since_ms;
                self.playground.pace.set(Some(Pace { number, worker_ms, pixels_ms, nodes }));
            });
        };
        if self.playground.is_dragging() {
            // All of it is drawn before the next frame.
            return say_when_painted();
        }
        spawn_local(async move {
            // First the effects of the signals that have just been set, then the turns of the charts they paint.
            platform::yield_to_events().await;
            in_own_turn(say_when_painted);
        });
    }

    /// The question whose answer an edit brings along.
    fn shown_query(self) -> Option<TensorQuery> {
        self.picture_query().map(|(query, _)| query)
    }
}

fn waiting_gesture(order: &Order) -> Option<u32> {
    if let Order::Edit { gesture, .. } = order { *gesture } else { None }
}

impl Playground {
    /// Whether an edit is applied.
    pub fn can_undo(&self) -> bool {
        self.table.with(|table| table.as_ref().is_some_and(|table| table.history.applied > 0))
    }

    /// Whether an edit was taken back.
    pub fn can_redo(&self) -> bool {
        self.table.with(|table| table.as_ref().is_some_and(|table| table.history.applied < table.history.entries.len()))
    }

    /// Whether an edit is on its way.
    pub(super) fn is_editing(&self) -> bool {
        self.orders.with_value(|orders| orders.under_way)
    }

    /// Whether the selected row is dragged.
    pub(super) fn is_dragging(&self) -> bool {
        self.orders.with_value(|orders| orders.gesture.is_some())
    }

    /// The selected row's bounds: of the channel, or the widest.
    pub fn reach(&self) -> Option<(f64, f64)> {
        let channel = self.channel.get();
        self.tensor.with(|tensor| {
            self.table.with(|table| {
                let row = find(table.as_ref()?, tensor.as_deref()?)?;
                let all = row.reach.iter().copied().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
                let (low, high) = channel.and_then(|channel| row.reach.get(channel).copied()).or(all)?;
                Some((f64::from(low), f64::from(high)))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(scale: f32, gesture: Option<u32>) -> Waiting {
        let edit = Edit { tensor: "w".into(), change: Change::Scale { channel: None, scale } };
        Waiting { model: 1, order: Order::Edit { edit, gesture }, since_ms: 0.0 }
    }

    #[test]
    fn the_newest_edit_of_a_drag_replaces_the_one_that_waits() {
        let mut orders = Orders::default();
        orders.push(edit(1.0, Some(7)));
        orders.push(edit(2.0, Some(7)));
        assert_eq!(orders.line, [edit(2.0, Some(7))]);
        orders.push(edit(3.0, Some(8)));
        orders.push(edit(4.0, None));
        orders.push(edit(5.0, None));
        assert_eq!(orders.line.len(), 4, "other gestures and typed edits stay");
    }

    #[test]
    fn an_undo_between_edits_keeps_its_place() {
        let mut orders = Orders::default();
        orders.push(edit(1.0, Some(7)));
        orders.push(Waiting { model: 1, order: Order::Undo, since_ms: 0.0 });
        orders.push(edit(2.0, Some(7)));
        assert_eq!(orders.line.len(), 3);
    }
}
