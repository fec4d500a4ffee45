//! Array files: byte for byte numpy's, and readable by numpy itself where there is one.

use crate::numpy_histograms::tensor;
use quantscope::export::{Compression, npy, npz};
use quantscope::tensor::{DType, Tensor};
use serde::Deserialize;
use std::process::Command;

#[derive(Deserialize)]
struct Recorded {
    arrays: Vec<Array>,
}

#[derive(Deserialize)]
struct Array {
    dtype: String,
    shape: Vec<usize>,
    data: String,
    npy: String,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn npy_files_are_those_of_numpy() {
    let recorded: Recorded = serde_json::from_str(include_str!("../fixtures/numpy/arrays.json")).unwrap();
    assert!(recorded.arrays.len() > 25);
    for array in recorded.arrays {
        let tensor = tensor(&array.dtype, &array.data).reshaped(array.shape.clone()).unwrap();
        let file = npy(&tensor).unwrap();
        assert_eq!(hex(&file.bytes), array.npy, "{}{:?}", array.dtype, array.shape);
        assert_eq!(file.conversion, None);
    }
}

/// Runs where `QUANTSCOPE_PYTHON` names a Python that has numpy.
#[test]
fn numpy_loads_the_archive() {
    let Some(python) = std::env::var_os("QUANTSCOPE_PYTHON") else {
        eprintln!("skipped: QUANTSCOPE_PYTHON does not name a Python with numpy");
        return;
    };
    let floats = Tensor::from_vec(vec![1, 2, 2], vec![0.5f32, -1.0, f32::NAN, 3.25]).unwrap();
    let scalar = Tensor::from_vec(vec![], vec![-7i64]).unwrap();
    let empty = Tensor::from_vec::<u8>(vec![3, 0], vec![]).unwrap();
    let int4 = Tensor::new(DType::Int4, vec![3], vec![0xf7, 0x08].into()).unwrap();
    let bf16 = Tensor::from_vec(vec![1], vec![half::bf16::from_f32(-2.5)]).unwrap();
    let arrays = [
        ("model_1/conv2d_1/BiasAdd:0", &floats),
        ("/conv1/Conv_output_0", &scalar),
        ("a b\\c::d.npy", &empty),
        ("層/ü", &int4),
        ("../up", &bf16),
    ];
    let expected = [
        ("float32", vec![1, 2, 2], hex(floats.bytes())),
        ("int64", vec![], hex(scalar.bytes())),
        ("uint8", vec![3, 0], String::new()),
        ("int8", vec![3], "07fff8".to_owned()),
        ("float32", vec![1], hex(&(-2.5f32).to_le_bytes())),
    ];
    for compression in [Compression::Stored, Compression::Deflated] {
        let path = std::env::temp_dir().join(format!("quantscope_{}_{compression:?}.npz", std::process::id()));
        std::fs::write(&path, npz(&arrays, compression).unwrap().bytes).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/analysis/load_npz.py");
        let output = Command::new(&python).arg(script).arg(&path).output().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found: Vec<(String, String, Vec<usize>, String)> = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found.len(), arrays.len());
        for ((name, _), ((dtype, shape, data), row)) in arrays.iter().zip(expected.iter().zip(found)) {
            assert_eq!(row, ((*name).to_owned(), (*dtype).to_owned(), shape.clone(), data.clone()));
        }
    }
}
