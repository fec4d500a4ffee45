//! The one document: a decoded ONNX `ModelProto` with an index over it.
//!
//! Every format is imported into it and every export is an encode of it. Payloads (`raw_data`) stay slices of the
//! file's bytes. **Nothing here interprets a scale or a zero point** (that is `quant`) and nothing runs.

mod align;
mod align_pair;
mod align_view;
mod attributes;
mod builder;
mod core_graph;
mod document;
mod error;
mod external;
mod facts;
mod functions;
mod grouped;
mod index;
mod infer;
mod layers;
mod macs;
mod open_sizes;
mod operands;
mod payload;
#[allow(missing_docs, clippy::all)]
#[rustfmt::skip]
pub mod proto;
mod rules;
pub mod schema;
mod shape;
mod sniff;
mod subgraph;
mod summary;
mod unknown;
mod validate;
mod wire;

pub use align::{AlignedLayer, Alignment, LayerRef, Unmatched, align};
pub use attributes::NodeExt;
pub use builder::{Attr, BuilderMark, GraphBuilder, ir_version_for, tensor_to_proto, value_info};
pub use core_graph::{CoreOp, CoreOperand, Rescale};
pub use document::Document;
pub use error::OnnxError;
pub use external::{ExternalFiles, ExternalRef, for_each_tensor};
pub use facts::{Dim, Facts, ValueFact, declared_fact};
pub use functions::FunctionSummary;
pub use index::{Index, Slot};
pub use layers::{Layer, layers};
pub use macs::macs;
pub use open_sizes::usable_sizes;
pub use operands::{Operand, Signature, is_dequantize, is_plumbing, is_quantize};
pub use payload::{declared, tensor_from_proto};
pub use subgraph::subgraphs;
pub use summary::{Counts, parameters};
pub use validate::{NEWEST_OPSET, OLDEST_OPSET};
