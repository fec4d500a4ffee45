//! What could be better in a quantization table, seen from its rows and from what was measured on them.

use super::clipping::Clipping;
use super::residuals::scale_ratio;
use crate::quant::table::{Change, Edit, Grid, Row, RowMode};
use crate::quant::{Granularity, TensorKind, dequantize, quantize};
use crate::tensor::Channels;

/// A channel this many times larger than the middle one costs the others two of their bits.
pub const OUTLIER_RATIO: f64 = 4.0;
/// Of a range of which less is used a whole bit is lost.
pub const USED_AT_LEAST: f64 = 0.5;
/// Where clipping makes more of the error than this, it is worse than rounding.
pub const CLIPPED_ERROR_SHARE: f64 = 0.5;
/// A bias of fewer dB is off by more than a tenth of itself.
pub const BIAS_SQNR_DB: f64 = 20.0;
/// Scales of branches that differ by more than this lose a bit of the smaller one.
pub const BRANCH_RATIO: f64 = 2.0;

/// A row with what was measured on it.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    /// The row.
    pub row: &'a Row,
    /// For each scale of the row the smallest and the largest value, behind the absorbed activation function, widened to
    /// hold 0; empty where they are not known.
    pub spans: &'a [(f32, f32)],
    /// Its own rounding error in parts.
    pub clipping: Clipping,
    /// SQNR of its own rounding in dB; `None` without error.
    pub local_sqnr_db: Option<f64>,
}

/// What the codes of one scale reach, and what its values do.
#[derive(Clone, Copy, Debug)]
struct Reach {
    /// Position of the scale.
    channel: usize,
    codes: (f32, f32),
    values: (f32, f32),
}

impl Measured<'_> {
    /// Each scale of the row; none where the values are not known for each.
    fn reaches(&self) -> Vec<Reach> {
        let codes = self.row.grid.reach();
        if codes.len() != self.spans.len() {
            return Vec::new();
        }
        let pairs = codes.into_iter().zip(self.spans).enumerate();
        pairs.map(|(channel, (codes, &values))| Reach { channel, codes, values }).collect()
    }
}

/// Something that could be better.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// A short sentence.
    pub title: String,
    /// Names and figures that show it.
    pub evidence: Vec<(String, String)>,
    /// `tensor` of the row it is about.
    pub tensor: String,
    /// What the fix does, and its edits. There is always one to try: it is kept only where it measures better.
    pub fix: (String, Vec<Edit>),
}

fn evidence(pairs: &[(&str, String)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, figure)| ((*name).to_owned(), figure.clone())).collect()
}

/// Four digits, as figures are shown.
fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        1e-3..1e5 => {
            let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 6);
            format!("{value:.*}", digits as usize)
        }
        _ => format!("{value:.3e}"),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

impl Row {
    fn edit(&self, change: Change) -> Edit {
        Edit { tensor: self.tensor.clone(), change }
    }

    fn to_range(&self, (low, high): (f32, f32)) -> Edit {
        self.edit(Change::Range { channel: None, low, high })
    }
}

/// Real numbers of a per-tensor grid's outermost codes.
fn ends(grid: &Grid) -> Option<(f32, f32)> {
    let (&[scale], &[zero_point]) = (grid.params.scale.as_slice(), grid.params.zero_point.as_slice()) else {
        return None;
    };
    let (low, high) = grid.codes();
    Some((dequantize(low, scale, zero_point), dequantize(high, scale, zero_point)))
}

/// The grid whose codes reach from the smallest to the largest value of one sign.
fn one_sided_grid(grid: &Grid, (least, most): (f32, f32)) -> Grid {
    let (low, high) = grid.codes();
    let scale = (f64::from(most) - f64::from(least)) / (f64::from(high) - f64::from(low));
    let mut made = grid.clone();
    made.params.scale = vec![scale as f32];
    made.params.zero_point = vec![if least >= 0.0 { low } else { high }];
    made
}

/// Everything that the row shows by itself.
pub fn row_faults(measured: &Measured<'_>) -> Vec<Fault> {
    let Measured { row, .. } = measured;
    if !row.enabled || row.mode == RowMode::Dynamic {
        return Vec::new();
    }
    if row.kind == TensorKind::Bias || row.bias_of.is_some() {
        return swallowed_bias(measured).into_iter().collect();
    }
    let one_sided = one_sided(measured);
    // The unused half of a symmetric range is one fault, not two.
    let empty = if one_sided.is_some() { None } else { empty_range(measured) };
    [outlier_channel(row), one_sided, empty, clips(measured)].into_iter().flatten().collect()
}

/// One channel of a per-tensor weight sets the scale for all.
fn outlier_channel(row: &Row) -> Option<Fault> {
    if row.kind != TensorKind::Weight || row.grid.params.granularity != Granularity::PerTensor {
        return None;
    }
    let (axis, constant) = (row.channel_axis?, row.constant.as_ref()?);
    let channels = Channels::along(constant.float.shape(), i64::try_from(axis).ok()?)?;
    let values = constant.float.to_f32().ok()?;
    let largest = |channel: usize| channels.values(&values, channel).fold(0f32, |most, value| most.max(value.abs()));
    let mut magnitudes: Vec<(f32, usize)> = (0..channels.count).map(|channel| (largest(channel), channel)).collect();
    magnitudes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (middle, _) = *magnitudes.get(magnitudes.len() / 2)?;
    let &(most, channel) = magnitudes.last()?;
    let ratio = f64::from(most) / f64::from(middle);
    (magnitudes.len() > 1 && ratio.is_finite() && ratio >= OUTLIER_RATIO).then(|| Fault {
        title: "One channel of the weight takes the range of all".to_owned(),
        evidence: evidence(&[
            ("largest channel", format!("{channel}, |w| up to {}", figure(most.into()))),
            ("middle channel", format!("|w| up to {}", figure(middle.into()))),
            ("ratio", format!("{ratio:.1}")),
            ("bits the middle channel loses", format!("{:.1}", ratio.log2())),
        ]),
        tensor: row.tensor.clone(),
        fix: ("Give every channel its own scale".to_owned(), vec![row.edit(Change::PerChannel(true))]),
    })
}

/// Half of a symmetric range stands for values that do not come.
fn one_sided(measured: &Measured<'_>) -> Option<Fault> {
    let Measured { row, spans, .. } = *measured;
    let (&[(least, most)], (low, high)) = (spans, ends(&row.grid)?) else { return None };
    let unused = (least >= 0.0 && low < 0.0 && most > 0.0) || (most <= 0.0 && high > 0.0 && least < 0.0);
    let asymmetric_possible = row.kind == TensorKind::Activation || row.kind == TensorKind::Constant;
    (unused && asymmetric_possible && row.grid.is_symmetric()).then(|| Fault {
        title: "A symmetric type on values of one sign".to_owned(),
        evidence: evidence(&[
            ("values", format!("{} to {}", figure(least.into()), figure(most.into()))),
            ("codes reach", format!("{} to {}", figure(low.into()), figure(high.into()))),
        ]),
        tensor: row.tensor.clone(),
        fix: (
            "Move the zero point to the end of the codes".to_owned(),
            vec![row.edit(Change::Grid(one_sided_grid(&row.grid, (least, most))))],
        ),
    })
}

/// Channels listed by number, at most.
const LISTED: usize = 8;

/// How many channels it is about, and which.
fn listed(found: &[Reach], all: usize) -> String {
    let numbers: Vec<String> = found.iter().take(LISTED).map(|reach| reach.channel.to_string()).collect();
    let more = if found.len() > LISTED { ", ..." } else { "" };
    format!("{} of {all}: {}{more}", found.len(), numbers.join(", "))
}

/// A title and what the fix does, for a row of one scale and for one of several.
struct Words {
    one: (&'static str, &'static str),
    several: (&'static str, &'static str),
}

/// The fault of a row some of whose scales, the worst first, do not fit their values; the fix gives each the range of its
/// values. `more` is evidence beside the ranges.
fn ranges_fault(row: &Row, found: &[Reach], words: Words, more: Vec<(String, String)>) -> Option<Fault> {
    let worst = found.first()?;
    let between = |(low, high): (f32, f32)| format!("{} to {}", figure(low.into()), figure(high.into()));
    let mut shown = evidence(&[("values", between(worst.values)), ("codes reach", between(worst.codes))]);
    shown.extend(more);
    let all = row.grid.params.scale.len();
    let ((title, fix), edits) = match all {
        1 => (words.one, vec![row.to_range(worst.values)]),
        _ => {
            let mut by_number = found.to_vec();
            by_number.sort_by_key(|reach| reach.channel);
            let told = [("channels", listed(&by_number, all)), ("worst channel", worst.channel.to_string())];
            shown.splice(0..0, evidence(&told));
            let edit = |reach: &Reach| {
                let (low, high) = reach.values;
                row.edit(Change::Range { channel: Some(reach.channel), low, high })
            };
            (words.several, by_number.iter().map(edit).collect())
        }
    };
    Some(Fault { title: title.to_owned(), evidence: shown, tensor: row.tensor.clone(), fix: (fix.to_owned(), edits) })
}

/// The part of a scale's codes that its values use, 0 to 1 and more.
fn used(row: &Row, Reach { codes: (low, high), values: (least, most), .. }: &Reach) -> f64 {
    match row.grid.is_symmetric() {
        true => f64::from(least.abs().max(*most)) / f64::from(low.abs().max(*high)),
        false => f64::from(most - least) / f64::from(high - low),
    }
}

/// Most of the range holds no value.
fn empty_range(measured: &Measured<'_>) -> Option<Fault> {
    let row = measured.row;
    let mut found = measured.reaches();
    // A channel of zeros alone has no range to be narrowed to.
    found.retain(|reach| (f64::MIN_POSITIVE..USED_AT_LEAST).contains(&used(row, reach)));
    found.sort_by(|a, b| used(row, a).total_cmp(&used(row, b)));
    let most = percent(used(row, found.first()?));
    let words = Words {
        one: ("The range is mostly empty", "Narrow the range to the values"),
        several: ("The ranges of channels are mostly empty", "Narrow these ranges to their values"),
    };
    ranges_fault(row, &found, words, evidence(&[("used", most)]))
}

/// Clipping makes most of the row's own error.
fn clips(measured: &Measured<'_>) -> Option<Fault> {
    let Measured { row, clipping, .. } = *measured;
    let part = clipping.clipped;
    if part.share_of_error < CLIPPED_ERROR_SHARE || part.count == 0 {
        return None;
    }
    let beyond = |Reach { codes: (low, high), values: (least, most), .. }: &Reach| (low - least).max(most - high);
    let mut found = measured.reaches();
    found.retain(|reach| beyond(reach) > 0.0);
    found.sort_by(|a, b| beyond(b).total_cmp(&beyond(a)));
    let more = evidence(&[
        ("values cut off", format!("{} ({})", part.count, percent(part.share_of_values))),
        ("share of its rounding error", percent(part.share_of_error)),
    ]);
    let words = Words {
        one: ("The range cuts values off", "Widen the range to the values"),
        several: ("The ranges of channels cut values off", "Widen these ranges to their values"),
    };
    ranges_fault(row, &found, words, more)
}

/// The bias's int32 scale, input scale x weight scale, is too coarse for it.
fn swallowed_bias(measured: &Measured<'_>) -> Option<Fault> {
    let Measured { row, local_sqnr_db, .. } = *measured;
    let sqnr_db = local_sqnr_db.filter(|&sqnr_db| sqnr_db < BIAS_SQNR_DB)?;
    let values = row.constant.as_ref()?.float.to_f32().ok()?;
    let step = row.grid.params.scale.iter().copied().fold(0f32, f32::max);
    let typical = (values.iter().map(|&b| f64::from(b).powi(2)).sum::<f64>() / values.len().max(1) as f64).sqrt();
    let made_of = row.bias_of.as_ref().map_or_else(String::new, |of| format!("{} x {}", of.input, of.weight));
    Some(Fault {
        title: "The bias's scale swallows the bias".to_owned(),
        evidence: evidence(&[
            ("SQNR of the bias", format!("{sqnr_db:.1} dB")),
            ("its step", figure(step.into())),
            ("its root mean square", figure(typical)),
            ("scale made of", made_of),
        ]),
        tensor: row.tensor.clone(),
        fix: ("Keep this bias in float".to_owned(), vec![row.edit(Change::Enabled(false))]),
    })
}

/// Branches that join with scales far apart. `values` are some of the coarsest branch's, for the range of its fix.
pub fn mismatched_branches(node: &str, branches: &[&Row], values: &[f32]) -> Option<Fault> {
    let scales: Vec<f32> = branches.iter().filter_map(|row| row.grid.params.scale.first().copied()).collect();
    let ratio = scale_ratio(&scales).filter(|&ratio| ratio >= BRANCH_RATIO)?;
    let scale = |row: &Row| row.grid.params.scale.first().copied().unwrap_or(0.0);
    let coarse = branches.iter().max_by(|a, b| scale(a).total_cmp(&scale(b)))?;
    let fine = branches.iter().min_by(|a, b| scale(a).total_cmp(&scale(b)))?;
    let mut shown: Vec<(String, String)> =
        branches.iter().map(|row| (row.tensor.clone(), format!("scale {}", figure(scale(row).into())))).collect();
    shown.push(("ratio".to_owned(), format!("{ratio:.2}")));
    let fix = match least_error_range(values, coarse) {
        Some(range) => {
            let bounds = (figure(range.0.into()), figure(range.1.into()));
            let words = format!("Give the coarser branch the range of least error, {} to {}", bounds.0, bounds.1);
            (words, coarse.to_range(range))
        }
        None => finer_steps(coarse, fine),
    };
    Some(Fault {
        title: format!("Branches join at {node} with scales {ratio:.1} times apart"),
        evidence: shown,
        tensor: coarse.tensor.clone(),
        fix: (fix.0, vec![fix.1]),
    })
}

/// The bits of an activation that is too coarse at fewer.
const MORE_BITS: u8 = 16;

/// Finer steps for the coarser branch where no narrower range makes its error less: 16 bits over the same range, and
/// where it has them the finer branch's own codes.
fn finer_steps(coarse: &Row, fine: &Row) -> (String, Edit) {
    if coarse.grid.bits >= MORE_BITS {
        return (
            "Round the coarser branch to the finer one's codes".to_owned(),
            coarse.edit(Change::Grid(fine.grid.clone())),
        );
    }
    let (signed, narrow_range) = (coarse.grid.signed(), coarse.grid.narrow_range);
    let codes = Change::Codes { bits: MORE_BITS, signed, narrow_range };
    (format!("Give the coarser branch {MORE_BITS} bits"), coarse.edit(codes))
}

/// A grid of one scale in words.
fn told(grid: &Grid) -> String {
    let zero = grid.params.zero_point.first().copied().unwrap_or(0);
    format!("scale {}, zero point {zero}", figure(grid.params.scale.first().copied().unwrap_or(0.0).into()))
}

/// The fault that a row rounds to another grid than one before it, where both have one scale.
fn other_grid(first: &Row, second: &Row, title: String, fix: &str) -> Option<Fault> {
    let (a, b) = (&first.grid, &second.grid);
    if !(first.enabled && second.enabled) || a.params.scale.len() != 1 || b.params.scale.len() != 1 || a == b {
        return None;
    }
    Some(Fault {
        title,
        evidence: vec![(first.tensor.clone(), told(a)), (second.tensor.clone(), told(b))],
        tensor: second.tensor.clone(),
        fix: (fix.to_owned(), vec![second.edit(Change::Grid(a.clone()))]),
    })
}

/// A value that is rounded, only moved, and rounded again to another grid.
pub fn quantized_twice(first: &Row, second: &Row) -> Option<Fault> {
    let title = "The same values are quantized twice".to_owned();
    other_grid(first, second, title, "Round the second time to the codes of the first")
}

/// A value, `source`, that is rounded to one grid for some readers and to another for others.
pub fn quantized_two_ways(source: &str, first: &Row, second: &Row) -> Option<Fault> {
    let title = format!("'{source}' is quantized in two ways");
    other_grid(first, second, title, "Round it for all readers to the codes of the first")
}

/// Values looked at for a range of least error.
const MOST_VALUES: usize = 20_000;

/// The part of the values' own range, from all to three tenths of it, whose rounding to the row's codes leaves the least
/// squared error; `None` without values or where all of it is best by less than 1 %.
fn least_error_range(values: &[f32], row: &Row) -> Option<(f32, f32)> {
    let step = values.len().div_ceil(MOST_VALUES).max(1);
    let looked: Vec<f32> = values.iter().copied().filter(|value| value.is_finite()).step_by(step).collect();
    let (least, most) = looked.iter().fold((0f32, 0f32), |(least, most), &v| (least.min(v), most.max(v)));
    let (low, high) = row.grid.codes();
    let symmetric = row.grid.is_symmetric();
    let error = |(least, most): (f32, f32)| {
        let (scale, zero) = match symmetric {
            true => (least.abs().max(most) * 2.0 / (high - low) as f32, (low + high + 1) / 2),
            false => {
                let scale = (most - least) / (high - low) as f32;
                (scale, (low as f32 - least / scale).round_ties_even() as i32)
            }
        };
        let one = |&x: &f32| f64::from(x - dequantize(quantize(x, scale, zero, low, high), scale, zero)).powi(2);
        looked.iter().map(one).sum::<f64>()
    };
    let part = |tenths: u8| (least * f32::from(tenths) / 20.0, most * f32::from(tenths) / 20.0);
    let present = error((least, most));
    let best = (6..=20).map(|twentieths| (error(part(twentieths)), part(twentieths)));
    let (least_error, range) = best.filter(|(error, _)| error.is_finite()).min_by(|a, b| a.0.total_cmp(&b.0))?;
    (most > least && least_error < 0.99 * present).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::ErrorShare;
    use crate::quant::QuantParams;
    use crate::quant::table::ConstantData;
    use crate::tensor::{DType, Tensor};

    fn row(kind: TensorKind, dtype: DType, scale: f32, zero_point: i32) -> Row {
        let params = QuantParams {
            scale: vec![scale],
            zero_point: vec![zero_point],
            dtype,
            granularity: Granularity::PerTensor,
        };
        Row::new("t", kind, Grid::of(params).unwrap())
    }

    fn measured<'a>(row: &'a Row, spans: &'a [(f32, f32)]) -> Measured<'a> {
        Measured { row, spans, clipping: Clipping::default(), local_sqnr_db: None }
    }

    #[test]
    fn an_outlier_channel() {
        let mut weight = row(TensorKind::Weight, DType::Int8, 0.01, 0);
        weight.channel_axis = Some(0);
        let values = vec![0.1f32, -0.2, 0.15, 0.1, 1.3, -1.2];
        weight.constant = Some(ConstantData::new(Tensor::from_vec(vec![3, 2], values).unwrap()));
        let fault = row_faults(&measured(&weight, &[(-1.2, 1.3)]));
        assert_eq!(fault.len(), 1);
        assert!(fault[0].title.contains("channel") && fault[0].evidence[0].1.starts_with("2,"), "{fault:?}");
        weight.constant =
            Some(ConstantData::new(Tensor::from_vec(vec![3, 2], vec![1f32, 1.0, 0.9, 1.0, 1.3, 1.0]).unwrap()));
        assert!(row_faults(&measured(&weight, &[(-1.2, 1.3)])).is_empty());
    }

    #[test]
    fn ranges_that_are_empty_clip_or_are_one_sided() {
        let wide = row(TensorKind::Activation, DType::Uint8, 0.1, 0);
        assert!(row_faults(&measured(&wide, &[(0.0, 20.0)])).is_empty());
        assert!(row_faults(&measured(&wide, &[(0.0, 5.0)]))[0].title.contains("empty"));
        let half = row(TensorKind::Activation, DType::Int8, 0.1, 0);
        let found = row_faults(&measured(&half, &[(0.0, 6.0)]));
        assert!(found.len() == 1 && found[0].title.contains("symmetric"), "{found:?}");
        let share = ErrorShare { count: 3, share_of_values: 0.1, share_of_error: 0.9 };
        let clipping = Clipping { clipped: share, rounded: ErrorShare::default() };
        let found = row_faults(&Measured { clipping, ..measured(&wide, &[(0.0, 40.0)]) });
        assert!(found.len() == 1 && found[0].title.contains("cuts"), "{found:?}");
        let off = Row { enabled: false, ..wide.clone() };
        assert!(row_faults(&measured(&off, &[(0.0, 5.0)])).is_empty());
    }

    #[test]
    fn channels_have_ranges_of_their_own() {
        let mut weight = row(TensorKind::Weight, DType::Int8, 0.01, 0);
        weight.grid.params.scale = vec![0.01, 0.1, 0.02];
        weight.grid.params.zero_point = vec![0; 3];
        weight.grid.params.granularity = Granularity::PerChannel { axis: 0 };
        let spans = [(-1.27, 1.0), (-1.0, 0.9), (0.0, 0.0)];
        let found = row_faults(&measured(&weight, &spans));
        assert!(found.len() == 1 && found[0].title.contains("empty"), "{found:?}");
        assert_eq!(found[0].evidence[0].1, "1 of 3: 1");
        let change = Change::Range { channel: Some(1), low: -1.0, high: 0.9 };
        assert_eq!(found[0].fix.1, [weight.edit(change)]);
        // Cut off in the first channel and, by more, in the last.
        let share = ErrorShare { count: 3, share_of_values: 0.1, share_of_error: 0.9 };
        let clipping = Clipping { clipped: share, rounded: ErrorShare::default() };
        let spans = [(-1.5, 1.0), (-12.0, 9.0), (-5.0, 5.0)];
        let found = row_faults(&Measured { clipping, ..measured(&weight, &spans) });
        assert!(found.len() == 1 && found[0].title.contains("cut"), "{found:?}");
        assert_eq!((found[0].evidence[0].1.as_str(), found[0].evidence[1].1.as_str()), ("2 of 3: 0, 2", "2"));
        assert_eq!(found[0].fix.1.len(), 2);
    }

    #[test]
    fn a_swallowed_bias() {
        let mut bias = row(TensorKind::Bias, DType::Int32, 0.5, 0);
        bias.constant = Some(ConstantData::new(Tensor::from_vec(vec![2], vec![0.2f32, -0.3]).unwrap()));
        let found = row_faults(&Measured { local_sqnr_db: Some(4.2), ..measured(&bias, &[(-0.3, 0.2)]) });
        assert!(found.len() == 1 && found[0].evidence[0].1 == "4.2 dB", "{found:?}");
        assert!(row_faults(&Measured { local_sqnr_db: Some(60.0), ..measured(&bias, &[(-0.3, 0.2)]) }).is_empty());
    }

    #[test]
    fn branches_and_double_rounding() {
        let fine = row(TensorKind::Activation, DType::Int8, 0.1, 0);
        let coarse = Row { tensor: "coarse".to_owned(), ..row(TensorKind::Activation, DType::Int8, 0.3, 0) };
        let mut values: Vec<f32> = (0..2000).map(|i| (i % 21 - 10) as f32 * 0.31).collect();
        values.push(38.0);
        let fault = mismatched_branches("Add", &[&fine, &coarse], &values).unwrap();
        assert_eq!(fault.tensor, "coarse");
        // Where no narrower range is better, as without values, there is a fix all the same.
        let bits = |fault: &Fault| match &fault.fix.1[..] {
            [Edit { change: Change::Codes { bits, .. }, .. }] => *bits,
            _ => 0,
        };
        let fault = mismatched_branches("Add", &[&fine, &coarse], &[]).unwrap();
        assert_eq!((bits(&fault), fault.fix.1[0].tensor.as_str()), (16, "coarse"));
        let wide = |row: &Row| Row {
            grid: Grid {
                bits: 16,
                params: QuantParams { dtype: DType::Int16, ..row.grid.params.clone() },
                ..row.grid.clone()
            },
            ..row.clone()
        };
        let (fine_wide, coarse_wide) = (wide(&fine), wide(&coarse));
        let fault = mismatched_branches("Add", &[&fine_wide, &coarse_wide], &[]).unwrap();
        assert_eq!(fault.fix.1, [coarse.edit(Change::Grid(fine_wide.grid.clone()))]);
        assert!(mismatched_branches("Add", &[&fine, &fine], &values).is_none());
        assert!(quantized_twice(&fine, &fine).is_none());
        assert_eq!(quantized_twice(&fine, &coarse).unwrap().tensor, "coarse");
        assert!(quantized_two_ways("a", &fine, &coarse).unwrap().title.contains("'a'"));
    }

    #[test]
    fn a_rare_outlier_is_worth_clipping() {
        let few_bits = Grid { bits: 4, ..row(TensorKind::Activation, DType::Int8, 1.0, 0).grid };
        let row = Row::new("t", TensorKind::Activation, few_bits);
        let mut values: Vec<f32> = (0..10_000).map(|i| (i % 200) as f32 * 0.01 - 1.0).collect();
        values.push(3.0);
        let (low, high) = least_error_range(&values, &row).unwrap();
        assert!(high < 2.0 && low < 0.0, "{low} {high}");
        assert_eq!(least_error_range(&[], &row), None);
    }

    #[test]
    fn figures_have_four_digits() {
        assert_eq!([0.0, 1.0, 0.012344, 123.456, 1e-9].map(figure), ["0", "1.000", "0.01234", "123.5", "1.000e-9"]);
    }
}
