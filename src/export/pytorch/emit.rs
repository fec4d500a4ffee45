//! The walk over the nodes, and the file that comes of it.

use super::code;
use super::error::{PytorchError, Refusal};
use super::helpers;
use super::names::{Names, comment};
use super::ops;
use crate::onnx::proto::NodeProto;
use crate::onnx::{Dim, Document, Facts, NodeExt};
use crate::tensor::{DType, Tensor};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

/// How quantizers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flavour {
    /// As ONNX defines them: a division, half to even.
    Exact,
    /// As PT2E writes them: `torch.ops.quantized_decomposed`, which multiplies by the reciprocal.
    Pt2e,
}

/// The model as it grows.
pub(super) struct Emitter<'a> {
    pub document: &'a Document,
    pub facts: Facts,
    pub flavour: Flavour,
    names: Names,
    /// The Python expression of each ONNX value.
    values: HashMap<String, String>,
    init: Vec<String>,
    forward: Vec<String>,
    /// Weights and buffers by their names in the state dict.
    pub state: Vec<(String, Tensor)>,
    helpers: BTreeSet<&'static str>,
    inputs: Vec<String>,
    outputs: Vec<String>,
    pub notes: Vec<String>,
    quantizers: usize,
    /// Nodes that an earlier one has taken in.
    absorbed: BTreeSet<usize>,
    /// Constants of subgraphs.
    constants: HashMap<String, Tensor>,
    /// Loops around the line to come.
    loops: usize,
}

impl<'a> Emitter<'a> {
    pub fn run(document: &'a Document, flavour: Flavour) -> Result<Self, PytorchError> {
        if let Some(issue) = document.issues().first() {
            return Err(PytorchError::Invalid(issue.clone()));
        }
        let mut emitter = Emitter {
            document,
            facts: Facts::of(document),
            flavour,
            names: Names::new(),
            values: HashMap::new(),
            init: Vec::new(),
            forward: Vec::new(),
            state: Vec::new(),
            helpers: BTreeSet::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            notes: Vec::new(),
            quantizers: 0,
            absorbed: BTreeSet::new(),
            constants: HashMap::new(),
            loops: 0,
        };
        for input in document.inputs() {
            let name = emitter.names.give(input.name());
            emitter.values.insert(input.name().to_owned(), name.clone());
            emitter.inputs.push(name);
        }
        for &position in document.index().order() {
            let Some(node) = document.node(position) else { continue };
            if !emitter.absorbed.contains(&position) {
                ops::node(&mut emitter, position, node).map_err(|Refusal(reason)| refused(node, reason))?;
            }
        }
        for output in &document.graph().output {
            let value =
                emitter.value(output.name()).map_err(|Refusal(reason)| PytorchError::tensor(output.name(), reason))?;
            emitter.outputs.push(value);
        }
        Ok(emitter)
    }

    pub fn quantizers(&self) -> usize {
        self.quantizers
    }

    pub fn note_quantizer(&mut self) {
        self.quantizers += 1;
    }

    /// A name for the module and the result of a node.
    pub fn name_of(&mut self, node: &NodeProto) -> String {
        let wish = match (node.name(), node.output_name(0)) {
            ("", Some(output)) => output,
            ("", None) => node.op_type(),
            (name, _) => name,
        };
        self.names.give(wish)
    }

    /// A name like `wish`.
    pub fn give(&mut self, wish: &str) -> String {
        self.names.give(wish)
    }

    /// The constant behind a value.
    pub fn constant(&self, value: &str) -> Option<Tensor> {
        match self.constants.get(value) {
            Some(tensor) => Some(tensor.clone()),
            None => self.document.constant(value)?.ok(),
        }
    }

    /// The constant behind a node's input.
    pub fn constant_input(&self, node: &NodeProto, position: usize) -> Option<Tensor> {
        self.constant(node.input_name(position)?)
    }

    /// The integers of a constant input.
    pub fn integers(&self, node: &NodeProto, position: usize) -> Option<Vec<i64>> {
        self.constant_input(node, position)?.to_i64().ok()
    }

    /// The known dims of an input.
    pub fn shape(&self, node: &NodeProto, position: usize) -> Option<&[Dim]> {
        self.facts.shape(node.input_name(position)?)
    }

    pub fn rank(&self, node: &NodeProto, position: usize) -> Option<usize> {
        self.shape(node, position).map(<[Dim]>::len)
    }

    /// The element type of an input; float32 where the file does not tell.
    pub fn dtype(&self, node: &NodeProto, position: usize) -> DType {
        node.input_name(position).and_then(|name| self.facts.dtype(name)).unwrap_or(DType::Float32)
    }

    pub fn opset(&self) -> i64 {
        self.document.opset("").unwrap_or(13)
    }

    /// The expression of a value: a local variable, or a buffer of the module for a constant.
    pub fn value(&mut self, name: &str) -> Result<String, Refusal> {
        if let Some(value) = self.values.get(name) {
            return Ok(value.clone());
        }
        let tensor = match self.constants.get(name) {
            Some(tensor) => tensor.clone(),
            None => self.document.constant(name).ok_or_else(|| format!("nothing makes '{name}'"))??,
        };
        let attribute = self.names.give(name);
        self.buffer(&attribute, tensor)?;
        let value = format!("self.{attribute}");
        self.values.insert(name.to_owned(), value.clone());
        Ok(value)
    }

    /// The expression of an input.
    pub fn input(&mut self, node: &NodeProto, position: usize) -> Result<String, Refusal> {
        let name = node.input_name(position).ok_or_else(|| format!("input {position} is missing"))?;
        self.value(name)
    }

    /// The expression of an optional input, `None` (Python's) where it is left out.
    pub fn optional(&mut self, node: &NodeProto, position: usize) -> Result<String, Refusal> {
        match node.input_name(position) {
            Some(name) => self.value(name),
            None => Ok("None".to_owned()),
        }
    }

    /// A list of integers: written out where it is constant, read from the tensor where it is computed.
    pub fn list_input(&mut self, node: &NodeProto, position: usize) -> Result<String, Refusal> {
        match self.integers(node, position) {
            Some(values) => Ok(code::list(&values)),
            None => Ok(format!("{}.tolist()", self.input(node, position)?)),
        }
    }

    /// An operand of arithmetic: a scalar constant is written out.
    pub fn operand(&mut self, node: &NodeProto, position: usize) -> Result<String, Refusal> {
        let constant = self.constant_input(node, position).filter(|tensor| tensor.shape().is_empty());
        match constant.as_ref().and_then(code::scalar) {
            Some(literal) => Ok(literal),
            None => self.input(node, position),
        }
    }

    /// Registers a tensor that is no parameter.
    pub fn buffer(&mut self, attribute: &str, tensor: Tensor) -> Result<(), Refusal> {
        let dtype =
            code::torch_type(tensor.dtype()).ok_or_else(|| format!("tensors of {} are not torch's", tensor.dtype()))?;
        let dims: Vec<i64> = tensor.shape().iter().map(|&dim| dim as i64).collect();
        self.init
            .push(format!("self.register_buffer(\"{attribute}\", torch.zeros({}, dtype={dtype}))", code::list(&dims)));
        self.state.push((attribute.to_owned(), tensor));
        Ok(())
    }

    /// Registers a submodule with its weights, whose names come behind the module's.
    pub fn module_of(&mut self, attribute: &str, constructor: &str, weights: Vec<(&str, Tensor)>) {
        self.init.push(format!("self.{attribute} = {constructor}"));
        self.state.extend(weights.into_iter().map(|(name, tensor)| (format!("{attribute}.{name}"), tensor)));
    }

    /// A line of `forward`.
    pub fn line(&mut self, line: String) {
        self.forward.push(format!("{}{line}", "    ".repeat(self.loops)));
    }

    /// Goes into a loop, or out of it.
    pub fn indent(&mut self, into: bool) {
        self.loops = if into { self.loops + 1 } else { self.loops.saturating_sub(1) };
    }

    /// A constant of a subgraph.
    pub fn add_constant(&mut self, name: &str, tensor: Tensor) {
        self.constants.insert(name.to_owned(), tensor);
    }

    /// The variable that holds a value.
    pub fn set_value(&mut self, name: &str, variable: &str) {
        self.values.insert(name.to_owned(), variable.to_owned());
    }

    /// A node's result under a name, with its shape in a comment.
    pub fn assign(&mut self, node: &NodeProto, position: usize, name: &str, expression: &str) {
        let Some(output) = node.output_name(position) else { return };
        let shape = self.facts.shape(output).map(|dims| dims.iter().map(ToString::to_string).collect::<Vec<_>>());
        let shape = shape.map(|dims| format!("  # {}", comment(&format!("[{}]", dims.join(", "))))).unwrap_or_default();
        self.line(format!("{name} = {expression}{shape}"));
        self.values.insert(output.to_owned(), name.to_owned());
    }

    /// Names a node's result that a line of its own has made.
    pub fn name_value(&mut self, node: &NodeProto, position: usize, name: &str) {
        if let Some(output) = node.output_name(position) {
            self.values.insert(output.to_owned(), name.to_owned());
        }
    }

    /// A node's value without a line: it is another one's.
    pub fn alias(&mut self, node: &NodeProto, value: String) {
        if let Some(output) = node.output_name(0) {
            self.values.insert(output.to_owned(), value);
        }
    }

    /// Asks for a helper function in the file and gives its name.
    pub fn helper(&mut self, name: &'static str) -> &'static str {
        self.helpers.insert(name);
        name
    }

    /// The one reader of a node's first output, where there is one and the value is no output of the graph.
    pub fn only_reader(&self, node: &NodeProto) -> Option<(usize, &'a NodeProto)> {
        let output = node.output_name(0)?;
        let is_output = self.document.graph().output.iter().any(|other| other.name() == output);
        match self.document.index().consumers(output) {
            [slot] if !is_output => Some((slot.node, self.document.node(slot.node)?)),
            _ => None,
        }
    }

    /// Leaves out a node whose work an earlier one does.
    pub fn absorb(&mut self, position: usize) {
        self.absorbed.insert(position);
    }

    /// The file.
    pub fn module(&self) -> String {
        let graph = comment(self.document.graph().name());
        let weights = if self.state.is_empty() { "no weights" } else { "weights in model.pt or model.safetensors" };
        let mut text = format!(
            "\"\"\"PyTorch form of an ONNX model, {} nodes; {weights}. Written by quantscope.\"\"\"\n\n# graph: {graph}\n",
            self.document.graph().node.len()
        );
        text.push_str("import math\n\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n");
        if self.quantizers > 0 {
            text.push_str(helpers::quantizers(self.flavour));
        }
        for name in helpers::with_needed(&self.helpers) {
            let _ = write!(text, "\n\n{}", helpers::source(name));
        }
        text.push_str("\n\nclass Model(nn.Module):\n    def __init__(self):\n        super().__init__()\n");
        self.init.iter().for_each(|line| indented(&mut text, line));
        let _ = write!(
            text,
            "\n    def forward(self{}):\n",
            self.inputs.iter().map(|name| format!(", {name}")).collect::<String>()
        );
        self.forward.iter().for_each(|line| indented(&mut text, line));
        indented(&mut text, &format!("return {}", self.outputs.join(", ")));
        text.push_str(LOAD);
        text
    }
}

const LOAD: &str = "

def load(path=\"model.pt\"):
    \"\"\"The model with its weights, ready to run.\"\"\"
    model = Model()
    model.load_state_dict(torch.load(path, weights_only=True))
    return model.eval()
";

fn indented(text: &mut String, line: &str) {
    let _ = writeln!(text, "        {line}");
}

fn refused(node: &NodeProto, reason: String) -> PytorchError {
    let name = match (node.name(), node.output_name(0)) {
        ("", output) => output.unwrap_or_default(),
        (name, _) => name,
    };
    let domain = node.domain_name();
    let op_type = if domain.is_empty() { node.op_type().to_owned() } else { format!("{domain}.{}", node.op_type()) };
    PytorchError::Node { node: name.to_owned(), op_type, reason }
}
