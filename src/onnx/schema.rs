//! The schema as data: which fields a message has, what they are called and how they are encoded.
//!
//! prost's generated types cannot be asked for this. It serves the wire scan ([`super::wire`]): naming the place of
//! damage, and telling fields of the schema from fields of a newer one. `tests/proto.rs` compares it with
//! `proto/onnx.proto`.

/// How a field's value is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Integers and enums.
    Varint,
    /// `float`.
    Fixed32,
    /// `double`.
    Fixed64,
    /// `bytes`.
    Bytes,
    /// `string`, which must be UTF-8.
    Text,
    /// A message inside.
    Message(Message),
}

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The field number.
    pub number: u32,
    /// The field's name in the schema.
    pub name: &'static str,
    /// The encoding of its value.
    pub kind: Kind,
    /// Whether the field may occur many times.
    pub repeated: bool,
}

const fn one(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, repeated: false }
}

const fn many(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, repeated: true }
}

impl Message {
    /// The fields, by number.
    pub fn fields(self) -> &'static [Field] {
        // `MESSAGES` lists the variants in order (checked by the test below).
        MESSAGES[self as usize].2
    }

    /// The field of this number.
    pub fn field(self, number: u32) -> Option<&'static Field> {
        self.fields().iter().find(|field| field.number == number)
    }

    /// The numbers of the fields that tell a message of this type from its siblings; the first one present counts.
    /// A node goes by its first output, which is unique, rather than by its name, which need not be.
    pub fn identity(self) -> &'static [u32] {
        match self {
            Message::Node => &[2, 3],
            Message::Tensor => &[8],
            Message::Attribute | Message::ValueInfo | Message::Function | Message::DeviceConfiguration => &[1],
            Message::StringStringEntry | Message::TensorAnnotation | Message::OperatorSetId => &[1],
            _ => &[],
        }
    }
}

/// The message types of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Message {
    Attribute,
    ValueInfo,
    Node,
    IntIntListEntry,
    NodeDeviceConfiguration,
    ShardingSpec,
    ShardedDim,
    SimpleShardedDim,
    TrainingInfo,
    Model,
    DeviceConfiguration,
    StringStringEntry,
    TensorAnnotation,
    Graph,
    Tensor,
    Segment,
    SparseTensor,
    TensorShape,
    TensorShapeDimension,
    Type,
    TypeTensor,
    TypeSequence,
    TypeMap,
    TypeOptional,
    TypeSparseTensor,
    TypeOpaque,
    OperatorSetId,
    Function,
}

use Kind::{Bytes, Fixed32, Fixed64, Message as Sub, Text, Varint};

/// Every message with its name in the schema and its fields by number.
pub const MESSAGES: &[(Message, &str, &[Field])] = &[
    (
        Message::Attribute,
        "AttributeProto",
        &[
            one(1, "name", Text),
            one(2, "f", Fixed32),
            one(3, "i", Varint),
            one(4, "s", Bytes),
            one(5, "t", Sub(Message::Tensor)),
            one(6, "g", Sub(Message::Graph)),
            many(7, "floats", Fixed32),
            many(8, "ints", Varint),
            many(9, "strings", Bytes),
            many(10, "tensors", Sub(Message::Tensor)),
            many(11, "graphs", Sub(Message::Graph)),
            one(13, "doc_string", Text),
            one(14, "tp", Sub(Message::Type)),
            many(15, "type_protos", Sub(Message::Type)),
            one(20, "type", Varint),
            one(21, "ref_attr_name", Text),
            one(22, "sparse_tensor", Sub(Message::SparseTensor)),
            many(23, "sparse_tensors", Sub(Message::SparseTensor)),
        ],
    ),
    (
        Message::ValueInfo,
        "ValueInfoProto",
        &[
            one(1, "name", Text),
            one(2, "type", Sub(Message::Type)),
            one(3, "doc_string", Text),
            many(4, "metadata_props", Sub(Message::StringStringEntry)),
        ],
    ),
    (
        Message::Node,
        "NodeProto",
        &[
            many(1, "input", Text),
            many(2, "output", Text),
            one(3, "name", Text),
            one(4, "op_type", Text),
            many(5, "attribute", Sub(Message::Attribute)),
            one(6, "doc_string", Text),
            one(7, "domain", Text),
            one(8, "overload", Text),
            many(9, "metadata_props", Sub(Message::StringStringEntry)),
            many(10, "device_configurations", Sub(Message::NodeDeviceConfiguration)),
        ],
    ),
    (Message::IntIntListEntry, "IntIntListEntryProto", &[one(1, "key", Varint), many(2, "value", Varint)]),
    (
        Message::NodeDeviceConfiguration,
        "NodeDeviceConfigurationProto",
        &[
            one(1, "configuration_id", Text),
            many(2, "sharding_spec", Sub(Message::ShardingSpec)),
            one(3, "pipeline_stage", Varint),
        ],
    ),
    (
        Message::ShardingSpec,
        "ShardingSpecProto",
        &[
            one(1, "tensor_name", Text),
            many(2, "device", Varint),
            many(3, "index_to_device_group_map", Sub(Message::IntIntListEntry)),
            many(4, "sharded_dim", Sub(Message::ShardedDim)),
        ],
    ),
    (
        Message::ShardedDim,
        "ShardedDimProto",
        &[one(1, "axis", Varint), many(2, "simple_sharding", Sub(Message::SimpleShardedDim))],
    ),
    (
        Message::SimpleShardedDim,
        "SimpleShardedDimProto",
        &[one(1, "dim_value", Varint), one(2, "dim_param", Text), one(3, "num_shards", Varint)],
    ),
    (
        Message::TrainingInfo,
        "TrainingInfoProto",
        &[
            one(1, "initialization", Sub(Message::Graph)),
            one(2, "algorithm", Sub(Message::Graph)),
            many(3, "initialization_binding", Sub(Message::StringStringEntry)),
            many(4, "update_binding", Sub(Message::StringStringEntry)),
        ],
    ),
    (
        Message::Model,
        "ModelProto",
        &[
            one(1, "ir_version", Varint),
            one(2, "producer_name", Text),
            one(3, "producer_version", Text),
            one(4, "domain", Text),
            one(5, "model_version", Varint),
            one(6, "doc_string", Text),
            one(7, "graph", Sub(Message::Graph)),
            many(8, "opset_import", Sub(Message::OperatorSetId)),
            many(14, "metadata_props", Sub(Message::StringStringEntry)),
            many(20, "training_info", Sub(Message::TrainingInfo)),
            many(25, "functions", Sub(Message::Function)),
            many(26, "configuration", Sub(Message::DeviceConfiguration)),
        ],
    ),
    (
        Message::DeviceConfiguration,
        "DeviceConfigurationProto",
        &[one(1, "name", Text), one(2, "num_devices", Varint), many(3, "device", Text)],
    ),
    (Message::StringStringEntry, "StringStringEntryProto", &[one(1, "key", Text), one(2, "value", Text)]),
    (
        Message::TensorAnnotation,
        "TensorAnnotation",
        &[one(1, "tensor_name", Text), many(2, "quant_parameter_tensor_names", Sub(Message::StringStringEntry))],
    ),
    (
        Message::Graph,
        "GraphProto",
        &[
            many(1, "node", Sub(Message::Node)),
            one(2, "name", Text),
            many(5, "initializer", Sub(Message::Tensor)),
            one(10, "doc_string", Text),
            many(11, "input", Sub(Message::ValueInfo)),
            many(12, "output", Sub(Message::ValueInfo)),
            many(13, "value_info", Sub(Message::ValueInfo)),
            many(14, "quantization_annotation", Sub(Message::TensorAnnotation)),
            many(15, "sparse_initializer", Sub(Message::SparseTensor)),
            many(16, "metadata_props", Sub(Message::StringStringEntry)),
        ],
    ),
    (
        Message::Tensor,
        "TensorProto",
        &[
            many(1, "dims", Varint),
            one(2, "data_type", Varint),
            one(3, "segment", Sub(Message::Segment)),
            many(4, "float_data", Fixed32),
            many(5, "int32_data", Varint),
            many(6, "string_data", Bytes),
            many(7, "int64_data", Varint),
            one(8, "name", Text),
            one(9, "raw_data", Bytes),
            many(10, "double_data", Fixed64),
            many(11, "uint64_data", Varint),
            one(12, "doc_string", Text),
            many(13, "external_data", Sub(Message::StringStringEntry)),
            one(14, "data_location", Varint),
            many(16, "metadata_props", Sub(Message::StringStringEntry)),
        ],
    ),
    (Message::Segment, "TensorProto.Segment", &[one(1, "begin", Varint), one(2, "end", Varint)]),
    (
        Message::SparseTensor,
        "SparseTensorProto",
        &[one(1, "values", Sub(Message::Tensor)), one(2, "indices", Sub(Message::Tensor)), many(3, "dims", Varint)],
    ),
    (Message::TensorShape, "TensorShapeProto", &[many(1, "dim", Sub(Message::TensorShapeDimension))]),
    (
        Message::TensorShapeDimension,
        "TensorShapeProto.Dimension",
        &[one(1, "dim_value", Varint), one(2, "dim_param", Text), one(3, "denotation", Text)],
    ),
    (
        Message::Type,
        "TypeProto",
        &[
            one(1, "tensor_type", Sub(Message::TypeTensor)),
            one(4, "sequence_type", Sub(Message::TypeSequence)),
            one(5, "map_type", Sub(Message::TypeMap)),
            one(6, "denotation", Text),
            one(7, "opaque_type", Sub(Message::TypeOpaque)),
            one(8, "sparse_tensor_type", Sub(Message::TypeSparseTensor)),
            one(9, "optional_type", Sub(Message::TypeOptional)),
        ],
    ),
    (
        Message::TypeTensor,
        "TypeProto.Tensor",
        &[one(1, "elem_type", Varint), one(2, "shape", Sub(Message::TensorShape))],
    ),
    (Message::TypeSequence, "TypeProto.Sequence", &[one(1, "elem_type", Sub(Message::Type))]),
    (Message::TypeMap, "TypeProto.Map", &[one(1, "key_type", Varint), one(2, "value_type", Sub(Message::Type))]),
    (Message::TypeOptional, "TypeProto.Optional", &[one(1, "elem_type", Sub(Message::Type))]),
    (
        Message::TypeSparseTensor,
        "TypeProto.SparseTensor",
        &[one(1, "elem_type", Varint), one(2, "shape", Sub(Message::TensorShape))],
    ),
    (Message::TypeOpaque, "TypeProto.Opaque", &[one(1, "domain", Text), one(2, "name", Text)]),
    (Message::OperatorSetId, "OperatorSetIdProto", &[one(1, "domain", Text), one(2, "version", Varint)]),
    (
        Message::Function,
        "FunctionProto",
        &[
            one(1, "name", Text),
            many(4, "input", Text),
            many(5, "output", Text),
            many(6, "attribute", Text),
            many(7, "node", Sub(Message::Node)),
            one(8, "doc_string", Text),
            many(9, "opset_import", Sub(Message::OperatorSetId)),
            one(10, "domain", Text),
            many(11, "attribute_proto", Sub(Message::Attribute)),
            many(12, "value_info", Sub(Message::ValueInfo)),
            one(13, "overload", Text),
            many(14, "metadata_props", Sub(Message::StringStringEntry)),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (position, (message, name, fields)) in MESSAGES.iter().enumerate() {
            assert_eq!(*message as usize, position, "{name}");
            assert!(fields.windows(2).all(|pair| pair[0].number < pair[1].number), "{name}");
            assert!(message.identity().iter().all(|&number| message.field(number).is_some()), "{name}");
        }
        assert_eq!(Message::Model.field(7).map(|field| field.name), Some("graph"));
    }
}
