//! Numbers as people read them: a real minus sign, thousands apart, no noise digits.

use std::collections::BTreeSet;

/// U+2212, which is as wide as a digit in tabular figures; the hyphen is not.
pub const MINUS: char = '\u{2212}';

fn typographic(ascii: String) -> String {
    ascii.replace('-', &MINUS.to_string())
}

/// A count with thousands apart: `9,216`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A value at `digits` significant digits: `0.003269`, `−0.4184`, `9,216`, `3.27e−8`.
///
/// Whole numbers below 10^15 are exact; from 10^6 and below 10^-4 the exponent is written; NaN is an en dash.
pub fn value(value: f64, digits: usize) -> String {
    let digits = digits.max(1);
    if value.is_nan() {
        return "–".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "∞".into() } else { format!("{MINUS}∞") };
    }
    let size = value.abs();
    if size == 0.0 {
        return "0".into();
    }
    if value.fract() == 0.0 && size < 1e15 {
        let sign = if value < 0.0 { MINUS.to_string() } else { String::new() };
        return format!("{sign}{}", count(size as u64));
    }
    if !(1e-4..1e6).contains(&size) {
        return typographic(format!("{value:.*e}", digits - 1));
    }
    let whole_digits = size.log10().floor() as i64 + 1;
    let decimals = usize::try_from(digits as i64 - whole_digits).unwrap_or(0);
    typographic(format!("{value:.decimals$}"))
}

/// A tick's label on an axis whose ticks are `step` apart: as many decimals as the step needs, `k`, `M`, `G` above 10^4.
pub fn tick(value: f64, step: f64) -> String {
    let step = if step.is_finite() && step > 0.0 { step } else { 1.0 };
    if value == 0.0 {
        return "0".into();
    }
    for (size, suffix) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if value.abs() >= size && (value.abs() >= 1e4 || size >= 1e6) && step >= size / 100.0 {
            let decimals = decimals_of(step / size);
            return typographic(format!("{:.decimals$}{suffix}", value / size));
        }
    }
    let decimals = decimals_of(step);
    if decimals > 5 || value.abs() >= 1e9 {
        let digits = ((value.abs() / step).log10().ceil().max(0.0) as usize).min(6);
        let short = format!("{value:.*e}", digits);
        return typographic(trim_mantissa(&short));
    }
    typographic(format!("{value:.decimals$}"))
}

fn trim_mantissa(scientific: &str) -> String {
    match scientific.split_once('e') {
        Some((mantissa, exponent)) if mantissa.contains('.') => {
            format!("{}e{exponent}", mantissa.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => scientific.to_owned(),
    }
}

fn decimals_of(step: f64) -> usize {
    // Half an ulp of slack, or a step of 0.1 (a little above the real 0.1) would ask for two decimals.
    let places = -(step * (1.0 + 1e-9)).log10().floor();
    let mut places = if places.is_finite() { places.clamp(0.0, 12.0) as usize } else { 0 };
    // A step such as 0.25 needs one more than its magnitude says.
    while places < 12 && ((step * 10f64.powi(places as i32)).fract() - 0.5).abs() < 0.3 {
        places += 1;
    }
    places
}

/// `text` cut to about `room_px` at `size_px`, in the middle, where names of layers differ least.
pub fn ellipsize(text: &str, room_px: f64, size_px: f64) -> String {
    cut(text, room_px, size_px, HALF)
}

/// Shares of what is kept that stand before the cut, in the order they are tried.
const HEADS: [f64; 7] = [HALF, 0.65, 0.75, 0.35, 0.25, 0.9, 0.0];
const HALF: f64 = 0.5;

/// All of `texts` cut to about `room_px` at one place, so that as many of them as possible stay apart: the cut moves out of
/// the middle where that is what tells them apart.
pub fn ellipsize_all<'a>(texts: impl Iterator<Item = &'a str> + Clone, room_px: f64, size_px: f64) -> Vec<String> {
    let at = |head: f64| texts.clone().map(|text| cut(text, room_px, size_px, head)).collect::<Vec<_>>();
    let apart = |cut: &[String]| cut.iter().collect::<BTreeSet<_>>().len();
    let most = texts.clone().collect::<BTreeSet<_>>().len();
    let mut best = at(HALF);
    for head in &HEADS[1..] {
        if apart(&best) == most {
            break;
        }
        let other = at(*head);
        if apart(&other) > apart(&best) {
            best = other;
        }
    }
    best
}

/// `text` cut to about `room_px`, with the share `head` of what is kept before the cut.
fn cut(text: &str, room_px: f64, size_px: f64, head: f64) -> String {
    if text_width_px(text, size_px) <= room_px {
        return text.to_owned();
    }
    let characters: Vec<char> = text.chars().collect();
    let keep = ((room_px / (size_px * AVERAGE_ADVANCE)) as usize).saturating_sub(1).min(characters.len());
    let head = (keep as f64 * head).ceil() as usize;
    let tail = characters.len() - (keep - head);
    characters[..head].iter().chain(std::iter::once(&'…')).chain(&characters[tail..]).collect()
}

/// Advance of a tabular digit in the widest of the usual interface fonts, as a share of the font size. A DOM
/// measurement per label would cost a layout each; what depends on this is only room, never an anchor.
const AVERAGE_ADVANCE: f64 = 0.64;

/// About how wide `text` is.
pub fn text_width_px(text: &str, size_px: f64) -> f64 {
    let narrow = text.chars().filter(|letter| matches!(letter, '.' | ',' | ' ' | 'i' | 'l' | 'I' | '/' | ':')).count();
    let all = text.chars().count();
    ((all - narrow) as f64 * AVERAGE_ADVANCE + narrow as f64 * 0.36) * size_px
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_people_write_them() {
        assert_eq!(value(0.003_269_0, 5), "0.0032690");
        assert_eq!(value(-0.418_43, 4), "−0.4184");
        assert_eq!(value(9216.0, 4), "9,216");
        assert_eq!(value(-1_234_567.0, 4), "−1,234,567");
        assert_eq!(value(3.27e-8, 3), "3.27e−8");
        assert_eq!(value(21.794_26, 4), "21.79");
        assert_eq!(value(f64::INFINITY, 4), "∞");
        assert_eq!(value(f64::NAN, 4), "–");
        assert_eq!(value(0.0, 4), "0");
        assert_eq!(value(-0.0, 4), "0");
        assert_eq!(value(123_456.7, 4), "123457");
    }

    #[test]
    fn ticks_have_the_decimals_of_their_step() {
        assert_eq!(tick(0.4, 0.2), "0.4");
        assert_eq!(tick(-0.4, 0.1), "−0.4");
        assert_eq!(tick(0.25, 0.25), "0.25");
        assert_eq!(tick(40.0, 20.0), "40");
        assert_eq!(tick(2500.0, 500.0), "2500");
        assert_eq!(tick(120_000.0, 20_000.0), "120k");
        assert_eq!(tick(1_500_000.0, 500_000.0), "1.5M");
        assert_eq!(tick(2e-7, 1e-7), "2e−7");
        assert_eq!(tick(0.0, 1e-7), "0");
    }

    #[test]
    fn long_names_lose_their_middle() {
        let short = ellipsize("average_pooling2d_1/AvgPool", 90.0, 11.0);
        assert!(short.contains('…') && short.starts_with("ave") && short.ends_with("ool"), "{short}");
        assert!(text_width_px(&short, 11.0) <= 96.0);
        assert_eq!(ellipsize("dense", 90.0, 11.0), "dense");
        // What tells names apart is kept, wherever it stands.
        let names: Vec<String> = ["1", "1_2", "2_1", "3_1", "12_1"]
            .iter()
            .flat_map(|number| {
                ["mul_1 scale", "add_1 bias"].map(|own| format!("batch_normalization_{number}/batchnorm/{own}"))
            })
            .collect();
        let short = ellipsize_all(names.iter().map(String::as_str), 215.0, 11.5);
        assert_eq!(short.iter().collect::<BTreeSet<_>>().len(), names.len(), "{short:?}");
        assert!(short.iter().all(|name| name.contains('…') && text_width_px(name, 11.5) <= 215.0), "{short:?}");
        let kept = ellipsize_all(["a/conv", "b/conv"].into_iter(), 90.0, 11.0);
        assert_eq!(kept, ["a/conv", "b/conv"]);
        assert_eq!(ellipsize("dense", 0.0, 11.0), "…");
    }
}
