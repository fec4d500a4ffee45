//! Numbers and names of the playground in words.

use crate::ui::format;
use crate::worker::{Change, ErrorMetrics, Grid, Quality, RowState, TensorKind};

/// "35.2 dB"; "exact" without any error, "no signal" where there is nothing to compare with.
pub fn sqnr(metrics: &ErrorMetrics) -> String {
    match metrics.sqnr_db {
        Some(sqnr_db) => format!("{sqnr_db:.1} dB"),
        None if metrics.different_count == 0 => "exact".to_owned(),
        None => "no signal".to_owned(),
    }
}

/// The SQNR as a number to sort and to draw: infinite without any error; `None` without a signal.
pub fn sqnr_db(metrics: &ErrorMetrics) -> Option<f64> {
    metrics.sqnr_db.or((metrics.different_count == 0).then_some(f64::INFINITY))
}

/// What a tensor is.
pub fn kind(kind: TensorKind) -> &'static str {
    match kind {
        TensorKind::Weight => "weight",
        TensorKind::Bias => "bias",
        TensorKind::Activation => "activation",
        TensorKind::Constant => "constant",
    }
}

/// Whether the range is the same on both sides: every zero point is 0 in a signed type, the middle in an unsigned one.
pub fn symmetric(grid: &Grid) -> bool {
    let middle = if grid.signed() { 0 } else { 1i32 << (u32::from(grid.bits.clamp(1, 31)) - 1) };
    grid.params.zero_point.iter().all(|zero_point| *zero_point == middle)
}

/// The change that a bound's new place means, or why there is none. A symmetric range has one width: both sides move,
/// so that the bound itself lands where it was put.
pub fn move_bound(
    row: &RowState,
    channel: Option<usize>,
    reach: (f64, f64),
    upper: bool,
    bound: f64,
) -> Result<Change, String> {
    let wrong_side = if upper { bound < 0.0 } else { bound > 0.0 };
    if wrong_side || !bound.is_finite() {
        let (which, least) = if upper { ("largest", "0 or more") } else { ("least", "0 or less") };
        return Err(format!("the {which} value is {least}, not {bound}: 0 stays inside of every range"));
    }
    let (low, high) = match (symmetric(&row.grid), upper) {
        (true, _) => {
            let side = row.grid.symmetric_side(bound, upper);
            (-side, side)
        }
        (false, false) => (bound, reach.1),
        (false, true) => (reach.0, bound),
    };
    Ok(Change::Range { channel, low: low as f32, high: high as f32 })
}

/// Scale and zero point of a channel, or of all where they are one.
pub fn chosen<T: Copy + PartialEq>(values: &[T], channel: Option<usize>) -> Option<T> {
    match (channel, values) {
        (Some(channel), _) if values.len() > 1 => values.get(channel).copied(),
        (_, [first, rest @ ..]) if rest.iter().all(|value| value == first) => Some(*first),
        _ => None,
    }
}

/// The smallest and the largest of several scales.
pub fn spread(scales: &[f32]) -> String {
    let least = scales.iter().copied().fold(f32::INFINITY, f32::min);
    let most = scales.iter().copied().fold(0.0, f32::max);
    format!("{} … {}", format::number(f64::from(least)), format::number(f64::from(most)))
}

/// `real = scale × (q − zero point)` with the row's own numbers, where there is one of each.
pub fn formula(row: &RowState, channel: Option<usize>) -> String {
    let params = &row.grid.params;
    match (chosen(&params.scale, channel), chosen(&params.zero_point, channel)) {
        (Some(scale), Some(zero_point)) => format!("real = {} × (q − {zero_point})", format::exact(scale)),
        (Some(scale), None) => format!("real = {} × (q − zero_point[c])", format::exact(scale)),
        (None, Some(zero_point)) => format!("real = scale[c] × (q − {zero_point})"),
        (None, None) => "real = scale[c] × (q − zero_point[c])".to_owned(),
    }
}

/// A signed difference: "+0.012", "−3.1"; "0" is none.
pub fn signed(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let nothing = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    match (nothing, value < 0.0) {
        (true, _) => text,
        (false, true) => format!("−{text}"),
        (false, false) => format!("+{text}"),
    }
}

/// "accuracy 85.9 %, cross-entropy 0.42, output 14.2 dB": what is known of it.
pub fn quality(quality: &Quality) -> String {
    let accuracy = quality.accuracy.map(|accuracy| format!("accuracy {}", format::percent(accuracy)));
    let entropy = quality.cross_entropy.map(|nats| format!("cross-entropy {nats:.4}"));
    let sqnr = quality.output_sqnr_db.map(|sqnr_db| format!("output {sqnr_db:.2} dB"));
    let known: Vec<String> = [accuracy, entropy, sqnr].into_iter().flatten().collect();
    if known.is_empty() { "nothing to compare".to_owned() } else { known.join(", ") }
}

/// "1 edit", "3 edits".
pub fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A name as a part of a file's.
pub fn stem(what: &str, model: &str) -> String {
    format!("{what}-{}", model.replace(['/', ':'], "_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::{Granularity, QuantParams};
    use crate::tensor::DType;

    fn grid(dtype: DType, zero_point: Vec<i32>) -> Grid {
        let scale = vec![0.5; zero_point.len()];
        Grid {
            params: QuantParams { scale, zero_point, dtype, granularity: Granularity::PerTensor },
            bits: 8,
            narrow_range: false,
        }
    }

    #[test]
    fn symmetric_is_about_zero() {
        assert!(symmetric(&grid(DType::Int8, vec![0, 0])));
        assert!(symmetric(&grid(DType::Uint8, vec![128])));
        assert!(!symmetric(&grid(DType::Uint8, vec![0])), "a one-sided range");
        assert!(!symmetric(&grid(DType::Int8, vec![0, 3])));
    }

    #[test]
    fn one_value_stands_for_all_only_where_all_are_equal() {
        assert_eq!(chosen(&[2.0, 2.0], None), Some(2.0));
        assert_eq!(chosen(&[2.0, 3.0], None), None);
        assert_eq!(chosen(&[2.0, 3.0], Some(1)), Some(3.0));
        assert_eq!(chosen(&[2.0], Some(7)), Some(2.0), "per tensor, whatever channel is looked at");
        assert_eq!(chosen::<f32>(&[], None), None);
    }

    #[test]
    fn differences_have_a_sign() {
        assert_eq!(signed(0.0123, 3), "+0.012");
        assert_eq!(signed(-3.12, 1), "−3.1");
        assert_eq!(signed(-0.0001, 2), "0.00");
    }

    #[test]
    fn no_error_is_exact() {
        let metrics = ErrorMetrics { count: 3, ..ErrorMetrics::default() };
        assert_eq!((sqnr(&metrics).as_str(), sqnr_db(&metrics)), ("exact", Some(f64::INFINITY)));
        let silent = ErrorMetrics { count: 3, different_count: 1, ..metrics };
        assert_eq!((sqnr(&silent).as_str(), sqnr_db(&silent)), ("no signal", None));
    }
}
