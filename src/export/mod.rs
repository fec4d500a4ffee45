//! What the user takes home, to bytes only.
//!
//! **Nothing here downloads, opens or computes**: callers bring the numbers, this writes them down, the same bytes for
//! the same data every time.

mod bit_widths;
mod c_header;
mod csv;
mod evaluation;
mod npy;
mod npz;
pub mod pytorch;
mod recorder;
mod report;
mod weights_npz;

pub use bit_widths::{BitWidthsCellReport, BitWidthsReport};
pub use c_header::{CHeader, CHeaderError, c_header};
pub use csv::{Cell, Table, TableError};
pub use evaluation::{
    ClassReport, EVALUATION_SCHEMA_VERSION, EvaluatedModel, EvaluationReport, Thresholds, evaluation_csv,
    evaluation_html, evaluation_json, evaluation_markdown, p_text, percent_text, recommendation,
};
pub use npy::{Conversion, NpyError, NpyFile, npy};
pub use npz::{Compression, NpzError, NpzFile, npz};
pub use recorder::{RecordedModel, Recorder, recorder};
pub use report::{
    InputReport, ModelPreprocessing, ModelReport, OpsetReport, PredictionReport, Preprocessing, QuantizationReport,
    Report, SCHEMA_VERSION, UnmatchedTensor, ValueReport,
};
pub use weights_npz::{WeightsError, weights, weights_npz};
