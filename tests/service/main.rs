//! The worker's service, natively: what the page would be told of opened files.
#![cfg(not(target_arch = "wasm32"))]

use futures::executor::block_on;
use quantscope::worker::service::{Attachment, Job, Service};
use quantscope::worker::{
    ActivationQuery, DistributionQuery, InputChoice, LayerId, Reply, Request, RunOrder, Semantics, ValueView, Workspace,
};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A job that nobody cancels.
struct Calm(Instant);

impl Job for Calm {
    fn now_ms(&self) -> f64 {
        self.0.elapsed().as_secs_f64() * 1e3
    }
    async fn checkpoint(&self, _job: &str, _done: usize, _total: usize) -> bool {
        true
    }
}

/// A job that is cancelled at once.
struct Cancelled;

impl Job for Cancelled {
    fn now_ms(&self) -> f64 {
        0.0
    }
    async fn checkpoint(&self, _job: &str, _done: usize, _total: usize) -> bool {
        false
    }
}

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

fn ask(service: &mut Service, request: Request) -> (Reply, Option<Vec<u8>>) {
    block_on(service.answer(request, Vec::new(), &Calm(Instant::now())))
}

fn open(service: &mut Service, files: &[&str]) -> Workspace {
    let attachments = files
        .iter()
        .map(|path| {
            let path = fixture(path);
            Attachment::new(move || std::fs::read(path).map_err(|error| error.to_string()))
        })
        .collect();
    let paths = files.iter().map(|path| path.rsplit('/').next().unwrap_or(path).to_owned()).collect();
    match block_on(service.answer(Request::Open { paths }, attachments, &Calm(Instant::now()))).0 {
        Reply::Workspace(workspace) => workspace,
        other => panic!("{other:?}"),
    }
}

const VARIANTS: [&str; 3] = ["models/tiny.onnx", "models/tiny_int8.onnx", "models/tiny_uint8.onnx"];

fn conv(workspace: &Workspace) -> LayerId {
    let row = workspace.layers.iter().position(|layer| layer.op == "Conv").expect("a convolution");
    LayerId { revision: workspace.revision, row }
}

#[test]
fn variants_are_one_network() {
    let mut service = Service::default();
    let workspace = open(&mut service, &VARIANTS);
    assert!(workspace.problems.is_empty(), "{:?}", workspace.problems);
    assert_eq!(workspace.unmatched, Vec::<String>::new());
    for layer in workspace.layers.iter().filter(|layer| layer.op == "Conv") {
        assert!(layer.outputs.iter().all(Option::is_some), "{layer:?}");
        assert!(layer.quantized && layer.parameters[0].values.iter().all(Option::is_some), "{layer:?}");
    }
}

#[test]
fn a_distribution_has_one_grid() {
    let mut service = Service::default();
    let workspace = open(&mut service, &VARIANTS);
    let query = DistributionQuery {
        layer: conv(&workspace),
        parameter: 0,
        bins: 50,
        range: None,
        view: ValueView::Real,
        window: None,
    };
    let Reply::Distribution(answer) = ask(&mut service, Request::Distribution(query.clone())).0 else { panic!() };
    assert_eq!(answer.series.len(), 3);
    assert!(answer.series.iter().all(|series| series.histogram.edges == answer.series[0].histogram.edges));
    let stored = DistributionQuery { view: ValueView::Stored, ..query };
    let Reply::Distribution(answer) = ask(&mut service, Request::Distribution(stored)).0 else { panic!() };
    assert_eq!(answer.series.len(), 2, "the float model stores no integers");
    assert_eq!(answer.absent.len(), 1);
}

#[test]
fn a_run_keeps_every_tensor_and_exports_it() {
    let mut service = Service::default();
    let mut files = VARIANTS.to_vec();
    files.push("models/tiny_inputs.npy");
    let workspace = open(&mut service, &files);
    let source = workspace.sources[0].id;
    let order = RunOrder {
        input: InputChoice::Item { source, index: 1 },
        preprocess: None,
        semantics: Semantics::Simulate,
    };
    let Reply::Run(result) = ask(&mut service, Request::Run(order)).0 else { panic!() };
    for outcome in &result.outcomes {
        let run = outcome.result.as_ref().expect("it runs");
        let total: f64 = run.predictions.as_ref().expect("class scores").top.iter().map(|p| p.probability).sum();
        assert!((total - 1.0).abs() < 0.05, "{total}");
    }
    let query = ActivationQuery { layer: conv(&workspace), bins: 50, first_value: 0, values: 8, first_map: 0, maps: 4 };
    let Reply::Activation(activation) = ask(&mut service, Request::Activation(query)).0 else { panic!() };
    assert_eq!(activation.variants.len(), 3);
    assert!(activation.variants.iter().all(|variant| variant.values.len() == 8 && variant.histogram.is_some()));
    let (Reply::File { name, .. }, Some(bytes)) = ask(&mut service, Request::ExportActivations(workspace.models[1].id)) else {
        panic!()
    };
    assert_eq!((name.as_str(), &bytes[..2]), ("tiny_int8-activations.npz", b"PK".as_slice()));
    let (Reply::File { .. }, Some(report)) = ask(&mut service, Request::ExportReport) else { panic!() };
    let report: serde_json::Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(report["models"].as_array().map(Vec::len), Some(3));
    assert_eq!(report["semantics"], "simulate");
}

#[test]
fn every_tiny_model_runs_or_says_why() {
    let mut names: Vec<String> = std::fs::read_dir(fixture("models"))
        .expect("fixtures")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".onnx"))
        .collect();
    names.sort();
    assert!(names.len() > 15);
    for name in names {
        let mut service = Service::default();
        let model = format!("models/{name}");
        let mut files = vec![model.as_str()];
        if name == "tiny_external.onnx" {
            files.push("models/tiny_external.onnx.data");
        }
        let workspace = open(&mut service, &files);
        assert!(workspace.problems.is_empty(), "{name}: {:?}", workspace.problems);
        assert!(workspace.models[0].issues.is_empty(), "{name}: {:?}", workspace.models[0].issues);
        let order =
            RunOrder { input: InputChoice::Random { seed: 3 }, preprocess: None, semantics: Semantics::Simulate };
        let Reply::Run(result) = ask(&mut service, Request::Run(order)).0 else { panic!("{name}") };
        if workspace.models[0].unsupported.is_empty() {
            assert!(result.outcomes[0].result.is_ok(), "{name}: {:?}", result.outcomes[0].result);
        }
    }
}

#[test]
fn side_data_may_come_later() {
    let mut service = Service::default();
    let workspace = open(&mut service, &["models/tiny_external.onnx"]);
    assert!(!workspace.models[0].issues.is_empty(), "the missing file is said");
    let workspace = open(&mut service, &["models/tiny_external.onnx.data"]);
    assert!(workspace.problems.is_empty(), "{:?}", workspace.problems);
    assert!(workspace.models[0].issues.is_empty(), "{:?}", workspace.models[0].issues);
}

#[test]
fn bad_files_are_messages_and_nothing_is_lost() {
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture("bad/index.json")).expect("index")).expect("JSON");
    let mut service = Service::default();
    open(&mut service, &["models/tiny.onnx"]);
    for (name, entry) in index["files"].as_object().expect("files") {
        let workspace = open(&mut service, &[&format!("bad/{name}")]);
        assert_eq!(workspace.models[0].name, "tiny", "{name} lost what was open");
        let mut said = workspace.problems.iter().map(ToString::to_string).collect::<Vec<_>>();
        for model in workspace.models.iter().skip(1) {
            said.extend(model.issues.iter().map(ToString::to_string));
            said.extend(model.unsupported.iter().map(|node| format!("{} {} {}", node.node, node.op_type, node.reason)));
        }
        if entry["step"] == "open" {
            assert!(!said.is_empty(), "{name} ({}) was opened without a word", entry["wrong"]);
        }
        for model in workspace.models.iter().skip(1) {
            let Reply::Workspace(_) = ask(&mut service, Request::CloseModel(model.id)).0 else { panic!("{name}") };
        }
        for source in &workspace.sources {
            let Reply::Workspace(_) = ask(&mut service, Request::CloseSource(source.id)).0 else { panic!("{name}") };
        }
    }
}

#[test]
fn a_cancelled_run_is_no_failure() {
    let mut service = Service::default();
    open(&mut service, &["models/tiny.onnx"]);
    let order = RunOrder { input: InputChoice::Random { seed: 0 }, preprocess: None, semantics: Semantics::Simulate };
    let (reply, _) = block_on(service.answer(Request::Run(order), Vec::new(), &Cancelled));
    assert!(matches!(reply, Reply::Cancelled));
}

#[test]
fn questions_about_an_older_workspace_have_no_answer() {
    let mut service = Service::default();
    let workspace = open(&mut service, &["models/tiny.onnx"]);
    open(&mut service, &["models/tiny_int8.onnx"]);
    assert!(matches!(ask(&mut service, Request::Inspect(conv(&workspace))).0, Reply::Cancelled));
}
