//! Static quantization of an open float model.

use super::model::OpenModel;
use super::source::OpenSource;
use super::{Answered, Failure, Job, Service};
use crate::engine::{Observe, Plan, PlanOptions, Semantics};
use crate::onnx::Document;
use crate::problem::Problem;
use crate::quant::calibrate::RangeCollector;
use crate::quant::quantizer::{PrepareOptions, Ranges, calibration_tensors, prepare, quantize, with_integer_io};
use crate::quant::table::lower;
use crate::worker::protocol::{CalibrationImages, InputChoice, QuantizeOrder, QuantizedFile, Reply, RunOrder};
use rand_core::{RngCore, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::collections::BTreeMap;

impl Service {
    /// Calibrates, quantizes, and gives the model's file.
    pub(super) async fn quantize(&mut self, order: QuantizeOrder, job: &impl Job) -> Answered {
        let model = self.model(order.model)?;
        let source = self.source(order.source)?;
        Self::can_run(model)?;
        let failed = |place: &str, found: String, advice: &str| Problem {
            file: model.summary.file.clone(),
            place: place.to_owned(),
            found,
            expected: "a float model that can be quantized as chosen".to_owned(),
            advice: advice.to_owned(),
        };
        let mut notes = Vec::new();
        let mut document = model.document.clone();
        if order.fold {
            let prepared = prepare(&document, &PrepareOptions::default())
                .map_err(|error| failed("preparing", error.to_string(), "Quantize it without folding."))?;
            notes.extend(prepared.folded.iter().map(|folded| match folded.into.as_str() {
                "" => format!("{} ({}) became a constant", folded.node, folded.op),
                into => format!("{} ({}) was folded into {into}", folded.node, folded.op),
            }));
            document = prepared.document;
        }
        let items = chosen(source, order.images);
        let ranges = self.calibrated(model, &document, &order, &items, job).await?;
        let quantized = quantize(&document, &ranges, &order.options)
            .map_err(|error| failed("quantizing", error.to_string(), "Choose other types, or leave the node out."))?;
        notes.extend(quantized.notes.iter().map(ToString::to_string));
        let mut file = lower(&quantized.document, &quantized.table, order.options.format)
            .map_err(|error| failed("writing", error.to_string(), "Choose the QDQ format."))?;
        if !order.options.float_io {
            let (whole, ports) = with_integer_io(&file).map_err(|error| error.problem(&model.summary.file))?;
            notes.extend(ports.iter().map(|port| format!("{} is an integer", port.name)));
            file = whole;
        }
        let reply = QuantizedFile { name: file_name(model, &order), images: items.len(), notes };
        Ok((Reply::Quantized(reply), Some(file.encode())))
    }

    /// The range of every tensor that may be quantized, image by image.
    async fn calibrated(
        &self,
        model: &OpenModel,
        document: &Document,
        order: &QuantizeOrder,
        items: &[usize],
        job: &impl Job,
    ) -> Result<Ranges, Failure> {
        let file = &model.summary.file;
        let wrong = |error: String| {
            Failure::from(Problem {
                file: file.clone(),
                place: "calibrating".to_owned(),
                found: error,
                expected: "values with a range".to_owned(),
                advice: "Choose another calibration method or other images.".to_owned(),
            })
        };
        let tensors = calibration_tensors(document, &order.options);
        let mut plan = Plan::compile(document, Semantics::Simulate, &PlanOptions { observe: Observe::All })
            .map_err(|error| error.problem(file))?;
        let methods = [order.calibration];
        let passes = if RangeCollector::needs_bounds(&methods) { 2 } else { 1 };
        let mut known = BTreeMap::new();
        let mut ranges = Ranges::new();
        for pass in 0..passes {
            let methods: &[_] =
                if pass + 1 < passes { &[crate::quant::calibrate::CalibrationMethod::MinMax] } else { &methods };
            let mut collector = RangeCollector::with_bounds(methods, std::mem::take(&mut known))
                .map_err(|error| wrong(error.to_string()))?;
            for (done, &item) in items.iter().enumerate() {
                let steps = (pass * items.len() + done, passes * items.len());
                if !job.checkpoint("Calibrating", steps.0, steps.1).await {
                    return Err(Failure::Cancelled);
                }
                let run = RunOrder {
                    input: InputChoice::Item { source: order.source, index: item },
                    preprocess: order.preprocess.clone(),
                    semantics: Semantics::Simulate,
                };
                let inputs = self.inputs(model, plan.inputs(), &run)?;
                plan.run(&inputs).map_err(|error| error.problem(file))?;
                for name in &tensors {
                    let given = inputs.iter().find(|(input, _)| input == name).map(|(_, tensor)| tensor.clone());
                    if let Some(values) = given.or_else(|| plan.value(name)).and_then(|tensor| tensor.to_f32().ok()) {
                        collector.add(name, &values);
                    }
                }
            }
            known = collector.bounds();
            if pass + 1 == passes {
                ranges = collector.ranges(&order.calibration).map_err(|error| wrong(error.to_string()))?;
            }
        }
        Ok(ranges)
    }
}

/// Positions of the images, in order.
fn chosen(source: &OpenSource, images: CalibrationImages) -> Vec<usize> {
    let there = source.summary().count;
    match images {
        CalibrationImages::First(count) => (0..count.min(there)).collect(),
        CalibrationImages::PerClass { count, seed } => {
            let mut classes: BTreeMap<Option<u32>, Vec<usize>> = BTreeMap::new();
            for item in 0..there {
                classes.entry(source.label(item)).or_default().push(item);
            }
            let mut generator = Pcg64Mcg::seed_from_u64(seed);
            let mut chosen: Vec<usize> = classes
                .into_values()
                .flat_map(|mut items| {
                    // The first steps of a Fisher-Yates shuffle.
                    for at in 0..count.min(items.len()) {
                        let left = (items.len() - at) as u64;
                        items.swap(at, at + (generator.next_u64() % left) as usize);
                    }
                    items.truncate(count);
                    items
                })
                .collect();
            chosen.sort_unstable();
            chosen
        }
    }
}

/// "resnet8_int8_per_channel_percentile.onnx".
fn file_name(model: &OpenModel, order: &QuantizeOrder) -> String {
    let options = &order.options;
    let mut parts = vec![model.summary.name.clone(), options.activation_type.to_string()];
    if options.weight_type != options.activation_type {
        parts.push(format!("w{}", options.weight_type));
    }
    if options.per_channel {
        parts.push("per_channel".to_owned());
    }
    let calibration = order.calibration.name().to_lowercase().replace(' ', "_");
    if calibration != "minmax" {
        parts.push(calibration);
    }
    if options.format == crate::quant::table::TableFormat::QOperator {
        parts.push("qoperator".to_owned());
    }
    format!("{}.onnx", parts.join("_"))
}
