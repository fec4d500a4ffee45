//! Bias correction, layer after layer: each layer's mean error is measured with all layers before it corrected already.

use super::super::{Failure, Job, Service};
use super::batches::Items;
use super::study::{Column, Study};
use crate::engine::{EngineError, Wave};
use crate::quant::bit_widths::CorrectedLayer;
use crate::quant::quantizer::{ChannelMeans, add_to_biases};
use crate::worker::protocol::FirstImages;
use std::collections::BTreeMap;

impl Service {
    /// Makes the network with weights of so many bits the present one.
    pub(super) async fn take_column(&self, study: &mut Study, bits: Option<u8>, job: &impl Job) -> Result<(), Failure> {
        if study.column.ready && study.column.bits == bits {
            return Ok(());
        }
        if let (Some(images), Some(_)) = (study.setting.correction, bits) {
            if study.float_means.is_none() {
                let live = study.plan_with(&study.document, None)?;
                study.column = Column { bits: None, ready: true, live };
                study.float_means = Some(self.means(study, images, false, job).await?.0);
            }
            if !study.additions.contains_key(&bits) {
                let live = study.plan_with(&study.document, bits)?;
                study.column = Column { bits, ready: false, live };
                let additions = self.means(study, images, true, job).await?.1;
                study.additions.insert(bits, additions);
            }
        }
        if !job.checkpoint("Measuring bit widths", 0, 1).await {
            return Err(Failure::Cancelled);
        }
        let live = match study.additions.get(&bits) {
            Some(additions) => {
                let (document, _) = add_to_biases(&study.document, additions).map_err(|error| {
                    study.refused("correcting biases", error.to_string(), "biases that can be changed")
                })?;
                study.plan_with(&document, bits)?
            }
            None => study.plan_with(&study.document, bits)?,
        };
        study.column = Column { bits, ready: true, live };
        Ok(())
    }

    /// The means of the layers' channels, and with `correct` what is to be added to the biases, applied on the way.
    async fn means(
        &self,
        study: &mut Study,
        images: FirstImages,
        correct: bool,
        job: &impl Job,
    ) -> Result<(ChannelMeans, BTreeMap<String, Vec<f64>>), Failure> {
        let items = Items { source: images.source, items: self.first_images(study, images)? };
        let together = study.together(self, &items)?;
        // All images wait at each layer for its correction; what does not fit into memory is left out.
        let items = items.items.get(..together.min(items.len())).unwrap_or(&[]);
        let failed = |study: &Study, error: EngineError| Failure::from(error.problem(&study.file));
        let mut waves: Vec<Wave> = Vec::new();
        for batch in items.chunks(study.batch) {
            if !job.checkpoint("Correcting biases", 0, items.len()).await {
                return Err(Failure::Cancelled);
            }
            let inputs = self.batch(study, images.source, batch)?;
            let wave = study.column.live.depart(&inputs);
            waves.push(wave.map_err(|error| failed(study, error))?);
        }
        let mut means = ChannelMeans::default();
        let mut additions = BTreeMap::new();
        let layers = study.rounded.layers.clone();
        let total = layers.len() * waves.len();
        for (stage, CorrectedLayer { output, axis }) in layers.iter().enumerate() {
            for at in 0..waves.len() {
                if !job.checkpoint("Correcting biases", stage * waves.len() + at, total).await {
                    return Err(Failure::Cancelled);
                }
                let Some(wave) = waves.get_mut(at) else { continue };
                let advanced = study.column.live.advance(wave, Some(output));
                advanced.map_err(|error| failed(study, error))?;
                let value = study.column.live.value_of(wave, output);
                if let Some((value, numbers)) = value.and_then(|value| Some((value.to_f32().ok()?, value))) {
                    means.add(output, &value, numbers.shape(), *axis);
                }
            }
            let float = study.float_means.as_ref().filter(|_| correct);
            let Some((float, rounded)) = float.and_then(|float| Some((float.of(output)?, means.of(output)?))) else {
                continue;
            };
            let addition: Vec<f64> = float.iter().zip(&rounded).map(|(float, rounded)| float - rounded).collect();
            for wave in &mut waves {
                study.column.live.shift(wave, output, &addition, *axis);
            }
            additions.insert(output.clone(), addition);
        }
        Ok((means, additions))
    }
}
