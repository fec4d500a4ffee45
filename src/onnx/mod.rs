//! The one document: a decoded ONNX `ModelProto` with an index over it.
//!
//! Every format is imported into it and every export is an encode of it. Payloads (`raw_data`) stay slices of the
//! file's bytes. **Nothing here interprets a scale or a zero point** (that is `quant`) and nothing runs.

mod attributes;
mod document;
mod error;
mod external;
mod functions;
mod grouped;
mod index;
mod payload;
#[allow(missing_docs, clippy::all)]
#[rustfmt::skip]
pub mod proto;
pub mod schema;
mod sniff;
mod subgraph;
mod unknown;
mod validate;
mod wire;

pub use attributes::NodeExt;
pub use document::Document;
pub use error::OnnxError;
pub use external::{ExternalFiles, ExternalRef, for_each_tensor};
pub use functions::FunctionSummary;
pub use index::{Index, Slot};
pub use payload::{declared, tensor_from_proto};
pub use subgraph::subgraphs;
pub use validate::OLDEST_OPSET;
