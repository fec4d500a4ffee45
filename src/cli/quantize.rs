//! `quantize`: a float model to a quantized one.

use super::files::DataChoice;
use super::images::ImageArguments;
use super::job::TerminalJob;
use super::{Ended, Outcome, files, print, print_json};
use crate::analysis::Quality;
use crate::quant::calibrate::CalibrationMethod;
use crate::quant::quantizer::{BiasCorrection, Corrections, Preset, QuantizeOptions, presets};
use crate::quant::table::TableFormat;
use crate::tensor::DType;
use crate::worker::service::Service;
use crate::worker::{CalibrationImages, QuantizeOrder, Reply, Request};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Arguments of `quantize`.
#[derive(clap::Args)]
pub struct Quantize {
    /// The float model.
    model: PathBuf,
    #[command(flatten)]
    data: DataChoice,
    #[command(flatten)]
    image_settings: ImageArguments,
    /// Settings of a target; what is given beside them comes first.
    #[arg(long, value_parser = preset_named)]
    preset: Option<&'static str>,
    /// Type of activations; int8 unless a preset says otherwise.
    #[arg(long, value_enum)]
    activations: Option<TypeArgument>,
    /// Type of weights; int8 unless a preset says otherwise.
    #[arg(long, value_enum)]
    weights: Option<TypeArgument>,
    /// A scale for each output channel of a weight.
    #[arg(long)]
    per_channel: bool,
    /// Ranges of activations are made symmetric.
    #[arg(long)]
    symmetric_activations: bool,
    /// Whether ranges of weights are made symmetric; left out, for signed types.
    #[arg(long)]
    symmetric_weights: Option<bool>,
    /// Weights use about half of the type's numbers.
    #[arg(long)]
    reduce_range: bool,
    /// How the model is written.
    #[arg(long, value_enum, default_value = "qdq")]
    format: FormatArgument,
    /// How ranges are found; minmax unless a preset says otherwise.
    #[arg(long, value_enum)]
    calibration: Option<CalibrationArgument>,
    /// Bins of the histogram methods; ONNX Runtime's default for the method unless told.
    #[arg(long)]
    bins: Option<usize>,
    /// Of Percentile.
    #[arg(long, default_value_t = 99.999)]
    percentile: f64,
    /// Quantized bins of Entropy.
    #[arg(long, default_value_t = 128)]
    quantized_bins: usize,
    /// Of the moving average: so many images have a mean of their extremes, which moves the average by the constant;
    /// one mean of all images unless told (CalibStridedMinMax).
    #[arg(long)]
    images_per_mean: Option<u64>,
    /// Of the moving average, 0 to 1; without --images-per-mean there is nothing that it moves.
    #[arg(long, default_value_t = 0.01)]
    averaging_constant: f32,
    /// Only the first N images.
    #[arg(long)]
    limit: Option<usize>,
    /// N images of each class, chosen at random, instead of the first ones; N in all where there are no labels.
    #[arg(long, conflicts_with = "limit")]
    per_class: Option<usize>,
    /// Seed of that choice.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Fold constants and batch norm first.
    #[arg(long)]
    fold: bool,
    /// Move factors between convolutions that follow each other (cross-layer equalization); fold first.
    #[arg(long)]
    equalize: bool,
    /// Take off the biases what rounding does to the mean of each channel.
    #[arg(long, value_enum)]
    bias_correction: Option<BiasArgument>,
    /// Round weights so that each layer's output on the calibration images is nearest.
    #[arg(long)]
    adaptive_rounding: bool,
    /// Operator types to quantize; all that ONNX Runtime knows unless told.
    #[arg(long, value_delimiter = ',')]
    op_types: Vec<String>,
    /// Nodes to leave in float.
    #[arg(long, value_delimiter = ',')]
    exclude: Vec<String>,
    /// Input and output become integers.
    #[arg(long)]
    integer_io: bool,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

/// Stored types.
#[derive(Clone, Copy, clap::ValueEnum)]
enum TypeArgument {
    Int8,
    Uint8,
    Int16,
    Uint16,
    Int4,
    Uint4,
}

/// Forms of a quantized file.
#[derive(Clone, Copy, clap::ValueEnum)]
enum FormatArgument {
    Qdq,
    Qoperator,
}

/// Calibration methods.
#[derive(Clone, Copy, clap::ValueEnum)]
enum CalibrationArgument {
    Minmax,
    MovingAverage,
    Entropy,
    Percentile,
    Distribution,
    Mse,
}

/// Where the means of channels come from.
#[derive(Clone, Copy, clap::ValueEnum)]
enum BiasArgument {
    Empirical,
    Analytic,
}

impl From<TypeArgument> for DType {
    fn from(argument: TypeArgument) -> Self {
        match argument {
            TypeArgument::Int8 => DType::Int8,
            TypeArgument::Uint8 => DType::Uint8,
            TypeArgument::Int16 => DType::Int16,
            TypeArgument::Uint16 => DType::Uint16,
            TypeArgument::Int4 => DType::Int4,
            TypeArgument::Uint4 => DType::Uint4,
        }
    }
}

/// "31.2 dB, 87.5 %".
fn quality(quality: &Quality) -> String {
    let sqnr = quality.output_sqnr_db.map_or("no error".to_owned(), |sqnr| format!("{sqnr:.2} dB"));
    let accuracy = quality.accuracy.map_or(String::new(), |accuracy| format!(", {:.2} %", 100.0 * accuracy));
    format!("{sqnr}{accuracy}")
}

impl Quantize {
    /// Quantizes and writes the file.
    pub fn run(self, json: bool) -> Outcome {
        let job = TerminalJob::new();
        let mut service = Service::default();
        let paths: Vec<PathBuf> = std::iter::once(&self.model).chain(&self.data.data).cloned().collect();
        let workspace = files::open(&mut service, &paths, &job)?;
        let source = self.data.of(&workspace, false)?;
        let [model, ..] = files::models(&workspace, std::slice::from_ref(&self.model))? else {
            return Err(vec![files::internal("a model is needed, and is not there")]);
        };
        self.image_settings.say(std::slice::from_ref(model), source)?;
        let preprocessing = model.preprocessing(self.image_settings.edits().as_ref()).filter(|_| source.pictures);
        let images = match self.per_class {
            Some(count) => CalibrationImages::PerClass { count, seed: self.seed },
            None => CalibrationImages::First(self.limit.unwrap_or(usize::MAX)),
        };
        let order = QuantizeOrder {
            model: model.id,
            source: source.id,
            images,
            preprocess: self.image_settings.edits(),
            calibration: self.method(),
            options: self.options(),
            preset: self.preset.map(str::to_owned),
            fold: self.fold,
            corrections: Corrections {
                equalize: self.equalize,
                adaptive_rounding: self.adaptive_rounding,
                bias: match self.bias_correction {
                    None => BiasCorrection::None,
                    Some(BiasArgument::Empirical) => BiasCorrection::Empirical,
                    Some(BiasArgument::Analytic) => BiasCorrection::Analytic,
                },
            },
            compare: false,
        };
        let broken = self.preset().map(|preset| preset.broken_by(&order.options)).unwrap_or_default();
        let (reply, file) = files::ask(&mut service, Request::Quantize(Box::new(order)), &job)?;
        job.finish();
        let (Reply::Quantized(mut made), Some(bytes)) = (reply, file) else {
            return Err(vec![files::internal("a quantization was answered with something else")]);
        };
        made.notes = broken.into_iter().chain(std::mem::take(&mut made.notes)).collect();
        files::write(&self.out, &bytes).map_err(|problem| vec![problem])?;
        if json {
            print_json(&serde_json::json!({
                "out": self.out.display().to_string(),
                "size_bytes": bytes.len(),
                "images": made.images,
                "preprocessing": preprocessing,
                "notes": made.notes,
                "corrections": made.effects,
                "corrections_measured_on": made.measured_on,
            }))?;
        } else {
            made.notes.iter().for_each(|note| print(note));
            for effect in &made.effects {
                print(&format!(
                    "{}: {} without, {} with it, on {}",
                    effect.step.name(),
                    quality(&effect.without),
                    quality(&effect.with),
                    made.measured_on
                ));
            }
            print(&format!("{} bytes in {}, calibrated on {} images", bytes.len(), self.out.display(), made.images));
        }
        Ok(Ended::Well)
    }

    fn method(&self) -> CalibrationMethod {
        let bins = |usual: usize| self.bins.unwrap_or(usual);
        let Some(calibration) = self.calibration else {
            return self.preset().map_or(CalibrationMethod::MinMax, |preset| preset.calibration);
        };
        match calibration {
            CalibrationArgument::Minmax => CalibrationMethod::MinMax,
            CalibrationArgument::MovingAverage => {
                CalibrationMethod::MovingAverage { constant: self.averaging_constant, every: self.images_per_mean }
            }
            CalibrationArgument::Entropy => {
                CalibrationMethod::Entropy { bins: bins(128), quantized_bins: self.quantized_bins }
            }
            CalibrationArgument::Percentile => {
                CalibrationMethod::Percentile { bins: bins(2048), percentile: self.percentile, symmetric: true }
            }
            CalibrationArgument::Distribution => CalibrationMethod::Distribution { bins: bins(2048) },
            CalibrationArgument::Mse => CalibrationMethod::SquaredError {
                bins: bins(2048),
                steps: match self.options().activation_type.bits() {
                    Some(bits) if bits < 32 => (1u32 << bits) - 1,
                    _ => 255,
                },
                symmetric: self.symmetric_activations,
            },
        }
    }

    fn preset(&self) -> Option<Preset> {
        presets().into_iter().find(|preset| Some(preset.id) == self.preset)
    }

    fn options(&self) -> QuantizeOptions {
        let base = self.preset().map(|preset| preset.options).unwrap_or_default();
        QuantizeOptions {
            format: match self.format {
                FormatArgument::Qdq => TableFormat::Qdq,
                FormatArgument::Qoperator => TableFormat::QOperator,
            },
            activation_type: self.activations.map_or(base.activation_type, DType::from),
            weight_type: self.weights.map_or(base.weight_type, DType::from),
            activations_symmetric: self.symmetric_activations || base.activations_symmetric,
            weights_symmetric: self.symmetric_weights.or(base.weights_symmetric),
            per_channel: self.per_channel || base.per_channel,
            reduce_range: self.reduce_range || base.reduce_range,
            op_types: (!self.op_types.is_empty()).then(|| self.op_types.iter().cloned().collect::<BTreeSet<_>>()),
            nodes_excluded: self.exclude.iter().cloned().collect(),
            float_io: !self.integer_io,
            ..base
        }
    }
}

/// The id of a preset that there is.
fn preset_named(id: &str) -> Result<&'static str, String> {
    let ids: Vec<&'static str> = presets().into_iter().map(|preset| preset.id).collect();
    let unknown = format!("the presets are {}", ids.join(", "));
    ids.into_iter().find(|known| *known == id).ok_or(unknown)
}
