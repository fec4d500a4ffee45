//! Feature maps as pictures: one pixel per value, coloured by a ramp on a range that all tiles of a view share.

use super::theme::Theme;

/// One channel of an activation.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {
    /// "channel 3".
    pub label: String,
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Row by row; missing values are drawn as background.
    pub values: Vec<f32>,
}

/// How a value becomes a colour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ramp {
    /// From `lo` (background) to `hi` (full): activations after a ReLU.
    Sequential {
        /// Value of the ramp's start.
        lo: f32,
        /// Value of the ramp's end.
        hi: f32,
    },
    /// Around zero, to `± most`: differences and signed activations.
    Diverging {
        /// The magnitude with full colour.
        most: f32,
    },
    /// Three interleaved values per pixel, 0 to 255, as they are: the input image.
    Rgb,
}

impl Ramp {
    /// The ramp for values that span `lo..hi`: diverging as soon as some are negative.
    pub fn spanning(lo: f32, hi: f32) -> Self {
        if lo < 0.0 { Ramp::Diverging { most: hi.abs().max(lo.abs()) } } else { Ramp::Sequential { lo, hi } }
    }
}

/// The largest side a tile may have: more is no feature map, and a canvas could not hold it.
pub const MOST_PIXELS_A_SIDE: usize = 4096;

/// The tile's pixels as RGBA, `width * height * 4` bytes; empty if a side is 0 or beyond [`MOST_PIXELS_A_SIDE`].
pub fn pixels(tile: &Tile, ramp: Ramp, theme: &Theme) -> Vec<u8> {
    let sides = 1..=MOST_PIXELS_A_SIDE;
    if !sides.contains(&tile.width) || !sides.contains(&tile.height) {
        return Vec::new();
    }
    let mut rgba = Vec::with_capacity(tile.width * tile.height * 4);
    for index in 0..tile.width * tile.height {
        let value = |index: usize| tile.values.get(index).copied().unwrap_or(f32::NAN);
        let color = match ramp {
            Ramp::Sequential { lo, hi } => {
                let width = hi - lo;
                let share = if width > 0.0 { f64::from((value(index) - lo) / width) } else { 0.0 };
                let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
                // The first fifth leads from the background into the ramp, so that "nothing" looks like nothing.
                let foot = theme.diverging_mid.mix(theme.sequential[0], share * 5.0);
                if share < 0.2 { foot } else { theme.sequential_at((share - 0.2) / 0.8) }
            }
            Ramp::Diverging { most } => {
                theme.diverging_at(if most > 0.0 { f64::from(value(index) / most) } else { 0.0 })
            }
            Ramp::Rgb => {
                // `as u8` saturates and takes NaN to 0.
                let channel = |channel: usize| value(index * 3 + channel) as u8;
                rgba.extend([channel(0), channel(1), channel(2), 255]);
                continue;
            }
        };
        rgba.extend([color.red, color.green, color.blue, 255]);
    }
    rgba
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(values: Vec<f32>) -> Tile {
        Tile { label: "0".into(), width: 2, height: 1, values }
    }

    #[test]
    fn ends_of_the_ramps_have_the_colours_of_the_theme() {
        let theme = Theme::LIGHT;
        let ends = pixels(&tile(vec![-2.0, 9.0]), Ramp::Diverging { most: 2.0 }, &theme);
        assert_eq!(ends, [0x00, 0x72, 0xb2, 255, 0xd5, 0x5e, 0x00, 255]);
        let ends = pixels(&tile(vec![0.0, 4.0]), Ramp::spanning(0.0, 4.0), &theme);
        assert_eq!(ends, [255, 255, 255, 255, 0x05, 0x2a, 0x33, 255]);
        assert_eq!(Ramp::spanning(-1.0, 0.5), Ramp::Diverging { most: 1.0 });
    }

    #[test]
    fn odd_tiles_are_background_or_nothing() {
        let theme = Theme::DARK;
        let flat = pixels(&tile(vec![f32::NAN]), Ramp::spanning(0.0, 0.0), &theme);
        assert_eq!(flat, [0x15, 0x18, 0x1e, 255].repeat(2));
        assert!(pixels(&Tile { width: 0, ..tile(vec![]) }, Ramp::Rgb, &theme).is_empty());
        assert!(pixels(&Tile { width: 1 << 20, ..tile(vec![]) }, Ramp::Rgb, &theme).is_empty());
        let image = pixels(&tile(vec![0.0, 127.9, 300.0, 1.0, 2.0, f32::NAN]), Ramp::Rgb, &theme);
        assert_eq!(image, [0, 127, 255, 255, 1, 2, 0, 255]);
    }
}
