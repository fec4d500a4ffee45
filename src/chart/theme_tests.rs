//! The painted colours and the styled colours are one set, and all text has AA contrast in both themes.

use super::*;
use std::collections::BTreeMap;

const TOKENS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/style/tokens.css"));
/// WCAG 2.2, success criterion 1.4.3: text of normal size.
const AA_TEXT: f64 = 4.5;
/// WCAG 2.2, success criterion 1.4.11: marks that carry meaning.
const AA_MARK: f64 = 3.0;

/// The custom properties of the block that follows `selector`.
fn tokens(selector: &str) -> BTreeMap<String, String> {
    let start = TOKENS.find(selector).unwrap_or_else(|| panic!("no block {selector} in tokens.css"));
    let block = &TOKENS[start..];
    let block = &block[block.find('{').unwrap() + 1..block.find('}').unwrap()];
    block
        .split(';')
        .filter_map(|declaration| declaration.split("*/").last()?.trim().strip_prefix("--")?.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

fn light() -> BTreeMap<String, String> {
    tokens(":root {")
}

fn dark() -> BTreeMap<String, String> {
    tokens("[data-theme=\"dark\"] {")
}

fn color(tokens: &BTreeMap<String, String>, name: &str) -> Color {
    let value = tokens.get(name).unwrap_or_else(|| panic!("no token --{name}"));
    Color::parse(value).unwrap_or_else(|| panic!("--{name}: {value} is no hex colour"))
}

fn painted(theme: &Theme) -> Vec<(String, Color)> {
    let mut named: Vec<(String, Color)> = [
        ("bg", theme.bg),
        ("panel", theme.panel),
        ("raise", theme.raise),
        ("ink", theme.ink),
        ("ink2", theme.ink2),
        ("ink3", theme.ink3),
        ("line", theme.line),
        ("line2", theme.line2),
        ("grid", theme.grid),
        ("accent", theme.accent),
        ("accent-ink", theme.accent_ink),
        ("accent-soft", theme.accent_soft),
        ("float", theme.float),
        ("int8", theme.int8),
        ("uint8", theme.uint8),
        ("edit", theme.edit),
        ("clip", theme.clip),
        ("round", theme.round),
        ("neutral", theme.neutral),
        ("div-mid", theme.diverging_mid),
    ]
    .into_iter()
    .map(|(name, color)| (name.to_owned(), color))
    .collect();
    named.extend(theme.other.iter().enumerate().map(|(number, color)| (format!("other-{number}"), *color)));
    named.extend(theme.sequential.iter().enumerate().map(|(number, color)| (format!("seq-{number}"), *color)));
    named
}

#[test]
fn the_constants_mirror_the_style_tokens() {
    for (theme, tokens) in [(Theme::LIGHT, light()), (Theme::DARK, dark())] {
        for (name, painted) in painted(&theme) {
            assert_eq!(painted.to_hex(), color(&tokens, &name).to_hex(), "--{name} in {:?}", theme.brightness);
        }
    }
    let stack = light().get("sans").cloned().unwrap_or_default();
    assert_eq!(stack, FONT_FAMILY, "--sans");
}

#[test]
fn the_dark_block_for_the_system_setting_equals_the_chosen_one() {
    assert_eq!(tokens(":root:not([data-theme=\"light\"]) {"), dark());
}

#[test]
fn text_has_aa_contrast_on_every_ground_it_stands_on() {
    for (tokens, name) in [(light(), "light"), (dark(), "dark")] {
        for ground in ["panel", "bg", "raise", "accent-soft"] {
            for ink in [
                "ink",
                "ink2",
                "ink3",
                "accent",
                "good",
                "bad",
                "warn",
                "float-ink",
                "int8-ink",
                "uint8-ink",
                "edit-ink",
            ] {
                let ratio = color(&tokens, ink).contrast(color(&tokens, ground));
                assert!(ratio >= AA_TEXT, "{name}: --{ink} on --{ground} is {ratio:.2}");
            }
        }
        let ratio = color(&tokens, "accent-ink").contrast(color(&tokens, "accent"));
        assert!(ratio >= AA_TEXT, "{name}: --accent-ink on --accent is {ratio:.2}");
        for op in ["conv", "norm", "act", "pool", "shape", "dense", "quant", "other"] {
            let ratio = color(&tokens, "op-ink").contrast(color(&tokens, &format!("op-{op}")));
            assert!(ratio >= AA_TEXT, "{name}: --op-ink on --op-{op} is {ratio:.2}");
        }
    }
}

#[test]
fn marks_stand_out_from_the_panel() {
    for theme in [Theme::LIGHT, Theme::DARK] {
        let mut marks = vec![theme.float, theme.int8, theme.uint8, theme.edit, theme.clip, theme.round, theme.neutral];
        marks.extend(theme.other);
        marks.extend(&theme.sequential[1..]);
        for mark in marks {
            let ratio = mark.contrast(theme.panel);
            assert!(ratio >= AA_MARK, "{:?}: {} is {ratio:.2}", theme.brightness, mark.to_hex());
        }
    }
}

#[test]
fn ramps_are_monotonic_in_contrast_and_take_any_number() {
    for theme in [Theme::LIGHT, Theme::DARK] {
        let ratios: Vec<f64> =
            (0..=20).map(|i| theme.sequential_at(f64::from(i) / 20.0).contrast(theme.panel)).collect();
        assert!(ratios.windows(2).all(|pair| pair[0] < pair[1]), "{:?} {ratios:?}", theme.brightness);
        assert_eq!(theme.sequential_at(f64::NAN), theme.sequential[0]);
        assert_eq!(theme.sequential_at(9.0), theme.sequential[SEQUENTIAL_STOPS - 1]);
        assert_eq!(theme.diverging_at(-2.0), theme.float);
        assert_eq!(theme.diverging_at(f64::NAN), theme.diverging_mid);
    }
}
