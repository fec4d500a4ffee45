//! What makes a candidate.

use crate::quant::calibrate::CalibrationMethod;
use crate::quant::quantizer::{BiasCorrection, Corrections, QuantizeOptions, TensorOverride};
use crate::tensor::DType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that makes one quantized model of a float one. The same recipe on the same data gives the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// How ranges are found.
    pub calibration: CalibrationMethod,
    /// Type of activations.
    pub activations: DType,
    /// Whether their ranges are symmetric.
    pub symmetric: bool,
    /// A scale for each output channel of a weight.
    pub per_channel: bool,
    /// Tensors that are quantized otherwise, by name.
    pub changes: BTreeMap<String, RowChange>,
    /// What is done beside rounding to nearest.
    pub corrections: Corrections,
}

/// How a tensor is quantized otherwise than the recipe says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowChange {
    /// 16 bits: unsigned for activations, signed for weights.
    Wide {
        /// Whether it is a constant.
        constant: bool,
    },
    /// Not quantized.
    Float,
    /// 4 bits, signed, for weights.
    Narrow,
}

impl Recipe {
    /// The recipe as options of the quantizer: QDQ, int8 weights, symmetric as ONNX Runtime has them.
    pub fn options(&self) -> QuantizeOptions {
        let changed = |change: &RowChange| match change {
            RowChange::Wide { constant } => TensorOverride {
                dtype: Some(if *constant { DType::Int16 } else { DType::Uint16 }),
                ..TensorOverride::default()
            },
            RowChange::Float => TensorOverride { off: true, ..TensorOverride::default() },
            RowChange::Narrow => TensorOverride { dtype: Some(DType::Int4), ..TensorOverride::default() },
        };
        QuantizeOptions {
            activation_type: self.activations,
            weight_type: DType::Int8,
            activations_symmetric: self.symmetric,
            per_channel: self.per_channel,
            overrides: self.changes.iter().map(|(tensor, change)| (tensor.clone(), changed(change))).collect(),
            ..QuantizeOptions::default()
        }
    }

    /// The same recipe with some tensors quantized otherwise.
    pub fn with<'a>(&self, tensors: impl Iterator<Item = (&'a str, RowChange)>) -> Recipe {
        let mut recipe = self.clone();
        recipe.changes.extend(tensors.map(|(tensor, change)| (tensor.to_owned(), change)));
        recipe
    }

    /// Whether all activations have 16 bits.
    pub fn is_wide(&self) -> bool {
        matches!(self.activations, DType::Int16 | DType::Uint16)
    }

    /// The recipe in words: "int8 activations, weights per channel, MSE, equalized, 3 tensors in 16 bits".
    pub fn label(&self) -> String {
        let mut parts = vec![format!("{} activations", self.activations)];
        if self.symmetric {
            parts.push("symmetric".to_owned());
        }
        parts.push(format!("weights per {}", if self.per_channel { "channel" } else { "tensor" }));
        parts.push(match self.calibration {
            CalibrationMethod::Percentile { percentile, .. } => format!("Percentile {percentile}"),
            method => method.name().to_owned(),
        });
        let count = |wanted: fn(&RowChange) -> bool| self.changes.values().filter(|change| wanted(change)).count();
        let tensors = |count: usize| if count == 1 { "1 tensor".to_owned() } else { format!("{count} tensors") };
        for (count, words) in [
            (count(|change| matches!(change, RowChange::Wide { .. })), "in 16 bits"),
            (count(|change| *change == RowChange::Narrow), "in 4 bits"),
            (count(|change| *change == RowChange::Float), "left float"),
        ] {
            if count > 0 {
                parts.push(format!("{} {words}", tensors(count)));
            }
        }
        for (done, words) in [
            (self.corrections.equalize, "equalized"),
            (self.corrections.adaptive_rounding, "rounded to data"),
            (self.corrections.bias != BiasCorrection::None, "biases corrected"),
        ] {
            if done {
                parts.push(words.to_owned());
            }
        }
        parts.join(", ")
    }
}

/// The candidates that a search begins with: every calibrator with weights per tensor and per channel, activations
/// asymmetric and symmetric, equalized and not; and activations of 16 bits, where they are allowed, for which the
/// extremes are as good as any range.
pub fn first_recipes(wide: bool) -> Vec<Recipe> {
    let mut recipes = Vec::new();
    for equalize in [false, true] {
        for per_channel in [true, false] {
            let recipe = |calibration, activations, symmetric| Recipe {
                calibration,
                activations,
                symmetric,
                per_channel,
                changes: BTreeMap::new(),
                corrections: Corrections { equalize, ..Corrections::default() },
            };
            if wide {
                recipes.push(recipe(CalibrationMethod::MinMax, DType::Uint16, false));
            }
            for symmetric in [false, true] {
                recipes.extend(calibrators(symmetric).map(|method| recipe(method, DType::Int8, symmetric)));
            }
        }
    }
    recipes
}

/// The calibrators that a search looks at.
fn calibrators(symmetric: bool) -> [CalibrationMethod; 5] {
    let percentile = |percentile| CalibrationMethod::Percentile { bins: 2048, percentile, symmetric };
    [
        CalibrationMethod::MinMax,
        percentile(99.999),
        percentile(99.99),
        CalibrationMethod::Entropy { bins: 2048, quantized_bins: 128 },
        CalibrationMethod::SquaredError { bins: 2048, steps: 255, symmetric },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_recipe_is_another_and_can_be_made() {
        let recipes = first_recipes(true);
        assert_eq!(recipes.len(), 44);
        let labels: BTreeSet<String> = recipes.iter().map(Recipe::label).collect();
        assert_eq!(labels.len(), recipes.len());
        assert!(recipes.iter().all(|recipe| recipe.options().check().is_ok() && recipe.calibration.check().is_ok()));
        assert!(first_recipes(false).iter().all(|recipe| !recipe.is_wide()));
    }

    #[test]
    fn a_label_says_what_differs() {
        let recipe = &first_recipes(false)[0];
        let changed = recipe.with([("a", RowChange::Narrow), ("b", RowChange::Wide { constant: false })].into_iter());
        assert_eq!(
            changed.label(),
            "int8 activations, weights per channel, MinMax, 1 tensor in 16 bits, 1 tensor in 4 bits"
        );
        assert_eq!(changed.options().overrides["b"].dtype, Some(DType::Uint16));
    }
}
