//! `quantize` against what quantize_static wrote for the same ranges: the same tensors, bit-equal scales, equal zero
//! points and integers, the same names, the same float nodes left.

use super::support::{Case, cases};
use quantscope::quant::quantizer::quantize;

/// Differences that are ours on purpose, by case and by what the line starts with.
///
/// onnxruntime's QOperator form drops the Relu behind the graph input `x`, whose range stays that of `x`: its model
/// computes something else than the float one. Ours keeps it. So with the Relu `r1` beside another reader of its input; and it
/// gives the second reader of the bias `b` the integers of the first, where ours makes a copy, `b0`.
const ON_PURPOSE: &[(&str, &str)] = &[
    ("moves_operator_uint8", "nodes "),
    ("sharing_operator_uint8", "nodes "),
    ("sharing_operator_uint8", "r1:"),
    ("sharing_operator_uint8", "b0:"),
    ("sharing_operator_per_channel", "nodes "),
    ("sharing_operator_per_channel", "r1:"),
    ("sharing_operator_per_channel", "b0:"),
];

fn expected_difference(case: &str, line: &str) -> bool {
    ON_PURPOSE.iter().any(|(of, start)| *of == case && line.starts_with(start))
}

#[test]
fn quantize_static_writes_the_same() {
    let mut wrong = Vec::new();
    for Case { name, document, ranges, options, recorded, .. } in cases() {
        match quantize(&document, &ranges, &options) {
            Err(error) => wrong.push(format!("{name}: {error}")),
            Ok(quantized) => {
                let lines = recorded.differences(&quantized, options.format);
                wrong.extend(
                    lines
                        .into_iter()
                        .filter(|line| !expected_difference(&name, line))
                        .map(|line| format!("{name}: {line}")),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
}
