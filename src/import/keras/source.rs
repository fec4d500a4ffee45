//! The two kinds of Keras file, read into the same parts: the model's configuration and its weights.

use super::hdf5::H5;
use crate::import::archive::member;
use crate::import::limits::{Budget, Limits};
use crate::import::{ImportError, SourceTensor};
use bytes::Bytes;
use serde_json::Value;

/// Largest configuration in bytes of JSON. A network of a thousand layers has some 2 MB; parsed, a byte can become 30.
const LARGEST_CONFIG_BYTES: usize = 8 << 20;

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
    /// With [`Naming::ByLayer`]: the group that holds the groups of the layers, without a slash behind.
    pub root: String,
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
    let root = weights.trim_end_matches('/').to_owned();
    // A layer of the name `block1/conv` has its group inside of the group `block1`, which is no layer's.
    let layers = match h5.texts(weights, "layer_names")? {
        Some(layers) => layers,
        None => h5.child_groups(weights)?,
    };
    let mut groups = Vec::new();
    for layer in layers {
        let path = format!("{root}/{layer}");
        let names = h5.texts(&path, "weight_names")?.unwrap_or_default();
        groups.push((path, names));
    }
    Ok(KerasFile { config, version, backend, naming: Naming::ByLayer, tensors, root, groups })
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
    let texts = Limits { unpacked_bytes: LARGEST_CONFIG_BYTES as u64, ..Limits::default() };
    let required = |name: &'static str, limits: &Limits| {
        member(bytes, name, &mut Budget::new(limits))?.ok_or_else(|| {
            ImportError::format(
                "zip directory",
                format!("no {name}"),
                "a .keras archive with config.json and model.weights.h5",
                "Save the model again: model.save('model.keras').",
            )
        })
    };
    let config = json("config.json", &required("config.json", &texts)?)?;
    let weights = required("model.weights.h5", &limits)?;
    let metadata = member(bytes, "metadata.json", &mut Budget::new(&texts))?;
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
        root: String::new(),
        groups: Vec::new(),
    })
}

fn json(place: &'static str, bytes: &[u8]) -> Result<Value, ImportError> {
    if bytes.len() > LARGEST_CONFIG_BYTES {
        return Err(ImportError::LimitExceeded {
            place: place.into(),
            what: "bytes of configuration".into(),
            found: bytes.len() as u64,
            limit: LARGEST_CONFIG_BYTES as u64,
        });
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let advice = "The file is damaged: save the model again, or copy the file again.";
        ImportError::format(place, format!("text that breaks: {error}"), "the model's configuration as JSON", advice)
    })
}
