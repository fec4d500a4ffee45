//! The bit-width study: a cell of the grid, counted over images.

mod batches;
mod correction;
mod ranges;
mod study;

pub use study::Study;

use super::{Answered, Failure, Job, Service};
use crate::problem::Problem;
use crate::worker::protocol::{ActivationRanges, BitWidthsCell, BitWidthsOrder, Reply};
use batches::Items;

impl Service {
    /// Counts right answers. What cells have in common is kept until a setting with something else in it comes.
    pub(super) async fn bit_widths(&mut self, order: BitWidthsOrder, job: &impl Job) -> Answered {
        let kept = self.study.take().filter(|study| study.setting == order.setting);
        let mut study = match kept {
            Some(study) => study,
            None => self.begin_study(&order)?,
        };
        // Making plans takes a while: a cancel is seen before and after it.
        if !job.checkpoint("Measuring bit widths", 0, order.count.max(1)).await {
            return Err(Failure::Cancelled);
        }
        let counted = self.cell(&mut study, &order, job).await;
        self.study = Some(study);
        Ok((Reply::BitWidths(counted?), None))
    }

    async fn cell(&self, study: &mut Study, order: &BitWidthsOrder, job: &impl Job) -> Result<BitWidthsCell, Failure> {
        for bits in [order.weights, order.activations].into_iter().flatten() {
            if !(2..=16).contains(&bits) {
                return Err(Failure::from(study.refused("the bits", format!("{bits} bits"), "2 to 16 bits")));
            }
        }
        let items = self.items_of(study, order)?;
        self.take_column(study, order.weights, job).await?;
        let began_ms;
        let mut together = 0;
        let correct = match (order.activations, study.setting.ranges) {
            (Some(bits), ActivationRanges::Dynamic) => {
                together = study.together(self, &items)?;
                began_ms = job.now_ms();
                self.count_together(study, &items, bits, together, job).await?
            }
            (Some(bits), ActivationRanges::Calibrated(images)) => {
                self.calibrate(study, images, job).await?;
                study.round_calibrated(bits)?;
                began_ms = job.now_ms();
                self.count(study, &items, job).await?
            }
            (None, _) => {
                study.free_activations()?;
                began_ms = job.now_ms();
                self.count(study, &items, job).await?
            }
        };
        Ok(BitWidthsCell {
            correct,
            total: items.len(),
            weights: study.rounded.weights.len(),
            activations: study.rounded.activations.len(),
            together: together.min(items.len()),
            run_ms: job.now_ms() - began_ms,
        })
    }

    /// The images of an order.
    fn items_of(&self, study: &Study, order: &BitWidthsOrder) -> Result<Items, Failure> {
        let source = self.source(study.setting.source)?;
        let there = self.item_count(self.model(study.setting.model)?, source);
        let end = order.first.saturating_add(order.count).min(there);
        let problem = |found: String, expected: &str| {
            Failure::from(Problem {
                file: source.name.clone(),
                place: "the images to count on".to_owned(),
                found,
                expected: expected.to_owned(),
                advice: "Choose a data set with a class for each image, and at least one image.".to_owned(),
            })
        };
        if !source.is_labelled() {
            return Err(problem("no labels".to_owned(), "a class for each image"));
        }
        if order.first >= end {
            return Err(problem(format!("none of {there}"), "at least one image"));
        }
        Ok(Items { source: study.setting.source, items: (order.first..end).collect() })
    }
}
