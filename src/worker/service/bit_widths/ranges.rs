//! Calibrated ranges: what activations reach with rounded weights and nothing else rounded.

use super::super::{Failure, Job, Service};
use super::batches::widened;
use super::study::{Reached, Study};
use crate::engine::EngineError;
use crate::worker::protocol::FirstImages;

impl Service {
    /// Finds the ranges for the present weights, where they are not known yet. Memory does not grow with the images.
    pub(super) async fn calibrate(
        &self,
        study: &mut Study,
        images: FirstImages,
        job: &impl Job,
    ) -> Result<(), Failure> {
        if study.ranges.contains_key(&study.column.bits) {
            return Ok(());
        }
        let items = self.first_images(study, images)?;
        study.free_activations()?;
        let mut reached = Reached::new();
        for (done, batch) in items.chunks(study.batch).enumerate() {
            if !job.checkpoint("Calibrating", done * study.batch, items.len()).await {
                return Err(Failure::Cancelled);
            }
            let inputs = self.batch(study, images.source, batch)?;
            let failed = |error: EngineError| Failure::from(error.problem(&study.file));
            let live = &mut study.column.live;
            let mut wave = live.depart(&inputs).map_err(failed)?;
            for name in &study.rounded.activations {
                live.advance(&mut wave, Some(name)).map_err(failed)?;
                let range = widened(reached.get(name).copied(), live.reach_of(&wave, name));
                reached.extend(range.map(|range| (name.clone(), range)));
            }
        }
        study.ranges.insert(study.column.bits, reached);
        Ok(())
    }

    /// Positions of the first images of a source; at least one.
    pub(super) fn first_images(&self, study: &Study, images: FirstImages) -> Result<Vec<usize>, Failure> {
        let (model, source) = (self.model(study.setting.model)?, self.source(images.source)?);
        let count = images.count.min(self.item_count(model, source));
        match count {
            0 => Err(study.refused("the calibration images", "none".to_owned(), "at least one image").into()),
            count => Ok((0..count).collect()),
        }
    }
}
