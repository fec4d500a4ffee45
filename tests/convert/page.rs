//! What the page's Convert tab is told, natively: cards, other options, recorded outputs, weights, parity, exports.

use crate::support::{file, fixtures, reference};
use futures::executor::block_on;
use quantscope::onnx::{Dim, Document, GraphBuilder};
use quantscope::tensor::DType;
use quantscope::worker::service::{Attachment, Job, Service};
use quantscope::worker::{
    ConvertOptions, ConvertReply, ConvertRequest, ExportForm, ModelId, OutputCheck, Parity, Reply, Request,
    WeightCheck, Workspace,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A job that nobody cancels.
struct Calm;

impl Job for Calm {
    fn now_ms(&self) -> f64 {
        0.0
    }
    async fn checkpoint(&self, _job: &str, _done: usize, _total: usize) -> bool {
        true
    }
}

/// A job that is cancelled at its first word.
struct Cancelled;

impl Job for Cancelled {
    fn now_ms(&self) -> f64 {
        0.0
    }
    async fn checkpoint(&self, _job: &str, _done: usize, _total: usize) -> bool {
        false
    }
}

/// A service with files open in it.
pub struct Page {
    service: Service,
    workspace: Workspace,
}

impl Page {
    pub fn open(paths: &[PathBuf]) -> Self {
        let mut service = Service::default();
        let names = paths.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
        let contents = paths.iter().map(|path| file(path).to_vec());
        let attachments = contents.map(|content| Attachment::new(move || Ok(content))).collect();
        let (reply, _) = block_on(service.answer(Request::Open { paths: names }, attachments, &Calm));
        let Reply::Workspace(workspace) = reply else { panic!("{reply:?}") };
        assert!(workspace.problems.is_empty(), "{:?}", workspace.problems);
        Page { service, workspace }
    }

    fn id(&self, position: usize) -> ModelId {
        self.workspace.models[position].id
    }

    fn ask(&mut self, request: ConvertRequest, attached: Option<Vec<u8>>) -> (Reply, Option<Vec<u8>>) {
        let attachments = attached.into_iter().map(|content| Attachment::new(move || Ok(content))).collect();
        block_on(self.service.answer(Request::Convert(request), attachments, &Calm))
    }

    fn converted(&mut self, request: ConvertRequest, attached: Option<Vec<u8>>) -> ConvertReply {
        match self.ask(request, attached).0 {
            Reply::Converted(reply) => *reply,
            other => panic!("{other:?}"),
        }
    }

    pub fn card(&mut self, position: usize) -> quantscope::worker::ConversionCard {
        let ConvertReply::Card(card) = self.converted(ConvertRequest::Card(self.id(position)), None) else { panic!() };
        card
    }

    pub fn outputs(&mut self, position: usize, recording: Vec<u8>) -> OutputCheck {
        let request = ConvertRequest::CheckOutputs { model: self.id(position), recording: "recorded.npz".to_owned() };
        let ConvertReply::Outputs(check) = self.converted(request, Some(recording)) else { panic!() };
        check
    }

    fn weights(&mut self, position: usize) -> WeightCheck {
        let request = ConvertRequest::CheckWeights(self.id(position));
        let ConvertReply::Weights(check) = self.converted(request, None) else { panic!() };
        check
    }

    fn parity(&mut self) -> Parity {
        let models = self.workspace.models.iter().map(|model| model.id).collect();
        let ConvertReply::Parity(parity) = self.converted(ConvertRequest::Parity(models), None) else { panic!() };
        parity
    }

    fn again(&mut self, position: usize, opset: Option<i64>, fold_batch_norm: bool) {
        let options = ConvertOptions { opset, fold_batch_norm, input_shape: None };
        let (reply, _) = self.ask(ConvertRequest::Again { model: self.id(position), options }, None);
        let Reply::Workspace(workspace) = reply else { panic!("{reply:?}") };
        self.workspace = workspace;
    }
}

fn net(name: &str) -> PathBuf {
    fixtures("convert").join(name)
}

/// The file of each format, with the code that records it.
const RECORDED: [(&str, &str); 7] = [
    ("net.h5", "h5"),
    ("net.keras", "keras"),
    ("net.onnx", "onnx"),
    ("net.tflite", "tflite"),
    ("net_i8.tflite", "tflite_i8"),
    ("net_fx.pt", "fx"),
    ("net_script.pt", "script"),
];

#[test]
fn snippets_are_those_that_recorded_the_fixtures() {
    for (name, kind) in RECORDED {
        let code = Page::open(&[net(name)]).card(0).recorder;
        let path = net(&format!("record_{kind}.py"));
        if std::env::var_os("QUANTSCOPE_RECORD").is_some() {
            std::fs::write(&path, &code).unwrap();
        }
        assert_eq!(code.as_bytes(), &file(&path)[..], "{name}: record the fixtures anew");
        assert_eq!(code.lines().count(), 3);
    }
}

#[test]
fn every_layer_equals_what_its_framework_recorded() {
    // Of a script the outputs alone are seen from outside.
    let layers = [10, 10, 12, 5, 9, 11, 1];
    for ((name, kind), least) in RECORDED.into_iter().zip(layers) {
        let mut page = Page::open(&[net(name)]);
        let tolerance = page.card(0).tolerance;
        for fold in [false, true] {
            if fold {
                page.again(0, None, true);
            }
            let check = page.outputs(0, file(&net(&format!("recorded_{kind}.npz"))).to_vec());
            let most = check.rows.iter().map(|row| row.difference.as_ref().unwrap().relative).fold(0.0, f64::max);
            println!("{name}, folded {fold}: {} layers, {most:.1e}, missing {:?}", check.rows.len(), check.missing);
            assert_eq!(check.first_differing(tolerance), None, "{name}: {:#?}", check.rows);
            assert!(fold || check.rows.len() >= least, "{name}: {:?}", check.missing);
        }
    }
}

#[test]
fn quantized_layers_are_compared_by_steps() {
    let mut page = Page::open(&[net("net_i8.tflite")]);
    let card = page.card(0);
    // Codes are fed and reals are saved; the input is drawn from what its codes stand for.
    assert!(card.recorder.contains("uniform(0, 25") && card.recorder.contains("zero_points"), "{}", card.recorder);
    assert!(card.notes.iter().any(|note| note.contains("its quantizer's range")), "{:?}", card.notes);
    let check = page.outputs(0, file(&net("recorded_tflite_i8.npz")).to_vec());
    assert!(check.rows.iter().all(|row| row.step.is_some()), "{:#?}", check.rows);
    let note = check.notes.iter().find(|note| note.contains("layers are quantized"));
    assert!(note.is_some_and(|note| note.contains("one step of their scale")), "{:?}", check.notes);
    // Two steps are more than one: what is off from its first layer on is told.
    let row = &check.rows[1];
    let step = row.step.unwrap();
    let mut off = row.clone();
    let difference = off.difference.as_mut().unwrap();
    (difference.metrics.max_abs, difference.relative, off.steps) = (Some(2.0 * step), 0.1, 1);
    assert!(!off.is_equal(card.tolerance) && row.is_equal(card.tolerance));
}

#[test]
fn pytorch_s_quantizers_are_recorded_within_what_they_calibrate_to() {
    let card = Page::open(&[fixtures("torch").join("quant_fbgemm_trace.pt")]).card(0);
    let note = card.notes.iter().find(|note| note.contains("codes 0 to 127"));
    assert!(note.is_some() && !card.recorder.contains("uniform(0, 255"), "{:?} {}", card.notes, card.recorder);
    // Weights alone record nothing.
    assert_eq!(Page::open(&[net("net_state.pt")]).card(0).recorder, "");
}

#[test]
fn layers_that_were_not_recorded_are_named() {
    let mut page = Page::open(&[net("net_script.pt")]);
    let check = page.outputs(0, file(&net("recorded_script.npz")).to_vec());
    assert!(check.notes.iter().any(|note| note.contains("layers were not recorded: ")), "{:?}", check.notes);
    let mut page = Page::open(&[net("net.keras")]);
    let check = page.outputs(0, file(&net("recorded_keras.npz")).to_vec());
    assert!(!check.notes.iter().any(|note| note.contains("not recorded")), "{:?}", check.notes);
}

#[test]
fn channels_are_turned_and_layers_linked() {
    let mut page = Page::open(&[net("net.keras")]);
    let check = page.outputs(0, file(&net("recorded_keras.npz")).to_vec());
    let row = check.rows.iter().find(|row| row.layer == "depth").unwrap();
    assert_eq!((row.source_shape.as_slice(), row.shape.as_slice()), (&[4, 6, 5, 6][..], &[4, 6, 6, 5][..]));
    assert_eq!(row.difference.as_ref().unwrap().order, Some(vec![0, 2, 3, 1]));
    assert!(check.notes.iter().any(|note| note.contains("NCHW and NHWC")), "{:?}", check.notes);
    let rows: Vec<&str> = page.workspace.layers.iter().map(|row| row.name.as_str()).collect();
    for row in check.rows.iter().skip(1) {
        assert!(rows.contains(&row.row.as_deref().unwrap()), "{row:?}");
    }
}

#[test]
fn the_first_layer_that_differs_is_named() {
    // The stem's kernel with one value changed: everything from there on differs, the input does not.
    let mut bytes = file(&net("net.h5")).to_vec();
    let kernel = crate::support::npz(&file(&net("weights.npz")));
    let value = kernel["stem/kernel"].to_f32().unwrap()[0];
    let at = bytes.windows(4).position(|window| window == value.to_le_bytes()).unwrap();
    bytes[at..at + 4].copy_from_slice(&(value + 0.25).to_le_bytes());
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("changed.h5");
    std::fs::write(&path, bytes).unwrap();
    let mut page = Page::open(&[path, net("net.h5")]);
    let recorded = file(&net("recorded_h5.npz")).to_vec();
    let check = page.outputs(0, recorded.clone());
    let first = check.first_differing(page.card(0).tolerance).unwrap();
    assert_eq!(check.rows[first].layer, "stem");
    assert!(!check.rows[first + 1].is_equal(1e-5));
    // The other one is as recorded, and parity finds the value.
    assert_eq!(page.outputs(1, recorded).first_differing(1e-5), None);
    let parity = page.parity();
    let row = parity.rows.iter().find(|row| row.max_abs_difference.is_some_and(|most| most > 0.0)).unwrap();
    assert!((row.max_abs_difference.unwrap() - 0.25).abs() < 1e-6 && !row.equal_bits, "{row:?}");
    assert!(row.members[0].as_ref().unwrap().name.contains("stem"), "{row:?}");
}

#[test]
fn recordings_that_do_not_fit_are_refused() {
    let mut page = Page::open(&[net("net.h5")]);
    let whole = file(&net("recorded_h5.npz")).to_vec();
    for bytes in [vec![], b"PK\x03\x04".to_vec(), file(&net("net.onnx")).to_vec(), whole[..whole.len() / 2].to_vec()] {
        let request = ConvertRequest::CheckOutputs { model: page.id(0), recording: "r.npz".to_owned() };
        let (reply, _) = page.ask(request, Some(bytes));
        let Reply::Failed(problems) = reply else { panic!("{reply:?}") };
        assert!(!problems[0].advice.is_empty());
    }
    // A recording of another model: nothing in it is known.
    let request = ConvertRequest::CheckOutputs { model: page.id(0), recording: "r.npz".to_owned() };
    let (reply, _) = page.ask(request, Some(file(&net("weights.npz")).to_vec()));
    assert!(matches!(reply, Reply::Failed(_)), "{reply:?}");
}

#[test]
fn every_source_tensor_is_found_in_the_model() {
    for (name, all, found) in [
        ("net.h5", 11, 7),
        ("net.keras", 11, 7),
        ("net.tflite", 0, 6),
        ("net_state.pt", 12, 12),
        ("net_script.pt", 12, 11),
    ] {
        let check = Page::open(&[net(name)]).weights(0);
        let (there, equal, total) = check.counts();
        let turned = check.rows.iter().filter_map(|row| row.target.as_ref()?.transposition.clone());
        println!("{name}: {there} of {total} found, {equal} with equal bits, {} turned", turned.count());
        assert!(there >= found && (all == 0 || total == all), "{name}: {:#?}", check.rows);
        assert_eq!(there, equal, "{name}: {:#?}", check.rows);
    }
}

#[test]
fn options_make_the_model_anew_in_its_place() {
    let count = |page: &Page, op: &str| -> usize {
        let counts: BTreeMap<String, usize> = page.workspace.models[0].op_counts.iter().cloned().collect();
        counts.get(op).copied().unwrap_or(0)
    };
    for name in ["net.h5", "net_script.pt", "net.onnx"] {
        let mut page = Page::open(&[net(name), net("net_state.pt")]);
        let before = page.id(0);
        let opset = (name != "net.onnx").then_some(21);
        page.again(0, opset, true);
        assert_ne!(page.id(0), before);
        assert_eq!(page.workspace.models.len(), 2);
        assert_eq!(page.workspace.models[0].file, name);
        assert_eq!(count(&page, "BatchNormalization") + count(&page, "Mul"), 0, "{name}");
        if let Some(opset) = opset {
            assert!(page.workspace.models[0].opsets.contains(&("ai.onnx".to_owned(), opset)), "{name}");
        }
        let card = page.card(0);
        assert!(card.options.fold_batch_norm && card.foreign == opset.is_some(), "{card:?}");
        assert!(card.notes.iter().any(|note| note.contains("fold")), "{card:?}");
        // Back again: the file as it was.
        page.again(0, None, false);
        assert_eq!(page.workspace.models[0].sha256, Page::open(&[net(name)]).workspace.models[0].sha256);
    }
    let mut page = Page::open(&[net("net.onnx")]);
    let options = ConvertOptions { opset: Some(20), fold_batch_norm: false, input_shape: None };
    let (reply, _) = page.ask(ConvertRequest::Again { model: page.id(0), options }, None);
    let Reply::Failed(problems) = reply else { panic!("{reply:?}") };
    assert!(problems[0].found.contains("operator set 20"), "{problems:?}");
}

#[test]
fn a_script_is_converted_once_its_input_has_a_shape() {
    let mut page = Page::open(&[fixtures("torch").join("head_script.pt")]);
    let card = page.card(0);
    assert!(card.takes_input_shape && page.workspace.models[0].nodes == 0, "{card:?}");
    assert!(card.notes.iter().any(|note| note.contains("convert again with an input shape")), "{:?}", card.notes);
    let input_shape = Some("N,3,16,21".parse().unwrap());
    let options = ConvertOptions { input_shape, ..ConvertOptions::default() };
    let (reply, _) = page.ask(ConvertRequest::Again { model: page.id(0), options: options.clone() }, None);
    let Reply::Workspace(workspace) = reply else { panic!("{reply:?}") };
    page.workspace = workspace;
    assert!(page.workspace.models[0].nodes > 4, "{:?}", page.workspace.models[0]);
    assert_eq!(page.card(0).options, options);
    let mut page = Page::open(&[net("net.h5")]);
    assert!(!page.card(0).takes_input_shape);
    let (reply, _) = page.ask(ConvertRequest::Again { model: page.id(0), options }, None);
    let Reply::Failed(problems) = reply else { panic!("{reply:?}") };
    assert!(problems[0].found.contains("N, 3, 16, 21"), "{problems:?}");
}

/// A convolution, a Flatten and a matrix product over maps of 4 channels, 3 high and 2 wide. `last`: flattened as Keras
/// does it, the matrix as (height * width * channels, out); else as PyTorch, as (out, channels * height * width).
fn flattened(last: bool) -> Vec<u8> {
    let mut builder = GraphBuilder::new("net", 17);
    let x = builder.input("x", DType::Float32, Some(&[Dim::Unknown, Dim::Known(1), Dim::Known(3), Dim::Known(2)]));
    let kernel: Vec<f32> = (0..4).map(|at| 0.5 + at as f32).collect();
    let kernel = builder.floats("conv.weight", &[4, 1, 1, 1], &kernel).unwrap();
    let maps = builder.node("Conv", &[&x, &kernel], "conv", &[]);
    let number = |c: usize, h: usize, w: usize, out: usize| ((c * 97 + h * 31 + w * 13 + out * 7) % 53) as f32;
    let mut matrix = vec![0f32; 24 * 5];
    for at in 0..120 {
        let (c, h, w, out) = (at % 4, at / 4 % 3, at / 12 % 2, at / 24);
        let place = if last { ((h * 2 + w) * 4 + c) * 5 + out } else { ((out * 4 + c) * 3 + h) * 2 + w };
        matrix[place] = number(c, h, w, out);
    }
    let product = if last {
        let turned = builder.node("Transpose", &[&maps], "turned", &[("perm", vec![0, 2, 3, 1].into())]);
        let shape = builder.ints("shape", &[-1, 24]).unwrap();
        let flat = builder.node("Reshape", &[&turned, &shape], "flat", &[]);
        let matrix = builder.floats("dense.kernel", &[24, 5], &matrix).unwrap();
        builder.node("MatMul", &[&flat, &matrix], "dense", &[])
    } else {
        let flat = builder.node("Flatten", &[&maps], "flat", &[]);
        let matrix = builder.floats("dense.weight", &[5, 24], &matrix).unwrap();
        builder.node("Gemm", &[&flat, &matrix], "dense", &[("transB", 1i64.into())])
    };
    builder.output(&product, DType::Float32, Some(&[Dim::Unknown, Dim::Known(5)]));
    builder.finish().unwrap().encode()
}

#[test]
fn a_matrix_behind_a_flatten_is_the_same_in_either_layout() {
    let folder = crate::checker::workplace("flattened");
    let paths = [("keras.onnx", true), ("torch.onnx", false)].map(|(name, last)| {
        std::fs::write(folder.join(name), flattened(last)).unwrap();
        folder.join(name)
    });
    for order in [[0, 1], [1, 0]] {
        let parity = Page::open(&order.map(|at| paths[at].clone())).parity();
        let row = parity.rows.iter().find(|row| row.members[0].as_ref().is_some_and(|m| m.name.contains("dense")));
        let row = row.unwrap_or_else(|| panic!("{:#?}", parity.rows));
        assert_eq!((row.max_abs_difference, row.equal_bits), (Some(0.0), true), "{row:#?}");
        let rows = row.members[1].as_ref().unwrap().rows.clone();
        assert_eq!(rows, Some(if order[1] == 1 { vec![4, 3, 2] } else { vec![3, 2, 4] }));
        assert!(parity.notes.iter().any(|note| note.contains("behind a Flatten")), "{:?}", parity.notes);
    }
}

#[test]
fn formats_of_one_network_have_equal_weights() {
    let mut page = Page::open(&["net.h5", "net_state.pt", "net.onnx", "net_script.pt"].map(net));
    let parity = page.parity();
    parity.notes.iter().for_each(|note| println!("{note}"));
    for (path, weight) in [
        ("point/kernel", "point.weight"),
        ("depth/kernel", "depth.weight"),
        ("point/bias", "point.bias"),
        ("classes/kernel", "classes.weight"),
    ] {
        let (layer, leaf) = path.split_once('/').unwrap();
        let row = parity.rows.iter().find(|row| {
            let first = row.members[0].as_ref();
            first.is_some_and(|member| member.name.contains(layer) && member.name.contains(leaf))
        });
        let row = row.unwrap_or_else(|| panic!("{path}: {:#?}", parity.rows));
        assert_eq!(row.members[1].as_ref().map(|member| member.name.as_str()), Some(weight), "{row:#?}");
        assert!(row.members[2].is_some(), "{row:#?}");
        assert!(row.max_abs_difference.unwrap() <= 1e-6, "{row:#?}");
    }
    let kernel = parity.rows.iter().find(|row| row.members[0].as_ref().is_some_and(|m| m.name.contains("stem/kernel")));
    let members = &kernel.unwrap().members;
    let shapes: Vec<&[usize]> = members.iter().flatten().map(|member| member.shape.as_slice()).collect();
    assert_eq!(shapes[..3], [&[3, 3, 3, 6][..], &[6, 3, 3, 3], &[6, 3, 3, 3]], "{members:#?}");
    assert_eq!(members[1].as_ref().unwrap().transposition, Some(vec![3, 2, 0, 1]));
    // Batch normalization, raw in two files.
    let gamma = parity.rows.iter().filter(|row| row.members.iter().flatten().any(|m| m.name.contains("gamma")));
    assert!(gamma.count() > 0);
    assert!(page.parity().rows.iter().all(|row| row.members.iter().any(Option::is_some)));
    // tf2onnx has folded the normalization into the first kernel, which then differs; folded here too, it does not.
    let stem = |parity: &Parity| -> f64 {
        let row =
            parity.rows.iter().find(|row| row.members[1].as_ref().is_some_and(|member| member.shape == [6, 3, 3, 3]));
        row.unwrap().max_abs_difference.unwrap()
    };
    let mut two = Page::open(&[net("net.h5"), net("net.onnx")]);
    let apart = two.parity();
    assert!(stem(&apart) > 0.1 && apart.notes.iter().any(|note| note.contains("Fold batch norm")), "{apart:?}");
    two.again(0, None, true);
    let folded = two.parity();
    assert!(stem(&folded) <= FOLDED_ELSEWHERE, "{folded:?}");
    assert!(!folded.notes.iter().any(|note| note.contains("Fold batch norm")));
    // One model alone has nothing to be compared with.
    let alone = ConvertRequest::Parity(vec![page.id(0)]);
    assert!(matches!(page.ask(alone, None).0, Reply::Failed(_)));
}

#[test]
fn code_of_scripts_and_graphs_is_shown() {
    for (name, part) in [("net_script.pt", "def forward"), ("net_fx.pt", "def forward"), ("net.h5", "")] {
        let card = Page::open(&[net(name)]).card(0);
        assert_eq!(card.code.iter().any(|(_, text)| text.contains("def forward")), !part.is_empty(), "{name}");
    }
}

#[test]
fn every_form_can_be_taken_home() {
    for name in ["net.h5", "net.tflite", "net_script.pt", "net.onnx"] {
        let mut page = Page::open(&[net(name)]);
        let stem = name.split('.').next().unwrap();
        for (form, expected) in [
            (ExportForm::Onnx, format!("{stem}.onnx")),
            (ExportForm::Pytorch, format!("{stem}_pytorch.zip")),
            (ExportForm::CHeader, format!("{stem}.h")),
            (ExportForm::Weights, format!("{stem}_weights.npz")),
        ] {
            let request = ConvertRequest::Export { model: page.id(0), form };
            let (Reply::File { name: saved, .. }, Some(bytes)) = page.ask(request.clone(), None) else { panic!() };
            assert_eq!(saved, expected);
            assert_eq!(page.ask(request, None).1, Some(bytes.clone()), "{saved}: not the same bytes twice");
            match form {
                ExportForm::Onnx => assert!(Document::decode(bytes.into()).unwrap().issues().is_empty()),
                ExportForm::Pytorch => {
                    let files = crate::support::unzip(&bytes);
                    let names: Vec<&str> =
                        files.keys().map(String::as_str).filter(|name| *name != "notes.txt").collect();
                    assert_eq!(names, ["model.pt", "model.py", "model.safetensors"]);
                    assert!(std::str::from_utf8(&files["model.py"]).unwrap().contains("class Model"));
                }
                ExportForm::CHeader => assert!(std::str::from_utf8(&bytes).unwrap().contains("static const float")),
                ExportForm::Weights => assert!(!crate::support::npz(&bytes).is_empty()),
            }
        }
    }
}

#[test]
fn a_cancelled_check_says_so_and_changes_nothing() {
    let mut page = Page::open(&[net("net.h5"), net("net.onnx")]);
    let id = page.id(0);
    let options = ConvertOptions { opset: None, fold_batch_norm: true, input_shape: None };
    for request in [
        ConvertRequest::Again { model: id, options },
        ConvertRequest::CheckWeights(id),
        ConvertRequest::Parity(vec![id, page.id(1)]),
        ConvertRequest::Export { model: id, form: ExportForm::Pytorch },
    ] {
        let (reply, _) = block_on(page.service.answer(Request::Convert(request), Vec::new(), &Cancelled));
        assert!(matches!(reply, Reply::Cancelled), "{reply:?}");
    }
    assert_eq!(page.card(0).options, ConvertOptions::default());
}

/// Weights of the reference's files: equal but for batch normalization, which another machine folded.
const FOLDED_ELSEWHERE: f64 = 1e-6;

#[test]
fn the_reference_is_the_same_in_three_formats() {
    let Some(folder) = reference() else { return };
    let models = ["pretrainedResnet.h5", "resnet8.pt", "resnet8.onnx"].map(|name| folder.join("models").join(name));
    let parity = Page::open(&models).parity();
    parity.notes.iter().for_each(|note| println!("{note}"));
    let all: Vec<_> = parity.rows.iter().filter(|row| row.members.iter().all(Option::is_some)).collect();
    // 9 convolutions and a dense layer, each with a bias; 7 batch normalizations as factor and summand.
    assert!(all.len() >= 20 + 14, "{} of {}", all.len(), parity.rows.len());
    for row in &all {
        assert!(row.max_abs_difference.unwrap() <= FOLDED_ELSEWHERE, "{row:#?}");
    }
    let kernels = all.iter().filter(|row| row.role == "weight");
    assert!(kernels.clone().all(|row| row.equal_bits), "{:#?}", kernels.collect::<Vec<_>>());
}

/// An archive of arrays as `numpy.savez` writes it.
fn recording(arrays: &[(String, quantscope::tensor::Tensor)]) -> Vec<u8> {
    let arrays: Vec<_> = arrays.iter().map(|(key, tensor)| (key.as_str(), tensor)).collect();
    quantscope::export::npz(&arrays, quantscope::export::Compression::Stored).unwrap().bytes
}

#[test]
fn every_tensor_of_the_reference_equals_onnxruntimes() {
    let Some(folder) = reference() else { return };
    let activations = folder.join("expected/activations");
    let arrays = crate::support::npz(&file(&activations.join("resnet8.npz")));
    let index: serde_json::Value = serde_json::from_slice(&file(&activations.join("resnet8.json"))).unwrap();
    let named = index["tensors"].as_array().unwrap().iter().map(|entry| {
        let prefix = if entry["producer_op"].is_null() { "input:" } else { "output:" };
        let text = |key: &str| entry[key].as_str().unwrap().to_owned();
        (format!("{prefix}{}", text("tensor")), arrays[&text("key")].clone())
    });
    let named: Vec<_> = named.collect();
    let mut page = Page::open(&[folder.join("models/resnet8.onnx")]);
    let check = page.outputs(0, recording(&named));
    let most = check.rows.iter().map(|row| row.difference.as_ref().unwrap().relative).fold(0.0, f64::max);
    println!("{} tensors, at most {most:.1e} off, missing {:?}", check.rows.len(), check.missing);
    assert!(check.rows.len() >= 38 && check.missing.is_empty(), "{:?}", check.missing);
    assert_eq!(check.first_differing(page.card(0).tolerance), None, "{:#?}", check.rows);
}

/// Probabilities; Keras, ONNX Runtime and PyTorch agree within this much.
const PROBABILITY: f64 = 2e-6;

#[test]
fn the_reference_equals_what_keras_recorded() {
    let Some(folder) = reference() else { return };
    let probabilities = quantscope::import::read_npy(&file(&folder.join("expected/probs64/keras.npy"))).unwrap();
    let (images, _) = crate::keras_reference::images(&folder, 0, 64);
    let arrays = [("input:input_1".to_owned(), images), ("output:dense".to_owned(), probabilities)];
    for fold in [false, true] {
        let mut page = Page::open(&[folder.join("models/pretrainedResnet.h5")]);
        page.again(0, None, fold);
        let check = page.outputs(0, recording(&arrays));
        let found = check.rows[0].difference.as_ref().unwrap();
        println!("folded {fold}: {:?}", found.metrics.max_abs);
        assert!(found.metrics.max_abs.unwrap() <= PROBABILITY, "{found:?}");
        assert_eq!(check.first_differing(page.card(0).tolerance), None);
    }
}

/// What a file of each format says when its sizes are not to be believed; none takes the memory that it claims.
#[test]
fn damaged_files_of_every_format_leave_the_page_as_it_was() {
    let mut page = Page::open(&[net("net.h5")]);
    for name in ["net.h5", "net.keras", "net_state.pt", "net_script.pt", "net_fx.pt", "net.tflite"] {
        let whole = file(&net(name)).to_vec();
        for length in (1..whole.len()).step_by(1024) {
            let part = whole[..length].to_vec();
            let request = Request::Open { paths: vec![name.to_owned()] };
            let attachments = vec![Attachment::new(move || Ok(part))];
            let (reply, _) = block_on(page.service.answer(request, attachments, &Calm));
            let Reply::Workspace(workspace) = reply else { panic!("{reply:?}") };
            assert_eq!(workspace.models.len(), 1, "{name} cut at {length} opened as a model");
            let [problem] = &workspace.problems[..] else { panic!("{name} cut at {length}: {:?}", workspace.problems) };
            assert!(problem.file == name && !problem.advice.is_empty(), "{problem:?}");
        }
    }
}
