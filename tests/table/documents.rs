//! The models that the table is tested on, and what is done with all of them.

use crate::support::{Cifar, document, fixtures, npz, reference};
use quantscope::engine::{Plan, PlanOptions, Semantics};
use quantscope::onnx::proto::TensorProto;
use quantscope::onnx::{Document, NodeExt};
use quantscope::quant::table::{Lifted, lift};
use quantscope::tensor::{DType, Tensor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files of a folder with this ending, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "onnx"));
    files.sort();
    files
}

/// The models made for this: written by ONNX Runtime's quantizer, and by hand.
pub fn own_models() -> Vec<PathBuf> {
    files(&fixtures("table"))
}

/// Whole networks of the project: tiny ones and the sample.
pub fn whole_models() -> Vec<PathBuf> {
    let mut found = files(&fixtures("models"));
    // Its data is in another file.
    found.retain(|path| stem(path) != "tiny_external");
    found.extend(files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("public/sample")));
    found
}

/// The reference models, or none with a line that says so.
pub fn reference_models() -> Vec<PathBuf> {
    reference().map_or_else(Vec::new, |folder| files(&folder.join("models")))
}

pub fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

pub fn lifted(path: &Path) -> (Document, Lifted) {
    let document = document(path);
    let lifted = lift(&document, None).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (document, lifted)
}

/// An input for a model: the recorded one, real images for the reference models, else numbers of a fixed sequence.
pub fn feed(path: &Path, document: &Document) -> Vec<(String, Tensor)> {
    let recorded = path.with_extension("npz");
    if recorded.is_file() && path.parent().is_some_and(|folder| folder.ends_with("table")) {
        let arrays = npz(&recorded).into_iter();
        return arrays.filter_map(|(name, a)| Some((name.strip_prefix("in/")?.to_owned(), a))).collect();
    }
    let plan = Plan::compile(document, Semantics::Simulate, &PlanOptions::default()).unwrap();
    let images = reference().filter(|folder| path.starts_with(folder));
    let facts = plan.inputs().iter();
    facts
        .map(|fact| {
            let shape: Vec<usize> = fact.shape.iter().map(|dim| dim.unwrap_or(2)).collect();
            if let Some(folder) = images.as_ref().filter(|_| shape == [2, 32, 32, 3]) {
                let images = Cifar::open(&folder.join("cifar10/test_batch_head.bin")).images(0, 2);
                return (fact.name.clone(), images);
            }
            let mut random = Random::new(shape.len() as u64);
            let count = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|_| (random.unit() * 255.0) as f32).collect();
            let tensor = match fact.dtype {
                DType::Float16 => {
                    let halves = values.iter().map(|v| half::f16::from_f32(*v)).collect::<Vec<half::f16>>();
                    Tensor::from_vec(shape, halves).unwrap()
                }
                _ => Tensor::from_vec(shape, values).unwrap(),
            };
            (fact.name.clone(), tensor)
        })
        .collect()
}

/// A run of a document.
pub fn run(document: &Document, semantics: Semantics, feed: &[(String, Tensor)]) -> Plan {
    let mut plan = Plan::compile(document, semantics, &PlanOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    plan.run(feed).unwrap_or_else(|e| panic!("{e}"));
    plan
}

/// Every integer value that a run computes, by name.
pub fn integers(document: &Document, plan: &Plan) -> BTreeMap<String, Tensor> {
    let nodes = document.graph().node.iter().filter(|node| node.op_type() != "Constant");
    let names = nodes.flat_map(|node| &node.output).filter(|name| !name.is_empty());
    let narrow = |dtype: DType| dtype.int_range().is_some_and(|_| dtype != DType::Int32);
    names
        .filter_map(|name| Some((name.clone(), plan.value(name)?)))
        .filter(|(_, tensor)| narrow(tensor.dtype()))
        .collect()
}

/// A document's nodes in no order, and its initializers by name: whole messages.
pub fn content(document: &Document) -> (Vec<String>, BTreeMap<String, TensorProto>) {
    let graph = document.graph();
    let mut nodes: Vec<String> = graph.node.iter().map(|node| format!("{node:?}")).collect();
    nodes.sort();
    let tensors = graph.initializer.iter().map(|tensor| (tensor.name().to_owned(), tensor.clone())).collect();
    (nodes, tensors)
}

/// How often an operator occurs.
pub fn count(document: &Document, op: &str) -> usize {
    document.graph().node.iter().filter(|node| node.op_type() == op && node.domain_name() != "other").count()
}

/// Numbers of a fixed sequence (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678)
    }
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
    pub fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }
}
