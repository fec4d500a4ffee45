//! `run`.

use crate::support::{arrays, fixture, quantscope, sample, scratch};
use quantscope::export::{Compression, npy, npz};
use quantscope::import::{Limits, Opened, Preprocess, SourceFile, open, read_npy};
use quantscope::tensor::Tensor;

/// Probabilities of a float model, by another order of sums.
const FLOAT: f32 = 1e-5;
/// A value on the edge between two integers falls to either side; single probabilities follow.
const EQUAL_CLASSES: usize = 63;

/// The first test images of the sample as an array in a file.
fn images(name: &str, count: usize) -> String {
    let bytes = std::fs::read(sample("street-digits.tar.gz")).unwrap();
    let (opened, _) = open(vec![SourceFile::new("street-digits.tar.gz", bytes)], &Limits::default());
    let set = |opened| if let Opened::Dataset(set) = opened { Some(*set) } else { None };
    let set = opened.into_iter().filter_map(set).find(|set| set.name.contains("test")).unwrap();
    let image = |index| Preprocess::default().apply(&set.image(index).unwrap()).unwrap().to_f32().unwrap();
    let values: Vec<f32> = (0..count).flat_map(image).collect();
    let path = scratch(name);
    std::fs::write(&path, npy(&Tensor::from_vec(vec![count, 32, 32, 3], values).unwrap()).unwrap().bytes).unwrap();
    path
}

fn recorded(model: &str) -> Tensor {
    read_npy(&std::fs::read(fixture(&format!("sample/probs64-{model}.npy"))).unwrap().into()).unwrap()
}

fn classes(scores: &[f32]) -> Vec<usize> {
    scores.chunks(10).map(|row| (0..10).rev().max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap()).collect()
}

#[test]
fn a_batch_gives_what_onnxruntime_gave() {
    let input = images("run64.npy", 64);
    for (model, semantics) in [("float", "simulate"), ("int8", "simulate"), ("uint8", "simulate"), ("int8", "integer")]
    {
        let out = scratch(&format!("run-{model}-{semantics}.npz"));
        let file = sample(
            if model == "float" { "street-digits.onnx".to_owned() } else { format!("street-digits-{model}.onnx") }
                .as_str(),
        );
        let shown =
            quantscope(&["run", &file, "--input", &input, "--out", &out, "--semantics", semantics, "--json"]).json();
        assert_eq!(shown["arrays"], serde_json::json!([{ "name": "dense", "dtype": "float32", "shape": [64, 10] }]));
        let arrays = arrays(&out);
        assert_eq!((arrays.len(), arrays[0].name.as_str()), (1, "dense"));
        let (found, wanted) = (arrays[0].tensor.to_f32().unwrap(), recorded(model).to_f32().unwrap());
        let equal = classes(&found).iter().zip(classes(&wanted)).filter(|(found, wanted)| *found == wanted).count();
        let furthest = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{model} {semantics}: {equal} of 64 classes equal, furthest probability {furthest:e}");
        assert!(equal >= if model == "float" { 64 } else { EQUAL_CLASSES });
        assert!(model != "float" || furthest <= FLOAT);
    }
}

#[test]
fn all_tensors_are_written_under_their_names() {
    let input = images("run1.npy", 1);
    let out = scratch("run-all.npz");
    let ended = quantscope(&["run", &sample("street-digits-int8.onnx"), "--input", &input, "--out", &out, "--all"]);
    assert_eq!((ended.code, ended.out.trim()), (0, format!("131 arrays in {out}").as_str()));
    let arrays = arrays(&out);
    assert_eq!(arrays.len(), 131);
    let of = |name: &str| &arrays.iter().find(|array| array.name == name).unwrap_or_else(|| panic!("{name}")).tensor;
    assert_eq!(of("input").shape(), [1, 32, 32, 3]);
    assert_eq!(of("dense").shape(), [1, 10]);
    // The recorded integers of the first image.
    let recorded = self::arrays(&fixture("sample/integers2-int8.npz"));
    let names = crate::support::expected();
    let (mut equal, mut all) = (0, 0);
    for row in names["models"]["int8"]["quantized"].as_array().unwrap().iter().filter(|row| row["role"] == "activation")
    {
        let keys = names["integers2"].as_object().unwrap();
        let key = keys.iter().find(|(_, tensor)| **tensor == row["tensor"]).unwrap().0;
        let wanted = recorded.iter().find(|array| array.name == *key).unwrap().tensor.to_i64().unwrap();
        let found = of(row["integers"].as_str().unwrap()).to_i64().unwrap();
        equal += found.iter().zip(&wanted).filter(|(found, wanted)| found == wanted).count();
        all += found.len();
    }
    println!("{equal} of {all} integers equal");
    assert!(equal as f64 >= 0.999 * all as f64 && all > 250_000);
}

#[test]
fn an_input_that_does_not_fit_is_refused() {
    let path = scratch("run-small.npy");
    std::fs::write(&path, npy(&Tensor::from_vec(vec![1, 5, 5, 3], vec![0f32; 75]).unwrap()).unwrap().bytes).unwrap();
    let out = scratch("run-refused.npz");
    let run = |input: &str| quantscope(&["run", &sample("street-digits.onnx"), "--input", input, "--out", &out]);
    run(&path).refused(&["run-small.npy", "input 'input'", "[1, 5, 5, 3]", "[?, 32, 32, 3]"]);
    run(&sample("classes.txt")).refused(&["classes.txt"]);
    run(&fixture("bad/data_short.npy")).refused(&["data_short.npy"]);
    run(&scratch("nowhere.npy")).refused(&["nowhere.npy"]);
    assert!(!std::path::Path::new(&out).exists());
}

#[test]
fn an_archive_of_one_array_is_its_input() {
    // Images by their shape, which an archive dropped on the page would be taken for.
    let plain = images("run2.npy", 2);
    let array = read_npy(&std::fs::read(&plain).unwrap().into()).unwrap();
    let packed = npz(&[("x", &array)], Compression::Stored).unwrap().bytes;
    let input = scratch("run2-packed.npz");
    std::fs::write(&input, packed).unwrap();
    let found = [plain, input].map(|input| {
        let out = scratch("run2-out.npz");
        quantscope(&["run", &sample("street-digits.onnx"), "--input", &input, "--out", &out, "--json"]).json();
        arrays(&out).remove(0).tensor
    });
    assert_eq!(found[0], found[1]);
}
