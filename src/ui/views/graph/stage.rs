//! The frame around the drawing: dragged, pinched, wheeled and steered by keys.

use super::board::Board;
use super::picture::Picture;
use crate::chart::scene::{Point, at};
use crate::platform::canvas::{capture_pointer, position_in};
use crate::platform::resize::watch_size;
use crate::ui::turns::in_own_turn;
use leptos::prelude::*;
use leptos::{ev, html};

/// A finger trembles by less; what moves further is no click.
const DRAG_FROM_PX: f64 = 5.0;
/// Magnification per pixel that a wheel turns; a pinch on a trackpad comes as a wheel with Ctrl, in small numbers.
const WHEEL_RATE: f64 = 0.0018;
const PINCH_RATE: f64 = 0.01;
/// A wheel's notch is no more than this: browsers speak of 3 lines, 120 pixels or a page.
const MOST_WHEEL_PX: f64 = 120.0;

/// A finger, or a mouse with its button down.
#[derive(Clone, Copy)]
struct Finger {
    id: i32,
    pressed: Point,
    now: Point,
}

/// The frame.
#[component]
pub fn Stage(
    /// What the parts share.
    board: Board,
) -> impl IntoView {
    let frame = NodeRef::<html::Div>::new();
    let watch = StoredValue::new_local(None);
    Effect::new(move |_| {
        let Some(frame) = frame.get() else { return };
        let resized = move |width_px: f64, height_px: f64| {
            in_own_turn(move || {
                board.frame.try_set((width_px, height_px));
            });
        };
        match watch_size(&frame, resized) {
            Ok(watching) => watch.set_value(Some(watching)),
            Err(error) => {
                // Without an observer the frame keeps the size it has now.
                board.frame.set((f64::from(frame.client_width()), f64::from(frame.client_height())));
                leptos::logging::warn!("{error}");
            }
        }
    });
    Effect::new(move |_| {
        board.shown.track();
        board.begin();
    });
    let fingers = StoredValue::new(Vec::<Finger>::new());
    let place = move |event: &ev::PointerEvent| {
        let (x, y) = frame.get_untracked().map(|frame| position_in(&frame, event))?;
        Some(at(x, y))
    };
    let on_down = move |event: ev::PointerEvent| {
        let Some(now) = place(&event).filter(|_| event.button() == 0) else { return };
        fingers.update_value(|fingers| {
            fingers.retain(|finger| finger.id != event.pointer_id());
            fingers.push(Finger { id: event.pointer_id(), pressed: now, now });
            // The first press begins anew; a second finger makes it a pinch, which is no click.
            board.dragged.set_value(fingers.len() > 1);
        });
    };
    let on_move = move |event: ev::PointerEvent| {
        let Some(now) = place(&event) else { return };
        let before = fingers.get_value();
        let Some(own) = before.iter().find(|finger| finger.id == event.pointer_id()) else { return };
        let far = (now.x - own.pressed.x).hypot(now.y - own.pressed.y) >= DRAG_FROM_PX;
        if !board.dragged.get_value() && !far {
            return;
        }
        // From here on the pointer may leave the frame. Not sooner: a captured click would be none on a box.
        if let Some(frame) = frame.get_untracked() {
            let _ = capture_pointer(&frame, &event);
        }
        board.dragged.set_value(true);
        let from = own.now;
        if let Some(other) = before.iter().find(|finger| finger.id != own.id) {
            pinch(board, (from, other.now), (now, other.now));
        } else {
            board.pan(now.x - from.x, now.y - from.y);
        }
        fingers.update_value(|fingers| {
            for finger in fingers.iter_mut().filter(|finger| finger.id == event.pointer_id()) {
                finger.now = now;
            }
        });
    };
    let on_up = move |event: ev::PointerEvent| {
        fingers.update_value(|fingers| fingers.retain(|finger| finger.id != event.pointer_id()));
    };
    let on_wheel = move |event: ev::WheelEvent| {
        event.prevent_default();
        let lines = if event.delta_mode() == 0 { 1.0 } else { 16.0 };
        let turned = (event.delta_y() * lines).clamp(-MOST_WHEEL_PX, MOST_WHEEL_PX);
        let rate = if event.ctrl_key() { PINCH_RATE } else { WHEEL_RATE };
        let around = frame.get_untracked().map(|frame| position_in(&frame, &event)).map(|(x, y)| at(x, y));
        board.zoom((-turned * rate).exp(), around);
    };
    // Boxes that are only outlines have no element of their own to be clicked.
    let on_click = move |event: ev::MouseEvent| {
        if board.dragged.get_value() || crate::platform::is_inside(&event, ".net-box") {
            return;
        }
        let place = frame.get_untracked().map(|frame| position_in(&frame, &event));
        if let Some(node) = place.and_then(|(x, y)| board.box_at(at(x, y))) {
            board.choose(node);
        }
    };
    let transform = move || {
        let camera = board.camera()?;
        Some(format!("scale({:.5}) translate({:.2} {:.2})", camera.scale, -camera.origin.x, -camera.origin.y))
    };
    let name = move || {
        let model = board.session.graph_model().map(|model| model.name).unwrap_or_default();
        format!("Network of {model}")
    };
    view! {
        <div class="net-frame" node_ref=frame tabindex="0" role="application" aria-roledescription="graph" aria-label=name
            on:pointerdown=on_down on:pointermove=on_move on:pointerup=on_up on:pointercancel=on_up
            on:wheel=on_wheel on:click=on_click on:keydown=move |event| board.steer(&event)>
            <svg class="net" class:far=move || board.camera().is_some_and(|camera| camera.scale < 0.35)>
                <g transform=transform>
                    {move || board.shown.get().map(|shown| view! { <Picture board shown /> })}
                </g>
            </svg>
        </div>
    }
}

/// Two fingers: what was between them stays between them.
fn pinch(board: Board, before: (Point, Point), after: (Point, Point)) {
    let distance = |(one, two): (Point, Point)| (one.x - two.x).hypot(one.y - two.y).max(1.0);
    let middle = |(one, two): (Point, Point)| at((one.x + two.x) / 2.0, (one.y + two.y) / 2.0);
    let (from, to) = (middle(before), middle(after));
    board.pan(to.x - from.x, to.y - from.y);
    board.zoom(distance(after) / distance(before), Some(to));
}
