//! What a chart on the page remembers, and what can be done with it.

use super::keys::{KeyAction, stepped};
use crate::chart::scene::{Point, Rect, at, content_height_px, scene, scroll_to_row};
use crate::chart::{Chart, Readout, Scene, Theme, View, Viewport, readout};
use leptos::leptos_dom::helpers::{TimeoutHandle, set_timeout_with_handle};
use leptos::prelude::*;
use std::time::Duration;

/// What a drag over the plot does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DragTool {
    /// Zooms to the box.
    #[default]
    Zoom,
    /// Selects a range of x.
    Brush,
}

/// A drag under way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drag {
    /// Where it began.
    pub from: Point,
    /// Where it is.
    pub to: Point,
    /// What it does.
    pub tool: DragTool,
}

/// How far a press may wander and still be a click.
const CLICK_PX: f64 = 4.0;
/// How long a click on a zoomed chart waits for a second one: a double click shows everything again and chooses nothing.
const DOUBLE_CLICK: Duration = Duration::from_millis(250);
/// A step of the zoom keys and of a wheel notch.
const ZOOM_STEP: f64 = 0.8;

/// The point of `plot` that is nearest to a point: a drag may begin and end outside of the axes.
pub fn inside(point: Point, plot: &Rect) -> Point {
    at(point.x.clamp(plot.x, plot.right()), point.y.clamp(plot.y, plot.bottom()))
}

/// The signals of one chart.
#[derive(Clone, Copy)]
pub struct ChartState {
    /// The data.
    pub chart: Signal<Chart>,
    /// Zoom, hidden series, log axis: outlives the data.
    pub view: RwSignal<View>,
    /// Painted colours.
    pub theme: Signal<Theme>,
    /// Width of the stage; 0 until it is laid out.
    pub width_px: RwSignal<f64>,
    /// Height of what is painted.
    pub height_px: Signal<f64>,
    /// How far a ranges chart is scrolled.
    pub scroll_px: RwSignal<f64>,
    /// The data index that is read out.
    pub read: RwSignal<Option<usize>>,
    /// What a screen reader is told: set by keys only, a moving pointer would never stop talking.
    pub spoken: RwSignal<String>,
    /// The drag under way.
    pub drag: RwSignal<Option<Drag>>,
    /// What the next drag does.
    pub tool: RwSignal<DragTool>,
    /// The layout.
    pub scene: Memo<Scene>,
    on_select: Option<Callback<usize>>,
    on_brush: Option<Callback<(f64, f64)>>,
    /// A click that may become a double click.
    waiting: StoredValue<Option<TimeoutHandle>>,
}

/// Takes back a click that waits.
fn forget(waiting: StoredValue<Option<TimeoutHandle>>) {
    if let Some(handle) = waiting.try_update_value(Option::take).flatten() {
        handle.clear();
    }
}

impl ChartState {
    /// The state of a chart of at most `most_height_px`.
    pub fn new(
        chart: Signal<Chart>,
        view: RwSignal<View>,
        theme: Signal<Theme>,
        most_height_px: Signal<f64>,
        on_select: Option<Callback<usize>>,
        on_brush: Option<Callback<(f64, f64)>>,
    ) -> Self {
        let width_px = RwSignal::new(0.0);
        let scroll_px = RwSignal::new(0.0);
        let height_px = Signal::derive(move || {
            let most = most_height_px.get();
            let content = chart.with(|chart| view.with(|view| content_height_px(chart, view, most)));
            content.min(most)
        });
        let viewport = move || Viewport {
            width_px: width_px.get(),
            height_px: height_px.get(),
            scroll_px: scroll_px.get(),
            view: view.get(),
        };
        let waiting = StoredValue::new(None::<TimeoutHandle>);
        // A chart that goes takes its last click with it.
        on_cleanup(move || forget(waiting));
        let scene = Memo::new(move |_| chart.with(|chart| scene(chart, &viewport(), &theme.get())));
        Self {
            chart,
            view,
            theme,
            width_px,
            height_px,
            scroll_px,
            read: RwSignal::new(None),
            spoken: RwSignal::new(String::new()),
            drag: RwSignal::new(None),
            tool: RwSignal::new(DragTool::Zoom),
            scene,
            on_select,
            on_brush,
            waiting,
        }
    }

    /// Whether ranges can be brushed here.
    pub fn has_brush(&self) -> bool {
        self.on_brush.is_some()
    }

    /// Whether marks can be selected here.
    pub fn has_select(&self) -> bool {
        self.on_select.is_some()
    }

    /// The room and the view, untracked: for exports.
    pub fn viewport_untracked(&self) -> Viewport {
        Viewport {
            width_px: self.width_px.get_untracked(),
            height_px: self.height_px.get_untracked(),
            scroll_px: self.scroll_px.get_untracked(),
            view: self.view.get_untracked(),
        }
    }

    /// The words at the read mark.
    pub fn readout(&self) -> Option<Readout> {
        let index = self.read.get()?;
        let span =
            self.scene.with(|scene| scene.mark_of(index).and_then(|mark| Some(scene.marks.get(mark)?.span.clone())))?;
        Some(self.chart.with(|chart| self.view.with(|view| readout(chart, view, span))))
    }

    /// The pointer is over a point.
    pub fn point_at(&self, point: Point) {
        if let Some(drag) = self.drag.get_untracked() {
            self.drag.set(Some(Drag { to: point, ..drag }));
            return;
        }
        let index = self
            .scene
            .with_untracked(|scene| scene.mark_at(point).and_then(|mark| Some(scene.marks.get(mark)?.span.start)));
        if self.read.get_untracked() != index {
            self.read.set(index);
        }
    }

    /// The pointer left.
    pub fn point_away(&self) {
        if self.drag.get_untracked().is_none() {
            self.read.set(None);
        }
    }

    /// A press begins. Shift brushes where brushing is possible.
    pub fn press(&self, point: Point, shift: bool) {
        let brush = self.has_brush() && (shift || self.tool.get_untracked() == DragTool::Brush);
        self.point_at(point);
        let tool = if brush { DragTool::Brush } else { DragTool::Zoom };
        self.drag.set(Some(Drag { from: point, to: point, tool }));
    }

    /// The press ends: a click selects, a drag zooms or brushes.
    pub fn release(&self, point: Point) {
        let Some(drag) = self.drag.get_untracked() else { return };
        self.drag.set(None);
        let (dx, dy) = ((point.x - drag.from.x).abs(), (point.y - drag.from.y).abs());
        if dx < CLICK_PX && dy < CLICK_PX {
            self.point_at(point);
            self.select_clicked();
            return;
        }
        self.scene.with_untracked(|scene| {
            let (from, to) = (inside(drag.from, &scene.plot), inside(point, &scene.plot));
            match drag.tool {
                DragTool::Zoom => self.view.update(|view| {
                    view.zoom_to_box((from.x, from.y), (to.x, to.y), &scene.x, scene.y.as_ref());
                }),
                DragTool::Brush => {
                    let (one, two) = (scene.x.value(from.x), scene.x.value(to.x));
                    if let Some(on_brush) = self.on_brush {
                        on_brush.run((one.min(two), one.max(two)));
                    }
                }
            }
        });
    }

    /// A click selects at once, unless it can be the first half of a double click that resets the zoom.
    fn select_clicked(&self) {
        forget(self.waiting);
        if self.on_select.is_none() || !self.view.with_untracked(View::is_zoomed) {
            self.select_read();
            return;
        }
        let state = *self;
        let index = self.read.get_untracked();
        let select = move || {
            if let (Some(index), Some(on_select)) = (index, state.on_select) {
                on_select.try_run(index);
            }
        };
        match set_timeout_with_handle(select, DOUBLE_CLICK) {
            Ok(handle) => self.waiting.set_value(Some(handle)),
            Err(_) => self.select_read(),
        }
    }

    /// A double click: everything is shown again, and nothing is selected.
    pub fn double_click(&self) {
        forget(self.waiting);
        self.reset_zoom();
    }

    fn select_read(&self) {
        if let (Some(index), Some(on_select)) = (self.read.get_untracked(), self.on_select) {
            on_select.run(index);
        }
    }

    /// Zooms x by `steps` notches (positive magnifies) around a pixel, or around the read mark, or the middle.
    pub fn zoom(&self, steps: f64, around_px: Option<f64>) {
        self.scene.with_untracked(|scene| {
            let read = || {
                let mark = scene.marks.get(scene.mark_of(self.read.get_untracked()?)?)?;
                Some(mark.anchor.x)
            };
            let middle = scene.plot.x + scene.plot.width / 2.0;
            let around = scene.x.value(around_px.or_else(read).unwrap_or(middle));
            let shown = (scene.x.lo, scene.x.hi);
            self.view.update(|view| view.zoom_x(ZOOM_STEP.powf(steps), around, shown, scene.full_x));
        });
    }

    /// Shows everything again.
    pub fn reset_zoom(&self) {
        self.view.update(View::reset_zoom);
    }

    /// Does what a key says.
    pub fn act(&self, action: KeyAction) {
        match action {
            KeyAction::Step(step) => self.step(step),
            KeyAction::First => self.read_index(Some(0)),
            KeyAction::Last => self.read_index(self.chart.with_untracked(Chart::len).checked_sub(1)),
            KeyAction::ZoomIn => self.zoom(2.0, None),
            KeyAction::ZoomOut => self.zoom(-2.0, None),
            KeyAction::Pan(side) => {
                let full = self.scene.with_untracked(|scene| scene.full_x);
                self.view.update(|view| view.pan_x(f64::from(side) * 0.5, full));
            }
            KeyAction::ResetZoom => self.reset_zoom(),
            KeyAction::Select => self.select_read(),
            KeyAction::Escape => {
                if self.drag.get_untracked().is_some() {
                    self.drag.set(None);
                } else if self.view.with_untracked(View::is_zoomed) {
                    self.reset_zoom();
                } else {
                    self.read.set(None);
                }
            }
        }
    }

    /// Steps along the laid-out marks, so that grouped channels are one step; ranges step over all rows.
    fn step(&self, step: i64) {
        let count = self.chart.with_untracked(Chart::len);
        let now = self.read.get_untracked();
        let next = self.scene.with_untracked(|scene| {
            let marks = &scene.marks;
            let mark = now.and_then(|index| scene.mark_of(index));
            let one_by_one = marks.iter().all(|mark| mark.span.len() == 1);
            if one_by_one {
                stepped(now, step, count)
            } else {
                Some(marks.get(stepped(mark, step, marks.len())?)?.span.start)
            }
        });
        self.read_index(next);
    }

    /// Reads an index, bringing it into view.
    fn read_index(&self, index: Option<usize>) {
        let Some(index) = index else { return };
        let viewport = self.viewport_untracked();
        let scroll_px = self.chart.with_untracked(|chart| scroll_to_row(chart, &viewport, index));
        if scroll_px != viewport.scroll_px {
            self.scroll_px.set(scroll_px);
        }
        if self.scene.with_untracked(|scene| scene.mark_of(index).is_none()) {
            self.view.update(|view| view.x_range = None);
        }
        self.read.set(Some(index));
        let words = untrack(|| self.readout());
        self.spoken.set(words.map(|words| words.to_string()).unwrap_or_default());
    }
}
