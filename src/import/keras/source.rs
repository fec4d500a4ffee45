//! The two kinds of Keras file, read into the same parts: the model's configuration and its weights.

use super::hdf5::H5;
use crate::import::archive::member;
use crate::import::limits::{Budget, Limits};
use crate::import::{ImportError, SourceTensor};
use bytes::Bytes;
use serde_json::Value;

/// How the weights of a layer are found in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// By the layer's name: a group per layer with the names of its weights.
    ByLayer,
    /// By the layer's class and its count in its container: `layers/conv2d_1/vars/0`.
    ByClass,
}

/// What a file holds.
pub(super) struct KerasFile {
    /// `model_config` or `config.json`.
    pub config: Value,
    /// Version of Keras that wrote it; empty where the file does not say.
    pub version: String,
    /// Which backend trained it; matters for Keras 1 only.
    pub backend: String,
    pub naming: Naming,
    /// Every data set.
    pub tensors: Vec<SourceTensor>,
    /// With [`Naming::ByLayer`]: group and weight names of each layer, in the file's order.
    pub groups: Vec<(String, Vec<String>)>,
}

impl KerasFile {
    /// The first number of the version; 3 where the file does not say.
    pub fn major(&self) -> u32 {
        self.version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(3)
    }
}

/// Reads a file of either kind.
pub(super) fn read(bytes: &Bytes) -> Result<KerasFile, ImportError> {
    if bytes.starts_with(b"PK") { read_keras(bytes) } else { read_h5(bytes) }
}

fn read_h5(bytes: &Bytes) -> Result<KerasFile, ImportError> {
    let h5 = H5::open(bytes.clone(), "")?;
    let Some(text) = h5.text("/", "model_config")? else {
        return Err(weights_only(&h5)?);
    };
    let config = json("attribute 'model_config'", text.as_bytes())?;
    let weights = if h5.child_groups("/")?.iter().any(|name| name == "model_weights") { "/model_weights" } else { "/" };
    let said = |name: &str| {
        let root = h5.text("/", name)?;
        Ok::<_, ImportError>(match root {
            Some(text) => text,
            None => h5.text(weights, name)?.unwrap_or_default(),
        })
    };
    let (version, backend) = (said("keras_version")?, said("backend")?);
    let tensors = h5.tensors(bytes.len() as u64)?;
    let mut groups = Vec::new();
    for layer in h5.child_groups(weights)? {
        let path = format!("{}/{layer}", weights.trim_end_matches('/'));
        let names = h5.texts(&path, "weight_names")?.unwrap_or_default();
        groups.push((path, names));
    }
    Ok(KerasFile { config, version, backend, naming: Naming::ByLayer, tensors, groups })
}

/// The refusal of a file without a model: one that holds weights is named as such.
fn weights_only(h5: &H5) -> Result<ImportError, ImportError> {
    let names = h5.child_groups("/")?;
    let is_weights = h5.texts("/", "layer_names")?.is_some()
        || names.iter().any(|name| matches!(name.as_str(), "layers" | "vars" | "_layer_checkpoint_dependencies"));
    let found = match is_weights {
        true => "weights of a Keras model without the model itself (saved with save_weights)".to_owned(),
        false if names.is_empty() => "an HDF5 file without a group".to_owned(),
        false => {
            format!("an HDF5 file with the groups {}", names.iter().take(5).cloned().collect::<Vec<_>>().join(", "))
        }
    };
    Ok(ImportError::unsupported(
        "attribute 'model_config'",
        found,
        "a whole model: the attribute 'model_config' beside the weights",
        "Load the weights in Python and save the whole model: model.save('model.keras').",
    ))
}

fn read_keras(bytes: &Bytes) -> Result<KerasFile, ImportError> {
    let limits = Limits::default();
    let mut budget = Budget::new(&limits);
    let mut required = |name: &'static str| {
        member(bytes, name, &mut budget)?.ok_or_else(|| {
            ImportError::format(
                "zip directory",
                format!("no {name}"),
                "a .keras archive with config.json and model.weights.h5",
                "Save the model again: model.save('model.keras').",
            )
        })
    };
    let config = json("config.json", &required("config.json")?)?;
    let weights = required("model.weights.h5")?;
    let metadata = member(bytes, "metadata.json", &mut budget)?;
    let metadata = metadata.map(|bytes| json("metadata.json", &bytes)).transpose()?;
    let version = metadata.as_ref().and_then(|metadata| metadata.get("keras_version")).and_then(Value::as_str);
    let h5 = H5::open(weights.clone(), "model.weights.h5: ")?;
    let tensors = h5.tensors(weights.len() as u64)?;
    Ok(KerasFile {
        config,
        version: version.unwrap_or_default().to_owned(),
        backend: String::new(),
        naming: Naming::ByClass,
        tensors,
        groups: Vec::new(),
    })
}

fn json(place: &'static str, bytes: &[u8]) -> Result<Value, ImportError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let advice = "The file is damaged: save the model again, or copy the file again.";
        ImportError::format(place, format!("text that breaks: {error}"), "the model's configuration as JSON", advice)
    })
}
