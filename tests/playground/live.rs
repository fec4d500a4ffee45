//! The live plan of an unedited table against the file's own run.

use crate::support::{SEVEN, cifar, document, fixture, lifted, plan, reference, sample};
use quantscope::engine::{LivePlan, Plan};
use quantscope::onnx::Document;
use quantscope::quant::dequantize_tensor;
use quantscope::quant::table::{Lifted, RowMode};
use quantscope::tensor::Tensor;
use std::path::Path;

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Compares every value that both have by name, and every row with the file's integers; gives how many.
fn compare(name: &str, file: &Plan, live: &LivePlan, lifted: &Lifted) -> (usize, usize) {
    let mut values = 0;
    let rounded = |value: &str| lifted.table.row(value).is_some();
    for value in live.plan().observed() {
        let (Some(ours), Some(theirs)) = (live.plan().value(value), file.value(value)) else { continue };
        // A row's name may be the file's name of the rounded value: that is compared below.
        if !rounded(value) {
            assert_eq!(ours, theirs, "{name}: {value}");
            values += 1;
        }
    }
    let mut rows = 0;
    for row in &lifted.table.rows {
        let ours = live.plan().seen_reals(&row.tensor).unwrap_or_else(|| panic!("{name}: {}", row.tensor));
        let theirs = match file.value(&row.names.quantized) {
            Some(stored) => dequantize_tensor(&row.grid.params, &stored).unwrap(),
            None => panic!("{name}: no integers of {}", row.tensor),
        };
        assert_eq!(bits(&ours), bits(&theirs), "{name}: {}", row.tensor);
        rows += 1;
    }
    for output in file.outputs() {
        let (ours, theirs) = (live.plan().rounded(output).unwrap(), file.value(output).unwrap());
        assert_eq!(ours, theirs, "{name}: output {output}");
    }
    (values, rows)
}

/// Runs a file and its lifted table on one input.
fn check(name: &str, model: &Document, input: &Tensor) {
    let lifted = lifted(model, None);
    let mut file = plan(model);
    let mut live = LivePlan::compile(&lifted.float, &lifted.table).unwrap();
    let inputs = vec![(file.inputs()[0].name.clone(), input.clone())];
    file.run(&inputs).unwrap();
    live.run(&inputs).unwrap();
    if lifted.table.rows.iter().any(|row| row.mode == RowMode::Dynamic) {
        // Integer sums there: only the lowered file gives the same bits, see `lowered`.
        return;
    }
    let (values, rows) = compare(name, &file, &live, &lifted);
    println!("{name}: {values} values and {rows} rows equal, {} nodes as written", lifted.as_written.len());
    assert!(rows > 0, "{name}");
}

fn image(path: &Path) -> Tensor {
    let pixels = (0..3072).map(|at| ((at * 37 + at / 96) % 256) as f32).collect();
    let _ = path;
    Tensor::from_vec(vec![1, 32, 32, 3], pixels).unwrap()
}

#[test]
fn unedited_equals_the_sample() {
    for name in ["street-digits-int8.onnx", "street-digits-uint8.onnx"] {
        check(name, &document(&sample(name)), &image(&sample(name)));
    }
}

#[test]
fn unedited_equals_the_tiny_models() {
    for name in ["tiny_int8", "tiny_int8_per_channel", "tiny_uint8", "tiny_uint8_qoperator", "tiny_int16", "tiny_int4w"]
    {
        let pixels = (0..192).map(|at| (at % 23) as f32 / 7.0 - 1.0).collect();
        let input = Tensor::from_vec(vec![1, 8, 8, 3], pixels).unwrap();
        check(name, &document(&fixture("models").join(format!("{name}.onnx"))), &input);
    }
}

#[test]
fn unedited_equals_the_reference_models() {
    let Some(folder) = reference() else { return };
    let others = ["resnet8_uint8_qoperator", "resnet8_bn_folded_int8", "resnet8_bn_folded_uint8"];
    for name in SEVEN.iter().chain(&others) {
        let model = document(&folder.join("models").join(format!("{name}.onnx")));
        for index in [0, 7] {
            check(name, &model, &cifar(&folder, index));
        }
    }
}
