//! The weights of a model as C arrays, for firmware.

use super::weights_npz::weights;
use crate::onnx::{Document, OnnxError};
use crate::quant::{Granularity, Parameters, QuantizedTensor, quantized_tensors};
use crate::tensor::{DType, Tensor, TensorError};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use thiserror::Error;

/// A header in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct CHeader {
    /// The file: C99, ASCII.
    pub text: String,
    /// The C name of each tensor that is in it, by the name in the model.
    pub names: Vec<(String, String)>,
    /// What is in another form than in the model, in words for a person.
    pub notes: Vec<String>,
}

/// Why there is no header.
#[derive(Debug, Error)]
pub enum CHeaderError {
    /// A tensor's data cannot be had.
    #[error(transparent)]
    Model(#[from] OnnxError),
    /// A tensor's elements cannot be read.
    #[error("tensor '{tensor}': {source}")]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// What is wrong with it.
        source: TensorError,
    },
}

/// Elements in a line.
const LINE: usize = 16;

/// A header of every constant tensor: `static const int8_t <name>[]` with `<name>_shape[]`, and for quantized tensors
/// `<name>_scale[]` and `<name>_zero_point[]` (one each, or one for each index along `<name>_axis`). Activations have
/// their scale and zero point alone. `prefix` begins every name and the include guard.
///
/// 2 and 4 bit integers become 8 bit ones; half precision is its bit pattern in `uint16_t`; booleans are `uint8_t`.
/// Tensors without elements, which C has no arrays for, and types without a C form are left out and said.
pub fn c_header(document: &Document, prefix: &str) -> Result<CHeader, CHeaderError> {
    let prefix = identifier(prefix);
    let mut header =
        Header { text: String::new(), taken: HashSet::new(), names: Vec::new(), notes: Vec::new(), prefix };
    let quantized = quantized_tensors(document);
    let parameter_names: HashSet<&str> = quantized
        .iter()
        .flat_map(|tensor| [tensor.scale_name.as_deref(), tensor.zero_point_name.as_deref()])
        .flatten()
        .collect();
    let by_stored: HashMap<&str, &QuantizedTensor> =
        quantized.iter().rev().map(|tensor| (tensor.stored.as_str(), tensor)).collect();
    header.start(document);
    let mut constants = HashSet::new();
    for (name, tensor) in weights(document)? {
        constants.insert(name.clone());
        // Scales and zero points stand beside what they belong to.
        if !parameter_names.contains(name.as_str()) {
            header.tensor(&name, &tensor, by_stored.get(name.as_str()).copied())?;
        }
    }
    for tensor in quantized.iter().filter(|tensor| !constants.contains(&tensor.stored)) {
        header.activation(tensor);
    }
    header.end();
    Ok(CHeader { text: header.text, names: header.names, notes: header.notes })
}

struct Header {
    text: String,
    taken: HashSet<String>,
    names: Vec<(String, String)>,
    notes: Vec<String>,
    prefix: String,
}

impl Header {
    fn guard(&self) -> String {
        format!("{}_WEIGHTS_H", self.prefix.to_ascii_uppercase())
    }

    fn start(&mut self, document: &Document) {
        let (guard, graph) = (self.guard(), comment(document.graph().name()));
        let _ = write!(
            self.text,
            "/* Weights of the ONNX model '{graph}'. Written by quantscope.\n   real = scale * (q - zero_point) */\n\
             #ifndef {guard}\n#define {guard}\n\n#include <math.h>\n#include <stdint.h>\n"
        );
    }

    fn end(&mut self) {
        let _ = write!(self.text, "\n#endif /* {} */\n", self.guard());
    }

    fn name(&mut self, tensor: &str) -> String {
        let base = format!("{}_{}", self.prefix, identifier(tensor));
        let mut name = base.clone();
        let mut number = 1;
        // Names of companions must not meet either: `a` has `a_scale`.
        while !self.taken.insert(name.clone()) {
            name = format!("{base}_{number}");
            number += 1;
        }
        for companion in ["shape", "scale", "zero_point", "axis"] {
            self.taken.insert(format!("{name}_{companion}"));
        }
        self.names.push((tensor.to_owned(), name.clone()));
        name
    }

    fn array(&mut self, kind: &str, name: &str, elements: &[String]) {
        let _ = write!(self.text, "static const {kind} {name}[{}] = {{", elements.len());
        for (index, element) in elements.iter().enumerate() {
            let lead = if index % LINE == 0 { "\n    " } else { " " };
            let _ = write!(self.text, "{lead}{element},");
        }
        self.text.push_str("\n};\n");
    }

    fn tensor(&mut self, name: &str, tensor: &Tensor, params: Option<&QuantizedTensor>) -> Result<(), CHeaderError> {
        if tensor.is_empty() {
            self.notes.push(format!("'{name}' has no elements and is left out"));
            return Ok(());
        }
        let failed = |source| CHeaderError::Tensor { tensor: name.to_owned(), source };
        let Some((kind, elements)) = elements(tensor).map_err(failed)? else {
            self.notes.push(format!("'{name}' is of {}, which has no C form, and is left out", tensor.dtype()));
            return Ok(());
        };
        if matches!(tensor.dtype(), DType::Float16 | DType::Bfloat16) {
            self.notes.push(format!("'{name}' is of {}: its elements are bit patterns", tensor.dtype()));
        }
        if tensor.dtype().bits().is_some_and(|bits| bits < 8) && tensor.dtype().is_int() {
            self.notes.push(format!("'{name}' is of {}: each element takes a byte", tensor.dtype()));
        }
        let c_name = self.name(name);
        let _ = write!(self.text, "\n/* {}: {} {:?} */\n", comment(name), tensor.dtype(), tensor.shape());
        if !tensor.shape().is_empty() {
            let dims: Vec<String> = tensor.shape().iter().map(ToString::to_string).collect();
            self.array("int32_t", &format!("{c_name}_shape"), &dims);
        }
        self.parameters(&c_name, params);
        self.array(kind, &c_name, &elements);
        Ok(())
    }

    fn activation(&mut self, tensor: &QuantizedTensor) {
        if tensor.fixed().is_none() || self.names.iter().any(|(name, _)| *name == tensor.value) {
            return;
        }
        let c_name = self.name(&tensor.value);
        let _ = write!(self.text, "\n/* {}: quantized activation */\n", comment(&tensor.value));
        self.parameters(&c_name, Some(tensor));
    }

    fn parameters(&mut self, c_name: &str, tensor: Option<&QuantizedTensor>) {
        let Some(Parameters::Fixed(params)) = tensor.map(|tensor| &tensor.params) else { return };
        if let Granularity::PerChannel { axis } | Granularity::Blocked { axis, .. } = params.granularity {
            let _ = writeln!(self.text, "enum {{ {c_name}_axis = {axis} }};");
        }
        let scales: Vec<String> = params.scale.iter().map(|&scale| float(scale)).collect();
        let zero_points: Vec<String> = params.zero_point.iter().map(|&value| integer(i64::from(value))).collect();
        self.array("float", &format!("{c_name}_scale"), &scales);
        self.array("int32_t", &format!("{c_name}_zero_point"), &zero_points);
    }
}

/// The C type and the elements as literals; `None` for types without a C form.
fn elements(tensor: &Tensor) -> Result<Option<(&'static str, Vec<String>)>, TensorError> {
    let kind = match tensor.dtype() {
        DType::Int8 | DType::Int4 | DType::Int2 => "int8_t",
        DType::Uint8 | DType::Uint4 | DType::Uint2 | DType::Bool => "uint8_t",
        DType::Int16 => "int16_t",
        DType::Uint16 | DType::Float16 | DType::Bfloat16 => "uint16_t",
        DType::Int32 => "int32_t",
        DType::Uint32 => "uint32_t",
        DType::Int64 => "int64_t",
        DType::Uint64 => "uint64_t",
        DType::Float32 => "float",
        DType::Float64 => "double",
        _ => return Ok(None),
    };
    let list = match tensor.dtype() {
        DType::Float32 => tensor.to_vec::<f32>()?.into_iter().map(float).collect(),
        DType::Float64 => tensor.to_vec::<f64>()?.into_iter().map(double).collect(),
        DType::Float16 => tensor.to_vec::<half::f16>()?.into_iter().map(|v| format!("0x{:04x}", v.to_bits())).collect(),
        DType::Bfloat16 => {
            tensor.to_vec::<half::bf16>()?.into_iter().map(|v| format!("0x{:04x}", v.to_bits())).collect()
        }
        DType::Bool => tensor.bytes().iter().map(|&byte| u8::from(byte != 0).to_string()).collect(),
        DType::Uint64 => tensor.to_vec::<u64>()?.into_iter().map(|value| format!("{value}u")).collect(),
        _ => tensor.to_i64()?.into_iter().map(integer).collect(),
    };
    Ok(Some((kind, list)))
}

/// An integer literal. C reads the most negative ones as the negation of a number that does not fit.
fn integer(value: i64) -> String {
    match value {
        i64::MIN => "INT64_MIN".to_owned(),
        value if value == i64::from(i32::MIN) => "INT32_MIN".to_owned(),
        value => value.to_string(),
    }
}

/// A float literal that reads back as the same number.
fn float(value: f32) -> String {
    if value.is_finite() { format!("{value:?}f") } else { not_finite(f64::from(value)) }
}

fn double(value: f64) -> String {
    if value.is_finite() { format!("{value:?}") } else { not_finite(value) }
}

fn not_finite(value: f64) -> String {
    if value.is_nan() {
        "NAN"
    } else if value > 0.0 {
        "INFINITY"
    } else {
        "-INFINITY"
    }
    .to_owned()
}

/// Letters, digits and underscores, a letter first; C's keywords are no danger behind a prefix.
fn identifier(name: &str) -> String {
    let name = name.split(';').next().unwrap_or_default();
    let mut made = String::new();
    for c in name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }) {
        if c != '_' || !(made.is_empty() || made.ends_with('_')) {
            made.push(c);
        }
    }
    let made = made.trim_end_matches('_');
    match made.chars().next() {
        None => "tensor".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("t{made}"),
        Some(_) => made.to_owned(),
    }
}

/// A name inside a comment, which it must not end.
fn comment(name: &str) -> String {
    let plain = |c: char| if (c == ' ' || c.is_ascii_graphic()) && c != '\\' { c } else { '?' };
    name.chars().map(plain).take(200).collect::<String>().replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")
}
