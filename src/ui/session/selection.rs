//! What is selected, and how the address says it.

use super::Session;
use crate::platform;
use crate::worker::{LayerId, LayerRow, Workspace};
use leptos::prelude::*;

/// The tabs of the workbench.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Models and their weight ranges.
    #[default]
    Overview,
    /// The selected layer.
    Layer,
    /// Input, run and predictions.
    Run,
    /// The quantization table in hand.
    Playground,
    /// From a float model to a quantized one.
    Quantize,
    /// Accuracy on a data set.
    Evaluate,
    /// Other formats, in and out.
    Convert,
    /// The network as boxes and lines.
    Graph,
}

impl View {
    /// All tabs in order.
    pub const ALL: [View; 8] = [
        View::Overview,
        View::Layer,
        View::Run,
        View::Playground,
        View::Quantize,
        View::Evaluate,
        View::Convert,
        View::Graph,
    ];

    /// The tab's label.
    pub fn label(self) -> &'static str {
        match self {
            View::Overview => "Overview",
            View::Layer => "Layer",
            View::Run => "Run",
            View::Playground => "Playground",
            View::Quantize => "Quantize",
            View::Evaluate => "Evaluate",
            View::Convert => "Convert",
            View::Graph => "Graph",
        }
    }

    fn slug(self) -> String {
        self.label().to_lowercase()
    }
}

/// The selection, by names: it survives opening and closing models, and stands in the address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Name of the layer.
    pub layer: Option<String>,
    /// Role of the parameter inside the layer; `None`: the layer itself.
    pub parameter: Option<String>,
}

impl Selection {
    /// The selected layer's position and row.
    pub fn layer_in<'a>(&self, workspace: &'a Workspace) -> Option<(LayerId, &'a LayerRow)> {
        let name = self.layer.as_deref()?;
        let row = workspace.layers.iter().position(|layer| layer.name == name)?;
        Some((LayerId { revision: workspace.revision, row }, &workspace.layers[row]))
    }

    /// Position of the parameter that a distribution is shown of: the selected one, else the layer's first.
    pub fn parameter_in(&self, layer: &LayerRow) -> Option<usize> {
        let chosen = self.parameter.as_deref();
        let position = layer.parameters.iter().position(|parameter| Some(parameter.role.as_str()) == chosen);
        position.or_else(|| (!layer.parameters.is_empty()).then_some(0))
    }
}

impl Session {
    /// Selects a layer, or one of its parameters, and shows it.
    pub fn select(self, layer: &str, parameter: Option<&str>) {
        self.selection.set(Selection { layer: Some(layer.to_owned()), parameter: parameter.map(str::to_owned) });
        if self.view.get_untracked() == View::Overview {
            self.view.set(View::Layer);
        }
    }

    /// Keeps selection and address the same, in both directions.
    pub(super) fn link_address(self) {
        self.read_address(&platform::route());
        platform::on_route_change(move |pairs| self.read_address(&pairs));
        Effect::new(move |_| {
            let view = self.view.get().slug();
            let selection = self.selection.get();
            let mut pairs = vec![("view", view.as_str())];
            pairs.extend(selection.layer.as_deref().map(|layer| ("layer", layer)));
            pairs.extend(selection.parameter.as_deref().map(|parameter| ("parameter", parameter)));
            platform::replace_route(&pairs);
        });
    }

    fn read_address(self, pairs: &[(String, String)]) {
        let value = |key: &str| pairs.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone());
        let slug = value("view").unwrap_or_default();
        if let Some(view) = View::ALL.into_iter().find(|view| view.slug() == slug) {
            self.view.set(view);
        }
        if value("layer").is_some() {
            self.selection.set(Selection { layer: value("layer"), parameter: value("parameter") });
        }
    }
}
