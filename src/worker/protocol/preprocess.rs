//! How images become a model's input, for people and for reports.

use super::ModelSummary;
use crate::export::{ModelPreprocessing, Preprocessing};
use crate::import::{Preprocess, PreprocessEdits, Resize};

impl ModelSummary {
    /// How images become this model's input, with what is set by hand; `None` where it takes none.
    pub fn preprocessed(&self, edits: Option<&PreprocessEdits>) -> Option<Preprocess> {
        let (read_off, _) = self.preprocess.as_ref()?;
        Some(edits.map_or_else(|| read_off.clone(), |edits| edits.over(read_off)))
    }

    /// The same for a report.
    pub fn preprocessing(&self, edits: Option<&PreprocessEdits>) -> Option<ModelPreprocessing> {
        let (read_off, explanation) = self.preprocess.as_ref()?;
        let none = PreprocessEdits::default();
        let edits = edits.unwrap_or(&none);
        Some(ModelPreprocessing {
            settings: preprocessing(&edits.over(read_off)),
            given: edits.given(read_off).into_iter().map(str::to_owned).collect(),
            sentence: edits.sentence(read_off, explanation),
        })
    }
}

/// The settings in words and numbers; the range is what a pixel of 0 and one of 255 become before mean and std.
pub fn preprocessing(preprocess: &Preprocess) -> Preprocessing {
    Preprocessing {
        layout: format!("{:?}", preprocess.layout).to_lowercase(),
        channel_order: format!("{:?}", preprocess.colour).to_lowercase(),
        range: [preprocess.range.map(0), preprocess.range.map(255)],
        mean: preprocess.mean.clone(),
        std: preprocess.std.clone(),
        resize: match preprocess.resize {
            Resize::None => "none".to_owned(),
            Resize::Stretch => "bilinear, stretched".to_owned(),
            Resize::Crop { shorter_px: None } => "bilinear, middle cut out".to_owned(),
            Resize::Crop { shorter_px: Some(shorter_px) } => format!("bilinear to {shorter_px}, middle cut out"),
        },
    }
}
