//! The report as CSV: a row per model and class, and one per model for all classes.

use super::EvaluatedModel;
use crate::export::{Cell, Table, TableError};

/// Columns: model, data, backend, size_bytes, class, correct, total, accuracy, low_95, high_95, change_points.
/// The row over all items has the class "all".
pub fn evaluation_csv(models: &[EvaluatedModel]) -> Result<Table, TableError> {
    let headers = [
        "model",
        "data",
        "backend",
        "size_bytes",
        "class",
        "correct",
        "total",
        "accuracy",
        "low_95",
        "high_95",
        "change_points",
    ];
    let mut rows = Vec::new();
    for model in models {
        let evaluation = &model.evaluation;
        let mut row = |class: &str, fraction: crate::analysis::Fraction, change: Option<f64>| {
            let interval = crate::analysis::wilson_95(fraction.correct, fraction.total);
            rows.push(vec![
                Cell::from(model.model.as_str()),
                Cell::from(model.data.as_str()),
                Cell::from(model.backend.as_str()),
                Cell::from(model.size_bytes as usize),
                Cell::from(class),
                Cell::from(fraction.correct as usize),
                Cell::from(fraction.total as usize),
                Cell::from(fraction.accuracy),
                Cell::from(interval.map(|interval| interval.low)),
                Cell::from(interval.map(|interval| interval.high)),
                Cell::from(change),
            ]);
        };
        let comparison = model.comparison.as_ref();
        row("all", evaluation.overall, comparison.map(|comparison| comparison.points));
        for (at, class) in evaluation.per_class.iter().enumerate() {
            let change = comparison.and_then(|comparison| comparison.per_class.get(at)?.points);
            row(&class.class_name, class.fraction, change);
        }
    }
    Table::new(headers.map(str::to_owned).to_vec(), rows)
}
