//! What stands in the form, and the order it makes.

use crate::worker::{
    CalibrationImages, CalibrationMethod, Corrections, DType, ModelSummary, PreprocessEdits, Preset, QuantizeOptions,
    QuantizeOrder, SourceKind, SourceSummary, Workspace, presets,
};
use std::collections::BTreeSet;

/// Which images, as the user says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImagesBy {
    /// So many of each class.
    Class,
    /// The first ones.
    First,
    /// A list.
    List,
}

/// Everything that the user chose.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    pub model: Option<u32>,
    pub source: Option<u32>,
    pub preset: String,
    pub images_by: ImagesBy,
    pub count: usize,
    pub seed: u64,
    pub list: String,
    pub calibration: CalibrationMethod,
    pub options: QuantizeOptions,
    pub fold: bool,
    pub corrections: Corrections,
    pub compare: bool,
}

impl Default for Form {
    fn default() -> Self {
        Form {
            model: None,
            source: None,
            preset: "ort-static".to_owned(),
            images_by: ImagesBy::First,
            count: 1000,
            seed: 42,
            list: String::new(),
            calibration: CalibrationMethod::MinMax,
            options: QuantizeOptions::default(),
            fold: false,
            corrections: Corrections::default(),
            compare: true,
        }
    }
}

impl Form {
    /// The models that can be quantized.
    pub fn models(workspace: &Workspace) -> Vec<ModelSummary> {
        let float = |model: &&ModelSummary| model.quantize_linear == 0 && model.format == "float";
        let able = |model: &&ModelSummary| model.unsupported.is_empty() && model.issues.is_empty();
        workspace.models.iter().filter(|model| float(model) && able(model)).cloned().collect()
    }

    /// The data that can calibrate.
    pub fn sources(workspace: &Workspace) -> Vec<SourceSummary> {
        workspace.sources.iter().filter(|source| source.kind != SourceKind::Image).cloned().collect()
    }

    /// The chosen model, else the first.
    pub fn model_in(&self, workspace: &Workspace) -> Option<u32> {
        let models = Self::models(workspace);
        let chosen = models.iter().find(|model| Some(model.id) == self.model);
        chosen.or(models.first()).map(|model| model.id)
    }

    /// The chosen data, else what is for calibration by its name, else what is not for testing.
    pub fn source_in(&self, workspace: &Workspace) -> Option<u32> {
        let sources = Self::sources(workspace);
        let chosen = sources.iter().find(|source| Some(source.id) == self.source);
        let named = |word: &str| sources.iter().find(|source| source.name.to_lowercase().contains(word));
        let other = || sources.iter().find(|source| !source.name.to_lowercase().contains("test"));
        chosen.or(named("calib")).or_else(|| named("data_batch")).or_else(other).or(sources.first()).map(|open| open.id)
    }

    /// The preset that was chosen.
    pub fn preset(&self) -> Option<Preset> {
        presets().into_iter().find(|preset| preset.id == self.preset)
    }

    /// Takes a preset's options.
    pub fn take_preset(&mut self, id: String) {
        self.preset = id;
        if let Some(preset) = self.preset() {
            self.options = preset.options;
            self.calibration = preset.calibration;
        }
    }

    /// The calibration method by its name, with its usual settings.
    pub fn take_method(&mut self, name: &str) {
        let usual = CalibrationMethod::usual(self.options.activation_type, self.options.activations_symmetric);
        if let Some(method) = usual.into_iter().find(|method| method.name() == name) {
            self.calibration = method;
        }
    }

    /// The settings of the method: name and value.
    pub fn settings(&self) -> Vec<(&'static str, f64)> {
        match self.calibration {
            CalibrationMethod::MinMax => Vec::new(),
            CalibrationMethod::MovingAverage { constant, every } => {
                vec![("Images per mean", every.unwrap_or(0) as f64), ("Averaging constant", f64::from(constant))]
            }
            CalibrationMethod::Entropy { bins, quantized_bins } => {
                vec![("Bins", bins as f64), ("Quantized bins", quantized_bins as f64)]
            }
            CalibrationMethod::Percentile { bins, percentile, .. } => {
                vec![("Bins", bins as f64), ("Percentile", percentile)]
            }
            CalibrationMethod::Distribution { bins } | CalibrationMethod::SquaredError { bins, .. } => {
                vec![("Bins", bins as f64)]
            }
        }
    }

    /// Changes a setting of the method.
    pub fn set(&mut self, name: &str, to: f64) {
        match (&mut self.calibration, name) {
            (CalibrationMethod::MovingAverage { every, .. }, "Images per mean") => {
                *every = Some(to as u64).filter(|every| *every > 0);
            }
            (CalibrationMethod::MovingAverage { constant, .. }, _) => *constant = to as f32,
            (CalibrationMethod::Entropy { quantized_bins, .. }, "Quantized bins") => *quantized_bins = to as usize,
            (CalibrationMethod::Percentile { percentile, .. }, "Percentile") => *percentile = to,
            (
                CalibrationMethod::Entropy { bins, .. }
                | CalibrationMethod::Percentile { bins, .. }
                | CalibrationMethod::Distribution { bins }
                | CalibrationMethod::SquaredError { bins, .. },
                _,
            ) => *bins = to as usize,
            (CalibrationMethod::MinMax, _) => {}
        }
    }

    /// What a reader of the method's settings should know.
    pub fn about_settings(&self) -> Option<&'static str> {
        match self.calibration {
            CalibrationMethod::MovingAverage { every: None, .. } => Some(
                "The mean of the extremes of all images, as in ONNX Runtime. The averaging constant counts where each so \
                 many images have a mean of their own (CalibStridedMinMax).",
            ),
            CalibrationMethod::MovingAverage { every: Some(_), .. } => Some(
                "Each so many images have a mean of their extremes; it moves the average by the constant of the \
                 difference. 0 images: one mean of all.",
            ),
            _ => None,
        }
    }

    /// What does not go together, each a sentence.
    pub fn problems(&self) -> Vec<String> {
        let mut found = self.preset().map(|preset| preset.broken_by(&self.options)).unwrap_or_default();
        found.extend(self.options.check().err().map(|error| error.to_string()));
        found.extend(self.calibration.check().err().map(|error| error.to_string()));
        found.extend(self.options.overruled());
        if self.images_by == ImagesBy::List && CalibrationImages::listed(&self.list).is_none() {
            found.push("The images are a list of positions from 0: 0-99, 120, 130-139".to_owned());
        }
        found
    }

    /// Whether it can be done: what breaks a preset's limits still can.
    pub fn is_possible(&self) -> bool {
        let listed = self.images_by != ImagesBy::List || CalibrationImages::listed(&self.list).is_some();
        self.options.check().is_ok() && self.calibration.check().is_ok() && listed
    }

    /// The order for what is open.
    pub fn order(&self, workspace: &Workspace, preprocess: Option<PreprocessEdits>) -> Option<QuantizeOrder> {
        let calibration = match self.calibration {
            CalibrationMethod::SquaredError { bins, .. } => {
                let symmetric = self.options.activations_symmetric;
                match CalibrationMethod::usual(self.options.activation_type, symmetric)[5] {
                    CalibrationMethod::SquaredError { steps, symmetric, .. } => {
                        CalibrationMethod::SquaredError { bins, steps, symmetric }
                    }
                    other => other,
                }
            }
            other => other,
        };
        Some(QuantizeOrder {
            model: self.model_in(workspace)?,
            source: self.source_in(workspace)?,
            images: match self.images_by {
                ImagesBy::Class => CalibrationImages::PerClass { count: self.count, seed: self.seed },
                ImagesBy::First => CalibrationImages::First(self.count),
                ImagesBy::List => CalibrationImages::listed(&self.list)?,
            },
            preprocess,
            calibration,
            options: self.options.clone(),
            preset: Some(self.preset.clone()),
            fold: self.fold,
            corrections: self.corrections,
            compare: self.compare,
        })
    }
}

/// The type with this name.
pub fn dtype_named(name: &str) -> Option<DType> {
    TYPES.into_iter().find(|dtype| dtype.name() == name)
}

/// Stored types of activations and weights.
pub const TYPES: [DType; 6] = [DType::Int8, DType::Uint8, DType::Int16, DType::Uint16, DType::Int4, DType::Uint4];

/// "Conv, Gemm" as a set.
pub fn names(text: &str) -> BTreeSet<String> {
    text.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// A set as "Conv, Gemm".
pub fn listed(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_brings_its_options_and_says_what_breaks_it() {
        let mut form = Form::default();
        assert!(form.is_possible() && form.problems().is_empty());
        form.take_preset("torch-fbgemm".to_owned());
        assert!(form.options.per_channel && form.problems().is_empty());
        form.options.weights_symmetric = Some(false);
        assert!(form.problems().iter().any(|text| text.contains("always symmetric")), "{:?}", form.problems());
        form.options.weights_symmetric = None;
        form.options.weight_type = DType::Uint8;
        assert!(form.problems()[0].contains("no uint8 weights"), "{:?}", form.problems());
        form.images_by = ImagesBy::List;
        assert!(!form.is_possible());
        form.list = "0-3".to_owned();
        assert!(form.is_possible());
    }

    #[test]
    fn settings_of_a_method_are_changed_one_by_one() {
        let mut form = Form::default();
        form.take_method("Entropy");
        form.set("Bins", 2048.0);
        form.set("Quantized bins", 64.0);
        assert_eq!(form.calibration, CalibrationMethod::Entropy { bins: 2048, quantized_bins: 64 });
        form.take_method("Percentile");
        form.set("Percentile", 99.9);
        assert_eq!(form.settings(), [("Bins", 2048.0), ("Percentile", 99.9)]);
        form.take_method("moving average");
        assert_eq!(form.calibration, CalibrationMethod::MOVING_AVERAGE);
        form.set("Images per mean", 10.0);
        form.set("Averaging constant", 0.5);
        assert_eq!(form.calibration, CalibrationMethod::MovingAverage { constant: 0.5, every: Some(10) });
        form.set("Images per mean", 0.0);
        assert_eq!(form.calibration, CalibrationMethod::MovingAverage { constant: 0.5, every: None });
    }
}
