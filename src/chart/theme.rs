//! The colours of both themes for what is painted instead of styled.
//!
//! A canvas cannot use CSS custom properties, so the constants here mirror `style/tokens.css`; a test parses that file
//! and compares. A colour belongs to a thing everywhere, so callers name a [`Role`] and never a colour.

use super::color::Color;

/// What a series is, which decides its colour in every chart, legend, chip and table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The float model.
    Float,
    /// An int8 model.
    Int8,
    /// A uint8 model.
    Uint8,
    /// The model with the user's edits.
    Edited,
    /// What saturation cuts off.
    Clip,
    /// What rounding loses.
    Round,
    /// Context that has no identity of its own.
    Neutral,
    /// Any further variant, numbered from 0; the palette repeats after [`OTHERS`].
    Other(u8),
}

/// How many further identities have a colour of their own.
pub const OTHERS: usize = 4;
/// Stops of the sequential ramp.
pub const SEQUENTIAL_STOPS: usize = 5;

impl Role {
    /// The CSS custom property with this role's colour, for HTML swatches: `var(--float)`.
    pub fn css_variable(self) -> String {
        match self {
            Role::Float => "var(--float)".into(),
            Role::Int8 => "var(--int8)".into(),
            Role::Uint8 => "var(--uint8)".into(),
            Role::Edited => "var(--edit)".into(),
            Role::Clip => "var(--clip)".into(),
            Role::Round => "var(--round)".into(),
            Role::Neutral => "var(--neutral)".into(),
            Role::Other(number) => format!("var(--other-{})", usize::from(number) % OTHERS),
        }
    }
}

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Brightness {
    /// Dark ink on light paper.
    #[default]
    Light,
    /// Light ink on dark paper.
    Dark,
}

/// The painted colours of one theme. The field names are the names of the CSS tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Theme {
    /// Which theme this is.
    pub brightness: Brightness,
    /// The page behind the panels.
    pub bg: Color,
    /// Behind a chart.
    pub panel: Color,
    /// Buttons, handles, tooltips.
    pub raise: Color,
    /// Main text.
    pub ink: Color,
    /// Secondary text.
    pub ink2: Color,
    /// Ticks and hints: the faintest text that still has AA contrast.
    pub ink3: Color,
    /// Hairlines.
    pub line: Color,
    /// Borders of controls.
    pub line2: Color,
    /// Grid lines.
    pub grid: Color,
    /// What is selected.
    pub accent: Color,
    /// Text on the accent.
    pub accent_ink: Color,
    /// The ground of what is selected.
    pub accent_soft: Color,
    /// Identity: the float model.
    pub float: Color,
    /// Identity: int8.
    pub int8: Color,
    /// Identity: uint8.
    pub uint8: Color,
    /// Identity: edited.
    pub edit: Color,
    /// Identity: clipping.
    pub clip: Color,
    /// Identity: rounding.
    pub round: Color,
    /// Context without an identity.
    pub neutral: Color,
    /// Further identities.
    pub other: [Color; OTHERS],
    /// Single-hue ramp from little to much; it ends where the contrast with the panel is highest.
    pub sequential: [Color; SEQUENTIAL_STOPS],
    /// The middle of the diverging ramp, whose ends are `float` (negative) and `int8` (positive).
    pub diverging_mid: Color,
}

/// The font stack of `style/tokens.css` (`--sans`), for canvas and SVG text.
pub const FONT_FAMILY: &str = "Inter, system-ui, -apple-system, \"Segoe UI\", Roboto, sans-serif";
/// Size of tick labels, in CSS pixels.
pub const TICK_SIZE_PX: f64 = 10.5;
/// Size of labels that carry a value, in CSS pixels.
pub const LABEL_SIZE_PX: f64 = 11.0;

impl Theme {
    /// The light theme.
    pub const LIGHT: Theme = Theme {
        brightness: Brightness::Light,
        bg: Color::hex(0xf4f5f7),
        panel: Color::hex(0xffffff),
        raise: Color::hex(0xffffff),
        ink: Color::hex(0x16191f),
        ink2: Color::hex(0x4f5665),
        ink3: Color::hex(0x656d7b),
        line: Color::hex(0xe3e6eb),
        line2: Color::hex(0xcfd4dc),
        grid: Color::hex(0xeceff3),
        accent: Color::hex(0x4338ca),
        accent_ink: Color::hex(0xffffff),
        accent_soft: Color::hex(0xeeedfb),
        float: Color::hex(0x0072b2),
        int8: Color::hex(0xd55e00),
        uint8: Color::hex(0x009e73),
        edit: Color::hex(0xb0468b),
        clip: Color::hex(0xc81e3a),
        round: Color::hex(0xc08400),
        neutral: Color::hex(0x767e8c),
        other: [Color::hex(0x3b6fb6), Color::hex(0x7a6a00), Color::hex(0x8a5a44), Color::hex(0x3d7d86)],
        sequential: [
            Color::hex(0x6fa0a8),
            Color::hex(0x48838e),
            Color::hex(0x2a6672),
            Color::hex(0x134854),
            Color::hex(0x052a33),
        ],
        diverging_mid: Color::hex(0xffffff),
    };

    /// The dark theme.
    pub const DARK: Theme = Theme {
        brightness: Brightness::Dark,
        bg: Color::hex(0x0e1014),
        panel: Color::hex(0x15181e),
        raise: Color::hex(0x1b1f27),
        ink: Color::hex(0xe9ecf1),
        ink2: Color::hex(0xa9b1be),
        ink3: Color::hex(0x8a93a2),
        line: Color::hex(0x242933),
        line2: Color::hex(0x343b48),
        grid: Color::hex(0x20252e),
        accent: Color::hex(0x9790ff),
        accent_ink: Color::hex(0x0e1014),
        accent_soft: Color::hex(0x211f3d),
        float: Color::hex(0x56b4e9),
        int8: Color::hex(0xff8f4d),
        uint8: Color::hex(0x3ad6a8),
        edit: Color::hex(0xe58cc4),
        clip: Color::hex(0xff5d73),
        round: Color::hex(0xf2c14e),
        neutral: Color::hex(0x8a93a2),
        other: [Color::hex(0x8fb4f2), Color::hex(0xd6cf5a), Color::hex(0xd3a285), Color::hex(0x7fd0d8)],
        sequential: [
            Color::hex(0x3f6f78),
            Color::hex(0x4f929d),
            Color::hex(0x6bb5bf),
            Color::hex(0x97d5da),
            Color::hex(0xd3f5f4),
        ],
        diverging_mid: Color::hex(0x15181e),
    };

    /// The theme of a brightness.
    pub const fn of(brightness: Brightness) -> Theme {
        match brightness {
            Brightness::Light => Theme::LIGHT,
            Brightness::Dark => Theme::DARK,
        }
    }

    /// The colour of a role.
    pub fn role(&self, role: Role) -> Color {
        match role {
            Role::Float => self.float,
            Role::Int8 => self.int8,
            Role::Uint8 => self.uint8,
            Role::Edited => self.edit,
            Role::Clip => self.clip,
            Role::Round => self.round,
            Role::Neutral => self.neutral,
            Role::Other(number) => self.other[usize::from(number) % OTHERS],
        }
    }

    /// Opacity of a filled area that lies under outlines: the same apparent weight in both themes.
    pub fn fill_alpha(&self) -> f64 {
        match self.brightness {
            Brightness::Light => 0.42,
            Brightness::Dark => 0.48,
        }
    }

    /// The sequential ramp at `share` (0 little, 1 much; clamped; NaN is little).
    pub fn sequential_at(&self, share: f64) -> Color {
        let position = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) } * (SEQUENTIAL_STOPS - 1) as f64;
        let below = (position.floor() as usize).min(SEQUENTIAL_STOPS - 2);
        self.sequential[below].mix(self.sequential[below + 1], position - below as f64)
    }

    /// The diverging ramp at `share` (-1 negative, 0 nothing, 1 positive; clamped; NaN is nothing).
    pub fn diverging_at(&self, share: f64) -> Color {
        let share = if share.is_nan() { 0.0 } else { share.clamp(-1.0, 1.0) };
        self.diverging_mid.mix(if share < 0.0 { self.float } else { self.int8 }, share.abs())
    }
}

#[cfg(test)]
#[path = "theme_tests.rs"]
mod tests;
