//! The Graph tab's side of the session: which network is drawn, how it is coloured, and where one has scrolled to.

use super::Session;
use crate::chart::graph::Camera;
use crate::worker::{GraphQuery, ModelId, ModelSummary, Variant};
use leptos::prelude::*;

/// What the boxes are coloured by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorBy {
    /// Nothing.
    #[default]
    None,
    /// Width of the widest parameter: what the tree's bars show.
    WeightRange,
    /// Relative error of the layer's weight after rounding.
    WeightError,
    /// The float model's result against the quantized model's.
    Cumulative,
    /// The layer's result before and after its own rounding.
    Local,
}

impl ColorBy {
    /// All choices in order.
    pub const ALL: [ColorBy; 5] =
        [ColorBy::None, ColorBy::WeightRange, ColorBy::WeightError, ColorBy::Cumulative, ColorBy::Local];

    /// What the user reads.
    pub fn label(self) -> &'static str {
        match self {
            ColorBy::None => "none",
            ColorBy::WeightRange => "weight range",
            ColorBy::WeightError => "weight error",
            ColorBy::Cumulative => "cumulative SQNR",
            ColorBy::Local => "local SQNR",
        }
    }

    /// Whether it has to be measured in a run.
    pub fn is_measured(self) -> bool {
        matches!(self, ColorBy::WeightError | ColorBy::Cumulative | ColorBy::Local)
    }
}

/// The signals of the tab. Copies share them.
#[derive(Clone, Copy)]
pub struct Graph {
    /// The model that the user chose.
    pub chosen: RwSignal<Option<ModelId>>,
    /// Whether every node of the file is drawn.
    pub quantizers: RwSignal<bool>,
    /// What the boxes are coloured by.
    pub color_by: RwSignal<ColorBy>,
    /// What is seen, and of which drawing: it survives another tab.
    pub camera: RwSignal<Option<(GraphQuery, Camera)>>,
}

impl Graph {
    pub(super) fn new() -> Self {
        Graph {
            chosen: RwSignal::default(),
            quantizers: RwSignal::new(false),
            color_by: RwSignal::default(),
            camera: RwSignal::default(),
        }
    }
}

impl Session {
    /// The model that is drawn: the chosen one, else the first float one, else the first.
    pub fn graph_model(self) -> Option<ModelSummary> {
        self.workspace.with(|workspace| {
            let chosen = self.graph.chosen.get();
            let models = &workspace.models;
            let chosen = models.iter().find(|model| Some(model.id) == chosen);
            // A file of weights alone has no network to draw.
            let float = || models.iter().find(|model| model.variant == Variant::Float && model.nodes > 0);
            chosen.or_else(float).or(models.first()).cloned()
        })
    }

    /// The drawing that is wanted.
    pub fn graph_query(self) -> Option<GraphQuery> {
        Some(GraphQuery { model: self.graph_model()?.id, quantizers: self.graph.quantizers.get() })
    }
}
