//! A search for the best quantized model under a target.

use super::{ModelId, SourceId};
use crate::analysis::{Fraction, Interval};
use crate::import::PreprocessEdits;
use crate::quant::autopilot::{Recipe, Target};
use serde::{Deserialize, Serialize};

/// Searches. Partial replies give every candidate so far; a cancel ends the search and gives the best model so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutopilotOrder {
    /// The float model, a classifier.
    pub model: ModelId,
    /// Images that calibrate and that candidates are compared on: a random half each.
    pub calibration: SourceId,
    /// Images that the reported accuracy is measured on. They choose nothing. Where it is the calibration data set, the
    /// images that are left over of it measure.
    pub measurement: SourceId,
    /// What is asked for.
    pub target: Target,
    /// Of the split of the calibration images. The same seed on the same data gives the same file.
    pub seed: u64,
    /// Images of the calibration data set to use, at most.
    pub images: usize,
    /// Images to measure on, at most.
    pub measured_images: usize,
    /// Whether activations may have 16 bits, which costs no bytes of the file.
    pub wide_activations: bool,
    /// What is set by hand of how an image becomes a tensor; the rest is as read off the model.
    pub preprocess: Option<PreprocessEdits>,
}

/// A search, running or ended. With the final one the chosen model's file is in the blob.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutopilotReport {
    /// What is asked for.
    pub target: Target,
    /// What is being done.
    pub stage: String,
    /// The float model on the selection images.
    pub float_selection: Fraction,
    /// The float model on the measurement images.
    pub float_measured: Share,
    /// Bytes of the float model's file.
    pub float_bytes: usize,
    /// The selection images in words.
    pub selected_on: String,
    /// The measurement images in words.
    pub measured_on: String,
    /// Whether the images have labels. Without, right means agreement with the float model.
    pub labelled: bool,
    /// All candidates, in the order in which they were tried.
    pub points: Vec<AutopilotPoint>,
    /// The chosen model; `None` while the search goes on.
    pub chosen: Option<ChosenModel>,
}

impl AutopilotReport {
    /// Whether the target is met, and on which images that is known; `None` while the search goes on. A search that was
    /// stopped may have measured nothing on the measurement images.
    pub fn outcome(&self) -> Option<String> {
        let chosen = self.chosen.as_ref()?;
        let measured = self.points.get(chosen.point).is_some_and(|point| point.measured.is_some());
        let met = if chosen.target_met { "target is met" } else { "target is not met; this is the nearest" };
        Some(match (chosen.stopped, measured) {
            (false, true) => format!("The {met}."),
            (true, true) => format!("Stopped; the {met}."),
            (stopped, false) => {
                let stopped = if stopped { "Stopped; on" } else { "On" };
                format!("{stopped} the selection images the {met}. Nothing was measured on the measurement images.")
            }
        })
    }
}

/// A candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutopilotPoint {
    /// The recipe in words.
    pub label: String,
    /// Bytes of its file.
    pub bytes: usize,
    /// On the selection images that it has seen, with the 95 % interval.
    pub selection: Share,
    /// Points of accuracy that it loses on them against the float model; negative where it gains.
    pub drop_points: f64,
    /// SQNR of its output against the float model's on them, in dB; `None` without error.
    pub output_sqnr_db: Option<f64>,
    /// On the measurement images, where it was measured.
    pub measured: Option<Share>,
    /// Whether no other candidate that has seen all selection images is as small and better, or as good and smaller.
    pub on_front: bool,
}

/// Right of total with the 95 % interval of the share; no interval without images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Right of total.
    pub fraction: Fraction,
    /// Wilson score interval.
    pub interval: Option<Interval>,
}

/// The model that the search gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChosenModel {
    /// Position among the points.
    pub point: usize,
    /// What makes it.
    pub recipe: Recipe,
    /// The name to save it under.
    pub name: String,
    /// Why this one, line by line.
    pub why: Vec<String>,
    /// Whether file size and, on the selection images, accuracy are as asked for.
    pub target_met: bool,
    /// Whether the search was stopped before its end.
    pub stopped: bool,
    /// What was done to which layer, and what a reader of the result should know.
    pub notes: Vec<String>,
}
