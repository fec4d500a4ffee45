//! Colours as plain numbers, with the contrast formula that the tokens are tested against.

/// An sRGB colour with straight alpha.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Color {
    /// Red, 0 to 255.
    pub red: u8,
    /// Green, 0 to 255.
    pub green: u8,
    /// Blue, 0 to 255.
    pub blue: u8,
    /// Opacity, 0 to 1.
    pub alpha: f64,
}

impl Color {
    /// An opaque colour out of `0xrrggbb`.
    pub const fn hex(rgb: u32) -> Self {
        let [_, red, green, blue] = rgb.to_be_bytes();
        Self { red, green, blue, alpha: 1.0 }
    }

    /// Reads `#rgb` or `#rrggbb`, as the style tokens write them; `None` for anything else.
    pub fn parse(css: &str) -> Option<Self> {
        let digits = css.trim().strip_prefix('#')?;
        let value = u32::from_str_radix(digits, 16).ok()?;
        match digits.len() {
            6 => Some(Self::hex(value)),
            3 => {
                let wide = |nibble: u32| (nibble & 0xf) * 0x11;
                Some(Self::hex(wide(value >> 8) << 16 | wide(value >> 4) << 8 | wide(value)))
            }
            _ => None,
        }
    }

    /// The same colour at another opacity.
    pub const fn with_alpha(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }

    /// `#rrggbb`, without the alpha: SVG writes opacity as its own attribute.
    pub fn to_hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }

    /// `self` at its opacity laid over an opaque `backdrop`.
    pub fn over(self, backdrop: Color) -> Self {
        backdrop.mix(self.with_alpha(1.0), self.alpha)
    }

    /// Linear interpolation in sRGB: `self` at 0, `other` at 1; `share` is clamped.
    pub fn mix(self, other: Color, share: f64) -> Self {
        let share = share.clamp(0.0, 1.0);
        // `as u8` saturates, and the value is within 0..=255 already.
        let channel = |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * share + 0.5) as u8;
        Self {
            red: channel(self.red, other.red),
            green: channel(self.green, other.green),
            blue: channel(self.blue, other.blue),
            alpha: self.alpha + (other.alpha - self.alpha) * share,
        }
    }

    /// Relative luminance, 0 (black) to 1 (white), of the opaque colour (WCAG 2.2, "relative luminance").
    pub fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }

    /// Contrast ratio of two opaque colours, 1 to 21 (WCAG 2.2, "contrast ratio").
    pub fn contrast(self, other: Color) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_spellings_and_nothing_else() {
        assert_eq!(Color::parse("#0072b2"), Some(Color::hex(0x00_72_b2)));
        assert_eq!(Color::parse(" #fff "), Some(Color::hex(0xff_ff_ff)));
        assert_eq!(Color::parse("#12345"), None);
        assert_eq!(Color::parse("red"), None);
        assert_eq!(Color::parse("#0072b2").map(Color::to_hex).as_deref(), Some("#0072b2"));
    }

    #[test]
    fn contrast_agrees_with_the_published_ends_of_the_scale() {
        let (black, white) = (Color::hex(0), Color::hex(0xff_ff_ff));
        assert!((black.contrast(white) - 21.0).abs() < 1e-9);
        assert!((white.contrast(white) - 1.0).abs() < 1e-9);
        // #767676 on white is the customary example of the lightest grey that passes AA: 4.54.
        assert!((Color::hex(0x76_76_76).contrast(white) - 4.54).abs() < 0.005);
    }

    #[test]
    fn laying_over_mixes_by_the_opacity() {
        let half = Color::hex(0xff_ff_ff).with_alpha(0.5).over(Color::hex(0));
        assert_eq!(half, Color::hex(0x80_80_80));
        assert_eq!(Color::hex(0x10_20_30).mix(Color::hex(0), 7.0), Color::hex(0));
    }
}
