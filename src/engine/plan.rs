//! A document made ready to run.

use super::error::EngineError;
use super::integer::find_sandwiches;
use super::kernel::{self, Kernel};
use super::lower::{FlatNode, flatten, label};
use super::params::{ParamKey, ParamSlot};
use super::state::State;
use super::terms::{Semantics, UnsupportedNode};
use super::value::Value;
use crate::onnx::proto::ValueInfoProto;
use crate::onnx::proto::tensor_shape_proto::dimension::Value as DimValue;
use crate::onnx::proto::type_proto::Value as TypeValue;
use crate::onnx::{Document, NodeExt, OnnxError, raised, tensor_from_proto};
use crate::tensor::DType;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

/// Which values a run keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observe {
    /// Every node output.
    #[default]
    All,
    /// Graph outputs only; nodes they do not need are not computed.
    OutputsOnly,
}

/// How a document is made ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanOptions {
    /// Which values a run keeps.
    pub observe: Observe,
}

/// What a graph input must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFact {
    /// ONNX value name.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Dims; `None` where the model leaves a dim open (batch), which then may differ from run to run.
    pub shape: Vec<Option<usize>>,
    /// Whether the model declares a shape at all; without one any shape is taken.
    pub ranked: bool,
}

/// A node with everything it reads and makes settled.
pub(super) struct Step {
    pub label: String,
    pub op_type: String,
    pub kernel: Box<dyn Kernel>,
    pub inputs: Vec<Option<usize>>,
    pub outputs: Vec<Option<usize>>,
    /// Whether it depends on constants only.
    pub constant: bool,
    /// Whether an observed value or a graph output needs it.
    pub needed: bool,
}

/// A document made ready to run: constants computed, kernels built. It keeps the last run, so that an edit of
/// quantization parameters computes only what depends on it ([`Plan::rerun`]).
pub struct Plan {
    pub(super) inputs: Vec<InputFact>,
    pub(super) input_ids: Vec<usize>,
    pub(super) outputs: Vec<String>,
    pub(super) observed: Vec<String>,
    pub(super) names: HashMap<String, usize>,
    pub(super) steps: Vec<Step>,
    pub(super) slots: Vec<ParamSlot>,
    pub(super) state: State,
    pub(super) options: PlanOptions,
}

/// The document with the data of other files inside it, which is what nodes and constants are read from. One with an
/// `Upsample` is raised to an operator set that writes it as `Resize`.
fn with_data(document: &Document) -> Result<Cow<'_, Document>, OnnxError> {
    let whole = match document.is_self_contained() {
        true => Cow::Borrowed(document),
        false => Cow::Owned(document.inlined()?),
    };
    let upsamples = whole.graph().node.iter().any(|node| node.op_type() == "Upsample" && node.domain_name().is_empty());
    // Where it cannot be raised, the node is refused by its name.
    match upsamples.then(|| raised(&whole)) {
        Some(Ok(Some(raised))) => Ok(Cow::Owned(raised.document)),
        _ => Ok(whole),
    }
}

/// The nodes that cannot run, in graph order; empty where everything can. Nothing is computed.
pub fn unsupported(document: &Document) -> Vec<UnsupportedNode> {
    // A missing side file is no fault of an operator: what is there is looked at.
    let whole = with_data(document).unwrap_or(Cow::Borrowed(document));
    let nodes = match flatten(&whole) {
        Ok(nodes) => nodes,
        Err(error) => {
            let node = match &error {
                EngineError::Graph { place, .. } => place.clone(),
                _ => String::new(),
            };
            let reason = error.to_string();
            return vec![UnsupportedNode { node, op_type: String::new(), domain: String::new(), reason }];
        }
    };
    nodes
        .iter()
        .filter_map(|flat| kernel::build(flat, Semantics::Simulate).err().map(|reason| refuse(flat, reason)))
        .collect()
}

fn refuse(flat: &FlatNode, reason: String) -> UnsupportedNode {
    UnsupportedNode {
        node: label(&flat.proto).to_owned(),
        op_type: flat.proto.op_type().to_owned(),
        domain: flat.proto.domain_name().to_owned(),
        reason,
    }
}

/// Operators that give something else in every run.
fn is_random(op_type: &str) -> bool {
    matches!(
        op_type,
        "RandomNormal" | "RandomNormalLike" | "RandomUniform" | "RandomUniformLike" | "Multinomial" | "Bernoulli"
    )
}

struct Compiler {
    names: HashMap<String, usize>,
    values: Vec<Option<Value>>,
    /// Whether the value is the same in every run.
    constant: Vec<bool>,
    slots: Vec<ParamSlot>,
    slot_of: HashMap<ParamKey, usize>,
}

impl Compiler {
    fn define(&mut self, name: Option<&str>, value: Option<Value>, constant: bool) -> usize {
        let id = self.values.len();
        if let Some(name) = name {
            self.names.insert(name.to_owned(), id);
        }
        self.values.push(value);
        self.constant.push(constant);
        id
    }

    /// Points the constant scales and zero points of a node at slots of their own, one per pair of names, so that an
    /// edit reaches exactly the nodes that share the pair.
    fn redirect_params(&mut self, flat: &FlatNode, inputs: &mut [Option<usize>]) {
        for site in kernel::param_sites(&flat.proto) {
            let Some(scale_name) = flat.proto.input_name(site.scale) else { continue };
            let Some(scale) = inputs.get(site.scale).copied().flatten().filter(|&id| self.constant[id]) else {
                continue;
            };
            let zero_point_name = flat.proto.input_name(site.zero_point);
            let zero_point = inputs.get(site.zero_point).copied().flatten();
            if zero_point.is_some_and(|id| !self.constant[id]) {
                continue;
            }
            let key = ParamKey { scale: scale_name.to_owned(), zero_point: zero_point_name.map(str::to_owned) };
            let slot = match self.slot_of.get(&key) {
                Some(&slot) => slot,
                None => {
                    let Some(scale_value) = self.values[scale].clone() else { continue };
                    let zero_value = zero_point.and_then(|id| self.values[id].clone());
                    let scale = self.define(None, Some(scale_value), true);
                    let zero_point = self.define(None, zero_value, true);
                    self.slots.push(ParamSlot::new(key.clone(), scale, zero_point));
                    self.slot_of.insert(key, self.slots.len() - 1);
                    self.slots.len() - 1
                }
            };
            let Some(slot) = self.slots.get_mut(slot) else { continue };
            if let Some(input) = inputs.get_mut(site.scale) {
                *input = Some(slot.scale);
            }
            if let Some(input) = inputs.get_mut(site.zero_point) {
                *input = Some(slot.zero_point);
            }
            let tensor = match site.tensor {
                Some(at) => flat.proto.input_name(at),
                None => flat.proto.output_name(0),
            };
            slot.add_site(&flat.proto, tensor, site.tensor.and_then(|at| inputs.get(at).copied().flatten()));
        }
    }
}

impl Plan {
    /// Makes a document ready: checks every node, computes what is constant. Fails with the list of all nodes that
    /// cannot run, or with the first node whose constants do not fit.
    pub fn compile(document: &Document, semantics: Semantics, options: &PlanOptions) -> Result<Plan, EngineError> {
        let document = with_data(document)?;
        let flat = flatten(&document)?;
        let mut compiler = Compiler {
            names: HashMap::new(),
            values: Vec::new(),
            constant: Vec::new(),
            slots: Vec::new(),
            slot_of: HashMap::new(),
        };
        let graph = document.graph();
        let mut refused = Vec::new();
        let mut kernels: Vec<Option<Box<dyn Kernel>>> = Vec::new();
        for node in &flat {
            match kernel::build(node, semantics) {
                Ok(kernel) => kernels.push(Some(kernel)),
                Err(reason) => refused.push(refuse(node, reason)),
            }
        }
        if !refused.is_empty() {
            return Err(EngineError::Unsupported(refused));
        }
        if let Some(sparse) = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref()).next() {
            return Err(EngineError::Graph {
                place: format!("sparse initializer '{}'", sparse.name()),
                message: "sparse tensors cannot be computed with".to_owned(),
            });
        }
        for tensor in &graph.initializer {
            let plain = tensor_from_proto(tensor)?;
            let value = Value::from_plain(&plain)
                .map_err(|message| EngineError::Graph { place: format!("initializer '{}'", tensor.name()), message })?;
            compiler.define(Some(tensor.name()), Some(value), true);
        }
        let mut inputs = Vec::new();
        let mut input_ids = Vec::new();
        for input in &graph.input {
            if !compiler.names.contains_key(input.name()) {
                inputs.push(input_fact(input)?);
                input_ids.push(compiler.define(Some(input.name()), None, false));
            }
        }
        let mut steps = Vec::with_capacity(flat.len());
        for (node, kernel) in flat.iter().zip(kernels) {
            if let Some(kernel) = kernel {
                steps.push(compiler.step(node, kernel)?);
            }
        }
        let outputs: Vec<String> = graph.output.iter().map(|o| o.name().to_owned()).collect();
        for name in &outputs {
            if !compiler.names.contains_key(name) {
                return Err(EngineError::Graph {
                    place: format!("graph output '{name}'"),
                    message: "no node makes this value".to_owned(),
                });
            }
        }
        if semantics == Semantics::Integer {
            compiler.use_integer_kernels(&flat, &mut steps, &outputs)?;
        }
        let observed = match options.observe {
            Observe::All => graph.node.iter().flat_map(|n| &n.output).filter(|o| !o.is_empty()).cloned().collect(),
            Observe::OutputsOnly => outputs.clone(),
        };
        let mut plan = Plan {
            inputs,
            input_ids,
            outputs,
            observed,
            names: compiler.names,
            steps,
            slots: compiler.slots,
            state: State::new(compiler.values, compiler.constant),
            options: *options,
        };
        plan.mark_needed();
        Ok(plan)
    }

    fn mark_needed(&mut self) {
        let mut wanted: BTreeSet<usize> = self.observed.iter().filter_map(|n| self.names.get(n)).copied().collect();
        for step in self.steps.iter_mut().rev() {
            let made = step.outputs.iter().flatten().any(|id| wanted.contains(id));
            step.needed = made || self.options.observe == Observe::All;
            if step.needed {
                wanted.extend(step.inputs.iter().flatten());
            }
        }
    }

    /// What the graph's inputs must be, without those that have an initializer.
    pub fn inputs(&self) -> &[InputFact] {
        &self.inputs
    }

    /// Names of the graph's outputs, in order.
    pub fn outputs(&self) -> &[String] {
        &self.outputs
    }

    /// Names of the values a run keeps: node outputs of the main graph, in graph order.
    pub fn observed(&self) -> &[String] {
        &self.observed
    }
}

impl Compiler {
    /// Settles a node's inputs and outputs; computes it right away where it is constant.
    fn step(&mut self, flat: &FlatNode, kernel: Box<dyn Kernel>) -> Result<Step, EngineError> {
        let node = &flat.proto;
        let fail = |message: String| EngineError::Node {
            node: label(node).to_owned(),
            op_type: node.op_type().to_owned(),
            message,
        };
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in node.input.iter().chain(&flat.captured) {
            inputs.push(match name.as_str() {
                "" => None,
                name => match self.names.get(name) {
                    Some(&id) => Some(id),
                    None => return Err(fail(format!("nothing makes the input '{name}'"))),
                },
            });
        }
        self.redirect_params(flat, &mut inputs);
        let constant = !is_random(node.op_type()) && inputs.iter().flatten().all(|&id| self.constant[id]);
        let outputs: Vec<Option<usize>> = node
            .output
            .iter()
            .map(|name| (!name.is_empty()).then(|| self.define(Some(name), None, constant)))
            .collect();
        let mut step = Step {
            label: label(node).to_owned(),
            op_type: node.op_type().to_owned(),
            kernel,
            inputs,
            outputs,
            constant,
            needed: true,
        };
        if constant {
            let results =
                step.compute(|id| Some((self.values.get(id)?.clone()?, self.constant.get(id) == Some(&true))))?;
            for (id, value) in step.outputs.iter().zip(results) {
                if let Some(slot) = id.and_then(|id| self.values.get_mut(id)) {
                    *slot = Some(value);
                }
            }
        }
        Ok(step)
    }

    /// Gives the QuantizeLinear nodes of complete sandwiches their codes from integer kernels.
    fn use_integer_kernels(
        &mut self,
        flat: &[FlatNode],
        steps: &mut [Step],
        outputs: &[String],
    ) -> Result<(), EngineError> {
        let constant =
            |name: &str| self.names.get(name).filter(|&&id| self.constant[id]).and_then(|&id| self.values[id].clone());
        let found = find_sandwiches(flat, &constant, outputs);
        let found = found.map_err(|message| EngineError::Graph { place: "the graph".to_owned(), message })?;
        for sandwich in found {
            let Some(step) = steps.get_mut(sandwich.quantize).filter(|step| !step.constant) else { continue };
            let id = |name: &String| self.names.get(name).copied();
            let mut inputs: Vec<Option<usize>> = sandwich.node.input.iter().map(id).collect();
            // The same names give the same slots, so edits reach the integer kernel too.
            self.redirect_params(&FlatNode { proto: sandwich.node, opset: 1, captured: Vec::new() }, &mut inputs);
            step.inputs = inputs;
            step.kernel = sandwich.kernel;
        }
        Ok(())
    }
}

/// What a document's inputs must be, without those that have an initializer.
pub fn input_facts(document: &Document) -> Result<Vec<InputFact>, EngineError> {
    document.inputs().map(input_fact).collect()
}

/// Name, type and shape of a graph input.
fn input_fact(input: &ValueInfoProto) -> Result<InputFact, EngineError> {
    let graph = |message: String| EngineError::Graph { place: format!("graph input '{}'", input.name()), message };
    let Some(TypeValue::TensorType(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return Err(graph("the input is not declared as a tensor".to_owned()));
    };
    let dtype = DType::from_onnx(tensor.elem_type()).ok_or_else(|| graph("the element type is unknown".to_owned()))?;
    super::value::carrier(dtype).map_err(graph)?;
    let mut shape = Vec::new();
    for dim in tensor.shape.iter().flat_map(|s| &s.dim) {
        shape.push(match dim.value {
            Some(DimValue::DimValue(size)) => {
                Some(usize::try_from(size).map_err(|_| graph(format!("the dim {size} is impossible")))?)
            }
            _ => None,
        });
    }
    Ok(InputFact { name: input.name().to_owned(), dtype, ranked: tensor.shape.is_some(), shape })
}
