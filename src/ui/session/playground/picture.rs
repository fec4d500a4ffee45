//! The selected tensor in its three versions.

use super::super::{Session, View};
use super::Playground;
use crate::worker::{
    BeforeAfter, ModelId, PlaygroundAsk, PlaygroundReply, PlaygroundRequest, Reply, Request, TensorQuery,
};
use leptos::prelude::*;

/// Bins of the histogram: wide enough that eight bits do not comb it.
const BINS: usize = 64;
/// Values listed on a page.
pub const VALUES_PER_PAGE: usize = 32;
/// Room beside the values, as a share of their width: into it a handle is dragged outwards.
const MARGIN: f64 = 0.08;
/// A range narrower than this share of what is drawn is drawn anew, larger.
const LEAST_SHARE: f64 = 0.2;

/// What the bins span, and of which tensor. It stands still while a handle is dragged.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Window {
    subject: Option<(ModelId, String, Option<usize>, u32)>,
    range: Option<(f64, f64)>,
    /// Number of the newest question.
    asked: u32,
}

impl Session {
    /// Asks for the picture whenever tensor, channel, page or run change.
    pub(super) fn follow_picture(self) {
        let playground = self.playground;
        let there = Memo::new(move |_| playground.table.with(Option::is_some));
        Effect::new(move |_| {
            playground.tensor.track();
            playground.channel.track();
            playground.first_value.track();
            self.run_revision.track();
            if self.view.get() == View::Playground && there.get() {
                self.refresh_picture();
            }
        });
    }

    /// The question for the selected tensor with its model.
    pub(super) fn picture_query(self) -> Option<(TensorQuery, ModelId)> {
        let playground = self.playground;
        let model = playground.model.get_untracked()?;
        let tensor = playground.tensor.get_untracked()?;
        let channel = playground.channel.get_untracked();
        let subject = Some((model, tensor.clone(), channel, self.run_revision.get_untracked()));
        let range = playground.window.try_update_value(|window| {
            if window.subject != subject {
                (window.subject, window.range) = (subject, None);
            }
            window.range
        });
        let first_value = playground.first_value.get_untracked();
        let query = TensorQuery { tensor, channel, bins: BINS, range: range?, first_value, values: VALUES_PER_PAGE };
        Some((query, model))
    }

    /// Asks for the picture.
    pub(super) fn refresh_picture(self) {
        let playground = self.playground;
        let Some((query, model)) = self.picture_query() else { return playground.picture.set(None) };
        let number = playground.window.try_update_value(|window| {
            window.asked += 1;
            window.asked
        });
        let request = PlaygroundRequest { model, ask: PlaygroundAsk::BeforeAfter(query) };
        self.ask(Request::Playground(request), &[], move |reply, _| {
            let Reply::Playground(reply) = reply else { return };
            if let PlaygroundReply::BeforeAfter(picture) = *reply
                && number == Some(playground.window.with_value(|window| window.asked))
            {
                self.take_picture(picture);
            }
        });
    }

    /// Shows a picture, unless another tensor is looked at by now. The first answer of a tensor tells how wide its values
    /// are; then it is asked once more with room for the handles.
    pub(super) fn take_picture(self, picture: BeforeAfter) {
        let playground = self.playground;
        let current = Some(&picture.query.tensor) == playground.tensor.get_untracked().as_ref()
            && picture.query.channel == playground.channel.get_untracked();
        if !current {
            return;
        }
        if !picture.outcomes.is_empty() {
            playground.outcomes.set(picture.outcomes.clone());
        }
        if picture.query.range.is_none()
            && let Some(room) = extent(&picture).and_then(|extent| room(extent, picture.reach))
        {
            playground.window.update_value(|window| window.range = Some(room));
            return self.refresh_picture();
        }
        playground.picture.set(Some(picture));
    }

    /// Draws the bins anew where the range has left them, or has become small among them.
    pub(super) fn refit_picture(self) {
        let playground = self.playground;
        let Some((low, high)) = untrack(|| playground.reach()) else { return };
        let outgrown = playground.window.with_value(|window| {
            window.range.is_some_and(|(from, to)| low < from || high > to || high - low < LEAST_SHARE * (to - from))
        });
        if outgrown && !playground.is_dragging() {
            playground.window.update_value(|window| window.range = None);
            self.refresh_picture();
        }
    }
}

/// What the bins of an answer span.
fn extent(picture: &BeforeAfter) -> Option<(f64, f64)> {
    let histograms = picture.tensors.iter().filter_map(|tensor| tensor.histogram.as_ref());
    let mut all = picture.before_rounding.iter().chain(histograms);
    let edges = &all.next()?.edges;
    Some((*edges.first()?, *edges.last()?))
}

/// Values and range with a margin; `None` where they are no range.
fn room(values: (f64, f64), reach: (f64, f64)) -> Option<(f64, f64)> {
    let (low, high) = (values.0.min(reach.0), values.1.max(reach.1));
    let margin = MARGIN * (high - low);
    (low.is_finite() && high.is_finite() && margin > 0.0).then_some((low - margin, high + margin))
}

impl Playground {
    /// Whether the picture is of what is selected.
    pub fn picture_is_current(&self) -> bool {
        self.picture.with(|picture| {
            picture.as_ref().is_some_and(|picture| {
                self.tensor.with(|tensor| tensor.as_ref() == Some(&picture.query.tensor))
                    && self.channel.get() == picture.query.channel
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_the_handles() {
        let (low, high) = room((-1.0, 1.0), (-0.5, 3.0)).unwrap();
        assert!(low < -1.0 && high > 3.0);
        assert_eq!(room((0.0, 0.0), (0.0, 0.0)), None);
        assert_eq!(room((0.0, f64::INFINITY), (0.0, 1.0)), None);
    }
}
