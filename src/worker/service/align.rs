//! The layers of all open models, aligned, as the tree shows them.

use super::model::OpenModel;
use crate::onnx::{Alignment, Document, align};
use crate::quant::weight_view;
use crate::worker::protocol::{LayerRow, ParameterRow};
use std::collections::HashSet;

/// Where a row's layer is in one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Position in [`OpenModel::layers`].
    pub layer: usize,
    /// The model's own value for each of the row's parameters.
    pub values: Vec<Option<String>>,
    /// The value the layer puts out.
    pub output: String,
}

/// The aligned layers.
#[derive(Default)]
pub struct Layout {
    /// What the page is told.
    pub rows: Vec<LayerRow>,
    /// For each row, for each open model.
    pub members: Vec<Vec<Option<Member>>>,
    /// Layers without a partner, in words.
    pub unmatched: Vec<String>,
}

impl Layout {
    /// Aligns the models by structure.
    pub fn of(models: &[OpenModel]) -> Self {
        let documents: Vec<&Document> = models.iter().map(|model| &model.document).collect();
        let weights = |document: &Document, value: &str| weight_view(document, value).ok().map(|view| view.real);
        let alignment = align(&documents, &weights);
        let mut layout = Layout::default();
        let mut names = HashSet::new();
        for aligned in &alignment.layers {
            let members: Vec<Option<Member>> = models
                .iter()
                .zip(&aligned.members)
                .map(|(model, member)| {
                    let member = member.as_ref()?;
                    let layer = model.layers.iter().position(|layer| layer.node == member.node)?;
                    let values = aligned.parameters.iter().map(|parameter| member.weight(&parameter.role)).collect();
                    Some(Member { layer, values, output: member.output.clone() })
                })
                .collect();
            let row = row(models, &aligned.label, &aligned.op, &members, &aligned.roles(), &mut names);
            layout.rows.push(row);
            layout.members.push(members);
        }
        layout.unmatched = unmatched(models, &alignment);
        layout
    }
}
