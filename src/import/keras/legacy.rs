//! Keras 1: the same layers under other names.

use super::topology::Model;
use crate::import::ImportError;
use serde_json::{Map, Value, json};

/// Rewrites classes and configurations of Keras 1 into those of Keras 2, nested models included.
pub(super) fn modernize(model: &mut Model) -> Result<(), ImportError> {
    for layer in &mut model.layers {
        if let Some(nested) = &mut layer.nested {
            modernize(nested)?;
        }
        modernize_layer(&mut layer.class, &mut layer.config);
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

/// Rewrites one layer, and the one inside of a `TimeDistributed` or `Bidirectional`.
fn modernize_layer(class: &mut String, config: &mut Map<String, Value>) {
    if let Some(Value::Object(inner)) = config.get_mut("layer")
        && let Some(mut inner_class) = inner.get("class_name").and_then(Value::as_str).map(str::to_owned)
        && let Some(Value::Object(inner_config)) = inner.get_mut("config")
    {
        modernize_layer(&mut inner_class, inner_config);
        inner.insert("class_name".to_owned(), Value::from(inner_class));
    }
    for (old, new) in RENAMED {
        // An embedding's output_dim is called so to this day.
        let keeps = *class == "Embedding" && old == "output_dim";
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
    if *class == "BatchNormalization" && !config.contains_key("scale") {
        set(config, "scale", json!(true));
    }
    if *class == "Merge" {
        let old = if config.get("mode").and_then(Value::as_str) == Some("dot") { "dot_axes" } else { "concat_axis" };
        if let Some(axis) = config.get(old).cloned() {
            set(config, if old == "dot_axes" { "axes" } else { "axis" }, axis);
        }
    }
    if let Some(renamed) = modern_class(class, config) {
        renamed.clone_into(class);
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
        "TimeDistributedDense" => "Dense",
        "Merge" => match config.get("mode").and_then(Value::as_str)? {
            "sum" => "Add",
            "mul" => "Multiply",
            "ave" => "Average",
            "max" => "Maximum",
            "concat" => "Concatenate",
            "dot" => "Dot",
            _ => return None,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_inside_of_wrappers_are_renamed_too() {
        let Value::Object(mut config) = json!({"name": "t", "layer": {"class_name": "Convolution2D", "config":
            {"nb_filter": 4, "nb_row": 3, "nb_col": 2, "border_mode": "same", "bias": false}}})
        else {
            panic!()
        };
        let mut class = "TimeDistributed".to_owned();
        modernize_layer(&mut class, &mut config);
        let inner = &config["layer"];
        assert_eq!((class.as_str(), &inner["class_name"]), ("TimeDistributed", &json!("Conv2D")));
        let inner = &inner["config"];
        assert_eq!((&inner["filters"], &inner["kernel_size"]), (&json!(4), &json!([3, 2])));
        assert_eq!((&inner["padding"], &inner["use_bias"]), (&json!("same"), &json!(false)));
    }

    #[test]
    fn merges_become_the_layers_of_their_modes() {
        for (mode, class, axis) in [("concat", "Concatenate", "axis"), ("dot", "Dot", "axes"), ("sum", "Add", "axis")] {
            let Value::Object(mut config) = json!({"mode": mode, "concat_axis": 1, "dot_axes": 1}) else { panic!() };
            let mut name = "Merge".to_owned();
            modernize_layer(&mut name, &mut config);
            assert_eq!((name.as_str(), &config[axis]), (class, &json!(1)));
        }
    }
}
