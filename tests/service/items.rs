//! Arrays as data: many items for a model, labels beside a large file, several inputs.

use super::{Calm, Service, ask, fixture, open, open_bytes};
use futures::executor::block_on;
use quantscope::export::npy;
use quantscope::import::{FileParts, read_npz};
use quantscope::onnx::Document;
use quantscope::problem::Problem;
use quantscope::quant::bit_widths::Rounded;
use quantscope::quant::quantizer::add_to_biases;
use quantscope::tensor::Tensor;
use quantscope::worker::service::Attachment;
use quantscope::worker::{
    ActivationRanges, BitWidthsOrder, BitWidthsSetting, EvaluateOrder, FirstImages, Images, InputChoice, PlaygroundAsk,
    PlaygroundReply, PlaygroundRequest, Reply, Request, RunOrder, Semantics, SourceKind, SourceSummary, Workspace,
};
use std::time::Instant;

fn source<'a>(workspace: &'a Workspace, part: &str) -> &'a SourceSummary {
    workspace.sources.iter().find(|source| source.name.contains(part)).unwrap()
}

fn run(service: &mut Service, input: InputChoice) -> Vec<Result<quantscope::worker::ModelRun, Problem>> {
    let order = RunOrder { input, preprocess: None, semantics: Semantics::Simulate };
    let Reply::Run(result) = ask(service, Request::Run(order)).0 else { panic!() };
    result.outcomes.into_iter().map(|outcome| outcome.result).collect()
}

fn evaluated(service: &mut Service, model: u32, source: u32) -> Reply {
    let order = EvaluateOrder {
        model,
        edited: false,
        source,
        first: 0,
        count: usize::MAX,
        preprocess: None,
        semantics: Semantics::Simulate,
    };
    ask(service, Request::Evaluate(order)).0
}

/// One array of an .npz as a file of its own.
fn member(file: &str, name: &str) -> Vec<u8> {
    let bytes = std::fs::read(fixture(file)).unwrap();
    let arrays = read_npz(&bytes.into(), &quantscope::import::Limits::default()).unwrap();
    npy(&arrays.into_iter().find(|array| array.name == name).unwrap().tensor).unwrap().bytes
}

#[test]
fn an_array_is_one_run_or_many_items() {
    let mut service = Service::default();
    let workspace = open(&mut service, &["items/mlp.onnx", "items/mlp_one.onnx", "items/floats.npy"]);
    let array = source(&workspace, "floats");
    assert_eq!((array.kind, array.count, array.shape.as_str()), (SourceKind::Array, 40, "40 × 16 float32"));
    assert_eq!(array.first_input(), InputChoice::Whole { source: array.id });
    let rows = |run: &Result<quantscope::worker::ModelRun, Problem>| run.as_ref().unwrap().outputs[0].shape.clone();
    let whole = run(&mut service, array.first_input());
    assert_eq!(rows(&whole[0]), ["40", "4"]);
    // A batch of 1 cannot take all of them, and says so.
    assert!(whole[1].as_ref().unwrap_err().found.contains("[40, 16]"));
    let one = run(&mut service, InputChoice::Item { source: array.id, index: 39 });
    assert_eq!((rows(&one[0]), rows(&one[1])), (vec!["1".into(), "4".into()], vec!["1".into(), "4".into()]));
    let beyond = run(&mut service, InputChoice::Item { source: array.id, index: 40 });
    assert!(beyond[0].as_ref().unwrap_err().found.contains("no item 40"));
}

#[test]
fn integers_with_labels_are_evaluated() {
    let mut service = Service::default();
    let workspace = open(&mut service, &["items/mlp.onnx", "items/bytes.npz"]);
    let set = source(&workspace, "bytes");
    assert_eq!((set.kind, set.count, set.labelled, set.shape.as_str()), (SourceKind::Dataset, 60, true, "16 uint8"));
    let Reply::Scores(scores) = evaluated(&mut service, workspace.models[0].id, set.id) else { panic!() };
    // The labels are what ONNX Runtime says of them.
    assert_eq!(scores.scores.iter().filter(|score| score.rank == Some(0)).count(), 60);
}

#[test]
fn several_inputs_take_the_arrays_of_their_names() {
    let mut service = Service::default();
    let workspace = open(&mut service, &["items/two.onnx", "items/pair.npz"]);
    let model = workspace.models[0].id;
    for name in ["a (", "b ("] {
        // Whichever of them is chosen.
        let Reply::Scores(scores) = evaluated(&mut service, model, source(&workspace, name).id) else { panic!() };
        assert_eq!(scores.scores.iter().filter(|score| score.rank == Some(0)).count(), 48, "{name}");
    }
    let input = InputChoice::Item { source: source(&workspace, "b (").id, index: 5 };
    assert_eq!(run(&mut service, input)[0].as_ref().unwrap().random_inputs, Vec::<String>::new());
    // The same arrays as files of their own.
    let mut service = Service::default();
    let two = std::fs::read(fixture("items/two.onnx")).unwrap();
    let mut files = vec![("two.onnx".to_owned(), two)];
    files.extend(["a", "b", "y"].map(|name| (format!("{name}.npy"), member("items/pair.npz", name))));
    let workspace = open_bytes(&mut service, files);
    let reply = evaluated(&mut service, workspace.models[0].id, source(&workspace, "a.npy").id);
    let Reply::Scores(scores) = reply else { panic!("{reply:?}") };
    assert_eq!(scores.scores.iter().filter(|score| score.rank == Some(0)).count(), 48);
}

#[test]
fn a_lacking_input_is_refused_and_told_in_a_run() {
    let mut service = Service::default();
    let two = std::fs::read(fixture("items/two.onnx")).unwrap();
    let files = ["a", "y"].map(|name| (format!("{name}.npy"), member("items/pair.npz", name)));
    let workspace = open_bytes(&mut service, [vec![("two.onnx".to_owned(), two)], files.into()].concat());
    let (model, set) = (workspace.models[0].id, source(&workspace, "a.npy"));
    let ran = run(&mut service, InputChoice::Item { source: set.id, index: 0 });
    assert_eq!(ran[0].as_ref().unwrap().random_inputs, ["b"]);
    let refused = |reply: Reply| {
        let Reply::Failed(problems) = reply else { panic!("{reply:?}") };
        assert!(problems[0].found.contains("'b'") && problems[0].expected.contains("'a', 'b'"), "{:?}", problems[0]);
    };
    refused(evaluated(&mut service, model, set.id));
    let setting = setting(model, set.id, false);
    let order = BitWidthsOrder { setting, weights: Some(8), activations: None, first: 0, count: 8 };
    refused(ask(&mut service, Request::BitWidths(Box::new(order))).0);
    let images = Images { source: Some(set.id), first: 0, count: 4 };
    let ask_errors = PlaygroundRequest { model, ask: PlaygroundAsk::LayerErrors(images) };
    refused(ask(&mut service, Request::Playground(ask_errors)).0);
}

fn setting(model: u32, source: u32, mat_mul: bool) -> BitWidthsSetting {
    BitWidthsSetting {
        model,
        source,
        preprocess: None,
        per_channel: false,
        symmetric: false,
        mat_mul,
        ranges: ActivationRanges::Dynamic,
        correction: None,
    }
}

#[test]
fn bit_widths_of_a_network_of_products() {
    let mut service = Service::default();
    let workspace = open(&mut service, &["items/mlp.onnx", "items/bytes.npz", "items/floats.npy"]);
    let (model, set, array) = (workspace.models[0].id, source(&workspace, "bytes").id, source(&workspace, "floats").id);
    let mut cell = |setting: &BitWidthsSetting, weights, activations| {
        let order = BitWidthsOrder { setting: setting.clone(), weights, activations, first: 0, count: 60 };
        let reply = ask(&mut service, Request::BitWidths(Box::new(order))).0;
        let Reply::BitWidths(cell) = reply else { panic!("{reply:?}") };
        cell
    };
    let plain = setting(model, set, true);
    let float = cell(&plain, None, None);
    assert_eq!((float.correct, float.total), (60, 60));
    let few = cell(&plain, Some(2), None);
    assert_eq!(few.weights, 3);
    assert!(few.correct < 60 && cell(&plain, Some(8), None).correct > few.correct, "{few:?}");
    // Calibrated and corrected on an array without labels, item by item.
    let images = FirstImages { source: array, count: 1000 };
    let calibrated = BitWidthsSetting { ranges: ActivationRanges::Calibrated(images), ..plain.clone() };
    let narrow = cell(&calibrated, Some(8), Some(8));
    // What the three products and the two Relu put out; nothing is refused, and no item is left out.
    assert_eq!((narrow.total, narrow.activations), (60, 5));
    let corrected = BitWidthsSetting { correction: Some(FirstImages { source: set, count: 60 }), ..plain.clone() };
    let own = cell(&corrected, Some(2), None);
    println!("2 bits: {} of 60, with biases corrected {}", few.correct, own.correct);
    assert!(own.correct > few.correct, "{few:?} {own:?}");
}

#[test]
fn a_product_is_corrected_by_what_is_added_to_it() {
    let bytes = std::fs::read(fixture("items/mlp.onnx")).unwrap();
    let document = Document::decode(bytes.into()).unwrap();
    let shape = |name: &str| document.constant(name)?.ok().map(|tensor| tensor.shape().to_vec());
    let rounded = Rounded::of(&document, true, &shape);
    let layers: Vec<_> = rounded.layers.iter().map(|layer| (layer.output.as_str(), layer.axis)).collect();
    assert_eq!(layers, [("product0", -1), ("product1", -1), ("product2", -1)]);
    assert_eq!(Rounded::of(&document, false, &shape).layers, []);
    let addition: Vec<f64> = (0..4).map(f64::from).collect();
    let additions = std::collections::BTreeMap::from([("product2".to_owned(), addition), ("x".to_owned(), vec![1.0])]);
    let (corrected, served) = add_to_biases(&document, &additions).unwrap();
    assert_eq!(served, ["product2"]);
    let bias = |document: &Document| document.constant("b2").unwrap().unwrap().to_f32().unwrap();
    let moved: Vec<f32> = bias(&corrected).iter().zip(bias(&document)).map(|(new, old)| new - old).collect();
    assert!(moved.iter().enumerate().all(|(at, moved)| (moved - at as f32).abs() < 1e-6), "{moved:?}");
}

#[test]
fn a_measurement_over_an_array_is_over_its_items() {
    let mut service = Service::default();
    let workspace = open(&mut service, &["items/mlp.onnx", "items/floats.npy"]);
    let (model, array) = (workspace.models[0].id, source(&workspace, "floats").id);
    let mut measured = |first, count| {
        let images = Images { source: Some(array), first, count };
        let asked = PlaygroundRequest { model, ask: PlaygroundAsk::LayerErrors(images) };
        match ask(&mut service, Request::Playground(asked)).0 {
            Reply::Playground(reply) => match *reply {
                PlaygroundReply::LayerErrors(errors) => Some(errors.images.count),
                other => panic!("{other:?}"),
            },
            _ => None,
        }
    };
    assert_eq!(measured(0, 1000), Some(40));
    assert_eq!(measured(30, 5), Some(5));
    assert_eq!(measured(40, 5), None);
}

/// A float32 .npy of `rows` x 784 that is not in memory: value `row` in every place of a row.
fn rows_file(rows: u64) -> FileParts {
    const ROW: u64 = 784 * 4;
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, 784), }}\n");
    let mut head = b"\x93NUMPY\x01\x00".to_vec();
    head.extend((header.len() as u16).to_le_bytes());
    head.extend(header.as_bytes());
    let start = head.len() as u64;
    FileParts::new(start + rows * ROW, move |from, count| {
        assert!(count < 16 << 20, "the file is not read as a whole");
        let byte = |at: u64| match at.checked_sub(start) {
            None => head[at as usize],
            Some(at) => ((at / ROW) as f32).to_le_bytes()[(at % 4) as usize],
        };
        Ok((from..from + count as u64).map(byte).collect())
    })
}

#[test]
fn a_large_array_stays_in_its_file_and_finds_its_labels() {
    const ROWS: u64 = 100_000;
    let labels: Vec<i64> = (0..ROWS as i64).map(|row| row % 7).collect();
    let labels = npy(&Tensor::from_vec(vec![ROWS as usize], labels).unwrap()).unwrap().bytes;
    let open = |labels: Option<Vec<u8>>| {
        let mut service = Service::default();
        let mut paths = vec!["x_train.npy".to_owned()];
        let mut attachments = vec![Attachment::in_parts(rows_file(ROWS))];
        if let Some(bytes) = labels {
            paths.push("y_train.npy".to_owned());
            attachments.push(Attachment::new(move || Ok(bytes)));
        }
        let answer = block_on(service.answer(Request::Open { paths }, attachments, &Calm(Instant::now()))).0;
        let Reply::Workspace(workspace) = answer else { panic!("{answer:?}") };
        assert_eq!((workspace.problems.len(), workspace.sources.len()), (0, 1), "{:?}", workspace.problems);
        let source = &workspace.sources[0];
        assert_eq!((source.kind, source.count, source.name.as_str()), (SourceKind::Dataset, 100_000, "x_train.npy"));
        source.labelled
    };
    assert!(open(Some(labels)));
    assert!(!open(None));
}
