//! `evaluate`.

use crate::support::{fixture, json_of, quantscope, reference, sample, scratch, test_images};
use quantscope::import::read_npy;
use serde_json::{Value, json};

/// Items of the sample that are evaluated: enough for every class.
const COUNT: usize = 300;
/// Two right implementations classify up to five images of 1017 differently; of 300 this many.
const FLIPS: i64 = 2;
/// The same on 1017 images.
const FLIPS_1017: i64 = 6;

fn evaluated(models: &[&str], more: &[&str]) -> Value {
    let data = test_images();
    let models: Vec<String> = models.iter().map(|model| sample(model)).collect();
    let mut arguments = vec!["evaluate", "--json"];
    arguments.extend(models.iter().chain(&data).map(String::as_str));
    arguments.extend(more);
    quantscope(&arguments).json()
}

fn labels() -> Vec<i64> {
    use quantscope::import::{Limits, Opened, SourceFile, open};
    let bytes = std::fs::read(sample("street-digits.tar.gz")).unwrap();
    let (opened, _) = open(vec![SourceFile::new("street-digits.tar.gz", bytes)], &Limits::default());
    let set = |opened| if let Opened::Dataset(set) = opened { Some(*set) } else { None };
    let set = opened.into_iter().filter_map(set).find(|set| set.name.contains("test")).unwrap();
    (0..set.len()).map(|index| i64::from(set.label(index).unwrap())).collect()
}

#[test]
fn the_sample_is_right_as_often_as_with_onnxruntime() {
    let limit = COUNT.to_string();
    let report =
        evaluated(&["street-digits.onnx", "street-digits-int8.onnx", "street-digits-uint8.onnx"], &["--limit", &limit]);
    let labels = labels();
    for (model, name) in report.as_array().unwrap().iter().zip(["float", "int8", "uint8"]) {
        let predicted = std::fs::read(fixture(&format!("sample/predicted-{name}.npy"))).unwrap();
        let predicted = read_npy(&predicted.into()).unwrap().to_i64().unwrap();
        let right: Vec<bool> = predicted.iter().zip(&labels).take(COUNT).map(|(p, l)| p == l).collect();
        let wanted = right.iter().filter(|right| **right).count() as i64;
        let overall = &model["overall"];
        let correct = overall["correct"].as_i64().unwrap();
        println!("{name}: {correct} of {COUNT}, recorded {wanted}");
        assert!((correct - wanted).abs() <= if name == "float" { 0 } else { FLIPS }, "{name}: {correct} {wanted}");
        assert_eq!(overall["total"], COUNT);
        // A reader of JSON may be off in the last bit.
        assert!((overall["accuracy"].as_f64().unwrap() - correct as f64 / COUNT as f64).abs() < 1e-12);
        assert_eq!(model["schema_version"], 1);
        assert_eq!(model["backend"], "quantscope simulate");
        assert!(model["data"].as_str().unwrap().contains("test_batch.bin"));
        let classes = model["per_class"].as_array().unwrap();
        assert_eq!(classes.len(), 10);
        for (at, class) in classes.iter().enumerate() {
            assert_eq!(class["class_name"], at.to_string());
            assert_eq!(class["total"], labels.iter().take(COUNT).filter(|label| **label == at as i64).count());
        }
        let sum = |key: &str| classes.iter().map(|class| class[key].as_i64().unwrap()).sum::<i64>();
        assert_eq!((sum("correct"), sum("total")), (correct, COUNT as i64));
    }
    assert_eq!(report[0]["model"], "street-digits.onnx");
}

#[test]
fn threads_change_nothing() {
    let one = evaluated(&["street-digits-int8.onnx"], &["--limit", "40", "--threads", "1"]);
    let three = evaluated(&["street-digits-int8.onnx"], &["--limit", "40", "--threads", "3"]);
    assert_eq!(one, three);
    let integer = evaluated(&["street-digits-int8.onnx"], &["--limit", "40", "--semantics", "integer"]);
    assert_eq!(integer[0]["backend"], "quantscope integer");
}

#[test]
fn a_missed_threshold_has_an_exit_code_of_its_own() {
    let (float, int8, data) =
        (sample("street-digits.onnx"), sample("street-digits-int8.onnx"), sample("street-digits.tar.gz"));
    let reports: Vec<String> =
        ["json", "csv", "md", "html"].iter().map(|kind| scratch(&format!("report.{kind}"))).collect();
    let run = |more: &[&str]| {
        let mut arguments = vec!["evaluate", &float, &int8, "--data", &data, "--limit", "12"];
        arguments.extend(more);
        quantscope(&arguments)
    };
    let mut more = vec!["--min-accuracy", "101"];
    more.extend(reports.iter().flat_map(|report| ["--report", report]));
    let missed = run(&more);
    assert_eq!(missed.code, 3, "{}", missed.error);
    assert!(missed.out.contains("| street-digits.onnx |"), "{}", missed.out);
    assert_eq!(run(&["--min-accuracy", "1", "--max-drop", "100"]).code, 0);
    assert_eq!(run(&["--max-drop", "-1"]).code, 3);
    let read = |at: usize| std::fs::read_to_string(&reports[at]).unwrap();
    assert_eq!(json_of(&reports[0])[1]["overall"]["total"], json!(12));
    assert!(read(1).lines().count() > 10 && read(2).starts_with("# Evaluation") && read(3).contains("<html"));
}

#[test]
fn what_cannot_be_evaluated_is_refused() {
    let (float, data) = (sample("street-digits.onnx"), sample("street-digits.tar.gz"));
    quantscope(&["evaluate", &float, "--data", &data, "--limit", "0"]).refused(&["at least one"]);
    quantscope(&["evaluate", &float, "--data", &float]).refused(&["no data set"]);
    quantscope(&["evaluate", &data, "--data", &data]).refused(&["no model"]);
    quantscope(&["evaluate", &float, "--data", &data, "--set", "nothing"]).refused(&["'nothing'"]);
    let report = scratch("report.pdf");
    quantscope(&["evaluate", &float, "--data", &data, "--limit", "1", "--report", &report]).refused(&["pdf"]);
}

#[test]
fn preprocessing_is_told_and_can_be_set() {
    let data = sample("street-digits.tar.gz");
    let float = sample("street-digits.onnx");
    let run = |more: &[&str]| {
        let mut arguments = vec!["evaluate", &float, "--data", &data, "--set", "test", "--limit", "60", "--json"];
        arguments.extend(more);
        quantscope(&arguments)
    };
    let (own, other) = (run(&[]), run(&["--range", "-1..1", "--mean", "-0.5,0,0.5", "--std", "2"]));
    let said = |error: &str| error.lines().find(|line| line.starts_with("images for ")).unwrap().to_owned();
    assert!(said(&own.error).contains("; as read off the model. Input float32"), "{}", own.error);
    assert!(
        said(&other.error).contains("-1..1, mean -0.5 0 0.5, std 2")
            && said(&other.error).contains("value range, mean, std as given"),
        "{}",
        other.error
    );
    let (own, other) = (own.json()[0].clone(), other.json()[0].clone());
    assert_eq!(own["preprocessing"]["given"], json!([]));
    let settings = &other["preprocessing"];
    assert_eq!(settings["given"], json!(["value range", "mean", "std"]));
    assert_eq!((&settings["range"], &settings["mean"]), (&json!([-1.0, 1.0]), &json!([-0.5, 0.0, 0.5])));
    // Not told only: the network sees other values.
    assert_ne!(own["cross_entropy"], other["cross_entropy"]);
    // The shape decides the layout; what cannot be is told and does no harm.
    let layout = own["preprocessing"]["layout"].as_str().unwrap().to_owned();
    let turned = run(&["--layout", if layout == "nhwc" { "nchw" } else { "nhwc" }]);
    assert!(turned.error.contains("It cannot be"), "{}", turned.error);
    assert_eq!(turned.json()[0]["overall"], own["overall"]);
    assert_eq!(run(&["--std", "0"]).code, 2);
    run(&["--mean", "1,2"]).refused(&["mean has 2 values"]);
}

#[test]
fn images_without_labels_are_refused() {
    use quantscope::export::{Compression, npz};
    use quantscope::tensor::Tensor;
    let images = Tensor::from_vec(vec![2, 32, 32, 3], vec![7u8; 2 * 32 * 32 * 3]).unwrap();
    let data = scratch("unlabelled.npz");
    std::fs::write(&data, npz(&[("x", &images)], Compression::Stored).unwrap().bytes).unwrap();
    let array = scratch("unlabelled.npy");
    std::fs::write(&array, quantscope::export::npy(&images).unwrap().bytes).unwrap();
    for data in [data, array] {
        let refused = quantscope(&["evaluate", &sample("street-digits.onnx"), "--data", &data]);
        refused.refused(&["labels", "folder with one folder per class"]);
    }
}

#[test]
fn the_reference_is_right_as_often_as_with_onnxruntime() {
    let Some(data) = reference("cifar10/test_batch_head.bin") else { return };
    let recorded = json_of(&reference("expected/accuracy_onnxruntime.json").unwrap());
    let names = ["resnet8", "resnet8_int8", "resnet8_uint8_qoperator"];
    let models: Vec<String> = names.iter().map(|name| reference(&format!("models/{name}.onnx")).unwrap()).collect();
    let mut arguments = vec!["evaluate"];
    arguments.extend(models.iter().map(String::as_str));
    arguments.extend(["--json", "--data", &data]);
    let report = quantscope(&arguments).json();
    for (model, name) in report.as_array().unwrap().iter().zip(names) {
        let wanted = correct_of(&recorded, name);
        let correct = model["overall"]["correct"].as_i64().unwrap();
        println!("{name}: {correct} of 1017, recorded {wanted}");
        assert_eq!(model["overall"]["total"], 1017);
        assert!((correct - wanted).abs() <= FLIPS_1017);
    }
}

fn correct_of(recorded: &Value, name: &str) -> i64 {
    recorded[format!("{name}.onnx")]["unoptimized"]["test_batch_head"]["correct"].as_i64().unwrap()
}
