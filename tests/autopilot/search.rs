//! Searches on the sample, and on the reference model.

use super::support::{Patience, ask, ask_with, file, open, reference, sample};
use quantscope::worker::service::Service;
use quantscope::worker::{
    AutopilotOrder, AutopilotReport, EvaluateOrder, Reply, Request, Semantics, Target, Workspace,
};

fn order(workspace: &Workspace, points: f64, bytes: usize) -> AutopilotOrder {
    let source = |word: &str| workspace.sources.iter().find(|source| source.name.contains(word)).unwrap().id;
    AutopilotOrder {
        model: workspace.models[0].id,
        calibration: source("calib"),
        measurement: source("test"),
        target: Target { max_drop_points: points, max_bytes: bytes },
        seed: 3,
        images: 96,
        measured_images: 200,
        wide_activations: true,
        preprocess: None,
    }
}

fn search(service: &mut Service, order: &AutopilotOrder) -> (AutopilotReport, Vec<u8>) {
    match ask(service, Request::Autopilot(Box::new(order.clone()))) {
        (Reply::Autopilot(report), Some(bytes)) => (*report, bytes),
        (other, _) => panic!("{other:?}"),
    }
}

/// Right answers of a model's file on the first images of a data set, by an evaluation of its own.
fn evaluated(service: &mut Service, name: &str, bytes: &[u8], source: u32, count: usize) -> u64 {
    let workspace = open(service, vec![(name.to_owned(), bytes.to_vec())]);
    let model = workspace.models.last().unwrap().id;
    let semantics = Semantics::Simulate;
    let order = EvaluateOrder { model, edited: false, source, first: 0, count, preprocess: None, semantics };
    let Reply::Scores(scores) = ask(service, Request::Evaluate(order)).0 else { panic!() };
    scores.scores.iter().filter(|score| Some(score.best) == score.label).count() as u64
}

#[test]
fn a_small_search_on_the_sample() {
    let mut service = Service::default();
    let workspace = open(&mut service, sample());
    let order = order(&workspace, 1.0, 112_000);
    let (report, bytes) = search(&mut service, &order);
    let (again, same) = search(&mut service, &order);
    assert!(bytes == same, "the same seed gives the same file");
    assert_eq!(report, again);
    let chosen = report.chosen.as_ref().unwrap();
    let point = &report.points[chosen.point];
    assert!(chosen.target_met && !chosen.stopped, "{:?}", chosen.why);
    assert_eq!(point.bytes, bytes.len());
    assert!(bytes.len() <= 112_000);
    // What is reported is what the file does.
    let measured = point.measured.unwrap();
    assert_eq!(measured.fraction.total, 200);
    assert!(measured.interval.unwrap().low < measured.fraction.accuracy.unwrap());
    let found = evaluated(&mut service, "chosen.onnx", &bytes, order.measurement, 200);
    assert_eq!(measured.fraction.correct, found);
    // It is no worse than what plain MinMax gives, and nearer to the float model's output.
    let plain =
        report.points.iter().find(|point| point.label == "int8 activations, weights per channel, MinMax").unwrap();
    assert!(point.output_sqnr_db.unwrap() > plain.output_sqnr_db.unwrap());
    assert!(measured.fraction.correct + 2 >= report.float_measured.fraction.correct, "{:?}", chosen.why);
    assert!(report.points.iter().filter(|point| point.on_front).count() >= 2);
    for line in &chosen.why {
        eprintln!("{line}");
    }
}

#[test]
fn a_size_that_only_narrow_weights_reach() {
    let mut service = Service::default();
    let workspace = open(&mut service, sample());
    let order = AutopilotOrder { wide_activations: false, ..order(&workspace, 5.0, 75_000) };
    let (report, bytes) = search(&mut service, &order);
    let chosen = report.chosen.unwrap();
    assert!(bytes.len() <= 75_000, "{} bytes", bytes.len());
    assert!(chosen.recipe.label().contains("in 4 bits") && !chosen.recipe.label().contains("in 16 bits"));
    assert!(chosen.recipe.options().activation_type == quantscope::tensor::DType::Int8);
    assert!(chosen.target_met, "{:?}", chosen.why);
    // What cannot be is said, and the nearest is given.
    let order = AutopilotOrder {
        images: 32,
        ..AutopilotOrder { target: Target { max_drop_points: 0.0, max_bytes: 10 }, ..order }
    };
    let (report, bytes) = search(&mut service, &order);
    let chosen = report.chosen.unwrap();
    assert!(!chosen.target_met && chosen.why.iter().any(|line| line.contains("small enough")), "{:?}", chosen.why);
    assert_eq!(bytes.len(), report.points.iter().map(|point| point.bytes).min().unwrap());
}

#[test]
fn a_search_that_is_stopped_gives_the_best_so_far() {
    let mut service = Service::default();
    let workspace = open(&mut service, sample());
    let order = order(&workspace, 1.0, 112_000);
    // Within the first stage: calibration takes 4 x 48 looks, the float model 48 + 200.
    let answer = ask_with(&mut service, Request::Autopilot(Box::new(order.clone())), &Patience::of(1200));
    let (Reply::Autopilot(report), Some(bytes)) = answer else { panic!("{:?}", answer.0) };
    let outcome = report.outcome().unwrap();
    let unmeasured = outcome.starts_with("Stopped; on the selection images the target is");
    assert!(unmeasured && outcome.contains("Nothing was measured"), "{outcome}");
    let chosen = report.chosen.unwrap();
    assert!(chosen.stopped);
    assert_eq!(report.points[chosen.point].bytes, bytes.len());
    let found = evaluated(&mut service, "stopped.onnx", &bytes, order.measurement, 50);
    assert!(found > 25, "{found} of 50");
    // Before anything was measured there is nothing to give.
    let answer = ask_with(&mut service, Request::Autopilot(Box::new(order)), &Patience::of(20));
    assert!(matches!(answer.0, Reply::Cancelled));
}

/// Of 1017, at least 99 % of the float model's 895, and no worse than the best reference model of up to 123 KB
/// (`resnet8_uint8_dynamic.onnx`: 891).
const LEAST_CORRECT: u64 = 891;

#[test]
fn the_reference_model_at_123_kilobytes() {
    let Some(folder) = reference() else { return };
    let mut service = Service::default();
    let files = ["models/resnet8.onnx", "cifar10/data_batch_head.bin", "cifar10/test_batch_head.bin"];
    let workspace = open(&mut service, files.map(|name| file(&folder.join(name))).to_vec());
    let source = |word: &str| workspace.sources.iter().find(|source| source.name.contains(word)).unwrap().id;
    let order = AutopilotOrder {
        model: workspace.models[0].id,
        calibration: source("data_batch"),
        measurement: source("test_batch"),
        target: Target { max_drop_points: 0.5, max_bytes: 123_000 },
        seed: 1,
        images: 1000,
        measured_images: usize::MAX,
        wide_activations: true,
        preprocess: None,
    };
    let began = std::time::Instant::now();
    let (report, bytes) = search(&mut service, &order);
    let chosen = report.chosen.as_ref().unwrap();
    let measured = report.points[chosen.point].measured.unwrap().fraction;
    for line in &chosen.why {
        eprintln!("{line}");
    }
    eprintln!("{} candidates, {:.0} s", report.points.len(), began.elapsed().as_secs_f64());
    assert_eq!((report.float_measured.fraction.correct, measured.total), (895, 1017));
    assert!(bytes.len() <= 123_000 && measured.correct >= LEAST_CORRECT, "{measured:?}, {} bytes", bytes.len());
    assert_eq!(evaluated(&mut service, "chosen.onnx", &bytes, order.measurement, 1017), measured.correct);
}
