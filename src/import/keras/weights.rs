//! Finding a layer's weights in the file.

use super::source::{KerasFile, Naming};
use super::topology::Layer;
use crate::import::SourceTensor;
use std::collections::HashMap;

/// Where a layer's weights are looked for.
#[derive(Clone, Debug)]
pub(super) enum Scope {
    /// The group of the outermost layer, and the names of the models and the layer below it.
    ByLayer { group: String, path: Vec<String> },
    /// The folder of the layer.
    ByClass { folder: String },
}

/// A part of a layer that has weights of its own, as both kinds of file call it.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Folder names in `model.weights.h5`; the first that is there is taken.
    pub folders: &'static [&'static str],
    /// What a component of the weight's name is, or begins with; empty where names do not tell the part.
    pub component: &'static str,
    /// What a component is where none is that: the name that a part was given by hand, and keeps.
    pub own_name: Option<String>,
}

/// The weights of a file by their names.
pub(super) struct Weights<'a> {
    file: &'a KerasFile,
    by_path: HashMap<&'a str, &'a SourceTensor>,
    /// Folders that hold weights, directly or below.
    folders: std::collections::HashSet<&'a str>,
}

impl<'a> Weights<'a> {
    pub fn new(file: &'a KerasFile) -> Self {
        let by_path = file.tensors.iter().map(|tensor| (tensor.path.as_str(), tensor)).collect();
        let mut folders = std::collections::HashSet::new();
        for tensor in &file.tensors {
            let mut path = tensor.path.as_str();
            while let Some((folder, _)) = path.rsplit_once('/') {
                if !folders.insert(folder) {
                    break;
                }
                path = folder;
            }
        }
        Weights { file, by_path, folders }
    }

    /// The scopes of a model's layers, in their order. `outer` is the scope of the model itself, `None` for the whole.
    pub fn scopes(&self, layers: &[Layer], outer: Option<&Scope>) -> Vec<Scope> {
        if self.file.naming == Naming::ByLayer {
            let root = &self.file.root;
            let scope = |layer: &Layer| match outer {
                Some(Scope::ByLayer { group, path }) => {
                    let path = path.iter().cloned().chain([layer.name.clone()]).collect();
                    Scope::ByLayer { group: group.clone(), path }
                }
                _ => Scope::ByLayer { group: format!("{root}/{}", layer.name), path: Vec::new() },
            };
            return layers.iter().map(scope).collect();
        }
        let outer = match outer {
            Some(Scope::ByClass { folder }) => folder.as_str(),
            _ => "",
        };
        let container = ["layers", "_layer_checkpoint_dependencies"].map(|name| format!("{outer}/{name}"));
        let container = container.iter().find(|folder| self.folders.contains(folder.as_str())).unwrap_or(&container[0]);
        let mut used: HashMap<String, usize> = HashMap::new();
        let scope = |layer: &Layer| {
            if layer.is_function {
                return Scope::ByClass { folder: String::new() };
            }
            let name = snake_case(&layer.class);
            let folder = match used.get_mut(&name) {
                Some(count) => {
                    *count += 1;
                    format!("{container}/{name}_{count}")
                }
                None => {
                    let folder = format!("{container}/{name}");
                    used.insert(name, 0);
                    folder
                }
            };
            Scope::ByClass { folder }
        };
        layers.iter().map(scope).collect()
    }

    /// The weight of this name, or at this position where names do not tell. `parts` lead to the part of the layer that
    /// owns it.
    pub fn find(&self, scope: &Scope, parts: &[Part], names: &[&str], position: usize) -> Option<&'a SourceTensor> {
        match scope {
            Scope::ByClass { folder } => {
                let mut folder = folder.clone();
                for part in parts {
                    let inner = part.folders.iter().map(|name| format!("{folder}/{name}"));
                    folder = inner.into_iter().find(|inner| self.folders.contains(inner.as_str()))?;
                }
                self.by_path.get(format!("{folder}/vars/{position}").as_str()).copied()
            }
            Scope::ByLayer { group, path } => self.find_by_name(group, path, parts, names, position),
        }
    }

    fn find_by_name(
        &self,
        group: &str,
        path: &[String],
        parts: &[Part],
        names: &[&str],
        position: usize,
    ) -> Option<&'a SourceTensor> {
        let (_, listed) = self.file.groups.iter().find(|(name, _)| name == group)?;
        let mut rest: Vec<(&str, Vec<&str>)> =
            listed.iter().map(|name| (name.as_str(), name.split('/').collect())).collect();
        // A nested layer's weights carry its name, with or without those of the models around it.
        if let Some(layer) = path.last() {
            rest.retain(|(_, components)| names_layer(owner(components), layer));
            // Right in front of the weight's own name where it is there: `a/conv/kernel` is not the layer `a`'s.
            let wanted: Vec<&str> = layer.split('/').collect();
            if rest.iter().any(|(_, components)| owner(components).ends_with(&wanted)) {
                rest.retain(|(_, components)| owner(components).ends_with(&wanted));
            }
            for model in path.iter().rev().skip(1) {
                let inside: Vec<_> = rest.iter().filter(|(_, parts)| names_layer(parts, model)).cloned().collect();
                if !inside.is_empty() {
                    rest = inside;
                }
            }
        }
        for part in parts.iter().filter(|part| !part.component.is_empty()) {
            let is_part = |component: &&str| {
                *component == part.component || (part.component.ends_with('_') && component.starts_with(part.component))
            };
            let prefixed = rest.iter().any(|(_, components)| components.iter().any(is_part));
            match part.own_name.as_deref().filter(|_| !prefixed) {
                Some(name) => rest.retain(|(_, components)| components.contains(&name)),
                None => rest.retain(|(_, components)| components.iter().any(is_part)),
            }
        }
        let leaf = |components: &[&str]| {
            let last = components.last().copied().unwrap_or_default();
            last.split(':').next().unwrap_or(last).to_owned()
        };
        // Keras 1 joins the layer's name and the weight's: `dense_1_W`.
        let is_named = |leaf: &str| names.iter().any(|name| leaf == *name || leaf.ends_with(&format!("_{name}")));
        let exact = rest.iter().find(|(_, components)| names.contains(&leaf(components).as_str()));
        let joined = || rest.iter().find(|(_, components)| is_named(&leaf(components)));
        // Names that nobody knows: then the order counts, as it does when Keras loads the file.
        let ordered = || {
            let known = rest.iter().any(|(_, components)| KNOWN.contains(&leaf(components).as_str()));
            rest.get(position).filter(|_| !known)
        };
        let (name, _) = exact.or_else(joined).or_else(ordered)?;
        self.by_path.get(format!("{group}/{name}").as_str()).copied()
    }

    /// The names of the weights that a scope holds, for messages.
    pub fn names(&self, scope: &Scope) -> Vec<String> {
        match scope {
            Scope::ByClass { folder } => {
                let prefix = format!("{folder}/");
                let inside = self.file.tensors.iter().filter(|tensor| tensor.path.starts_with(&prefix));
                inside.map(|tensor| tensor.path.clone()).collect()
            }
            Scope::ByLayer { group, .. } => {
                let listed = self.file.groups.iter().find(|(name, _)| name == group);
                listed.map(|(_, names)| names.clone()).unwrap_or_default()
            }
        }
    }

    /// Every weight in a scope, for layers whose kind is not known.
    pub fn all(&self, scope: &Scope) -> Vec<&'a SourceTensor> {
        let names = self.names(scope);
        match scope {
            Scope::ByClass { .. } => names.iter().filter_map(|path| self.by_path.get(path.as_str()).copied()).collect(),
            Scope::ByLayer { group, path } => {
                let own = names.iter().filter(|name| {
                    path.last().is_none_or(|layer| names_layer(&name.split('/').collect::<Vec<_>>(), layer))
                });
                own.filter_map(|name| self.by_path.get(format!("{group}/{name}").as_str()).copied()).collect()
            }
        }
    }
}

/// A weight's name without its own part.
fn owner<'c, 'n>(components: &'c [&'n str]) -> &'c [&'n str] {
    components.split_last().map_or(&[], |(_, owner)| owner)
}

/// Whether the components of a weight's name hold a layer's name, which may have slashes itself.
fn names_layer(components: &[&str], layer: &str) -> bool {
    let wanted: Vec<&str> = layer.split('/').collect();
    components.windows(wanted.len()).any(|window| window == wanted)
}

/// Names that Keras itself gives to weights.
const KNOWN: [&str; 14] = [
    "kernel",
    "bias",
    "gamma",
    "beta",
    "moving_mean",
    "moving_variance",
    "embeddings",
    "recurrent_kernel",
    "depthwise_kernel",
    "pointwise_kernel",
    "alpha",
    "mean",
    "variance",
    "count",
];

/// `SeparableConv1D` as `separable_conv1d`: Keras's own rule for the names of folders.
pub(super) fn snake_case(class: &str) -> String {
    let chars: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    // (.)([A-Z][a-z]+) -> \1_\2, matches that do not overlap
    let mut first = String::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        first.push(c);
        let upper = chars.get(at + 1).is_some_and(char::is_ascii_uppercase);
        let lower = chars.get(at + 2).is_some_and(char::is_ascii_lowercase);
        at += 1;
        if upper && lower {
            first.push('_');
            first.extend(chars.get(at));
            at += 1;
            while let Some(c) = chars.get(at).filter(|c| c.is_ascii_lowercase()) {
                first.push(*c);
                at += 1;
            }
        }
    }
    // ([a-z])([A-Z]) -> \1_\2
    let mut name = String::new();
    let mut before = ' ';
    for c in first.chars() {
        if before.is_ascii_lowercase() && c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c);
        before = c;
    }
    name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_as_keras_names_them() {
        for (class, name) in [
            ("Dense", "dense"),
            ("Conv2D", "conv2d"),
            ("SeparableConv1D", "separable_conv1d"),
            ("LSTM", "lstm"),
            ("SimpleRNN", "simple_rnn"),
            ("PReLU", "p_re_lu"),
            ("MultiHeadAttention", "multi_head_attention"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("BatchNormalization", "batch_normalization"),
            ("TFOpLambda", "tf_op_lambda"),
        ] {
            assert_eq!(snake_case(class), name);
        }
    }
}
