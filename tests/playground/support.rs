//! Models, images and the service, as the page drives it.

use futures::executor::block_on;
use quantscope::engine::{Plan, PlanOptions, Semantics};
use quantscope::onnx::{Document, align};
use quantscope::quant::table::{FloatVariant, Lifted, lift};
use quantscope::quant::{quantized_tensors, weight_view_with};
use quantscope::tensor::Tensor;
use quantscope::worker::service::{Attachment, Job, Service};
use quantscope::worker::{
    Images, PlaygroundAsk, PlaygroundReply, PlaygroundRequest, Reply, Request, SensitivityReport, TableState, Workspace,
};
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The seven models of sqnr.json.
pub const SEVEN: [&str; 7] = [
    "resnet8_int8",
    "resnet8_uint8",
    "resnet8_int8_per_channel",
    "resnet8_int8_entropy",
    "resnet8_int8_percentile",
    "resnet8_int8_entropy2048",
    "resnet8_int8_original_params",
];

/// A job that nobody cancels, or that is cancelled after some checkpoints; it keeps partial answers.
pub struct Patient {
    began: Instant,
    left: Cell<usize>,
    pub partial: RefCell<Vec<SensitivityReport>>,
}

impl Patient {
    pub fn new(checkpoints: usize) -> Self {
        Patient { began: Instant::now(), left: Cell::new(checkpoints), partial: RefCell::default() }
    }
}

impl Job for Patient {
    fn now_ms(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * 1e3
    }
    async fn checkpoint(&self, _job: &str, _done: usize, _total: usize) -> bool {
        self.left.set(self.left.get().saturating_sub(1));
        self.left.get() > 0
    }
    fn partial(&self, reply: Reply) {
        if let Reply::Playground(reply) = reply
            && let PlaygroundReply::Sensitivity(report) = *reply
        {
            self.partial.borrow_mut().push(report);
        }
    }
}

/// The reference data, or `None` with a line that says so.
pub fn reference() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference");
    let folder = std::env::var_os("QUANTSCOPE_REFERENCE").map_or(default, PathBuf::from);
    if !folder.join("models").is_dir() {
        eprintln!("skipped: the reference data is not at {}", folder.display());
        return None;
    }
    Some(folder)
}

pub fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("public/sample").join(name)
}

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

pub fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&read(path)).unwrap()
}

pub fn document(path: &Path) -> Document {
    Document::decode(read(path).into()).unwrap()
}

pub fn plan(document: &Document) -> Plan {
    Plan::compile(document, Semantics::Simulate, &PlanOptions::default()).unwrap()
}

/// A model taken apart, with the float model's weights where there is one.
pub fn lifted(document: &Document, float: Option<&Document>) -> Lifted {
    let variant = float.map(|float| {
        let weights = |of: &Document, value: &str| {
            let view = weight_view_with(of, value, &quantized_tensors(of))?;
            view.ok().map(|view| view.real)
        };
        FloatVariant::of(&align(&[float, document], &weights), (0, float), (1, document))
    });
    lift(document, variant.as_ref()).unwrap()
}

/// One image of a CIFAR-10 file as the models take it.
pub fn cifar(folder: &Path, index: usize) -> Tensor {
    let bytes = read(&folder.join("cifar10/test_batch_head.bin"));
    let planes = &bytes[index * 3073 + 1..(index + 1) * 3073];
    let pixels = (0..1024).flat_map(|at| (0..3).map(move |channel| f32::from(planes[channel * 1024 + at])));
    Tensor::from_vec(vec![1, 32, 32, 3], pixels.collect()).unwrap()
}

/// Seeded numbers, the same in every run.
pub struct Seeded(pub u64);

impl Seeded {
    pub fn next(&mut self) -> u64 {
        // Knuth's MMIX generator; the high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
    pub fn below(&mut self, count: usize) -> usize {
        self.next() as usize % count.max(1)
    }
    pub fn unit(&mut self) -> f32 {
        (self.next() % 10_000) as f32 / 10_000.0
    }
}

/// A service with files open.
pub struct Page {
    pub service: Service,
    pub workspace: Workspace,
}

impl Page {
    pub fn open(paths: &[PathBuf]) -> Page {
        let mut page = Page { service: Service::default(), workspace: Workspace::default() };
        page.add(paths);
        page
    }

    pub fn add(&mut self, paths: &[PathBuf]) {
        let names = paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        let files = paths.iter().map(|path| {
            let bytes = read(path);
            Attachment::new(move || Ok(bytes))
        });
        let request = Request::Open { paths: names };
        match block_on(self.service.answer(request, files.collect(), &Patient::new(usize::MAX))).0 {
            Reply::Workspace(workspace) => self.workspace = workspace,
            other => panic!("{other:?}"),
        }
        assert!(self.workspace.problems.is_empty(), "{:?}", self.workspace.problems);
    }

    pub fn close(&mut self, model: u32) {
        let request = Request::CloseModel(model);
        match block_on(self.service.answer(request, Vec::new(), &Patient::new(usize::MAX))).0 {
            Reply::Workspace(workspace) => self.workspace = workspace,
            other => panic!("{other:?}"),
        }
    }

    pub fn model(&self, name: &str) -> u32 {
        self.workspace.models.iter().find(|model| model.name == name).unwrap_or_else(|| panic!("{name}")).id
    }

    pub fn images(&self, name: &str, count: usize) -> Images {
        let source = self.workspace.sources.iter().find(|source| source.name.contains(name)).unwrap();
        Images { source: Some(source.id), first: 0, count }
    }

    pub fn ask_with(&mut self, model: u32, ask: PlaygroundAsk, job: &Patient) -> (Reply, Option<Vec<u8>>) {
        block_on(self.service.answer(Request::Playground(PlaygroundRequest { model, ask }), Vec::new(), job))
    }

    pub fn ask(&mut self, model: u32, ask: PlaygroundAsk) -> PlaygroundReply {
        match self.ask_with(model, ask, &Patient::new(usize::MAX)).0 {
            Reply::Playground(reply) => *reply,
            other => panic!("{other:?}"),
        }
    }

    pub fn table(&mut self, model: u32) -> TableState {
        match self.ask(model, PlaygroundAsk::Table) {
            PlaygroundReply::Table(table) => table,
            other => panic!("{other:?}"),
        }
    }
}
