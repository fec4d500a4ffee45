//! Element type and shape of every value of the main graph, as far as the file tells.

use super::attributes::NodeExt;
use super::document::Document;
use super::infer::infer;
use super::proto::{ValueInfoProto, tensor_shape_proto::dimension, type_proto};
use crate::tensor::DType;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;

/// One dim of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dim {
    /// A number.
    Known(usize),
    /// A name; dims of the same name are equal.
    Symbol(String),
    /// Not said and not derivable.
    Unknown,
}

impl Dim {
    /// The number, where it is one.
    pub fn known(&self) -> Option<usize> {
        match self {
            Dim::Known(dim) => Some(*dim),
            _ => None,
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Known(dim) => write!(f, "{dim}"),
            Dim::Symbol(name) => f.write_str(name),
            Dim::Unknown => f.write_str("?"),
        }
    }
}

/// What is known of a value; `None` stands for not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueFact {
    /// Element type.
    pub dtype: Option<DType>,
    /// Dims; an empty list is a scalar.
    pub shape: Option<Vec<Dim>>,
}

impl ValueFact {
    /// A fact of type and dims.
    pub fn new(dtype: Option<DType>, shape: Option<Vec<Dim>>) -> Self {
        ValueFact { dtype, shape }
    }

    /// The dims as numbers, where all are known.
    pub fn known_shape(&self) -> Option<Vec<usize>> {
        self.shape.as_ref()?.iter().map(Dim::known).collect()
    }

    /// What a file declares, filled up with what was inferred: a declared dim stays unless it is unknown, or a name
    /// where the inference has a number.
    fn completed(self, inferred: ValueFact) -> ValueFact {
        let shape = match (self.shape, inferred.shape) {
            (Some(declared), Some(inferred)) if declared.len() == inferred.len() => {
                let dim = |(declared, inferred)| match (declared, inferred) {
                    (Dim::Known(dim), _) => Dim::Known(dim),
                    (Dim::Unknown, inferred) => inferred,
                    (Dim::Symbol(_), Dim::Known(dim)) => Dim::Known(dim),
                    (symbol, _) => symbol,
                };
                Some(declared.into_iter().zip(inferred).map(dim).collect())
            }
            (declared, inferred) => declared.or(inferred),
        };
        ValueFact { dtype: self.dtype.or(inferred.dtype), shape }
    }
}

/// Types and shapes by value name.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    values: HashMap<String, ValueFact>,
    /// The elements of small integer values that shapes are computed from.
    contents: HashMap<String, Vec<Dim>>,
}

/// Longer integer values are not shapes.
const CONTENT_LIMIT: usize = 64;

impl Facts {
    /// Reads what the file declares (inputs, outputs, value_info, initializers) and infers the rest in node order.
    pub fn of(document: &Document) -> Self {
        Self::with_inputs(document, &HashMap::new())
    }

    /// The same with other dims for these inputs than the file declares.
    pub fn with_inputs(document: &Document, inputs: &HashMap<String, Vec<Dim>>) -> Self {
        let graph = document.graph();
        let mut facts = Facts::default();
        for info in graph.value_info.iter().chain(&graph.output).chain(&graph.input) {
            let mut fact = declared_fact(info);
            fact.shape = inputs.get(info.name()).cloned().or(fact.shape);
            facts.values.insert(info.name().to_owned(), fact);
        }
        for tensor in &graph.initializer {
            if let Ok((dtype, shape)) = super::payload::declared(tensor) {
                facts.set_constant(document, tensor.name(), dtype, shape);
            }
        }
        for &position in document.index().order() {
            let Some(node) = document.node(position) else { continue };
            let inferred = infer(document, node, &facts);
            for (output, (fact, content)) in node.output.iter().zip(inferred).filter(|(name, _)| !name.is_empty()) {
                let declared = facts.values.remove(output).unwrap_or_default();
                facts.values.insert(output.clone(), declared.completed(fact));
                if let Some(content) = content.filter(|content| content.len() <= CONTENT_LIMIT) {
                    facts.contents.insert(output.clone(), content);
                }
            }
            if let ("Constant", Some(output)) = (node.op_type(), node.output_name(0))
                && let Some(Ok(tensor)) = document.constant(output)
            {
                facts.set_constant(document, output, tensor.dtype(), tensor.shape().to_vec());
            }
        }
        facts
    }

    fn set_constant(&mut self, document: &Document, name: &str, dtype: DType, shape: Vec<usize>) {
        let count = shape.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
        let small = shape.len() <= 1 && count.is_some_and(|count| count <= CONTENT_LIMIT);
        if small
            && matches!(dtype, DType::Int64 | DType::Int32)
            && let Some(Ok(values)) = document.constant(name).map(|tensor| {
                tensor.and_then(|tensor| {
                    tensor.to_i64().map_err(|source| super::OnnxError::Tensor { tensor: name.to_owned(), source })
                })
            })
        {
            // Negative elements (-1 of Reshape) are no dims: they are read from the constant itself.
            let dim = |value: i64| usize::try_from(value).map_or(Dim::Unknown, Dim::Known);
            self.contents.insert(name.to_owned(), values.into_iter().map(dim).collect());
        }
        let shape = shape.into_iter().map(Dim::Known).collect();
        self.values.insert(name.to_owned(), ValueFact::new(Some(dtype), Some(shape)));
    }

    /// What is known of a value; `None` for names that the graph does not have.
    pub fn get(&self, value: &str) -> Option<&ValueFact> {
        self.values.get(value)
    }

    /// The dims of a value, where its rank is known.
    pub fn shape(&self, value: &str) -> Option<&[Dim]> {
        self.values.get(value)?.shape.as_deref()
    }

    /// The element type of a value.
    pub fn dtype(&self, value: &str) -> Option<DType> {
        self.values.get(value)?.dtype
    }

    /// The elements of a small integer value.
    pub(super) fn content(&self, value: &str) -> Option<&[Dim]> {
        self.contents.get(value).map(Vec::as_slice)
    }

    /// Every value with its fact.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ValueFact)> {
        self.values.iter().map(|(name, fact)| (name.as_str(), fact))
    }
}

/// What a value declaration says; a dim of -1, which older exporters write, is unknown.
pub fn declared_fact(info: &ValueInfoProto) -> ValueFact {
    let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_ref().and_then(|kind| kind.value.as_ref()) else {
        return ValueFact::default();
    };
    let shape = tensor.shape.as_ref().map(|shape| {
        let dim = |dim: &super::proto::tensor_shape_proto::Dimension| match &dim.value {
            Some(dimension::Value::DimValue(number)) => usize::try_from(*number).map_or(Dim::Unknown, Dim::Known),
            Some(dimension::Value::DimParam(name)) if !name.is_empty() => Dim::Symbol(name.clone()),
            _ => Dim::Unknown,
        };
        shape.dim.iter().map(dim).collect()
    });
    ValueFact { dtype: DType::from_onnx(tensor.elem_type()), shape }
}
