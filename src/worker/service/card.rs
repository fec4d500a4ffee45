//! A model's card.

use crate::engine;
use crate::import::Preprocess;
use crate::onnx::proto::ValueInfoProto;
use crate::onnx::{Counts, Dim, Document, Facts, OnnxError, declared_fact};
use crate::quant::{QuantizedTensor, TensorKind, parameter_issues};
use crate::tensor::DType;
use crate::worker::protocol::{ModelId, ModelSummary, PortSummary, Variant};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};

/// Everything the card shows.
pub fn summary(
    id: ModelId,
    name: String,
    file: &str,
    source: &[u8],
    document: &Document,
    facts: &Facts,
    quantized: &[QuantizedTensor],
) -> ModelSummary {
    let proto = document.proto();
    let graph = document.graph();
    let counts = Counts::of(document, facts);
    let (variant, format) = identity(document, quantized);
    let domain = |domain: &str| if domain.is_empty() { "ai.onnx".to_owned() } else { domain.to_owned() };
    let faults = parameter_issues(document, quantized);
    let missing = missing_files(document);
    let issues = document.issues().iter().chain(&missing).chain(&faults).map(|issue| issue.problem(file)).collect();
    let unsupported = engine::unsupported(document);
    ModelSummary {
        id,
        name,
        file: file.to_owned(),
        size_bytes: source.len() as u64,
        sha256: Sha256::digest(source).iter().map(|byte| format!("{byte:02x}")).collect(),
        variant,
        format,
        producer: format!("{} {}", proto.producer_name(), proto.producer_version()).trim().to_owned(),
        graph_name: graph.name().to_owned(),
        doc_string: proto.doc_string().to_owned(),
        ir_version: proto.ir_version(),
        opsets: proto.opset_import.iter().map(|import| (domain(import.domain()), import.version())).collect(),
        metadata: proto.metadata_props.iter().map(|entry| (entry.key().to_owned(), entry.value().to_owned())).collect(),
        inputs: document.inputs().map(|info| port(info, facts)).collect(),
        outputs: graph.output.iter().map(|info| port(info, facts)).collect(),
        parameters: counts.parameters,
        macs: (counts.macs_unknown == 0).then_some(counts.macs),
        nodes: counts.nodes,
        quantize_linear: counts.quantize,
        dequantize_linear: counts.dequantize,
        quantize_share: counts.quantize_share(),
        op_counts: op_counts(counts),
        functions: document.functions().into_iter().map(|function| (function.name, function.node_count)).collect(),
        unsupported,
        issues,
        lossless: document.canonical(),
        preprocess: preprocess(document, facts),
    }
}

/// Every file that is not at hand, once, with the first tensor that lies in it: a large model has hundreds.
fn missing_files(document: &Document) -> Vec<OnnxError> {
    let mut locations = HashSet::new();
    let missing = document.missing_external().into_iter().filter(|(_, location)| locations.insert(location.clone()));
    missing.map(|(tensor, location)| OnnxError::ExternalData { tensor, location }).collect()
}

/// Name, type and dims of a graph input or output; what is declared, else what is derived.
fn port(info: &ValueInfoProto, facts: &Facts) -> PortSummary {
    let declared = declared_fact(info);
    let shape = declared.shape.or_else(|| facts.shape(info.name()).map(<[Dim]>::to_vec));
    port_of(info.name(), declared.dtype.or_else(|| facts.dtype(info.name())), shape.as_deref())
}

/// The words for a value of this type and these dims.
pub fn port_of(name: &str, dtype: Option<DType>, shape: Option<&[Dim]>) -> PortSummary {
    PortSummary {
        name: name.to_owned(),
        dtype: dtype.map_or_else(|| "unknown".to_owned(), |dtype| dtype.name().to_owned()),
        shape: shape.map_or_else(|| vec!["?".to_owned()], |dims| dims.iter().map(Dim::to_string).collect()),
    }
}

/// Operators with their counts, most frequent first, equal ones by name.
fn op_counts(counts: Counts) -> Vec<(String, usize)> {
    let name = |(domain, op): (String, String)| if domain.is_empty() { op } else { format!("{domain}.{op}") };
    let mut counts: Vec<_> = counts.ops.into_iter().map(|(op, count)| (name(op), count)).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts
}

/// Which variant of a network a file is, by its activations (by its weights where only those are quantized), and the
/// words for it.
fn identity(document: &Document, quantized: &[QuantizedTensor]) -> (Variant, String) {
    let nodes = &document.graph().node;
    let has = |test: &dyn Fn(&str) -> bool| nodes.iter().any(|node| test(node.op_type()));
    let dynamic = has(&|op| op == "DynamicQuantizeLinear");
    let form = match () {
        () if dynamic => "dynamic",
        () if has(&|op| op.starts_with("QLinear") || op == "QGemm") => "QOperator",
        () if has(&|op| op == "DequantizeLinear") => "QDQ",
        () => return (Variant::Float, "float".to_owned()),
    };
    let most_frequent = |kind: &dyn Fn(&QuantizedTensor) -> bool| {
        let mut counts: HashMap<DType, usize> = HashMap::new();
        for tensor in quantized.iter().filter(|tensor| kind(tensor)) {
            if let Some(dtype) = tensor.params.dtype() {
                *counts.entry(dtype).or_default() += 1;
            }
        }
        counts.into_iter().max_by_key(|&(dtype, count)| (count, dtype)).map(|(dtype, _)| dtype)
    };
    let activations = most_frequent(&|tensor| matches!(tensor.kind, TensorKind::Activation));
    let weights = most_frequent(&|tensor| matches!(tensor.kind, TensorKind::Weight));
    let dtype = activations.or(weights);
    let variant = match dtype {
        Some(DType::Int8) => Variant::Int8,
        Some(DType::Uint8) => Variant::Uint8,
        _ => Variant::Other,
    };
    let per_channel = quantized.iter().any(|tensor| {
        matches!(tensor.kind, TensorKind::Weight) && tensor.fixed().is_some_and(|params| params.scale.len() > 1)
    });
    let mut words = format!("{form} {}", dtype.map_or("", DType::name));
    if let (Some(activations), Some(weights)) = (activations, weights)
        && activations != weights
    {
        words = format!("{form} {activations}, weights {weights}");
    }
    if per_channel {
        words.push_str(", per channel");
    }
    (variant, words.trim().to_owned())
}

/// How an image becomes the first input that can take one.
fn preprocess(document: &Document, facts: &Facts) -> Option<(Preprocess, String)> {
    let input = document.inputs().next()?;
    let shape: Vec<Option<usize>> = facts.shape(input.name())?.iter().map(Dim::known).collect();
    let metadata = document.proto().metadata_props.iter().map(|entry| (entry.key(), entry.value()));
    let read = Preprocess::read_off(&shape, facts.dtype(input.name())?, metadata);
    Some((read.preprocess?, read.explanation))
}
