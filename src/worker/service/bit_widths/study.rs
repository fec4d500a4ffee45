//! What the cells of a grid have in common.

use super::super::{Failure, Service};
use super::batches::Items;
use crate::engine::{EngineError, LivePlan, Observe, PlanOptions};
use crate::onnx::{Document, is_dequantize, is_quantize};
use crate::problem::Problem;
use crate::quant::bit_widths::{Rounded, activation_row, free_row};
use crate::quant::quantizer::ChannelMeans;
use crate::quant::table::{GridError, QuantTable};
use crate::tensor::Tensor;
use crate::worker::protocol::{BitWidthsOrder, BitWidthsSetting};
use std::collections::BTreeMap;

/// Images in a batch: enough to share what a batch costs, few enough for a processor's cache.
pub(super) const BATCH: usize = 16;
/// What the values of images on their way together may take.
const MOST_BYTES: usize = 512 << 20;

/// Ranges of activations.
pub(super) type Reached = BTreeMap<String, (f32, f32)>;

/// A grid under way, with what one number of weight bits has made.
pub struct Study {
    pub(super) setting: BitWidthsSetting,
    pub(super) file: String,
    pub(super) document: Document,
    pub(super) rounded: Rounded,
    /// The weights' values, in the order of `rounded.weights`.
    values: Vec<Tensor>,
    /// Images that go through the network at once.
    pub(super) batch: usize,
    together: Option<usize>,
    /// Of the layers' channels, in the float network.
    pub(super) float_means: Option<ChannelMeans>,
    /// What is added to biases, by bits of weights.
    pub(super) additions: BTreeMap<Option<u8>, BTreeMap<String, Vec<f64>>>,
    /// What the activations reach on the calibration images, by bits of weights.
    pub(super) ranges: BTreeMap<Option<u8>, Reached>,
    pub(super) column: Column,
}

/// The network with weights of some number of bits.
pub(super) struct Column {
    /// How many; `None` is float.
    pub bits: Option<u8>,
    /// Whether its biases are what they are to be: a cancel may come between.
    pub ready: bool,
    pub live: LivePlan,
}

impl Service {
    pub(super) fn begin_study(&self, order: &BitWidthsOrder) -> Result<Study, Failure> {
        let model = self.model(order.setting.model)?;
        Self::can_run(model)?;
        let file = model.summary.file.clone();
        if let Some(node) = model.document.graph().node.iter().find(|node| is_quantize(node) || is_dequantize(node)) {
            return Err(Failure::from(Problem {
                file,
                place: format!("node '{}'", node.name()),
                found: "a model that is quantized already".to_owned(),
                expected: "a float model".to_owned(),
                advice: "Choose its float form.".to_owned(),
            }));
        }
        let document = match model.document.is_self_contained() {
            true => model.document.clone(),
            false => model.document.inlined().map_err(|error| error.problem(&file))?,
        };
        let live = plan(&document).map_err(|error| error.problem(&file))?;
        // Nothing has run: what has a value is the same in every run.
        let constant = |name: &str| live.plan().value(name);
        let shape = |name: &str| constant(name).map(|tensor| tensor.shape().to_vec());
        let mut rounded = Rounded::of(&document, order.setting.mat_mul, &shape);
        // The plan's order is the one in which batches meet values.
        rounded.activations.sort_by_key(|name| live.stage_of(name));
        rounded.layers.sort_by_key(|layer| live.stage_of(&layer.output));
        let values = rounded.weights.iter().filter_map(|weight| constant(&weight.tensor)).collect();
        let column = Column { bits: None, ready: true, live };
        let mut study = Study {
            setting: order.setting.clone(),
            file,
            document,
            rounded,
            values,
            batch: 1,
            together: None,
            float_means: None,
            additions: BTreeMap::new(),
            ranges: BTreeMap::new(),
            column,
        };
        study.batch = self.batch_size(&mut study, model)?;
        Ok(study)
    }
}

/// A plan of a float document that keeps what is needed only. It adds as PyTorch does: the grid is that of a PyTorch
/// simulation, and at 5 bits a dozen of 1017 answers hang on the last bits of sums.
pub(super) fn plan(document: &Document) -> Result<LivePlan, EngineError> {
    let options = PlanOptions { observe: Observe::OutputsOnly };
    Ok(LivePlan::compile_with(document, &QuantTable::default(), &options)?.in_one_go())
}

impl Study {
    /// A plan of a document with this study's weights rounded.
    pub(super) fn plan_with(&self, document: &Document, bits: Option<u8>) -> Result<LivePlan, Problem> {
        let mut live = plan(document).map_err(|error| error.problem(&self.file))?;
        for (weight, values) in self.rounded.weights.iter().zip(&self.values) {
            let row = weight.row(values, bits, self.setting.per_channel).map_err(|error| self.grid(error))?;
            live.set_row(&row).map_err(|error| error.problem(&self.file))?;
        }
        Ok(live)
    }

    /// Every activation as it is made.
    pub(super) fn free_activations(&mut self) -> Result<(), Problem> {
        for name in &self.rounded.activations {
            let row = free_row(name).map_err(|error| self.grid(error))?;
            self.column.live.set_row(&row).map_err(|error| error.problem(&self.file))?;
        }
        Ok(())
    }

    /// Rounds an activation over what it reaches.
    pub(super) fn round(&mut self, name: &str, range: (f32, f32), bits: u8) -> Result<(), Problem> {
        let row = activation_row(name, range, bits, self.setting.symmetric).map_err(|error| self.grid(error))?;
        self.column.live.set_row(&row).map_err(|error| error.problem(&self.file))
    }

    /// Rounds every activation over its calibrated range.
    pub(super) fn round_calibrated(&mut self, bits: u8) -> Result<(), Problem> {
        let ranges = self.ranges.get(&self.column.bits).cloned().unwrap_or_default();
        for name in self.rounded.activations.clone() {
            // A tensor that was never finite is rounded to nothing but 0.
            self.round(&name, ranges.get(&name).copied().unwrap_or_default(), bits)?;
        }
        Ok(())
    }

    /// How many images can be on their way together, found with the first ones.
    pub(super) fn together(&mut self, service: &Service, items: &Items) -> Result<usize, Failure> {
        if let Some(together) = self.together {
            return Ok(together);
        }
        self.free_activations()?;
        let inputs =
            service.batch(self, items.source, items.items.get(..self.batch.min(items.len())).unwrap_or(&[]))?;
        let failed = |error: EngineError| Failure::from(error.problem(&self.file));
        let live = &mut self.column.live;
        let mut wave = live.depart(&inputs).map_err(failed)?;
        let mut widest = wave.bytes();
        for name in &self.rounded.activations {
            live.advance(&mut wave, Some(name)).map_err(failed)?;
            widest = widest.max(wave.bytes());
        }
        let each = widest.div_ceil(self.batch.min(items.len()).max(1)).max(1);
        let together = (MOST_BYTES / each).max(self.batch);
        self.together = Some(together);
        Ok(together)
    }

    pub(super) fn grid(&self, error: GridError) -> Problem {
        self.refused("rounding", error.to_string(), "values with a finite range")
    }

    pub(super) fn refused(&self, place: &str, found: String, expected: &str) -> Problem {
        Problem {
            file: self.file.clone(),
            place: place.to_owned(),
            found,
            expected: expected.to_owned(),
            advice: "Choose another model or another setting.".to_owned(),
        }
    }
}
