//! How good a model is on some images.

use super::error::{ErrorSums, LengthMismatch};
use super::predictions::{OutputFacts, argmax, class_probabilities};
use serde::{Deserialize, Serialize};

/// How good a model is on some images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Correct of labelled images, 0 to 1; without labels, agreement with the float model.
    pub accuracy: Option<f64>,
    /// Mean cross-entropy in nats against the labels, or against the float model's probabilities.
    pub cross_entropy: Option<f64>,
    /// SQNR of the output against the float model's, in dB; `None` without error.
    pub output_sqnr_db: Option<f64>,
}

impl Quality {
    /// Whether it is better than another on the same images: the output is nearer to the float model's, and not fewer
    /// images are right. Without labels the second means agreement with the float model.
    pub fn is_better_than(&self, other: &Quality) -> bool {
        let nearer = match (self.output_sqnr_db, other.output_sqnr_db) {
            // No error at all is infinitely good.
            (None, other) => other.is_some(),
            (Some(_), None) => false,
            (Some(own), Some(other)) => own > other,
        };
        nearer && self.accuracy.unwrap_or(0.0) >= other.accuracy.unwrap_or(0.0)
    }
}

/// A probability of 0, which a quantized Softmax gives often, counts as this, as in [`super::ItemScore`].
pub const LEAST_PROBABILITY: f64 = 1e-12;

/// Sums over images from which a [`Quality`] follows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QualitySums {
    scored: usize,
    right: usize,
    cross_entropy: f64,
    error: ErrorSums,
}

impl QualitySums {
    /// Adds one image: the float model's output, this model's, and what is known of the scores (`None` where the output
    /// is no vector of class scores). On an error nothing is added.
    ///
    /// Cross-entropy is `-ln p[label]`, or without a label `-sum q ln p` with the float model's probabilities `q`.
    pub fn add(
        &mut self,
        float: &[f32],
        output: &[f32],
        scores: Option<OutputFacts>,
        label: Option<u32>,
    ) -> Result<(), LengthMismatch> {
        self.error.add(float, output)?;
        let (Some(facts), Some(found)) = (scores, argmax(output)) else { return Ok(()) };
        let information = |p: f64| -p.max(LEAST_PROBABILITY).ln();
        let probabilities = class_probabilities(output, facts);
        let right = match label.and_then(|label| usize::try_from(label).ok()) {
            Some(label) => {
                self.cross_entropy += information(probabilities.get(label).copied().unwrap_or(0.0));
                found == label
            }
            None => {
                let wanted = class_probabilities(float, facts);
                self.cross_entropy += wanted.iter().zip(&probabilities).map(|(q, &p)| q * information(p)).sum::<f64>();
                argmax(float) == Some(found)
            }
        };
        self.scored += 1;
        self.right += usize::from(right);
        Ok(())
    }

    /// The means of everything added so far.
    pub fn quality(&self) -> Quality {
        let mean = |sum: f64| (self.scored > 0).then(|| sum / self.scored as f64);
        Quality {
            accuracy: mean(self.right as f64),
            cross_entropy: mean(self.cross_entropy),
            output_sqnr_db: self.error.metrics().sqnr_db,
        }
    }

    /// Sum of squared errors of the output.
    pub fn noise(&self) -> f64 {
        let metrics = self.error.metrics();
        metrics.mse.unwrap_or(0.0) * (metrics.count - metrics.not_finite_count) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Option<OutputFacts> {
        Some(OutputFacts { after_softmax: Some(true), quantization_step: None })
    }

    #[test]
    fn with_labels_and_without() {
        let mut labelled = QualitySums::default();
        labelled.add(&[0.25, 0.75], &[0.5, 0.5], facts(), Some(0)).unwrap();
        labelled.add(&[0.25, 0.75], &[1.0, 0.0], facts(), Some(1)).unwrap();
        let quality = labelled.quality();
        assert_eq!(quality.accuracy, Some(0.5));
        let expected = (2f64.ln() - LEAST_PROBABILITY.ln()) / 2.0;
        assert!((quality.cross_entropy.unwrap() - expected).abs() < 1e-12);
        let mut agreeing = QualitySums::default();
        agreeing.add(&[0.25, 0.75], &[0.25, 0.75], facts(), None).unwrap();
        let quality = agreeing.quality();
        assert_eq!((quality.accuracy, quality.output_sqnr_db), (Some(1.0), None));
        let entropy = -(0.25 * 0.25f64.ln() + 0.75 * 0.75f64.ln());
        assert!((quality.cross_entropy.unwrap() - entropy).abs() < 1e-12);
    }

    #[test]
    fn an_output_that_is_no_scores_has_an_error_only() {
        let mut sums = QualitySums::default();
        sums.add(&[3.0, 4.0], &[3.0, 4.5], None, Some(1)).unwrap();
        let quality = sums.quality();
        assert_eq!((quality.accuracy, quality.cross_entropy), (None, None));
        assert!((quality.output_sqnr_db.unwrap() - 20.0).abs() < 1e-9);
        assert!((sums.noise() - 0.25).abs() < 1e-12);
    }

    #[test]
    fn better_is_nearer_and_not_less_right() {
        let quality = |accuracy, sqnr| Quality { accuracy, cross_entropy: None, output_sqnr_db: sqnr };
        assert!(quality(Some(0.9), Some(20.0)).is_better_than(&quality(Some(0.9), Some(19.0))));
        assert!(!quality(Some(0.8), Some(20.0)).is_better_than(&quality(Some(0.9), Some(19.0))));
        assert!(quality(None, None).is_better_than(&quality(None, Some(50.0))));
        assert!(!quality(None, None).is_better_than(&quality(None, None)));
    }
}
