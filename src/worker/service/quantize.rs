//! Static quantization of an open float model.

use super::corrections::Corrector;
use super::feed::Feed;
use super::model::OpenModel;
use super::{Answered, Job, Service};
use crate::engine::constant_values;
use crate::onnx::Document;
use crate::problem::Problem;
use crate::quant::calibrate::{CalibrationMethod, RangeCollector};
use crate::quant::quantizer::{
    PrepareOptions, QuantizeError, QuantizeOptions, Ranges, float_ports, left_float, prepare, presets, quantize,
    with_integer_io, with_quantizers,
};
use crate::quant::table::lower;
use crate::worker::protocol::{CalibratedTensor, CalibrationImages, QuantizeOrder, QuantizedFile, Reply};

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
        order.options.check_names(&model.document).map_err(|error| {
            failed("the nodes and operators chosen", error.to_string(), "Choose names that the model has.")
        })?;
        let feed = Feed { service: self, model, source, preprocess: order.preprocess.clone() };
        let mut notes = Vec::new();
        let (mut document, raised) = with_quantizers(&model.document);
        notes.extend(raised.iter().map(ToString::to_string));
        if order.fold {
            let prepared = prepare(&document, &PrepareOptions::default(), &constant_values)
                .map_err(|error| failed("preparing", error.to_string(), "Quantize it without folding."))?;
            notes.extend(prepared.notes());
            document = prepared.document;
        }
        let options = completed(&order, &document);
        let items = feed.chosen(&order.images);
        if items.is_empty() {
            let advice = "Choose images that the data set has.";
            return Err(failed("calibrating", format!("no image of {} was chosen", source.name), advice).into());
        }
        if let (CalibrationImages::PerClass { count, .. }, false) = (&order.images, source.is_labelled()) {
            notes.push(format!(
                "{} has no labels: {count} images of all were asked for, not {count} of each class; {} were taken",
                source.name,
                items.len()
            ));
        }
        notes.extend(options.overruled());
        let mut methods = vec![order.calibration];
        if order.compare {
            let others = CalibrationMethod::usual(options.activation_type, options.activations_symmetric);
            methods.extend(others.into_iter().filter(|other| other.name() != order.calibration.name()));
        }
        let refuse = |error: QuantizeError| {
            failed("quantizing", error.to_string(), "Choose other types, or leave the node out.")
        };
        let mut corrector = Corrector::new(&feed, &items, order.corrections);
        let document = corrector.prepare(&document).map_err(refuse)?;
        let calibrated = |collector: &RangeCollector| {
            collector.ranges(&order.calibration).map_err(|error| {
                failed("calibrating", error.to_string(), "Choose another calibration method or other images.")
            })
        };
        let mut collector = feed.calibrated(&document, &options, &methods, &items, job).await?;
        let mut ranges = calibrated(&collector)?;
        let mut quantized = quantize(&document, &ranges, &options).map_err(refuse)?;
        if let Some(equalized) = corrector.equalized(&document).map_err(refuse)? {
            collector = feed.calibrated(&equalized, &options, &methods, &items, job).await?;
            ranges = calibrated(&collector)?;
            let other = quantize(&equalized, &ranges, &options).map_err(refuse)?;
            corrector.measure_equalization(&quantized, &other, job).await?;
            quantized = other;
        }
        corrector.correct(&mut quantized, job).await?;
        notes.extend(quantized.notes.iter().map(ToString::to_string));
        notes.append(&mut corrector.notes);
        let mut file = lower(&quantized.document, &quantized.table, options.format)
            .map_err(|error| failed("writing", error.to_string(), "Choose the QDQ format."))?;
        notes.extend(left_float(&quantized, &file).iter().map(ToString::to_string));
        if !options.float_io {
            let (whole, ports) = with_integer_io(&file).map_err(|error| error.problem(&model.summary.file))?;
            notes.extend(ports.iter().map(|port| format!("{} is an integer", port.name)));
            notes.extend(float_ports(&whole));
            file = whole;
        }
        let reply = QuantizedFile {
            name: file_name(model, &order),
            images: items.len(),
            notes,
            methods: methods.iter().map(|method| method.name().to_owned()).collect(),
            ranges: compared(&methods, &collector, &ranges),
            effects: corrector.effects,
            measured_on: corrector.measured_on,
        };
        Ok((Reply::Quantized(reply), Some(file.encode())))
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
