//! The worker's service, natively: what the page would be told of opened files.
#![cfg(not(target_arch = "wasm32"))]
// The lints allow these in tests only, not in the helpers beside them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accuracy;
mod graph;
mod items;

use futures::executor::block_on;
use prost::Message;
use quantscope::onnx::proto::{ModelProto, NodeProto, TensorProto, ValueInfoProto};
use quantscope::problem::Problem;
use quantscope::worker::service::{Attachment, Job, Service};
use quantscope::worker::{
    ActivationQuery, DistributionQuery, InputChoice, LayerId, Reply, Request, RunOrder, ScoreKind, Semantics,
    ValueView, Workspace,
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
    let read = |path: &&str| {
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        (name, std::fs::read(fixture(path)).unwrap_or_else(|error| panic!("{path}: {error}")))
    };
    open_bytes(service, files.iter().map(read).collect())
}

fn open_bytes(service: &mut Service, files: Vec<(String, Vec<u8>)>) -> Workspace {
    let (paths, contents): (Vec<String>, Vec<Vec<u8>>) = files.into_iter().unzip();
    let attachments = contents.into_iter().map(|bytes| Attachment::new(move || Ok(bytes))).collect();
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
    let order =
        RunOrder { input: InputChoice::Item { source, index: 1 }, preprocess: None, semantics: Semantics::Simulate };
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
    let (Reply::File { name, .. }, Some(bytes)) = ask(&mut service, Request::ExportActivations(workspace.models[1].id))
    else {
        panic!()
    };
    assert_eq!((name.as_str(), &bytes[..2]), ("tiny_int8-activations.npz", b"PK".as_slice()));
    let (Reply::File { .. }, Some(report)) = ask(&mut service, Request::ExportReport) else { panic!() };
    let report: serde_json::Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(report["models"].as_array().map(Vec::len), Some(3));
    assert_eq!(report["semantics"], "simulate");
}

#[test]
fn class_scores_are_known_behind_nodes_that_only_move_them() {
    let whole = std::fs::read(fixture("models/tiny.onnx")).expect("fixture");
    let mut model = ModelProto::decode(whole.as_slice()).expect("a model");
    let graph = model.graph.as_mut().expect("a graph");
    let axes = TensorProto {
        name: Some("column_axes".to_owned()),
        data_type: Some(7),
        dims: vec![2],
        int64_data: vec![2, 3],
        ..TensorProto::default()
    };
    graph.initializer.push(axes);
    graph.node.push(NodeProto {
        op_type: Some("Unsqueeze".to_owned()),
        input: vec!["probs".to_owned(), "column_axes".to_owned()],
        output: vec!["column".to_owned()],
        ..NodeProto::default()
    });
    graph.output[0] = ValueInfoProto { name: Some("column".to_owned()), ..ValueInfoProto::default() };
    let mut service = Service::default();
    let workspace = open_bytes(
        &mut service,
        vec![("tiny.onnx".to_owned(), whole), ("column.onnx".to_owned(), model.encode_to_vec())],
    );
    assert!(workspace.problems.is_empty(), "{:?}", workspace.problems);
    let order = RunOrder { input: InputChoice::Random { seed: 5 }, preprocess: None, semantics: Semantics::Simulate };
    let Reply::Run(result) = ask(&mut service, Request::Run(order)).0 else { panic!() };
    let runs: Vec<_> = result.outcomes.iter().map(|outcome| outcome.result.as_ref().expect("it runs")).collect();
    assert_eq!(runs[1].outputs[0].shape, ["1", "10", "1", "1"]);
    assert_eq!(runs[0].predictions.as_ref().map(|p| p.kind), Some(ScoreKind::Probabilities));
    assert_eq!(runs[0].predictions, runs[1].predictions);
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
    // It goes with its model.
    let Reply::Workspace(_) = ask(&mut service, Request::CloseModel(workspace.models[0].id)).0 else { panic!() };
    let workspace = open(&mut service, &["models/tiny.onnx"]);
    assert!(workspace.problems.is_empty(), "{:?}", workspace.problems);
}

/// A message says everything a person needs, and names the file.
fn assert_told(problem: &Problem, name: &str) {
    let Problem { file, place, found, expected, advice } = problem;
    assert!(file.contains(name), "{name}: {problem:?}");
    assert!([place, found, expected, advice].iter().all(|words| !words.trim().is_empty()), "{name}: {problem:?}");
}

/// Everything that the user is told when the file is opened beside what is open, and then by a run.
fn told(service: &mut Service, name: &str) -> (Vec<String>, Vec<String>) {
    let workspace = open(service, &[&format!("bad/{name}")]);
    let (first, others) = workspace.models.split_first().expect("the model that was open");
    assert_eq!((first.name.as_str(), first.issues.len()), ("tiny", 0), "{name} harmed what was open");
    let mut at_opening: Vec<&Problem> = workspace.problems.iter().collect();
    at_opening.extend(others.iter().flat_map(|model| &model.issues));
    at_opening.iter().for_each(|problem| assert_told(problem, name));
    let mut at_opening: Vec<String> = at_opening.iter().map(ToString::to_string).collect();
    let nodes = others.iter().flat_map(|model| &model.unsupported);
    at_opening.extend(nodes.map(|node| format!("{} {} {}", node.node, node.op_type, node.reason)));
    let order = RunOrder { input: InputChoice::Random { seed: 1 }, preprocess: None, semantics: Semantics::Simulate };
    let Reply::Run(result) = ask(service, Request::Run(order.clone())).0 else { panic!("{name}") };
    assert!(result.outcomes[0].result.is_ok(), "{name} stopped the run of what was open");
    let mut at_run = Vec::new();
    for outcome in &result.outcomes[1..] {
        if let Err(problem) = &outcome.result {
            assert_told(problem, name);
            at_run.push(problem.to_string());
        }
    }
    for source in &workspace.sources {
        // Whatever of it was opened is used: that gives an answer, not a panic.
        let input = InputChoice::Item { source: source.id, index: 0 };
        let Reply::Run(_) = ask(service, Request::Run(RunOrder { input, ..order.clone() })).0 else { panic!("{name}") };
        ask(service, Request::Thumbnail { source: source.id, index: 0 });
    }
    for model in others {
        let Reply::Workspace(_) = ask(service, Request::CloseModel(model.id)).0 else { panic!("{name}") };
    }
    for source in &workspace.sources {
        let Reply::Workspace(_) = ask(service, Request::CloseSource(source.id)).0 else { panic!("{name}") };
    }
    (at_opening, at_run)
}

#[test]
fn bad_files_are_messages_and_nothing_is_lost() {
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture("bad/index.json")).expect("index")).expect("JSON");
    let mut service = Service::default();
    open(&mut service, &["models/tiny.onnx"]);
    let mut faults = Vec::new();
    let mut checked = 0;
    for (name, entry) in index["files"].as_object().expect("files") {
        let (mut said, at_run) = told(&mut service, name);
        if entry["step"] == "run" {
            said.extend(at_run);
        }
        let words: Vec<&str> = entry["mention"].as_array().expect("words").iter().filter_map(|w| w.as_str()).collect();
        // Where the index asks for no words, several behaviours are right; so they are for a picture that calls
        // itself a model, which may be opened as the picture it is.
        if words.is_empty() || name == "image.onnx" {
            continue;
        }
        checked += 1;
        let text = said.join("\n").to_lowercase();
        if let Some(word) = words.iter().find(|word| !text.contains(&word.to_lowercase())) {
            faults.push(format!("{name} ({}) should mention {word}: {said:?}", entry["wrong"]));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(checked > 80, "{checked} files");
}

#[test]
fn a_file_that_cannot_be_read_is_said_and_the_others_open() {
    let mut service = Service::default();
    let whole = std::fs::read(fixture("models/tiny.onnx")).expect("fixture");
    let attachments = vec![Attachment::new(|| Err("it was moved".to_owned())), Attachment::new(move || Ok(whole))];
    let paths = vec!["gone.onnx".to_owned(), "tiny.onnx".to_owned()];
    let (reply, _) = block_on(service.answer(Request::Open { paths }, attachments, &Calm(Instant::now())));
    let Reply::Workspace(workspace) = reply else { panic!("{reply:?}") };
    assert_eq!((workspace.models.len(), workspace.problems.len()), (1, 1));
    assert_told(&workspace.problems[0], "gone.onnx");
}

#[test]
fn a_cancelled_run_is_no_failure() {
    let mut service = Service::default();
    let workspace = open(&mut service, &["models/tiny.onnx"]);
    let order = RunOrder { input: InputChoice::Random { seed: 0 }, preprocess: None, semantics: Semantics::Simulate };
    let Reply::Run(_) = ask(&mut service, Request::Run(order.clone())).0 else { panic!() };
    let (reply, _) = block_on(service.answer(Request::Run(order), Vec::new(), &Cancelled));
    assert!(matches!(reply, Reply::Cancelled));
    let query = ActivationQuery { layer: conv(&workspace), bins: 50, first_value: 0, values: 8, first_map: 0, maps: 4 };
    let Reply::Activation(activation) = ask(&mut service, Request::Activation(query)).0 else { panic!() };
    assert_eq!(activation.variants.len(), 1, "what the run before it left is still there");
}

#[test]
fn questions_about_an_older_workspace_have_no_answer() {
    let mut service = Service::default();
    let workspace = open(&mut service, &["models/tiny.onnx"]);
    open(&mut service, &["models/tiny_int8.onnx"]);
    assert!(matches!(ask(&mut service, Request::Inspect(conv(&workspace))).0, Reply::Cancelled));
}
