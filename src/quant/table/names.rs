//! Names that are free.

use crate::onnx::proto::GraphProto;
use std::collections::HashSet;

/// The value names of a graph, its subgraphs' included.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// Every value name of a graph.
    pub fn of(graph: &GraphProto) -> Names {
        let mut names = Names::default();
        names.add(graph);
        names
    }

    fn add(&mut self, graph: &GraphProto) {
        let declared = graph.input.iter().chain(&graph.output).map(|info| info.name());
        let tensors = graph.initializer.iter().map(|tensor| tensor.name());
        let sparse = graph.sparse_initializer.iter().filter_map(|sparse| sparse.values.as_ref()).map(|it| it.name());
        let values = graph.node.iter().flat_map(|node| node.input.iter().chain(&node.output)).map(String::as_str);
        let names = declared.chain(tensors).chain(sparse).chain(values).filter(|name| !name.is_empty());
        self.taken.extend(names.map(str::to_owned));
        let nodes = graph.node.iter().flat_map(crate::onnx::subgraphs);
        nodes.for_each(|graph| self.add(graph));
    }

    /// Whether no value has this name.
    pub fn is_free(&self, name: &str) -> bool {
        !self.taken.contains(name)
    }

    /// Takes a name.
    pub fn take(&mut self, name: &str) {
        self.taken.insert(name.to_owned());
    }

    /// Gives a name back.
    pub fn release(&mut self, name: &str) {
        self.taken.remove(name);
    }

    /// The name wished for, or with a number behind it where it is taken; taken from now on.
    pub fn fresh(&mut self, wish: &str) -> String {
        let numbered = (1usize..).map(|number| format!("{wish}_{number}"));
        let free = std::iter::once(wish.to_owned()).chain(numbered).find(|name| self.is_free(name));
        let name = free.unwrap_or_default();
        self.take(&name);
        name
    }
}
