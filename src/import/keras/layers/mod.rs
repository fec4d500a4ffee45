//! Every layer that is converted, by its class.

mod activation;
mod attention;
mod conv;
mod dense;
mod functions;
mod masking;
mod merge;
mod norm;
mod pool;
mod recurrent;
mod resize;
mod scan;
mod shape;
mod time_distributed;
pub(super) mod unknown;

use super::context::Context;
use super::stop::{Stop, unsupported};
use super::value::Value;

/// Layers that do something while training only.
const IDENTITIES: [&str; 15] = [
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "ActivityRegularization",
    "Identity",
    "RandomFlip",
    "RandomRotation",
    "RandomZoom",
    "RandomContrast",
    "RandomTranslation",
    "RandomBrightness",
];

/// Layers that hand a mask on, besides those that do so themselves.
fn hands_mask_on(class: &str) -> bool {
    matches!(class, "BatchNormalization" | "LayerNormalization" | "TimeDistributed" | "PReLU" | "Rescaling")
}

/// Converts one call of a layer.
pub(super) fn lower(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let class = context.layer.class.clone();
    check_policy(context)?;
    let mut results = by_class(context, inputs, &class)?;
    if let Some(mask) = inputs.first().and_then(|input| input.mask.clone()).filter(|_| hands_mask_on(&class)) {
        results.iter_mut().for_each(|result| result.mask = Some(mask.clone()));
    }
    Ok(results)
}

/// Says where Keras computes in another type, and refuses weights that Keras itself quantized.
fn check_policy(context: &mut Context) -> Result<(), Stop> {
    let policy = context
        .config
        .get("dtype")
        .and_then(|dtype| dtype.as_str().or_else(|| dtype.get("config")?.get("name")?.as_str()));
    match policy {
        None | Some("float32") => Ok(()),
        Some(policy)
            if ["int8", "int4", "float8"].iter().any(|kind| policy.starts_with(kind)) && policy.contains("from") =>
        {
            unsupported(format!("its weights are quantized by Keras ({policy})"))
        }
        Some(policy) if policy.contains("float") => {
            context.low.note(format!("Layers of the dtype policy {policy} are computed in float32 here."));
            Ok(())
        }
        Some(_) => Ok(()),
    }
}

/// The number of axes in a class's name: `Conv2DTranspose` has 2.
fn axes(class: &str) -> Option<(String, usize)> {
    let at = class.find("1D").or_else(|| class.find("2D")).or_else(|| class.find("3D"))?;
    let count = class.get(at..=at)?.parse().ok()?;
    Some((format!("{}{}", class.get(..at)?, class.get(at + 2..)?), count))
}

fn by_class(context: &mut Context, inputs: &[Value], class: &str) -> Result<Vec<Value>, Stop> {
    if context.layer.is_function || matches!(class, "TFOpLambda" | "SlicingOpLambda") {
        return functions::function(context);
    }
    if IDENTITIES.contains(&class) {
        return Ok(vec![context.single(inputs)?.clone()]);
    }
    if let Some((kind, count)) = axes(class) {
        match kind.as_str() {
            "Conv" | "Convolution" => return conv::conv(context, inputs, count),
            "ConvTranspose" => return conv::transposed(context, inputs, count),
            "DepthwiseConv" => return conv::depthwise(context, inputs, count),
            "SeparableConv" => return conv::separable(context, inputs, count),
            "MaxPooling" => return pool::window(context, inputs, count, "MaxPool"),
            "AveragePooling" => return pool::window(context, inputs, count, "AveragePool"),
            "GlobalMaxPooling" => return pool::global(context, inputs, count, "GlobalMaxPool"),
            "GlobalAveragePooling" => return pool::global(context, inputs, count, "GlobalAveragePool"),
            "ZeroPadding" => return shape::zero_padding(context, inputs, count),
            "Cropping" => return shape::cropping(context, inputs, count),
            "UpSampling" => return shape::up_sampling(context, inputs, count),
            _ => {}
        }
    }
    match class {
        "Dense" => dense::dense(context, inputs),
        "Embedding" => dense::embedding(context, inputs),
        "Activation" | "ReLU" | "LeakyReLU" | "ThresholdedReLU" | "ELU" | "Softmax" => {
            let input = context.single(inputs)?;
            let function = activation::layer_function(class, context.config)?;
            let function = function.filter(|function| *function != activation::Function::Named("linear".to_owned()));
            Ok(vec![activation::apply(context, input, function)?])
        }
        "PReLU" => activation::prelu(context, inputs),
        // As TensorFlow 1 called them.
        "BatchNormalization" | "BatchNormalizationV1" | "BatchNormalizationV2" | "SyncBatchNormalization" => {
            norm::batch(context, inputs)
        }
        "LayerNormalization" => norm::layer(context, inputs),
        "LayerScale" => norm::layer_scale(context, inputs),
        "Rescaling" => norm::rescaling(context, inputs),
        "Normalization" => norm::normalization(context, inputs),
        "Add" => merge::elementwise(context, inputs, "Add"),
        "Multiply" => merge::elementwise(context, inputs, "Mul"),
        "Average" => merge::elementwise(context, inputs, "Average"),
        "Maximum" => merge::elementwise(context, inputs, "Max"),
        "Minimum" => merge::elementwise(context, inputs, "Min"),
        "Subtract" => merge::subtract(context, inputs),
        "Concatenate" => merge::concatenate(context, inputs),
        "Dot" => merge::dot(context, inputs),
        "Flatten" => shape::flatten(context, inputs),
        "Reshape" => shape::reshape(context, inputs),
        "Permute" => shape::permute(context, inputs),
        "Resizing" => resize::resizing(context, inputs),
        "CenterCrop" => resize::center_crop(context, inputs),
        "RepeatVector" => shape::repeat_vector(context, inputs),
        "LSTM" | "GRU" | "SimpleRNN" | "CuDNNLSTM" | "CuDNNGRU" => recurrent::recurrent(context, inputs),
        "Bidirectional" => recurrent::bidirectional(context, inputs),
        "TimeDistributed" => time_distributed::time_distributed(context, inputs),
        "MultiHeadAttention" => attention::multi_head(context, inputs),
        "Masking" => masking::masking(context, inputs),
        "Lambda" => unsupported("its function is Python code, which is not read"),
        _ => unsupported("a layer that is not known here"),
    }
}
