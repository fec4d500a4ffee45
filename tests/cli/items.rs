//! Data that are no images: arrays item by item, several inputs, and what is said of choices.

use crate::quantize::parameters;
use crate::support::{arrays, fixture, json_of, quantscope, scratch};
use quantscope::export::npy;
use serde_json::{Value, json};

/// Ranges come from float sums in another order.
const SCALE: f64 = 1e-5;

fn quantized(model: &str, data: &str, name: &str, more: &[&str]) -> (Value, String) {
    let out = scratch(&format!("items-{name}.onnx"));
    let (model, data) = (fixture(&format!("items/{model}.onnx")), fixture(&format!("items/{data}")));
    let mut arguments = vec!["quantize", &model, "--data", &data, "--out", &out, "--json"];
    arguments.extend(more);
    (quantscope(&arguments).json(), out)
}

#[test]
fn arrays_calibrate_item_by_item_as_with_onnxruntime() {
    let recorded = json_of(&fixture("items/expected.json"));
    let strided: &[&str] =
        &["--calibration", "moving-average", "--images-per-mean", "8", "--averaging-constant", "0.25"];
    let methods: [(&str, &[&str]); 3] =
        [("minmax", &[]), ("moving_average", &["--calibration", "moving-average"]), ("strided", strided)];
    for (model, data, count) in [("mlp", "floats.npy", 40), ("signal", "signals.npy", 24), ("two", "pair.npz", 48)] {
        for (method, options) in methods {
            let (said, out) = quantized(model, data, &format!("{model}-{method}"), options);
            assert_eq!(said["images"], count, "{model} {method}");
            let found = parameters(&out);
            let wanted = recorded[model][method].as_object().unwrap();
            assert!(wanted.len() > 3);
            for (tensor, pair) in wanted {
                // A graph output's float value goes by another name in front of its pair.
                let tensor = tensor.strip_suffix("_QuantizeLinear_Input").unwrap_or(tensor);
                let (scale, zero) = (pair[0].as_f64().unwrap(), pair[1].as_f64().unwrap());
                let own = found[&format!("{tensor}_scale")][0];
                assert!((own - scale).abs() <= SCALE * scale, "{model} {method} {tensor}: {own} instead of {scale}");
                assert_eq!(found[&format!("{tensor}_zero_point")][0], zero, "{model} {method} {tensor}");
            }
        }
    }
}

#[test]
fn a_limit_and_a_fixed_batch_count_items() {
    let (few, short) = quantized("mlp", "floats.npy", "few", &["--limit", "7"]);
    assert_eq!(few["images"], 7);
    let (all, long) = quantized("mlp_one", "floats.npy", "fixed", &[]);
    assert_eq!(all["images"], 40);
    assert_ne!(parameters(&short)["x_scale"], parameters(&long)["x_scale"]);
    let (model, data) = (fixture("items/mlp.onnx"), fixture("items/floats.npy"));
    let errors = |limit: &str| {
        let arguments = ["sqnr", "--float", &model, "--quantized", &long, "--data", &data, "--limit", limit, "--json"];
        quantscope(&arguments).json()
    };
    assert_ne!(errors("3"), errors("40"));
    assert_eq!(errors("40"), errors("1000"));
}

#[test]
fn run_takes_an_array_as_it_is() {
    let out = scratch("items-run.npz");
    let (model, data) = (fixture("items/mlp.onnx"), fixture("items/floats.npy"));
    assert_eq!(quantscope(&["run", &model, "--input", &data, "--out", &out]).code, 0);
    assert_eq!(arrays(&out)[0].tensor.shape(), [40, 4]);
    // A batch of 1 takes no array of 40.
    quantscope(&["run", &fixture("items/mlp_one.onnx"), "--input", &data, "--out", &out]).refused(&["[40, 16]"]);
}

#[test]
fn several_inputs_need_their_arrays() {
    let pair = fixture("items/pair.npz");
    let model = fixture("items/two.onnx");
    let report = quantscope(&["evaluate", &model, "--data", &pair, "--json"]).json();
    assert_eq!((&report[0]["overall"]["correct"], &report[0]["overall"]["total"]), (&json!(48), &json!(48)));
    let lone = scratch("items-lone.npy");
    let values = quantscope::tensor::Tensor::from_vec(vec![3, 8], vec![0.5f32; 24]).unwrap();
    std::fs::write(&lone, npy(&values).unwrap().bytes).unwrap();
    let out = scratch("items-never.onnx");
    quantscope(&["quantize", &model, "--data", &lone, "--out", &out]).refused(&["'b'", "numpy.savez"]);
}

#[test]
fn models_of_one_name_are_told_apart_and_data_takes_one_file() {
    let (first, second) = (scratch("one"), scratch("other"));
    let models = [first, second].map(|folder| {
        std::fs::create_dir_all(&folder).unwrap();
        let path = format!("{folder}/m.onnx");
        std::fs::copy(fixture("items/mlp.onnx"), &path).unwrap();
        path
    });
    let data = fixture("items/bytes.npz");
    // The models behind --data are models.
    let report = quantscope(&["evaluate", "--data", &data, &models[0], &models[1], "--json"]).json();
    let names: Vec<&str> = report.as_array().unwrap().iter().filter_map(|model| model["model"].as_str()).collect();
    assert_eq!(names, [models[0].as_str(), models[1].as_str()]);
    assert_eq!(report[1]["overall"]["correct"], 60);
    // Several files by several --data.
    let (x, y) = (scratch("items-x.npy"), scratch("items-y.npy"));
    let tensor = |shape: Vec<usize>, values: Vec<f32>| quantscope::tensor::Tensor::from_vec(shape, values).unwrap();
    std::fs::write(&x, npy(&tensor(vec![2, 16], vec![1.0; 32])).unwrap().bytes).unwrap();
    let labels = quantscope::tensor::Tensor::from_vec(vec![2], vec![0i64, 1]).unwrap();
    std::fs::write(&y, npy(&labels).unwrap().bytes).unwrap();
    let report = quantscope(&["evaluate", &models[0], "--data", &x, "--data", &y, "--json"]).json();
    assert_eq!(report[0]["overall"]["total"], 2);
}

#[test]
fn what_a_choice_does_not_do_is_said() {
    let notes =
        |model: &str, data: &str, name: &str, more: &[&str]| quantized(model, data, name, more).0["notes"].to_string();
    let unlabelled = notes("mlp", "floats.npy", "class", &["--per-class", "5"]);
    assert!(unlabelled.contains("has no labels") && unlabelled.contains("5 were taken"), "{unlabelled}");
    assert!(!notes("mlp", "bytes.npz", "class", &["--per-class", "5"]).contains("no labels"));
    let channels: &[&str] = &["--per-channel", "--symmetric-weights", "false"];
    assert!(notes("signal", "signals.npy", "channel", channels).contains("always symmetric"));
    assert!(!notes("signal", "signals.npy", "channel", &["--per-channel"]).contains("always symmetric"));
    let operator: &[&str] = &["--format", "qoperator", "--activations", "uint8"];
    let computed = notes("computed", "floats.npy", "computed", operator);
    assert!(computed.contains("'Computed' (Gemm) stays float: its bias 'bias' is computed"), "{computed}");
    assert!(!computed.contains("'Constant'"), "{computed}");
}

#[test]
fn the_autopilot_takes_arrays() {
    let (model, data, out) = (fixture("items/mlp.onnx"), fixture("items/floats.npy"), scratch("items-autopilot.onnx"));
    let arguments = [
        "autopilot",
        &model,
        "--data",
        &data,
        "--eval",
        &data,
        "--max-drop",
        "50",
        "--max-kb",
        "100",
        "--out",
        &out,
        "--json",
    ];
    let ended = quantscope(&arguments);
    assert!(ended.code == 0 || ended.code == 3, "{}", ended.error);
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    // Half of the 40 items calibrate, the other half choose.
    assert_eq!(report["report"]["float_selection"]["total"], 20, "{report}");
    assert_eq!(report["report"]["float_measured"]["fraction"]["total"], 40);
}
