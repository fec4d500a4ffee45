//! The table lowered: the very nodes and initializers that quantize_static writes.

use super::support::{Case, Recorded, cases, document, reference};
use quantscope::quant::quantizer::{Note, quantize};
use quantscope::quant::table::{TableFormat, lower};
use std::collections::{BTreeMap, BTreeSet};

/// Differences that are ours on purpose: case, and parts of the lines. A note says each.
///
/// onnxruntime's QOperator form drops a Relu behind a quantized tensor, also where others read that tensor or no quantized
/// node makes it: its model computes something else than the float one.
const ON_PURPOSE: &[(&str, &[&str])] = &[
    ("moves_operator_uint8", &["rx/Relu", "rx_DequantizeLinear"]),
    ("sharing_operator_uint8", SHARING),
    ("sharing_operator_per_channel", SHARING),
];

/// The Relu `r1` beside another reader of `c1`; the bias `b0`, which is the second convolution's own and not the first one's
/// integers; the Add `a2`, whose range ends half a step beyond its Clip, so that the Clip is written.
const SHARING: &[&str] = &[
    "r1",
    "a1/Add_quant",
    "c1_DequantizeLinear",
    "b0_quantized",
    "c2/Conv_quant",
    "a2/Add",
    "clip_Clip",
    "a1_DequantizeLinear",
    "a2_QuantizeLinear",
];

#[test]
fn the_file_of_quantize_static() {
    let mut all = Vec::new();
    for Case { name, document, ranges, options, recorded, opsets } in cases() {
        let mut wrong = Vec::new();
        let quantized = quantize(&document, &ranges, &options).unwrap();
        // Where the codes reach beyond a Clip that is gone, lowering writes the Clip and says so; onnxruntime's file
        // computes something else than the model it was made from.
        let clipped: Vec<String> = (quantized.notes.iter())
            .filter_map(|note| if let Note::ClampRemains { tensor } = note { Some(tensor.clone()) } else { None })
            .collect();
        let file = match lower(&quantized.document, &quantized.table, options.format) {
            Ok(file) => file,
            Err(error) => {
                all.push(format!("{name}: {error}"));
                continue;
            }
        };
        if !file.issues().is_empty() {
            wrong.push(format!("{name}: {:?}", file.issues()));
        }
        let found = file.proto().opset_import.iter();
        let found = found.map(|import| (import.domain().to_owned(), import.version())).collect();
        if opsets != found {
            wrong.push(format!("{name}: operator sets {found:?} instead of {opsets:?}"));
        }
        let found = Recorded::of_file(&file, &document);
        let nodes = |recorded: &Recorded| -> BTreeSet<String> {
            recorded
                .nodes
                .iter()
                .map(|(op, domain, name, i, o)| format!("{domain}.{op} {name} {i:?} -> {o:?}"))
                .collect()
        };
        let initializers = |recorded: &Recorded| -> BTreeMap<String, String> {
            recorded.initializers.iter().map(|(name, content)| (name.clone(), format!("{content:?}"))).collect()
        };
        let (ours, theirs) = (nodes(&found), nodes(&recorded));
        wrong.extend(ours.difference(&theirs).map(|node| format!("{name}: + {node}")));
        wrong.extend(theirs.difference(&ours).map(|node| format!("{name}: - {node}")));
        let (ours, theirs) = (initializers(&found), initializers(&recorded));
        for (tensor, content) in &ours {
            if theirs.get(tensor) != Some(content) {
                wrong.push(format!("{name}: {tensor} {content} instead of {:?}", theirs.get(tensor)));
            }
        }
        let missing = theirs.keys().filter(|tensor| !ours.contains_key(*tensor));
        wrong.extend(missing.map(|tensor| format!("{name}: no {tensor}")));
        let explained = |line: &String| {
            ON_PURPOSE.iter().any(|(case, parts)| *case == name && parts.iter().any(|part| line.contains(part)))
                || clipped
                    .iter()
                    .any(|t| line.contains(&format!("{t}_Clip")) || line.contains(&format!(" {t}_QuantizeLinear ")))
        };
        all.extend(wrong.into_iter().filter(|line| !explained(line)));
    }
    assert!(all.is_empty(), "{} differences\n{}", all.len(), all.join("\n"));
}

#[test]
fn sizes_of_the_reference_files() {
    let Some(folder) = reference() else { return };
    let model = document(&folder.join("models/resnet8.onnx"));
    let ranges = super::support::recorded_minmax(&folder);
    let quantized = quantize(&model, &ranges, &Default::default()).unwrap();
    let file = lower(&quantized.document, &quantized.table, TableFormat::Qdq).unwrap();
    let theirs = document(&folder.join("models/resnet8_int8.onnx"));
    let names = |nodes: &[quantscope::onnx::proto::NodeProto]| -> BTreeSet<(String, String)> {
        nodes.iter().map(|node| (node.op_type().to_owned(), node.name().to_owned())).collect()
    };
    assert_eq!(names(&file.graph().node), names(&theirs.graph().node));
    let initializers = |document: &quantscope::onnx::Document| -> BTreeSet<String> {
        document.graph().initializer.iter().map(|tensor| tensor.name().to_owned()).collect()
    };
    assert_eq!(initializers(&file), initializers(&theirs));
    assert_eq!((file.graph().node.len(), file.graph().initializer.len()), (130, 163));
}
