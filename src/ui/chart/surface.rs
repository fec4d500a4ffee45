//! The painted canvas and what lies over it: read-out, zoom box, handles.

use super::appearance::use_appearance;
use super::keys::key_action;
use super::state::{ChartState, Drag, DragTool, inside};
use crate::chart::paint::paint;
use crate::chart::scene::{Point, Rect, at, content_height_px};
use crate::chart::view::BOX_THRESHOLD_PX;
use crate::chart::{format, scene::HandleSpot};
use crate::platform::canvas::{capture_pointer, position_in};
use crate::platform::resize::watch_size;
use crate::ui::turns::{after_changes, in_own_turn};
use leptos::ev;
use leptos::html;
use leptos::prelude::*;

/// The stage of a chart.
#[component]
pub fn Surface(
    /// The chart.
    state: ChartState,
    /// A handle was moved to a value.
    on_handle: Option<Callback<(String, f64)>>,
    /// A handle was let go.
    on_handle_end: Option<Callback<()>>,
) -> impl IntoView {
    let stage = NodeRef::<html::Div>::new();
    let canvas = NodeRef::<html::Canvas>::new();
    let surface = NodeRef::<html::Div>::new();
    let pixel_ratio = use_appearance().pixel_ratio;

    let watch = StoredValue::new_local(None);
    Effect::new(move |_| {
        let Some(stage) = stage.get() else { return };
        // The observer speaks in the middle of a frame that is being laid out: what follows has its own turn. Asking the
        // element for its width here would make the browser lay the whole page out at once.
        let resized = move |width_px: f64, _| {
            in_own_turn(move || {
                if state.width_px.try_get_untracked().is_some_and(|now| (now - width_px).abs() >= 0.5) {
                    state.width_px.set(width_px);
                }
            });
        };
        match watch_size(&stage, resized) {
            Ok(watching) => watch.set_value(Some(watching)),
            Err(error) => {
                // Without an observer the chart keeps the width it has now.
                state.width_px.set(f64::from(stage.client_width()));
                leptos::logging::warn!("{error}");
            }
        }
    });
    let repaint = move || {
        let Some(canvas) = canvas.get_untracked() else { return };
        state.scene.with_untracked(|scene| {
            if scene.width_px > 0.0
                && let Err(error) = paint(&canvas, scene, pixel_ratio.get_untracked())
            {
                leptos::logging::error!("{error}");
            }
        });
    };
    after_changes(
        move || {
            canvas.track();
            pixel_ratio.track();
            state.scene.track();
        },
        repaint,
    );
    // Keys move the scroll position through the signal; a scrolled stage sets the signal. Equal values end the circle.
    Effect::new(move |_| {
        let wanted = state.scroll_px.get();
        if let Some(stage) = stage.get_untracked()
            && (f64::from(stage.scroll_top()) - wanted).abs() >= 1.0
        {
            stage.set_scroll_top(wanted as i32);
        }
    });

    let place = move |event: &ev::PointerEvent| {
        let (x, y) = surface.get_untracked().map(|surface| position_in(&surface, event))?;
        Some(at(x, y))
    };
    let on_pointer_down = move |event: ev::PointerEvent| {
        if event.button() != 0 || !event.is_primary() {
            return;
        }
        if let (Some(point), Some(surface)) = (place(&event), surface.get_untracked()) {
            // A lost capture only means that the drag ends at the edge.
            let _ = capture_pointer(&surface, &event);
            state.press(point, event.shift_key());
        }
    };
    let on_pointer_move = move |event: ev::PointerEvent| {
        if let Some(point) = place(&event) {
            state.point_at(point);
        }
    };
    let on_pointer_up = move |event: ev::PointerEvent| {
        if let Some(point) = place(&event) {
            state.release(point);
        }
    };
    // A finger leaves with every tap: what it has read stays until something else is touched.
    let on_pointer_leave = move |event: ev::PointerEvent| {
        if event.pointer_type() != "touch" {
            state.point_away();
        }
    };
    let on_wheel = move |event: ev::WheelEvent| {
        if event.ctrl_key() || event.meta_key() {
            event.prevent_default();
            let around = surface.get_untracked().map(|surface| position_in(&surface, &event).0);
            state.zoom(-event.delta_y().signum(), around);
        }
    };
    let on_key_down = move |event: ev::KeyboardEvent| {
        let command = event.ctrl_key() || event.meta_key() || event.alt_key();
        if let Some(action) = key_action(&event.key(), event.shift_key(), command) {
            event.prevent_default();
            event.stop_propagation();
            state.act(action);
        }
    };
    let content_px = move || {
        let (height, view) = (state.height_px.get(), state.view);
        state.chart.with(|chart| view.with(|view| content_height_px(chart, view, height)))
    };
    let handle_ids =
        move || state.scene.with(|scene| scene.handles.iter().map(|handle| handle.id.clone()).collect::<Vec<_>>());
    view! {
        <div class="chart-frame">
        <div
            class="chart-stage"
            node_ref=stage
            style:height=move || format!("{}px", state.height_px.get())
            on:scroll=move |_| {
                if let Some(stage) = stage.get_untracked() {
                    state.scroll_px.set(f64::from(stage.scroll_top()));
                }
            }
        >
            <div style:height=move || format!("{}px", content_px())>
                <div class="chart-window" style:height=move || format!("{}px", state.height_px.get())>
                    <canvas node_ref=canvas class="chart-canvas" aria-hidden="true"></canvas>
                    <Highlight state/>
                    <div
                        class="chart-surface"
                        class:selectable=move || state.has_select()
                        node_ref=surface
                        tabindex="0"
                        role="application"
                        aria-roledescription="chart"
                        aria-label=move || state.chart.with(|chart| chart.summary())
                        on:pointerdown=on_pointer_down
                        on:pointermove=on_pointer_move
                        on:pointerup=on_pointer_up
                        on:pointercancel=move |_| {
                            state.drag.set(None);
                            state.point_away();
                        }
                        on:pointerleave=on_pointer_leave
                        on:blur=move |_| state.read.set(None)
                        on:dblclick=move |_| state.double_click()
                        on:wheel=on_wheel
                        on:keydown=on_key_down
                    ></div>
                    <For each=handle_ids key=|id| id.clone() let:id>
                        <Grip state id on_handle on_handle_end/>
                    </For>
                </div>
            </div>
            <div class="visually-hidden" aria-live="polite">{move || state.spoken.get()}</div>
        </div>
        // Beside the stage, which cuts what leaves it.
        <Tip state/>
        </div>
    }
}

fn placed(rect: Rect) -> String {
    format!("left:{:.2}px;top:{:.2}px;width:{:.2}px;height:{:.2}px", rect.x, rect.y, rect.width, rect.height)
}

/// The read mark and the box that is being dragged.
#[component]
fn Highlight(state: ChartState) -> impl IntoView {
    let read = move || {
        let index = state.read.get()?;
        state.scene.with(|scene| Some(scene.marks.get(scene.mark_of(index)?)?.area))
    };
    let dragged = move || {
        let Drag { from, to, tool } = state.drag.get()?;
        let (plot, continuous) = state.scene.with(|scene| (scene.plot, scene.y.is_some()));
        let (wide, high) =
            ((to.x - from.x).abs() >= BOX_THRESHOLD_PX, (to.y - from.y).abs() >= BOX_THRESHOLD_PX && continuous);
        let mut area = Rect::between(inside(from, &plot), inside(to, &plot));
        if tool == DragTool::Brush || !high {
            (area.y, area.height) = (plot.y, plot.height);
        } else if !wide {
            (area.x, area.width) = (plot.x, plot.width);
        }
        (wide || high).then_some(area)
    };
    view! {
        {move || read().map(|area| view! { <div class="chart-read" style=placed(area)></div> })}
        {move || dragged().map(|area| view! { <div class="chart-box" style=placed(area)></div> })}
    }
}

/// Between a mark and its tooltip.
const TIP_GAP_PX: (f64, f64) = (14.0, 4.0);
/// No wider than this, however much room there is.
const WIDEST_TIP_PX: f64 = 320.0;

/// Where the tooltip of a mark goes, as CSS: on the side with more room, under the mark in the upper half of the chart
/// and over it in the lower one. A mark that is a row is not covered; one as tall as the plot is covered beside its anchor.
fn tip_place(anchor: Point, area: &Rect, width_px: f64, height_px: f64) -> String {
    let right = anchor.x < width_px / 2.0;
    let below = anchor.y < height_px / 2.0;
    let (gap_x, gap_y) = TIP_GAP_PX;
    let room = if right { width_px - anchor.x } else { anchor.x } - gap_x - gap_y;
    let is_row = area.height < height_px / 4.0;
    let x = if right { anchor.x + gap_x } else { anchor.x - gap_x };
    let y = match (below, is_row) {
        (true, true) => area.bottom() + gap_y,
        (true, false) => anchor.y + gap_y,
        (false, true) => area.y - gap_y,
        (false, false) => anchor.y - gap_y,
    };
    let (shift_x, shift_y) = (if right { "0" } else { "-100%" }, if below { "0" } else { "-100%" });
    let most = room.clamp(0.0, WIDEST_TIP_PX);
    format!("left:{x:.1}px;top:{y:.1}px;max-width:{most:.1}px;transform:translate({shift_x},{shift_y})")
}

/// The tooltip at the read mark.
#[component]
fn Tip(state: ChartState) -> impl IntoView {
    let tip = move || {
        if state.drag.get().is_some() {
            return None;
        }
        let words = state.readout()?;
        let index = state.read.get()?;
        let style = state.scene.with(|scene| {
            let mark = scene.marks.get(scene.mark_of(index)?)?;
            Some(tip_place(mark.anchor, &mark.area, scene.width_px, scene.height_px))
        })?;
        let rows = words.rows.into_iter().map(|row| {
            let swatch = row.role.map(|role| view! { <b class="swatch" style:background=role.css_variable()></b> });
            view! { <div class="chart-tip-row">{swatch}<span>{row.label}</span><span class="num">{row.value}</span></div> }
        });
        Some(view! {
            <div class="chart-tip" style=style>
                <div class="chart-tip-title">{words.title}</div>
                {rows.collect_view()}
            </div>
        })
    };
    // The live region speaks for the keyboard; a pointer's tooltip is for the eye.
    view! { <div aria-hidden="true">{tip}</div> }
}

/// Moves of a pointer that do not wait for a frame are followed no more often.
const RAW_MOVES_EVERY_MS: f64 = 8.0;

/// A handle as a slider over its painted grip: a drag, the arrow keys and a screen reader all move it.
#[component]
fn Grip(
    state: ChartState,
    id: String,
    on_handle: Option<Callback<(String, f64)>>,
    on_handle_end: Option<Callback<()>>,
) -> impl IntoView {
    let grip = NodeRef::<html::Div>::new();
    let dragging = RwSignal::new(false);
    let id = StoredValue::new(id);
    let spot = Memo::new(move |_| -> Option<HandleSpot> {
        state.scene.with(|scene| scene.handles.iter().find(|handle| id.with_value(|id| *id == handle.id)).cloned())
    });
    let move_to = move |value: f64| {
        let (lo, hi) = state.scene.with_untracked(|scene| scene.full_x);
        if let Some(on_handle) = on_handle {
            on_handle.run((id.get_value(), value.clamp(lo, hi)));
        }
    };
    // Where the pointer was last followed to, in pixels of the screen, and when.
    let followed = StoredValue::new((i32::MIN, f64::NEG_INFINITY));
    let follow = move |event: &ev::PointerEvent| {
        let window = grip.get_untracked().and_then(|grip| grip.parent_element());
        if let Some(window) = window.filter(|_| dragging.get_untracked()) {
            followed.set_value((event.client_x(), event.time_stamp()));
            let (x, _) = position_in(&window, event);
            let value = state.scene.with_untracked(|scene| scene.x.value(x.clamp(scene.plot.x, scene.plot.right())));
            move_to(value);
        }
    };
    let on_move = move |event: ev::PointerEvent| {
        if followed.with_value(|(x, _)| *x != event.client_x()) {
            follow(&event);
        }
    };
    // A move waits for the next frame, and only then the worker would hear of it; this one does not wait. Not every
    // browser has it, and a fast mouse sends a thousand a second.
    let on_raw_move = move |event: ev::PointerEvent| {
        if followed.with_value(|(x, at_ms)| *x != event.client_x() && event.time_stamp() - at_ms >= RAW_MOVES_EVERY_MS)
        {
            follow(&event);
        }
    };
    let on_key = move |event: ev::KeyboardEvent| {
        let Some(now) = spot.get_untracked() else { return };
        let (lo, hi) = state.scene.with_untracked(|scene| scene.full_x);
        let step = (hi - lo) / if event.shift_key() { 20.0 } else { 200.0 };
        let next = match event.key().as_str() {
            "ArrowLeft" | "ArrowDown" => now.value - step,
            "ArrowRight" | "ArrowUp" => now.value + step,
            "PageDown" => now.value - 20.0 * step,
            "PageUp" => now.value + 20.0 * step,
            "Home" => lo,
            "End" => hi,
            _ => return,
        };
        event.prevent_default();
        event.stop_propagation();
        move_to(next);
    };
    let let_go = move || {
        dragging.set(false);
        if let Some(on_handle_end) = on_handle_end {
            on_handle_end.run(());
        }
    };
    let value = move || spot.get().map_or(0.0, |spot| spot.value);
    view! {
        <div
            class="chart-handle"
            node_ref=grip
            role="slider"
            tabindex="0"
            aria-orientation="horizontal"
            aria-label=move || spot.get().map(|spot| spot.label)
            aria-valuenow=value
            aria-valuetext=move || format::value(value(), 4)
            aria-valuemin=move || state.scene.with(|scene| scene.full_x.0)
            aria-valuemax=move || state.scene.with(|scene| scene.full_x.1)
            style=move || spot.get().map(|spot| placed(spot.grip)).unwrap_or_default()
            on:pointerdown=move |event: ev::PointerEvent| {
                if let Some(grip) = grip.get_untracked() {
                    let _ = capture_pointer(&grip, &event);
                    followed.set_value((i32::MIN, f64::NEG_INFINITY));
                    dragging.set(true);
                }
            }
            on:pointermove=on_move
            on:pointerrawupdate=on_raw_move
            on:pointerup=move |_| let_go()
            on:pointercancel=move |_| let_go()
            on:keydown=on_key
            on:keyup=move |_| let_go()
            on:blur=move |_| let_go()
        ></div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tooltip_stays_in_the_chart_and_off_its_row() {
        let row = |y| Rect { x: 0.0, y, width: 600.0, height: 30.0 };
        let place = |x, y| tip_place(at(x, y), &row(y), 600.0, 400.0);
        assert_eq!(place(300.0, 40.0), "left:286.0px;top:74.0px;max-width:282.0px;transform:translate(-100%,0)");
        assert_eq!(place(100.0, 370.0), "left:114.0px;top:366.0px;max-width:320.0px;transform:translate(0,-100%)");
        // A bin as tall as the plot: at its anchor.
        let bin = Rect { x: 90.0, y: 10.0, width: 20.0, height: 380.0 };
        let words = tip_place(at(100.0, 300.0), &bin, 600.0, 400.0);
        assert_eq!(words, "left:114.0px;top:296.0px;max-width:320.0px;transform:translate(0,-100%)");
    }
}
