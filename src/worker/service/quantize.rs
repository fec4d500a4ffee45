//! Static quantization of an open float model.

use super::model::OpenModel;
use super::source::OpenSource;
use super::{Answered, Failure, Job, Service};
use crate::engine::{Observe, Plan, PlanOptions, Semantics};
use crate::onnx::Document;
use crate::problem::Problem;
use crate::quant::calibrate::{CalibrationMethod, RangeCollector};
use crate::quant::quantizer::{
    PrepareOptions, QuantizeOptions, Ranges, calibration_tensors, prepare, presets, quantize, with_integer_io,
};
use crate::quant::table::lower;
use crate::worker::protocol::{
    CalibratedTensor, CalibrationImages, InputChoice, QuantizeOrder, QuantizedFile, Reply, RunOrder,
};
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
        let options = completed(&order, &document);
        let items = chosen(source, &order.images);
        if items.is_empty() {
            let advice = "Choose images that the data set has.";
            return Err(failed("calibrating", format!("no image of {} was chosen", source.name), advice).into());
        }
        let (methods, collector) = self.calibrated(model, &document, &order, &options, &items, job).await?;
        let ranges = collector.ranges(&order.calibration).map_err(|error| {
            failed("calibrating", error.to_string(), "Choose another calibration method or other images.")
        })?;
        let quantized = quantize(&document, &ranges, &options)
            .map_err(|error| failed("quantizing", error.to_string(), "Choose other types, or leave the node out."))?;
        notes.extend(quantized.notes.iter().map(ToString::to_string));
        let mut file = lower(&quantized.document, &quantized.table, options.format)
            .map_err(|error| failed("writing", error.to_string(), "Choose the QDQ format."))?;
        if !options.float_io {
            let (whole, ports) = with_integer_io(&file).map_err(|error| error.problem(&model.summary.file))?;
            notes.extend(ports.iter().map(|port| format!("{} is an integer", port.name)));
            file = whole;
        }
        let reply = QuantizedFile {
            name: file_name(model, &order),
            images: items.len(),
            notes,
            methods: methods.iter().map(|method| method.name().to_owned()).collect(),
            ranges: compared(&methods, &collector, &ranges),
        };
        Ok((Reply::Quantized(reply), Some(file.encode())))
    }

    /// Collects the values of every tensor that may be quantized, image by image, for the chosen method and, where they
    /// are to be compared, for the others. Methods with histograms see the images twice, as in ONNX Runtime: once for
    /// the extremes that the bins lie between.
    async fn calibrated(
        &self,
        model: &OpenModel,
        document: &Document,
        order: &QuantizeOrder,
        options: &QuantizeOptions,
        items: &[usize],
        job: &impl Job,
    ) -> Result<(Vec<CalibrationMethod>, RangeCollector), Failure> {
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
        let mut methods = vec![order.calibration];
        if order.compare {
            let others = CalibrationMethod::usual(options.activation_type, options.activations_symmetric);
            methods.extend(others.into_iter().filter(|other| other.name() != order.calibration.name()));
        }
        let tensors = calibration_tensors(document, options);
        let mut plan = Plan::compile(document, Semantics::Simulate, &PlanOptions { observe: Observe::All })
            .map_err(|error| error.problem(file))?;
        let passes = if RangeCollector::needs_bounds(&methods) { 2 } else { 1 };
        let mut known = BTreeMap::new();
        for pass in 1..passes + 1 {
            let extremes: &[_] = &[CalibrationMethod::MinMax];
            let now = if pass < passes { extremes } else { &methods };
            let mut collector = RangeCollector::with_bounds(now, std::mem::take(&mut known))
                .map_err(|error| wrong(error.to_string()))?;
            for (done, &item) in items.iter().enumerate() {
                let steps = ((pass - 1) * items.len() + done, passes * items.len());
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
            if pass == passes {
                return Ok((methods, collector));
            }
            known = collector.bounds();
        }
        Err(Failure::Cancelled)
    }
}

/// The options as the preset's target completes them for this model.
fn completed(order: &QuantizeOrder, document: &Document) -> QuantizeOptions {
    let preset = presets().into_iter().find(|preset| Some(preset.id) == order.preset.as_deref());
    match preset {
        Some(mut preset) => {
            preset.options = order.options.clone();
            preset.options_for(document)
        }
        None => order.options.clone(),
    }
}

/// What each method makes of the tensors.
fn compared(methods: &[CalibrationMethod], collector: &RangeCollector, own: &Ranges) -> Vec<CalibratedTensor> {
    // A method that cannot be computed on these values has no ranges to show; it was not chosen.
    let others: Vec<_> = methods.iter().skip(1).map(|method| collector.ranges(method).unwrap_or_default()).collect();
    let tensor = |(tensor, range): (&String, &(f32, f32))| CalibratedTensor {
        tensor: tensor.clone(),
        ranges: std::iter::once(Some(*range)).chain(others.iter().map(|all| all.get(tensor).copied())).collect(),
    };
    own.iter().map(tensor).collect()
}

/// Positions of the images, in order.
fn chosen(source: &OpenSource, images: &CalibrationImages) -> Vec<usize> {
    let there = source.summary().count;
    match images {
        CalibrationImages::First(count) => (0..there.min(*count)).collect(),
        CalibrationImages::Listed(items) => items.iter().copied().filter(|item| *item < there).collect(),
        &CalibrationImages::PerClass { count, seed } => {
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
