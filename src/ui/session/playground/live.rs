//! The error of every layer while a handle is dragged: measured again and again, on as many images as leave most of the
//! worker's time to the drag.

use super::super::{Session, View};
use super::measures::Measurement;
use crate::platform;
use crate::worker::{Images, PlaygroundAsk, PlaygroundRequest, Reply, Request};
use leptos::prelude::*;

/// Errors that follow a drag are at least this far apart: between them the worker is free for the drag.
const EVERY_MS: f64 = 90.0;
/// They are measured on as many images as take about this long.
const BUDGET_MS: f64 = 45.0;

/// Errors that follow an edit.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// Whether they are on their way.
    asked: bool,
    asked_ms: f64,
    took_ms: f64,
}

impl Session {
    /// Lets the errors of all layers follow an edit: this is what moves the chart while a handle is dragged. Of a data set
    /// the first images are measured, as long as the handle is held; all of them when it is let go.
    pub(super) fn refresh_errors(self) {
        let playground = self.playground;
        let measures = playground.measures;
        let Some(model) = playground.model.get_untracked() else { return };
        let subject = self.subject();
        let images = measures.images();
        let wanted = self.view.get_untracked() == View::Playground
            && self.result.with_untracked(Option::is_some)
            && (images.source.is_none() || playground.is_dragging());
        let now_ms = platform::now_ms();
        let due = measures.live.try_update_value(|live| {
            // On a large network most of the time stays the drag's, too.
            let every_ms = EVERY_MS.max(4.0 * live.took_ms);
            let due = wanted && !live.asked && now_ms - live.asked_ms >= every_ms;
            if due {
                (live.asked, live.asked_ms) = (true, now_ms);
            }
            due
        });
        if due != Some(true) {
            return;
        }
        let measured = measures.taken(Measurement::LayerErrors);
        let image_ms = measured.map(|(subject, took_ms)| took_ms / subject.images() as f64);
        let count = affordable(images.count, image_ms);
        let subject = subject.first(if images.source.is_some() { count } else { measures.scope.get_untracked().count });
        let request = PlaygroundRequest { model, ask: PlaygroundAsk::LayerErrors(Images { count, ..images }) };
        self.ask(Request::Playground(request), &[], move |reply, _| {
            measures.live.update_value(|live| {
                live.asked = false;
                live.took_ms = platform::now_ms() - now_ms;
            });
            if playground.model.get_untracked() != Some(model) {
                return;
            }
            if let Reply::Playground(reply) = reply {
                self.take(*reply, subject, true, platform::now_ms() - now_ms);
            }
        });
    }
}

/// How many of the images fit into the budget, at least one.
fn affordable(images: usize, image_ms: Option<f64>) -> usize {
    let fit = image_ms.filter(|ms| *ms > 0.0).map_or(1.0, |ms| (BUDGET_MS / ms).floor());
    (fit as usize).clamp(1, images.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drag_is_followed_on_what_the_worker_can_spare() {
        assert_eq!(affordable(200, Some(10.0)), 4);
        assert_eq!(affordable(200, Some(900.0)), 1, "a large network");
        assert_eq!(affordable(3, Some(0.1)), 3, "all there are");
        assert_eq!((affordable(200, None), affordable(0, None)), (1, 1), "nothing is known of it yet");
    }
}
