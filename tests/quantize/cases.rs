//! `quantize` against what quantize_static wrote for the same ranges: the same tensors, bit-equal scales, equal zero
//! points and integers, the same names, the same float nodes left.

use super::support::{Case, cases};
use quantscope::quant::quantizer::quantize;

/// Differences that are ours on purpose.
fn expected_difference(_case: &str, _line: &str) -> bool {
    false
}

#[test]
fn quantize_static_writes_the_same() {
    let mut wrong = Vec::new();
    for Case { name, document, ranges, options, recorded } in cases() {
        match quantize(&document, &ranges, &options) {
            Err(error) => wrong.push(format!("{name}: {error}")),
            Ok(quantized) => {
                let lines = recorded.differences(&quantized, options.format);
                wrong.extend(
                    lines.into_iter().filter(|line| !expected_difference(&name, line)).map(|line| format!("{name}: {line}")),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
}
