//! Tensor data that a model keeps in other files (`TensorProto.external_data`).

use super::error::OnnxError;
use super::proto::{AttributeProto, GraphProto, ModelProto, TensorProto, tensor_proto::DataLocation};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Where a tensor's bytes are: `location`, `offset` and `length` of `external_data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalRef {
    /// The other file, relative to the model's folder.
    pub location: String,
    /// First byte; 0 where not given.
    pub offset: usize,
    /// Number of bytes; up to the end of the file where not given.
    pub length: Option<usize>,
}

impl ExternalRef {
    /// The reference of a tensor whose data is external; `None` where the data is in the message.
    pub fn of(tensor: &TensorProto) -> Option<Result<Self, OnnxError>> {
        (tensor.data_location() == DataLocation::External).then(|| Self::read(tensor))
    }

    fn read(tensor: &TensorProto) -> Result<Self, OnnxError> {
        let place = || format!("external_data of tensor '{}'", tensor.name());
        let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key() == key).map(|entry| entry.value());
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => text.parse::<usize>().map(Some).map_err(|_| OnnxError::Invalid {
                place: place(),
                found: format!("{key} '{text}'"),
                expected: "a number of bytes".to_owned(),
            }),
        };
        let location = entry("location").filter(|location| !location.is_empty());
        let location = location.ok_or_else(|| OnnxError::Missing { place: place(), what: "location".to_owned() })?;
        Ok(ExternalRef {
            location: location.to_owned(),
            offset: number("offset")?.unwrap_or(0),
            length: number("length")?,
        })
    }

    /// The bytes out of the other file; fails where the file is too short.
    pub fn slice(&self, tensor: &str, file: &Bytes) -> Result<Bytes, OnnxError> {
        let end = match self.length {
            Some(length) => self.offset.checked_add(length),
            None => Some(file.len().max(self.offset)),
        };
        match end.filter(|&end| end <= file.len()) {
            Some(end) => Ok(file.slice(self.offset..end)),
            None => Err(OnnxError::Invalid {
                place: format!("external_data of tensor '{tensor}'"),
                found: format!("'{}' with {} bytes", self.location, file.len()),
                expected: match self.length {
                    Some(length) => format!("{length} bytes from offset {}", self.offset),
                    None => format!("bytes from offset {}", self.offset),
                },
            }),
        }
    }
}

/// The other files a model needs, by the location its tensors give.
#[derive(Clone, Debug, Default)]
pub struct ExternalFiles {
    files: BTreeMap<String, Bytes>,
}

impl ExternalFiles {
    /// Asks `find` once for every location that the model's tensors name: first with the whole location, then with
    /// ever shorter tails of the path (`a/b/w.bin`, `b/w.bin`, `w.bin`), because a dropped file has lost its folder.
    pub fn collect(model: &ModelProto, find: &dyn Fn(&str) -> Option<Bytes>) -> Self {
        let mut files = BTreeMap::new();
        for_each_tensor(model, &mut |tensor| {
            if let Some(Ok(reference)) = ExternalRef::of(tensor)
                && !files.contains_key(&reference.location)
            {
                let found = tails(&reference.location).find_map(|tail| find(&tail));
                if let Some(bytes) = found {
                    files.insert(reference.location, bytes);
                }
            }
        });
        ExternalFiles { files }
    }

    /// The file at this location.
    pub fn get(&self, location: &str) -> Option<&Bytes> {
        self.files.get(location)
    }

    /// Whether no other file is at hand.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Tensor name and location of every external tensor whose file is not at hand, in file order.
    pub fn missing(&self, model: &ModelProto) -> Vec<(String, String)> {
        let mut missing = Vec::new();
        for_each_tensor(model, &mut |tensor| {
            if let Some(Ok(reference)) = ExternalRef::of(tensor)
                && !self.files.contains_key(&reference.location)
            {
                missing.push((tensor.name().to_owned(), reference.location));
            }
        });
        missing
    }
}

/// The location without `.` steps and with `/` between folders, then without its first folder, and so on.
fn tails(location: &str) -> impl Iterator<Item = String> {
    let whole = std::iter::once(location.to_owned());
    let steps: Vec<String> =
        location.split(['/', '\\']).filter(|step| !step.is_empty() && *step != ".").map(str::to_owned).collect();
    let shorter = (0..steps.len()).map(move |from| steps[from..].join("/"));
    whole.chain(shorter)
}

/// Visits every dense tensor of a model: initializers, the parts of sparse ones, and attributes, in the main graph,
/// in subgraphs, functions and training graphs.
pub fn for_each_tensor<'a>(model: &'a ModelProto, visit: &mut dyn FnMut(&'a TensorProto)) {
    let training = model.training_info.iter().flat_map(|info| [&info.initialization, &info.algorithm]);
    for graph in model.graph.iter().chain(training.flatten()) {
        graph_tensors(graph, visit);
    }
    for function in &model.functions {
        let attributes = function.node.iter().flat_map(|node| &node.attribute);
        attributes.chain(&function.attribute_proto).for_each(|attribute| attribute_tensors(attribute, visit));
    }
}

fn graph_tensors<'a>(graph: &'a GraphProto, visit: &mut dyn FnMut(&'a TensorProto)) {
    graph.initializer.iter().for_each(&mut *visit);
    let sparse = graph.sparse_initializer.iter().flat_map(|sparse| [&sparse.values, &sparse.indices]);
    sparse.flatten().for_each(&mut *visit);
    for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
        attribute_tensors(attribute, visit);
    }
}

fn attribute_tensors<'a>(attribute: &'a AttributeProto, visit: &mut dyn FnMut(&'a TensorProto)) {
    attribute.t.iter().chain(&attribute.tensors).for_each(&mut *visit);
    let sparse = attribute.sparse_tensor.iter().chain(&attribute.sparse_tensors);
    sparse.flat_map(|sparse| [&sparse.values, &sparse.indices]).flatten().for_each(&mut *visit);
    for graph in attribute.g.iter().chain(&attribute.graphs) {
        graph_tensors(graph, visit);
    }
}

/// Moves every external tensor's bytes into `raw_data`; fails where a file is missing or too short.
pub(super) fn inline(model: &mut ModelProto, files: &ExternalFiles) -> Result<(), OnnxError> {
    let training = model.training_info.iter_mut().flat_map(|info| [&mut info.initialization, &mut info.algorithm]);
    for graph in model.graph.iter_mut().chain(training.flatten()) {
        inline_graph(graph, files)?;
    }
    let functions = model.functions.iter_mut();
    for function in functions {
        let attributes = function.node.iter_mut().flat_map(|node| &mut node.attribute);
        for attribute in attributes.chain(&mut function.attribute_proto) {
            inline_attribute(attribute, files)?;
        }
    }
    Ok(())
}

fn inline_graph(graph: &mut GraphProto, files: &ExternalFiles) -> Result<(), OnnxError> {
    let sparse = graph.sparse_initializer.iter_mut().flat_map(|sparse| [&mut sparse.values, &mut sparse.indices]);
    for tensor in graph.initializer.iter_mut().chain(sparse.flatten()) {
        inline_tensor(tensor, files)?;
    }
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        inline_attribute(attribute, files)?;
    }
    Ok(())
}

fn inline_attribute(attribute: &mut AttributeProto, files: &ExternalFiles) -> Result<(), OnnxError> {
    let sparse = attribute.sparse_tensor.iter_mut().chain(&mut attribute.sparse_tensors);
    let sparse = sparse.flat_map(|sparse| [&mut sparse.values, &mut sparse.indices]).flatten();
    for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors).chain(sparse) {
        inline_tensor(tensor, files)?;
    }
    for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
        inline_graph(graph, files)?;
    }
    Ok(())
}

fn inline_tensor(tensor: &mut TensorProto, files: &ExternalFiles) -> Result<(), OnnxError> {
    let Some(reference) = ExternalRef::of(tensor) else { return Ok(()) };
    let reference = reference?;
    let file = files.get(&reference.location).ok_or_else(|| OnnxError::ExternalData {
        tensor: tensor.name().to_owned(),
        location: reference.location.clone(),
    })?;
    tensor.raw_data = Some(reference.slice(tensor.name(), file)?);
    tensor.external_data.clear();
    tensor.data_location = None;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_get_shorter() {
        let all: Vec<String> = tails("./a\\b/w.bin").collect();
        assert_eq!(all, ["./a\\b/w.bin", "a/b/w.bin", "b/w.bin", "w.bin"]);
    }

    #[test]
    fn slices_are_checked() {
        let file = Bytes::from_static(&[0, 1, 2, 3]);
        let reference = |offset, length| ExternalRef { location: "w".into(), offset, length };
        assert_eq!(reference(1, Some(2)).slice("t", &file).unwrap()[..], [1, 2]);
        assert_eq!(reference(1, None).slice("t", &file).unwrap()[..], [1, 2, 3]);
        assert_eq!(reference(4, None).slice("t", &file).unwrap().len(), 0);
        assert!(reference(5, None).slice("t", &file).is_err());
        assert!(reference(1, Some(4)).slice("t", &file).is_err());
        assert!(reference(1, Some(usize::MAX)).slice("t", &file).is_err());
    }
}
