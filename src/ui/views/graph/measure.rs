//! The measure that colours the boxes: figures that are there already, of the layers of the tree.

use super::shown::Shown;
use crate::chart::Direction;
use crate::chart::graph::Shading;
use crate::ui::session::ColorBy;
use crate::ui::session::playground::Taken;
use crate::ui::views::layer_figures::figures;
use crate::worker::{GraphNodeKind, LayerErrorRow, LayerRow, Measured};

/// The measure of every box; `None` where nothing is to be coloured. Measured errors whose layers are positions in
/// another state of the workspace are none.
pub fn shading(
    by: ColorBy,
    shown: &Shown,
    (revision, layers): (u32, &[LayerRow]),
    errors: Option<&Taken<Measured<LayerErrorRow>>>,
) -> Option<Shading> {
    let errors = errors.filter(|taken| taken.workspace == revision);
    if by == ColorBy::None || shown.drawing.revision != revision || (by.is_measured() && errors.is_none()) {
        return None;
    }
    let rows = errors.map_or(&[][..], |taken| taken.answer.rows.as_slice());
    let of_layers = figures(by, layers, rows);
    let of_box = |node: &crate::worker::GraphNode| {
        // What only hands a result on has no error of its own.
        let layer = node.layer.filter(|_| node.kind == GraphNodeKind::Operation)?;
        of_layers.get(layer).copied().flatten()
    };
    let (unit, direction) = match by {
        ColorBy::None | ColorBy::WeightRange => ("", Direction::None),
        ColorBy::WeightError => ("%", Direction::LowerIsBetter),
        ColorBy::Cumulative | ColorBy::Local => ("dB", Direction::HigherIsBetter),
    };
    Some(Shading {
        name: by.label().to_owned(),
        unit: unit.to_owned(),
        direction,
        figures: shown.drawing.nodes.iter().map(of_box).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::shown::tests::{layer, shown};
    use super::*;
    use crate::ui::session::playground::Subject;
    use crate::ui::views::layer_figures::tests::row;
    use crate::worker::{Images, TensorKind};

    fn taken(rows: Vec<LayerErrorRow>, workspace: u32) -> Taken<Measured<LayerErrorRow>> {
        let images = Images { source: None, first: 0, count: 1 };
        let answer = Measured { images, count: 1, rows };
        Taken { answer, subject: Subject::default(), workspace, complete: true, took_ms: 1.0 }
    }

    #[test]
    fn figures_of_another_workspace_colour_nothing() {
        let layers = [layer("stem"), layer("head")];
        let rows = vec![row(TensorKind::Activation, 0, Some(35.0), Some(22.0))];
        let shown = shown();
        let of = |workspace: u32| shading(ColorBy::Local, &shown, (1, &layers), Some(&taken(rows.clone(), workspace)));
        // The quantizing node before it has none of its own.
        assert_eq!(of(1).map(|shading| shading.figures), Some(vec![None, Some(35.0), None]));
        assert_eq!(of(2), None);
        assert_eq!(shading(ColorBy::Local, &shown, (1, &layers), None), None);
        assert_eq!(shading(ColorBy::None, &shown, (1, &layers), None), None);
        assert!(shading(ColorBy::WeightRange, &shown, (2, &layers), None).is_none(), "the drawing is older");
    }
}
