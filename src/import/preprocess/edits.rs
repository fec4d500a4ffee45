//! What a user sets by hand, over what is read off each model.

use super::{Colour, Layout, PixelRange, Preprocess, Resize};
use serde::{Deserialize, Serialize};

/// Preprocessing set by hand. **What is `None` stays as read off each model**: models of different layouts and sizes
/// share one of these.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PreprocessEdits {
    /// Where the channels stand; taken by models whose shape leaves it open ([`Preprocess::either_layout`]).
    pub layout: Option<Layout>,
    /// The order of the channels.
    pub colour: Option<Colour>,
    /// The range of the values.
    pub range: Option<PixelRange>,
    /// Subtracted per channel; an empty list takes off what was read off.
    pub mean: Option<Vec<f32>>,
    /// Divided by per channel; an empty list takes off what was read off.
    pub std: Option<Vec<f32>>,
    /// What is done with images of another size.
    pub resize: Option<Resize>,
}

impl PreprocessEdits {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// A model's own settings with these over them.
    pub fn over(&self, read_off: &Preprocess) -> Preprocess {
        let mut used = match self.layout {
            Some(layout) if read_off.either_layout => read_off.turned_to(layout),
            _ => read_off.clone(),
        };
        used.colour = self.colour.unwrap_or(used.colour);
        used.range = self.range.unwrap_or(used.range);
        used.resize = self.resize.unwrap_or(used.resize);
        if let Some(mean) = &self.mean {
            used.mean.clone_from(mean);
        }
        if let Some(std) = &self.std {
            used.std.clone_from(std);
        }
        used
    }

    /// The fields that are set and count for a model, in words.
    pub fn given(&self, read_off: &Preprocess) -> Vec<&'static str> {
        let fields = [
            ("layout", self.layout.is_some() && read_off.either_layout),
            ("channel order", self.colour.is_some()),
            ("value range", self.range.is_some()),
            ("mean", self.mean.is_some()),
            ("std", self.std.is_some()),
            ("resize", self.resize.is_some()),
        ];
        fields.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }

    /// How images become a model's input, and which of it was given and which was read off; `explanation` is that of
    /// the [`super::ReadOff`].
    pub fn sentence(&self, read_off: &Preprocess, explanation: &str) -> String {
        let settings = self.over(read_off).words();
        let given = self.given(read_off);
        let origin = match given.is_empty() {
            true => "as read off the model".to_owned(),
            false => format!("{} as given, the rest as read off the model", given.join(", ")),
        };
        let mut sentence = format!("{settings}; {origin}. {explanation}");
        if let Some(layout) = self.layout.filter(|layout| *layout != read_off.layout && !read_off.either_layout) {
            sentence += &format!(" It cannot be {}: the input's shape decides.", layout.name());
        }
        sentence
    }
}

impl Layout {
    /// `NHWC` or `NCHW`.
    pub fn name(self) -> &'static str {
        match self {
            Layout::Nhwc => "NHWC",
            Layout::Nchw => "NCHW",
        }
    }
}

impl Preprocess {
    /// "NHWC, RGB, raw 0..255, no mean, no std, other sizes stretched".
    pub fn words(&self) -> String {
        let colour = match self.colour {
            Colour::Rgb => "RGB",
            Colour::Bgr => "BGR",
            Colour::Gray => "gray",
        };
        let range = match self.range {
            PixelRange::Raw255 => "raw 0..255".to_owned(),
            PixelRange::Unit => "0..1".to_owned(),
            PixelRange::SignedUnit => "-1..1".to_owned(),
            PixelRange::Custom { scale, offset } => format!("pixel x {scale} + {offset}"),
        };
        let listed = |name: &str, values: &[f32]| match values {
            [] => format!("no {name}"),
            values => format!("{name} {}", values.iter().map(f32::to_string).collect::<Vec<_>>().join(" ")),
        };
        let resize = match self.resize {
            Resize::None => "no resizing",
            Resize::Stretch => "other sizes stretched",
            Resize::Crop { .. } => "the middle of other sizes cut out",
        };
        let (mean, std) = (listed("mean", &self.mean), listed("std", &self.std));
        format!("{}, {colour}, {range}, {mean}, {std}, {resize}", self.layout.name())
    }

    /// The same input with its channels at the other end, of a shape that leaves open where they stand.
    fn turned_to(&self, layout: Layout) -> Preprocess {
        let mut turned = self.clone();
        turned.layout = layout;
        if layout != self.layout && (self.height.is_some() || self.width.is_some()) {
            let channels = Some(self.channels);
            let [height, width, channels] = match layout {
                // The dims (channels, height, width), read as (height, width, channels), and the other way round.
                Layout::Nhwc => [channels, self.height, self.width],
                Layout::Nchw => [self.width, channels, self.height],
            };
            (turned.height, turned.width) = (height, width);
            turned.channels = channels.unwrap_or(self.channels);
        }
        turned
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    fn read_off(shape: &[usize]) -> (Preprocess, String) {
        let shape: Vec<_> = shape.iter().map(|&dim| (dim > 0).then_some(dim)).collect();
        let read = Preprocess::read_off(&shape, DType::Float32, []);
        (read.preprocess.unwrap(), read.explanation)
    }

    #[test]
    fn what_is_not_given_stays_each_models_own() {
        let edits = PreprocessEdits { range: Some(PixelRange::SignedUnit), ..PreprocessEdits::default() };
        let (keras, torch) = (read_off(&[1, 32, 32, 3]).0, read_off(&[1, 3, 224, 224]).0);
        assert_eq!(edits.over(&keras), Preprocess { range: PixelRange::SignedUnit, ..keras });
        assert_eq!(edits.over(&torch), Preprocess { range: PixelRange::SignedUnit, ..torch.clone() });
        let plain = PreprocessEdits { mean: Some(Vec::new()), std: Some(Vec::new()), ..edits }.over(&torch);
        assert!(plain.mean.is_empty() && plain.std.is_empty() && plain.layout == Layout::Nchw);
    }

    #[test]
    fn a_layout_is_taken_where_the_shape_leaves_it_open() {
        let to = |layout| PreprocessEdits { layout: Some(layout), ..PreprocessEdits::default() };
        let (keras, explanation) = read_off(&[1, 32, 32, 3]);
        assert_eq!(to(Layout::Nchw).over(&keras), keras);
        let said = to(Layout::Nchw).sentence(&keras, &explanation);
        assert!(
            said.starts_with("NHWC, ") && said.contains("It cannot be NCHW") && !said.contains("as given"),
            "{said}"
        );
        // Declared channels decide, whatever else is free.
        assert_eq!(to(Layout::Nhwc).over(&read_off(&[0, 3, 0, 0]).0).layout, Layout::Nchw);
        let free = to(Layout::Nhwc).over(&read_off(&[0, 0, 0, 0]).0);
        assert_eq!((free.layout, free.height, free.channels), (Layout::Nhwc, None, 3));
        // 3 x 16 x 4 is three channels of 16 x 4, or four of 3 x 16.
        let either = read_off(&[1, 3, 16, 4]).0;
        assert_eq!((either.layout, either.height, either.width), (Layout::Nchw, Some(16), Some(4)));
        let turned = to(Layout::Nhwc).over(&either);
        assert_eq!((turned.height, turned.width, turned.channels), (Some(3), Some(16), 4));
        assert_eq!(to(Layout::Nchw).over(&turned), either);
    }

    #[test]
    fn a_sentence_tells_what_was_given() {
        let (own, explanation) = read_off(&[1, 32, 32, 3]);
        let said = PreprocessEdits::default().sentence(&own, &explanation);
        assert!(
            said.starts_with("NHWC, RGB, raw 0..255, no mean, no std, other sizes stretched; as read off the model.")
        );
        assert!(said.ends_with(&explanation));
        let edits = PreprocessEdits {
            range: Some(PixelRange::Unit),
            mean: Some(vec![0.5, 0.25, 0.5]),
            ..PreprocessEdits::default()
        };
        let said = edits.sentence(&own, &explanation);
        assert!(
            said.contains("0..1, mean 0.5 0.25 0.5") && said.contains("; value range, mean as given, the rest"),
            "{said}"
        );
    }
}
