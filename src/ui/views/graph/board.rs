//! What the parts of the drawing share, and what can be done with it.

use super::shown::Shown;
use crate::chart::Color;
use crate::chart::graph::{Camera, Shading, Step, step};
use crate::chart::scene::{Point, at};
use crate::platform::{self, KeyboardEvent};
use crate::ui::Session;
use crate::ui::turns::focus_later;
use leptos::prelude::*;
use std::sync::Arc;

/// A press of a zoom button or key.
const ZOOM_STEP: f64 = 1.3;
/// A press of an arrow key.
const PAN_STEP_PX: f64 = 60.0;

/// The signals of the drawing. Copies share them.
#[derive(Clone, Copy)]
pub struct Board {
    /// The page's session.
    pub session: Session,
    /// The drawing.
    pub shown: ReadSignal<Option<Arc<Shown>>>,
    /// Size of the frame, in CSS pixels; 0 before it is known.
    pub frame: RwSignal<(f64, f64)>,
    /// The box of the selected layer.
    pub selected: Memo<Option<usize>>,
    /// The box that the Tab key goes to.
    pub tab_stop: RwSignal<usize>,
    /// Which boxes have the words looked for; `None` without words.
    pub found: Memo<Option<Vec<bool>>>,
    /// The measure.
    pub shading: Memo<Option<Shading>>,
    /// Its colour for every box.
    pub colors: Memo<Vec<Option<Color>>>,
    /// Whether the pointer that is down, or was last, has moved the drawing: then a click chooses nothing.
    pub dragged: StoredValue<bool>,
}

impl Board {
    /// What is seen; `None` before the frame is known.
    pub fn camera(self) -> Option<Camera> {
        let query = self.shown.with(|shown| shown.as_ref().map(|shown| shown.drawing.query))?;
        self.session.graph.camera.get().filter(|(of, _)| *of == query).map(|(_, camera)| camera)
    }

    /// Sees something else: `change` gets the camera and the sizes of network and frame.
    pub fn look(self, change: impl FnOnce(Camera, (f64, f64), (f64, f64)) -> Camera) {
        let Some(camera) = untrack(|| self.camera()) else { return };
        let frame = self.frame.get_untracked();
        self.shown.with_untracked(|shown| {
            if let Some(shown) = shown {
                let next = change(camera, shown.size(), frame);
                self.session.graph.camera.set(Some((shown.drawing.query, next)));
            }
        });
    }

    /// Shows a drawing that was not looked at yet from its start.
    pub fn begin(self) {
        let frame = self.frame.get();
        if frame.0 <= 0.0 || frame.1 <= 0.0 || self.camera().is_some() {
            return;
        }
        self.shown.with_untracked(|shown| {
            let Some(shown) = shown else { return };
            let boxes = &shown.network.boxes;
            let top = boxes.first().map_or(at(0.0, 0.0), |first| at(first.area.x + first.area.width / 2.0, 0.0));
            let selected = self.selected.get_untracked().and_then(|node| boxes.get(node)).map(|node| node.area);
            let camera = Camera::start(shown.size(), frame, top, selected);
            self.session.graph.camera.set(Some((shown.drawing.query, camera)));
        });
    }

    /// Magnifies by steps around a point of the frame, else around its middle.
    pub fn zoom(self, factor: f64, around: Option<Point>) {
        self.look(|camera, network, frame| {
            camera.zoomed(factor, around.unwrap_or(at(frame.0 / 2.0, frame.1 / 2.0)), network, frame)
        });
    }

    /// One step larger.
    pub fn zoom_in(self) {
        self.zoom(ZOOM_STEP, None);
    }

    /// One step smaller.
    pub fn zoom_out(self) {
        self.zoom(1.0 / ZOOM_STEP, None);
    }

    /// The whole network.
    pub fn fit(self) {
        self.look(|_, network, frame| Camera::fit(network, frame));
    }

    /// Moves what is seen.
    pub fn pan(self, dx: f64, dy: f64) {
        self.look(|camera, network, frame| camera.dragged(dx, dy, network, frame));
    }

    /// Brings a box into sight.
    pub fn reveal(self, node: usize) {
        let area = self.shown.with_untracked(|shown| Some(shown.as_ref()?.network.boxes.get(node)?.area));
        if let Some(area) = area {
            self.look(|camera, _, frame| camera.revealing(area, frame));
        }
    }

    /// Selects the layer that a box is, or belongs to; an input and an output of the graph are none.
    pub fn choose(self, node: usize) {
        self.tab_stop.set(node);
        let layer = self.shown.with_untracked(|shown| {
            let shown = shown.as_ref()?;
            let layer = shown.drawing.nodes.get(node)?.layer?;
            // An older drawing's positions are those of other layers.
            let name = |workspace: &crate::worker::Workspace| {
                let current = workspace.revision == shown.drawing.revision;
                workspace.layers.get(layer).filter(|_| current).map(|layer| layer.name.clone())
            };
            self.session.workspace.with_untracked(name)
        });
        if let Some(layer) = layer {
            self.session.select(&layer, None);
        }
    }

    /// The box at a point of the frame.
    pub fn box_at(self, point: Point) -> Option<usize> {
        let place = untrack(|| self.camera())?.in_network(point);
        self.shown
            .with_untracked(|shown| shown.as_ref()?.network.boxes.iter().position(|node| node.area.contains(place)))
    }

    /// What the keys do: on a box the arrows walk along the lines, beside them (and with Shift) they move the drawing.
    pub fn steer(self, event: &KeyboardEvent) {
        if event.ctrl_key() || event.meta_key() || event.alt_key() {
            return;
        }
        let key = event.key();
        let on_box = platform::is_inside(event, ".net-box");
        let walk = Step::of_key(&key).filter(|_| on_box && !event.shift_key());
        match (key.as_str(), walk) {
            ("+" | "=", _) => self.zoom_in(),
            ("-" | "_", _) => self.zoom_out(),
            ("0", _) => self.fit(),
            (_, Some(walk)) => self.walk(walk),
            ("Enter" | " ", _) if on_box => self.choose(self.tab_stop.get_untracked()),
            ("ArrowLeft", _) => self.pan(PAN_STEP_PX, 0.0),
            ("ArrowRight", _) => self.pan(-PAN_STEP_PX, 0.0),
            ("ArrowUp", _) => self.pan(0.0, PAN_STEP_PX),
            ("ArrowDown", _) => self.pan(0.0, -PAN_STEP_PX),
            _ => return,
        }
        event.prevent_default();
        event.stop_propagation();
    }

    fn walk(self, towards: Step) {
        let here = self.tab_stop.get_untracked();
        let next = self.shown.with_untracked(|shown| step(&shown.as_ref()?.network, here, towards));
        if let Some(next) = next {
            self.tab_stop.set(next);
            self.reveal(next);
            focus_later(".net-box[tabindex='0']");
        }
    }
}
