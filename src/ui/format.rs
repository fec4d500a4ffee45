//! Numbers as people read them.

/// "314 KB": decimal multiples, as files are shown; exact below 1 KB.
pub fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.0} KB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}

/// "12,501,632": digits in groups of three.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "12.5 M", "78.7 K": three significant digits.
pub fn short(count: u64) -> String {
    let (value, unit) = match count {
        0..1_000 => return count.to_string(),
        1_000..1_000_000 => (count as f64 / 1e3, "K"),
        1_000_000..1_000_000_000 => (count as f64 / 1e6, "M"),
        _ => (count as f64 / 1e9, "G"),
    };
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$} {unit}")
}

/// A number with six significant digits, without trailing zeros; tiny and huge ones in powers of ten.
pub fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let magnitude = value.abs().log10().floor() as i32;
    if !(-5..7).contains(&magnitude) {
        return format!("{value:.5e}");
    }
    let decimals = (5 - magnitude).max(0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The shortest text that reads back as the same `f32`: what the file says, to the last bit.
pub fn exact(value: f32) -> String {
    if value != 0.0 && !(1e-5..1e16).contains(&value.abs()) { format!("{value:e}") } else { value.to_string() }
}

/// "51.3 %". What rounds to nothing has no sign.
pub fn percent(share: f64) -> String {
    let text = format!("{:.1} %", share * 100.0);
    if text == "-0.0 %" { "0.0 %".to_owned() } else { text }
}

/// "3 × 3 × 16 × 32"; "scalar" where there is no dim.
pub fn shape<D: ToString>(dims: &[D]) -> String {
    if dims.is_empty() {
        return "scalar".to_owned();
    }
    dims.iter().map(D::to_string).collect::<Vec<_>>().join(" × ")
}

/// "1.4 s", "230 ms", "2 min".
pub fn duration(duration_ms: f64) -> String {
    match duration_ms {
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 1e3 => format!("{ms:.0} ms"),
        ms if ms < 120e3 => format!("{:.1} s", ms / 1e3),
        ms => format!("{:.0} min", ms / 60e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_six_digits() {
        assert_eq!(number(0.0032690405), "0.00326904");
        assert_eq!(number(-12.5), "-12.5");
        assert_eq!(number(255.0), "255");
        assert_eq!(number(1e-9), "1.00000e-9");
        assert_eq!(number(f64::NAN), "NaN");
    }

    #[test]
    fn what_rounds_to_nothing_has_no_sign() {
        assert_eq!([percent(-0.000_2), percent(-0.0), percent(-0.001)], ["0.0 %", "0.0 %", "-0.1 %"]);
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(
            (grouped(12501632), grouped(100), grouped(1000)),
            ("12,501,632".into(), "100".into(), "1,000".into())
        );
        assert_eq!((short(78668), short(2359296), short(12)), ("78.7 K".into(), "2.36 M".into(), "12".into()));
    }

    #[test]
    fn exact_reads_back() {
        for value in [0.003_269_040_5_f32, 1.0, 1e-30, f32::MAX, f32::MIN_POSITIVE] {
            assert_eq!(exact(value).parse::<f32>().ok(), Some(value));
        }
    }
}
