//! The measure that colours the boxes: figures that are there already, of the layers of the tree.

use super::shown::Shown;
use crate::chart::Direction;
use crate::chart::graph::Shading;
use crate::ui::session::ColorBy;
use crate::ui::session::playground::Taken;
use crate::ui::views::playground::describe::sqnr_db;
use crate::worker::{ErrorMetrics, GraphNodeKind, LayerErrorRow, LayerRow, Measured, TensorKind};

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

/// The figure of every layer; of several tensors the worst. Weight error is `100 |w - w'| / |w|`, in percent: 0 where
/// rounding changed nothing.
fn figures(by: ColorBy, layers: &[LayerRow], errors: &[LayerErrorRow]) -> Vec<Option<f64>> {
    if by == ColorBy::WeightRange {
        // As the tree's bars have it.
        let widest = |layer: &LayerRow| layer.parameters.iter().filter_map(|p| p.width).reduce(f64::max);
        return layers.iter().map(widest).collect();
    }
    let mut figures: Vec<Option<f64>> = vec![None; layers.len()];
    for row in errors {
        let metrics: Option<&ErrorMetrics> = match (by, row.kind) {
            (ColorBy::WeightError, TensorKind::Weight) | (ColorBy::Local, TensorKind::Activation) => Some(&row.local),
            (ColorBy::Cumulative, TensorKind::Activation) => row.cumulative.as_ref(),
            _ => None,
        };
        let Some(sqnr) = metrics.and_then(sqnr_db) else { continue };
        let Some(figure) = row.layer.and_then(|layer| figures.get_mut(layer)) else { continue };
        *figure = Some(match (by, *figure) {
            (ColorBy::WeightError, before) => (100.0 * 10f64.powf(-sqnr / 20.0)).max(before.unwrap_or(0.0)),
            (_, before) => sqnr.min(before.unwrap_or(f64::INFINITY)),
        });
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::super::shown::tests::{layer, shown};
    use super::*;
    use crate::ui::session::playground::Subject;
    use crate::worker::{Images, ParameterRow};

    fn metrics(sqnr_db: Option<f64>) -> ErrorMetrics {
        ErrorMetrics { count: 4, different_count: usize::from(sqnr_db.is_some()), sqnr_db, ..ErrorMetrics::default() }
    }

    fn row(kind: TensorKind, layer: usize, local: Option<f64>, cumulative: Option<f64>) -> LayerErrorRow {
        LayerErrorRow {
            tensor: "t".into(),
            kind,
            layer: Some(layer),
            local: metrics(local),
            cumulative: cumulative.map(|db| metrics(Some(db))),
            original: None,
        }
    }

    fn taken(rows: Vec<LayerErrorRow>, workspace: u32) -> Taken<Measured<LayerErrorRow>> {
        let images = Images { source: None, first: 0, count: 1 };
        let answer = Measured { images, count: 1, rows };
        Taken { answer, subject: Subject::default(), workspace, complete: true, took_ms: 1.0 }
    }

    #[test]
    fn each_measure_takes_its_own_figures() {
        let layers = [layer("stem"), layer("head")];
        let rows = vec![
            row(TensorKind::Weight, 0, Some(40.0), None),
            row(TensorKind::Activation, 0, Some(35.0), Some(22.0)),
            row(TensorKind::Activation, 0, Some(50.0), Some(21.0)),
            row(TensorKind::Activation, 1, None, Some(14.0)),
            row(TensorKind::Bias, 1, Some(3.0), None),
        ];
        assert_eq!(figures(ColorBy::Cumulative, &layers, &rows), [Some(21.0), Some(14.0)]);
        assert_eq!(figures(ColorBy::Local, &layers, &rows), [Some(35.0), Some(f64::INFINITY)]);
        // 40 dB is a hundredth of the norm.
        assert_eq!(figures(ColorBy::WeightError, &layers, &rows), [Some(1.0), None]);
    }

    #[test]
    fn the_weight_range_is_the_widest_parameters() {
        let parameter = |width: f64| ParameterRow {
            role: "weight".into(),
            shape: vec![1],
            values: Vec::new(),
            quantized: false,
            width: Some(width),
        };
        let wide = LayerRow { parameters: vec![parameter(0.5), parameter(2.0)], ..layer("stem") };
        assert_eq!(figures(ColorBy::WeightRange, &[wide, layer("head")], &[]), [Some(2.0), None]);
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
