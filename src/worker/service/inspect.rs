//! What the inspector shows of a layer.

use super::align::Member;
use super::card::port_of;
use super::model::OpenModel;
use super::{Answered, Service};
use crate::analysis::scale_summary;
use crate::onnx::NodeExt;
use crate::onnx::proto::AttributeProto;
use crate::onnx::proto::attribute_proto::AttributeType;
use crate::worker::protocol::{InspectedMember, Inspection, LayerId, PortSummary, Reply};

/// Elements of a list attribute that are shown.
const LIST_SHOWN: usize = 16;

impl Service {
    /// The layer in every variant that has it.
    pub(super) fn inspect(&self, layer: LayerId) -> Answered {
        let row = self.row(layer)?;
        let members = self.models.iter().zip(&self.layout.members[row]);
        let members = members.filter_map(|(model, member)| Some(inspect(model, member.as_ref()?)));
        Ok((Reply::Inspection(Inspection { layer, members: members.collect() }), None))
    }
}

fn inspect(model: &OpenModel, member: &Member) -> InspectedMember {
    let operation = &member.operation;
    let port = |value: &str| port_of(value, model.facts.dtype(value), model.facts.shape(value));
    let mut names: Vec<&str> = vec![operation.output.as_str()];
    names.extend(operation.comparable.as_deref());
    names.extend(operation.weights.iter().map(|(_, value)| value.as_str()));
    let layer = member.layer.and_then(|layer| model.layers.get(layer));
    names.extend(layer.iter().flat_map(|layer| &layer.inputs).map(String::as_str));
    let mut quantization: Vec<_> = model.quantized_among(&names).cloned().collect();
    // In the order of the names: what the layer puts out, its parameters, what it reads.
    quantization.sort_by_key(|tensor| names.iter().position(|name| *name == tensor.value || *name == tensor.stored));
    let node = model.document.node(operation.node);
    let ports = |values: &[String]| -> Vec<PortSummary> {
        values.iter().filter(|value| !value.is_empty()).map(|value| port(value)).collect()
    };
    let op = node.map_or_else(String::new, |node| match node.domain_name() {
        "" => node.op_type().to_owned(),
        domain => format!("{domain}.{}", node.op_type()),
    });
    InspectedMember {
        model: model.id,
        node: node.map_or_else(String::new, |node| node.name().to_owned()),
        op: if operation.absorbed { format!("absorbed by {op}") } else { op },
        attributes: node
            .map_or_else(Vec::new, |node| node.attribute.iter().map(|a| (a.name().to_owned(), words(a))).collect()),
        inputs: node.map_or_else(Vec::new, |node| ports(&node.input)),
        outputs: node.map_or_else(Vec::new, |node| ports(&node.output)),
        channels: quantization.iter().map(|tensor| scale_summary(&tensor.fixed()?.scale)).collect(),
        quantization,
    }
}

/// An attribute's value in words.
fn words(attribute: &AttributeProto) -> String {
    fn list<T: ToString>(values: &[T]) -> String {
        let shown: Vec<String> = values.iter().take(LIST_SHOWN).map(T::to_string).collect();
        let more = if values.len() > LIST_SHOWN { format!(", … {} in all", values.len()) } else { String::new() };
        format!("[{}{more}]", shown.join(", "))
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !attribute.ref_attr_name().is_empty() {
        return format!("the function's {}", attribute.ref_attr_name());
    }
    match attribute.r#type() {
        AttributeType::Float => attribute.f().to_string(),
        AttributeType::Int => attribute.i().to_string(),
        AttributeType::String => text(attribute.s()),
        AttributeType::Floats => list(&attribute.floats),
        AttributeType::Ints => list(&attribute.ints),
        AttributeType::Strings => list(&attribute.strings.iter().map(|bytes| text(bytes)).collect::<Vec<_>>()),
        AttributeType::Tensor => {
            let dims = attribute.t.as_ref().map(|tensor| tensor.dims.as_slice()).unwrap_or_default();
            format!("a tensor {}", list(dims))
        }
        AttributeType::Graph => {
            format!("a graph of {} nodes", attribute.g.as_ref().map_or(0, |graph| graph.node.len()))
        }
        other => other.as_str_name().to_lowercase(),
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_in_words() {
        let ints =
            AttributeProto { r#type: Some(AttributeType::Ints as i32), ints: (0..20).collect(), ..Default::default() };
        assert_eq!(words(&ints), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, … 20 in all]");
        let string = AttributeProto {
            r#type: Some(AttributeType::String as i32),
            s: Some("SAME_UPPER".into()),
            ..Default::default()
        };
        assert_eq!(words(&string), "SAME_UPPER");
    }
}
