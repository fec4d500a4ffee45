//! The header, read by a C compiler where there is one.

use crate::support::{document, fixtures};
use quantscope::export::{CHeader, c_header};
use quantscope::onnx::{Dim, Document, GraphBuilder};
use quantscope::tensor::{DType, Tensor, TensorError};
use std::path::Path;
use std::process::Command;

fn header(model: &str) -> CHeader {
    c_header(&document(&fixtures("models").join(model)), "tiny").unwrap()
}

/// Whether gcc is there; says so where it is not.
fn gcc() -> bool {
    let found = Command::new("gcc").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: there is no gcc");
    }
    found
}

/// Writes the header and a source, compiles and runs it, gives what it printed.
fn compiled(name: &str, header: &str, source: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("c-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("weights.h"), header).unwrap();
    std::fs::write(folder.join("main.c"), format!("#include \"weights.h\"\n#include \"weights.h\"\n{source}")).unwrap();
    let flags = ["-std=c99", "-Wall", "-Wextra", "-Wno-unused-const-variable", "-pedantic", "-Werror", "-I"];
    let mut gcc = Command::new("gcc");
    gcc.args(flags).arg(&folder).arg(folder.join("main.c")).arg("-o").arg(folder.join("main"));
    let output = gcc.output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(Command::new(folder.join("main")).output().unwrap().stdout).unwrap()
}

#[test]
fn quantized_weights_stand_with_their_parameters() {
    let header = header("tiny_depthwise_int8_per_channel.onnx");
    assert!(header.text.contains("static const int8_t tiny_"), "{}", &header.text[..2000]);
    assert!(header.text.starts_with("/*") && header.text.is_ascii());
    for part in ["_scale[", "_zero_point[", "_shape[", "_axis = 0", "#ifndef TINY_WEIGHTS_H"] {
        assert!(header.text.contains(part), "{part}");
    }
    let scalars = header.names.iter().filter(|(name, _)| name.ends_with("_scale") || name.ends_with("_zero_point"));
    assert_eq!(scalars.count(), 0, "scales stand beside their tensors only");
}

#[test]
fn headers_compile_as_c99() {
    if !gcc() {
        return;
    }
    let models = [
        "tiny.onnx",
        "tiny_int8.onnx",
        "tiny_int4w.onnx",
        "tiny_fp16.onnx",
        "tiny_int16.onnx",
        "tiny_uint8_qoperator.onnx",
    ];
    for model in models {
        compiled(model, &header(model).text, "int main(void) { return 0; }\n");
    }
}

/// A model of one tensor of each kind, with the ends of their ranges.
fn extremes() -> Document {
    let mut builder = GraphBuilder::new("*/ int evil; /*", 17);
    let x = builder.input("x", DType::Float32, Some(&[Dim::Known(3)]));
    builder.output(&x, DType::Float32, Some(&[Dim::Known(3)]));
    let three = |name: &str, tensor: Result<Tensor, TensorError>| (name.to_owned(), tensor.unwrap());
    let tensors = [
        three("i8", Tensor::from_vec(vec![3], vec![-128i8, 0, 127])),
        three("i32", Tensor::from_vec(vec![3], vec![i32::MIN, 0, i32::MAX])),
        three("i64", Tensor::from_vec(vec![3], vec![i64::MIN, i64::from(i32::MIN), i64::MAX])),
        three("u64", Tensor::from_vec(vec![1], vec![u64::MAX])),
        three("f32", Tensor::from_vec(vec![4], vec![f32::MIN_POSITIVE, -0.1, f32::INFINITY, f32::NAN])),
        three("f64", Tensor::from_vec(vec![2], vec![1.0 / 3.0, 1e300])),
        three("f16", Tensor::from_vec(vec![1], vec![half::f16::from_f32(1.5)])),
        three("while", Tensor::from_vec(vec![], vec![7u8])),
        three("a*/b", Tensor::from_vec(vec![1], vec![1u8])),
        three("a//b", Tensor::from_vec(vec![1], vec![2u8])),
        three("none", Tensor::from_vec::<f32>(vec![0], vec![])),
    ];
    for (name, tensor) in &tensors {
        builder.initializer(name, tensor);
    }
    builder.finish().unwrap()
}

#[test]
fn the_numbers_are_the_models() {
    let header = c_header(&extremes(), "m").unwrap();
    assert!(
        header.notes.iter().any(|note| note.contains("'none'"))
            && header.notes.iter().any(|note| note.contains("'f16'"))
    );
    assert!(header.text.contains("m_a_b_1"), "names that meet are told apart");
    if !gcc() {
        return;
    }
    let source = r#"
#include <stdio.h>
#include <string.h>
int main(void) {
    uint32_t bits[4];
    memcpy(bits, m_f32, sizeof bits);
    printf("%d %d %ld ", m_i8[0], m_i8[2], (long)m_i32[0]);
    printf("%d %d ", m_i64[0] == INT64_MIN, m_i64[1] == INT32_MIN);
    printf("%llu %x %x %x %d ", (unsigned long long)m_u64[0], bits[0], bits[1], bits[2], m_f32[3] != m_f32[3]);
    printf("%.17g %x %d %d %d\n", m_f64[0], m_f16[0], m_while[0], m_a_b[0], m_a_b_1[0]);
    return 0;
}
"#;
    let printed = compiled("extremes", &header.text, source);
    let tenth = (-0.1f32).to_bits();
    let expected =
        format!("-128 127 -2147483648 1 1 {} 800000 {tenth:x} 7f800000 1 0.33333333333333331 3e00 7 1 2\n", u64::MAX);
    assert_eq!(printed, expected);
}
