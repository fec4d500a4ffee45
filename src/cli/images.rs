//! How images become a model's input, as the command line says it.

use super::files;
use crate::import::{Colour, Layout, PixelRange, PreprocessEdits, Resize};
use crate::problem::Problem;
use crate::worker::{ModelSummary, SourceSummary};

/// What is set by hand of how an image becomes a model's input. What is not given stays as read off each model.
#[derive(Clone, Default, clap::Args)]
#[command(next_help_heading = "Images")]
pub struct ImageArguments {
    /// Values of a pixel before mean and std.
    #[arg(long, value_enum, allow_hyphen_values = true)]
    range: Option<RangeArgument>,
    /// Subtracted after the range: one number, or one for each channel; 0 for none.
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', value_parser = number, allow_hyphen_values = true)]
    mean: Option<Vec<f32>>,
    /// Divided by after the mean: one number, or one for each channel; 1 for none.
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', value_parser = divisor, allow_hyphen_values = true)]
    std: Option<Vec<f32>>,
    /// Where the channels stand, for models whose input's shape leaves it open.
    #[arg(long, value_enum)]
    layout: Option<LayoutArgument>,
    /// Order of the channels.
    #[arg(long, value_enum)]
    channel_order: Option<ColourArgument>,
    /// What is done with images of another size.
    #[arg(long, value_enum)]
    resize: Option<ResizeArgument>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum RangeArgument {
    /// 0 to 255, as the pixels are.
    Raw,
    /// Divided by 255.
    #[value(name = "0..1")]
    Unit,
    /// Divided by 127.5, less 1.
    #[value(name = "-1..1")]
    SignedUnit,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum LayoutArgument {
    Nhwc,
    Nchw,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum ColourArgument {
    Rgb,
    Bgr,
    Gray,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum ResizeArgument {
    /// Another size is an error.
    None,
    /// Bilinear to the input's size, whatever the proportions.
    Stretch,
    /// Bilinear until the shorter side fits, then the middle.
    Crop,
}

fn number(text: &str) -> Result<f32, String> {
    let value: f32 = text.trim().parse().map_err(|_| "not a number".to_owned())?;
    if value.is_finite() { Ok(value) } else { Err("not a finite number".to_owned()) }
}

fn divisor(text: &str) -> Result<f32, String> {
    match number(text)? {
        0.0 => Err("nothing can be divided by 0".to_owned()),
        value => Ok(value),
    }
}

impl ImageArguments {
    /// What is set; `None` where nothing is.
    pub fn edits(&self) -> Option<PreprocessEdits> {
        let edits = PreprocessEdits {
            layout: self.layout.map(|layout| match layout {
                LayoutArgument::Nhwc => Layout::Nhwc,
                LayoutArgument::Nchw => Layout::Nchw,
            }),
            colour: self.channel_order.map(|colour| match colour {
                ColourArgument::Rgb => Colour::Rgb,
                ColourArgument::Bgr => Colour::Bgr,
                ColourArgument::Gray => Colour::Gray,
            }),
            range: self.range.map(|range| match range {
                RangeArgument::Raw => PixelRange::Raw255,
                RangeArgument::Unit => PixelRange::Unit,
                RangeArgument::SignedUnit => PixelRange::SignedUnit,
            }),
            mean: self.mean.clone(),
            std: self.std.clone(),
            resize: self.resize.map(|resize| match resize {
                ResizeArgument::None => Resize::None,
                ResizeArgument::Stretch => Resize::Stretch,
                ResizeArgument::Crop => Resize::Crop { shorter_px: None },
            }),
        };
        (!edits.is_empty()).then_some(edits)
    }

    /// Says on standard error how the images of a source become each model's input. Values of samples that are no images
    /// are taken as they are: settings for them would do nothing, and are refused.
    pub fn say(&self, models: &[ModelSummary], source: &SourceSummary) -> Result<(), Vec<Problem>> {
        let edits = self.edits();
        if !source.pictures {
            return match edits {
                None => Ok(()),
                Some(_) => Err(vec![Problem {
                    file: source.name.clone(),
                    place: "the settings for images".to_owned(),
                    found: source.shape.clone(),
                    expected: "images".to_owned(),
                    advice: "Values of arrays are taken as they are: scale them before, and leave the settings out."
                        .to_owned(),
                }]),
            };
        }
        for model in models {
            if let Some(found) = model.preprocessing(edits.as_ref()) {
                files::note(&format!("images for {}: {}", model.file, found.sentence));
            }
        }
        Ok(())
    }
}
