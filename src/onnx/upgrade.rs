//! A document in a later operator set: opsets 7 to 10 become 11, the first one whose Clip, Pad, Slice and Resize read
//! their settings as inputs, which later versions only extend.
//!
//! The rewritten nodes compute what they computed. Where the official `onnx.version_converter` changes a result (an
//! opset 10 `Resize` is asymmetric and rounds down, the defaults of opset 11 are others), the old meaning is written out.
//!
//! Source: the change logs of the operators in onnx's `docs/Changelog.md`.

use super::attributes::NodeExt;
use super::builder::{Attr, ir_version_for, tensor_to_proto};
use super::document::Document;
use super::error::OnnxError;
use super::proto::{GraphProto, NodeProto, TensorProto};
use crate::tensor::Tensor;
use std::collections::HashSet;

/// The operator set that documents are raised to.
pub const RAISED_OPSET: i64 = 11;

/// The oldest that they are raised from: before it, binary operators broadcast by attributes.
const OLDEST: i64 = 7;

/// Operators of `ai.onnx` that opset 10 no longer has.
const GONE: [&str; 12] = [
    "ATen",
    "Affine",
    "ConstantFill",
    "ConstantLike",
    "Crop",
    "DynamicSlice",
    "GRUUnit",
    "GivenTensorFill",
    "ImageScaler",
    "ParametricSoftplus",
    "Scale",
    "ScaledTanh",
];

/// A document in opset [`RAISED_OPSET`].
#[derive(Clone, Debug)]
pub struct Raised {
    /// The document; every value has its name.
    pub document: Document,
    /// The opset that it had.
    pub from: i64,
    /// How many nodes are written otherwise.
    pub rewritten: usize,
}

/// Raises a document of an older opset to [`RAISED_OPSET`]; `None` where it is not older. Fails, with the node and the
/// reason, where a node has no equal there.
pub fn raised(document: &Document) -> Result<Option<Raised>, OnnxError> {
    let from = document.opset("").unwrap_or(1);
    if from >= RAISED_OPSET {
        return Ok(None);
    }
    let refuse = |place: &str, found: String| OnnxError::Raise { from, place: place.to_owned(), found };
    if from < OLDEST {
        return Err(refuse("the model", format!("opset {from}, which broadcasts by attributes")));
    }
    if !document.proto().functions.is_empty() {
        return Err(refuse("the model", "functions of its own".to_owned()));
    }
    let mut model = document.proto().clone();
    let Some(graph) = model.graph.as_mut() else { return Ok(None) };
    let mut raiser = Raiser { from, taken: HashSet::new(), made: Vec::new(), rewritten: 0 };
    raiser.take_names(graph);
    raiser.graph(graph).map_err(|(place, found)| refuse(&place, found))?;
    graph.initializer.append(&mut raiser.made);
    for import in model.opset_import.iter_mut().filter(|import| matches!(import.domain(), "" | "ai.onnx")) {
        import.version = Some(RAISED_OPSET);
    }
    model.ir_version = model.ir_version.max(Some(ir_version_for(RAISED_OPSET)));
    let document = document.with_proto(model)?;
    Ok(Some(Raised { document, from, rewritten: raiser.rewritten }))
}

struct Raiser {
    from: i64,
    taken: HashSet<String>,
    /// Settings that were attributes; bodies of nodes read them from outside.
    made: Vec<TensorProto>,
    rewritten: usize,
}

/// The node, and what of it cannot be said.
type Refused = (String, String);

impl Raiser {
    fn take_names(&mut self, graph: &GraphProto) {
        self.taken.extend(graph.input.iter().map(|input| input.name().to_owned()));
        self.taken.extend(graph.initializer.iter().map(|tensor| tensor.name().to_owned()));
        for node in &graph.node {
            self.taken.extend(node.input.iter().chain(&node.output).cloned());
            super::subgraphs(node).for_each(|graph| self.take_names(graph));
        }
    }

    fn graph(&mut self, graph: &mut GraphProto) -> Result<(), Refused> {
        for node in &mut graph.node {
            if node.domain_name().is_empty() {
                let label = if node.name().is_empty() { node.output_name(0) } else { Some(node.name()) };
                let label = format!("node '{}' ({})", label.unwrap_or_default(), node.op_type());
                self.rewritten += usize::from(self.node(node).map_err(|found| (label, found))?);
            }
            for attribute in &mut node.attribute {
                for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                    self.graph(graph)?;
                }
            }
        }
        Ok(())
    }

    /// Rewrites a node where it has to be; whether it was.
    fn node(&mut self, node: &mut NodeProto) -> Result<bool, String> {
        let op = node.op_type().to_owned();
        match op.as_str() {
            "BatchNormalization" if self.from < 9 => {
                if node.int("spatial").unwrap_or(1) != 1 {
                    return Err("statistics for every position (spatial = 0)".to_owned());
                }
                let before = node.attribute.len();
                node.attribute.retain(|attribute| attribute.name() != "spatial");
                return Ok(node.attribute.len() != before);
            }
            "Scan" if self.from < 9 => return Err("a Scan over batches".to_owned()),
            "Clip" => {
                let bounds = ["min", "max"].map(|name| node.float(name));
                if bounds == [None, None] {
                    return Ok(false);
                }
                let [low, high] = bounds;
                let low = low.map(|low| self.setting(node, "min", float(low))).transpose()?;
                let high = high.map(|high| self.setting(node, "max", float(high))).transpose()?;
                set_inputs(node, 1, vec![low.unwrap_or_default(), high.unwrap_or_default()]);
                drop_attributes(node, &["min", "max"]);
            }
            "Pad" => {
                let pads = self.setting(node, "pads", ints(node.ints("pads")))?;
                let value = node.float("value").filter(|&value| value != 0.0);
                let value = value.map(|value| self.setting(node, "value", float(value))).transpose()?;
                set_inputs(node, 1, vec![pads, value.unwrap_or_default()]);
                drop_attributes(node, &["pads", "value"]);
            }
            "Slice" if self.from < 10 => {
                let starts = self.setting(node, "starts", ints(node.ints("starts")))?;
                let ends = self.setting(node, "ends", ints(node.ints("ends")))?;
                let axes = node.ints("axes").to_vec();
                let axes = if axes.is_empty() { String::new() } else { self.setting(node, "axes", ints(&axes))? };
                set_inputs(node, 1, vec![starts, ends, axes]);
                drop_attributes(node, &["starts", "ends", "axes"]);
            }
            "TopK" if self.from < 10 => {
                let k = node.int("k").ok_or("no number of elements (k)")?;
                let k = self.setting(node, "k", ints(&[k]))?;
                set_inputs(node, 1, vec![k]);
                drop_attributes(node, &["k"]);
            }
            "Upsample" => {
                if self.from < 9 {
                    let scales = NodeExt::attribute(&*node, "scales").map(|attribute| attribute.floats.clone());
                    let scales = scales.ok_or("no scales")?;
                    let scales = Tensor::from_vec(vec![scales.len()], scales);
                    let scales = self.setting(node, "scales", scales)?;
                    set_inputs(node, 1, vec![scales]);
                    drop_attributes(node, &["scales"]);
                }
                self.resize(node)?;
            }
            "Resize" => self.resize(node)?,
            "Scatter" => node.op_type = Some("ScatterElements".to_owned()),
            gone if GONE.contains(&gone) => return Err("an operator that later operator sets do not have".to_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A `Resize` of opset 11 out of inputs data and scales: `x_in = x_out / scale`, the nearest below.
    /// The region, which only cropping reads, may not be left out before opset 13.
    fn resize(&mut self, node: &mut NodeProto) -> Result<(), String> {
        let scales = node.input_name(1).unwrap_or_default().to_owned();
        let region = self.setting(node, "roi", Tensor::from_vec(vec![0], Vec::<f32>::new()))?;
        set_inputs(node, 1, vec![region, scales]);
        node.op_type = Some("Resize".to_owned());
        let nearest = node.string("mode").unwrap_or("nearest") == "nearest";
        let mut set = |name: &str, value: &str| {
            node.attribute.push(Attr::Text(value.to_owned()).into_proto(name));
        };
        set("coordinate_transformation_mode", "asymmetric");
        if nearest {
            set("nearest_mode", "floor");
        }
        Ok(())
    }

    /// A setting as an initializer; its name.
    fn setting(
        &mut self,
        node: &NodeProto,
        name: &str,
        value: Result<Tensor, crate::tensor::TensorError>,
    ) -> Result<String, String> {
        let value = value.map_err(|error| error.to_string())?;
        let stem = format!("{}_{name}", node.output_name(0).unwrap_or_default());
        let numbered = (1usize..).map(|number| format!("{stem}_{number}"));
        let free = std::iter::once(stem.clone()).chain(numbered).find(|name| !self.taken.contains(name));
        let name = free.unwrap_or_default();
        self.taken.insert(name.clone());
        self.made.push(tensor_to_proto(&name, &value));
        Ok(name)
    }
}

fn float(value: f32) -> Result<Tensor, crate::tensor::TensorError> {
    Tensor::from_vec(vec![], vec![value])
}

fn ints(values: &[i64]) -> Result<Tensor, crate::tensor::TensorError> {
    Tensor::from_vec(vec![values.len()], values.to_vec())
}

/// Puts inputs from a position on; those left out at the end are gone.
fn set_inputs(node: &mut NodeProto, from: usize, inputs: Vec<String>) {
    node.input.resize(from, String::new());
    node.input.extend(inputs);
    while node.input.last().is_some_and(String::is_empty) {
        node.input.pop();
    }
}

fn drop_attributes(node: &mut NodeProto, names: &[&str]) {
    node.attribute.retain(|attribute| !names.contains(&attribute.name()));
}
