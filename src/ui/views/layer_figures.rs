//! One figure for every layer of the tree, of a measure that is there already: it sorts the tree, fills its bars and colours
//! the boxes of the graph.

use super::playground::describe::sqnr_db;
use crate::ui::session::ColorBy;
use crate::worker::{ErrorMetrics, LayerErrorRow, LayerRow, TensorKind};

/// The figure of every layer; of several tensors the worst. Weight error is `100 |w - w'| / |w|`, in percent: 0 where
/// rounding changed nothing.
pub fn figures(by: ColorBy, layers: &[LayerRow], errors: &[LayerErrorRow]) -> Vec<Option<f64>> {
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
pub(super) mod tests {
    use super::*;
    use crate::worker::ParameterRow;

    fn layer(name: &str) -> LayerRow {
        LayerRow {
            name: name.into(),
            op: "Conv".into(),
            detail: String::new(),
            quantized: false,
            composite: false,
            parameters: Vec::new(),
            outputs: Vec::new(),
        }
    }

    fn metrics(sqnr_db: Option<f64>) -> ErrorMetrics {
        ErrorMetrics { count: 4, different_count: usize::from(sqnr_db.is_some()), sqnr_db, ..ErrorMetrics::default() }
    }

    pub fn row(kind: TensorKind, layer: usize, local: Option<f64>, cumulative: Option<f64>) -> LayerErrorRow {
        LayerErrorRow {
            tensor: "t".into(),
            kind,
            layer: Some(layer),
            local: metrics(local),
            cumulative: cumulative.map(|db| metrics(Some(db))),
            original: None,
        }
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
}
