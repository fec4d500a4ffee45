//! Keras 1: the same layers under other names.

use super::topology::{Layer, Model};
use crate::import::ImportError;
use serde_json::{Map, Value, json};

/// Rewrites classes and configurations of Keras 1 into those of Keras 2, nested models included.
pub(super) fn modernize(model: &mut Model) -> Result<(), ImportError> {
    for layer in &mut model.layers {
        if let Some(nested) = &mut layer.nested {
            modernize(nested)?;
        }
        modernize_layer(layer);
    }
    Ok(())
}

/// New names of entries that mean the same.
const RENAMED: [(&str, &str); 12] = [
    ("output_dim", "units"),
    ("nb_filter", "filters"),
    ("border_mode", "padding"),
    ("subsample", "strides"),
    ("subsample_length", "strides"),
    ("filter_length", "kernel_size"),
    ("atrous_rate", "dilation_rate"),
    ("bias", "use_bias"),
    ("inner_activation", "recurrent_activation"),
    ("pool_length", "pool_size"),
    ("stride", "strides"),
    ("p", "rate"),
];

fn modernize_layer(layer: &mut Layer) {
    let config = &mut layer.config;
    for (old, new) in RENAMED {
        // An embedding's output_dim is called so to this day.
        let keeps = layer.class == "Embedding" && old == "output_dim";
        if !keeps
            && !config.contains_key(new)
            && let Some(value) = config.get(old).cloned()
        {
            config.insert(new.to_owned(), value);
        }
    }
    let sizes: Vec<Value> = ["kernel_dim1", "kernel_dim2", "kernel_dim3", "nb_row", "nb_col"]
        .iter()
        .filter_map(|key| config.get(*key).cloned())
        .collect();
    if !sizes.is_empty() {
        config.insert("kernel_size".to_owned(), Value::Array(sizes));
    }
    match config.get("dim_ordering").and_then(Value::as_str) {
        Some("th") => set(config, "data_format", json!("channels_first")),
        Some("tf") => set(config, "data_format", json!("channels_last")),
        _ => {}
    }
    if layer.class == "BatchNormalization" && !config.contains_key("scale") {
        set(config, "scale", json!(true));
    }
    if let Some(renamed) = modern_class(&layer.class, config) {
        layer.class = renamed.to_owned();
    }
    if layer.class == "Concatenate"
        && let Some(axis) = config.get("concat_axis").cloned()
    {
        set(config, "axis", axis);
    }
}

fn set(config: &mut Map<String, Value>, key: &str, value: Value) {
    config.insert(key.to_owned(), value);
}

fn modern_class(class: &str, config: &Map<String, Value>) -> Option<&'static str> {
    Some(match class {
        "Convolution1D" | "AtrousConvolution1D" => "Conv1D",
        "Convolution2D" | "AtrousConvolution2D" => "Conv2D",
        "Convolution3D" => "Conv3D",
        "SeparableConvolution2D" => "SeparableConv2D",
        "Deconvolution2D" => "Conv2DTranspose",
        "Merge" => match config.get("mode").and_then(Value::as_str)? {
            "sum" => "Add",
            "mul" => "Multiply",
            "ave" => "Average",
            "max" => "Maximum",
            "concat" => "Concatenate",
            _ => return None,
        },
        _ => return None,
    })
}
