//! One node computed by tract: a plan for this node alone, built for the inputs it meets.
//!
//! A whole-graph plan folds, fuses and duplicates across quantization borders (a Softmax between DequantizeLinear and
//! QuantizeLinear becomes a wrong 256-entry table, BatchNorm fusion doubles convolutions) and dies as a whole on a type
//! tract does not know. Node plans keep every value visible, and an edit re-runs exactly what it reaches.
//! Constant inputs (weights) are part of the plan, so they are packed once.

use super::kernel::{Inputs, Kernel};
use super::limits;
use super::lower::FlatNode;
use super::value::{KernelError, Value, carrier};
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;
use crate::tensor::DType;
use prost::Message;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use tract_onnx::Onnx;
use tract_onnx::pb;
use tract_onnx::prelude::{DatumType, Framework, InferenceModelExt, Tensor, TypedSimplePlan, TypedSimpleState};
use tract_onnx::tract_hir::internal::{InferenceFact, IntoArcTensor, TValue};

static TRACT: LazyLock<Onnx> = LazyLock::new(|| {
    let mut onnx = tract_onnx::onnx();
    onnx.use_output_shapes = false;
    onnx.ignore_output_types = true;
    onnx.ignore_value_info = true;
    onnx
});

/// Whether tract knows an operator of this name.
pub(crate) fn knows(op_type: &str) -> bool {
    TRACT.op_register.0.contains_key(op_type)
}

/// Input positions whose values tract needs while it builds the plan: shapes, axes, sizes.
fn shape_like(op_type: &str, position: usize) -> bool {
    match op_type {
        "Reshape" | "Expand" | "Tile" | "Unsqueeze" | "Squeeze" | "TopK" | "Split" | "CumSum" | "Trilu"
        | "Upsample" | "DFT" => position >= 1,
        "Slice" | "Pad" | "Resize" | "STFT" => position >= 1,
        "OneHot" => position == 1,
        "Range" | "ConstantOfShape" | "EyeLike" | "HannWindow" | "HammingWindow" | "BlackmanWindow" => true,
        "NonMaxSuppression" => position >= 2,
        reduce if reduce.starts_with("Reduce") => position >= 1,
        _ => false,
    }
}

/// Operators that move elements without computing: the narrow types pass through them.
fn moves_only(op_type: &str) -> bool {
    matches!(
        op_type,
        "Reshape"
            | "Flatten"
            | "Transpose"
            | "Squeeze"
            | "Unsqueeze"
            | "Concat"
            | "Split"
            | "Slice"
            | "Gather"
            | "GatherElements"
            | "GatherND"
            | "Expand"
            | "Tile"
            | "Pad"
            | "DepthToSpace"
            | "SpaceToDepth"
            | "Identity"
            | "Compress"
            | "ScatterElements"
            | "ScatterND"
            | "Where"
            | "MaxPool"
            | "Dropout"
            | "Max"
            | "Min"
            | "TopK"
            | "ReduceMax"
            | "ReduceMin"
            | "Relu"
            | "Clip"
            | "Trilu"
    )
}

/// What a plan was built for; a run with anything else builds it anew.
#[derive(Clone)]
enum Met {
    Absent,
    /// Part of the plan.
    Constant(Value),
    /// Fed at run time.
    Variable(DatumType, Vec<usize>),
}

impl Met {
    fn fits(&self, now: &Met) -> bool {
        match (self, now) {
            (Met::Absent, Met::Absent) => true,
            (Met::Constant(a), Met::Constant(b)) => a.same_bits(b),
            (Met::Variable(a, s), Met::Variable(b, t)) => a == b && s == t,
            _ => false,
        }
    }
}

struct Built {
    met: Vec<Met>,
    state: TypedSimpleState,
    /// Input positions in the order of the plan's inputs.
    fed: Vec<usize>,
}

impl Built {
    fn fits(&self, now: &[Met]) -> bool {
        self.met.len() == now.len() && self.met.iter().zip(now).all(|(then, now)| then.fits(now))
    }

    /// Whether it was built for the same shapes, so that only constants can differ.
    fn same_shapes(&self, now: &[Met]) -> bool {
        let same =
            |(then, now): (&Met, &Met)| matches!((then, now), (Met::Constant(_), Met::Constant(_))) || then.fits(now);
        self.met.len() == now.len() && self.met.iter().zip(now).all(same)
    }
}

/// Plans kept for a node whose constants change to and fro: a row of the table switched off and on again.
const BUILT_PLANS: usize = 2;

/// A node that tract computes.
pub(crate) struct TractNode {
    node: pb::NodeProto,
    opset: i64,
    op_type: String,
    /// Names of `If` and `Loop` bodies' outer values, appended to the inputs.
    captured: Vec<String>,
    outputs: usize,
    /// The plans built, the last used first.
    built: Vec<Built>,
}

impl TractNode {
    /// Takes over the node's attributes; fails where the operator or an attribute cannot be run.
    pub fn new(flat: &FlatNode) -> Result<Self, KernelError> {
        let op_type = flat.proto.op_type();
        if !knows(op_type) {
            return Err("the operator is not known to the engine".to_owned());
        }
        limits::check_attributes(&flat.proto)?;
        check_bodies(&flat.proto)?;
        let bytes = flat.proto.encode_to_vec();
        let mut node = pb::NodeProto::decode(bytes.as_slice()).map_err(|e| e.to_string())?;
        node.domain = String::new();
        node.name = "node".to_owned();
        if let Some(tensor) = flat.proto.attribute.iter().filter_map(|a| a.t.as_ref()).next() {
            let dtype = DType::from_onnx(tensor.data_type());
            if !dtype.is_some_and(|d| d == DType::Float32 || (d.bits().unwrap_or(0) >= 8 && !d.is_float())) {
                return Err("a tensor attribute has a type that the engine does not run".to_owned());
            }
        }
        let used = |outputs: &[String]| outputs.iter().rposition(|o| !o.is_empty()).map_or(0, |last| last + 1);
        let outputs = used(&node.output);
        node.output.truncate(outputs);
        node.input.truncate(used(&node.input));
        Ok(TractNode {
            node,
            opset: flat.opset,
            op_type: op_type.to_owned(),
            captured: flat.captured.clone(),
            outputs,
            built: Vec::new(),
        })
    }

    /// A node made by the engine itself, with fresh value names.
    pub fn made(
        op_type: &str,
        inputs: usize,
        attributes: &[crate::onnx::proto::AttributeProto],
        opset: i64,
    ) -> Result<Self, KernelError> {
        let proto = crate::onnx::proto::NodeProto {
            op_type: Some(op_type.to_owned()),
            input: (0..inputs).map(|i| format!("i{i}")).collect(),
            output: vec!["o".to_owned()],
            attribute: attributes.to_vec(),
            ..Default::default()
        };
        Self::new(&FlatNode { proto, opset, captured: Vec::new() })
    }

    fn names(&self) -> Vec<&str> {
        self.node.input.iter().chain(&self.captured).map(String::as_str).collect()
    }

    fn build(&self, met: Vec<Met>) -> Result<Built, KernelError> {
        let names = self.names();
        let mut graph = pb::GraphProto { node: vec![self.node.clone()], ..Default::default() };
        let mut fed = Vec::new();
        let mut facts = Vec::new();
        let mut known: Vec<&str> = Vec::new();
        for (position, (name, met)) in names.iter().zip(&met).enumerate() {
            if known.contains(name) {
                continue;
            }
            match met {
                Met::Absent => continue,
                Met::Constant(value) => graph.initializer.push(constant_proto(name, value)?),
                Met::Variable(datum_type, shape) => {
                    graph.input.push(pb::ValueInfoProto {
                        name: (*name).to_owned(),
                        r#type: Some(pb::TypeProto {
                            denotation: String::new(),
                            value: Some(pb::type_proto::Value::TensorType(pb::type_proto::Tensor {
                                elem_type: pb::tensor_proto::DataType::Float as i32,
                                shape: None,
                            })),
                        }),
                        doc_string: String::new(),
                    });
                    fed.push(position);
                    facts.push(InferenceFact::dt_shape(*datum_type, shape.as_slice()));
                }
            }
            known.push(name);
        }
        let output = |name: &String| pb::ValueInfoProto { name: name.clone(), r#type: None, doc_string: String::new() };
        graph.output = self.node.output.iter().filter(|o| !o.is_empty()).map(output).collect();
        let proto = pb::ModelProto {
            ir_version: 8,
            opset_import: vec![pb::OperatorSetIdProto { domain: String::new(), version: self.opset }],
            graph: Some(graph),
            ..Default::default()
        };
        let state = guarded(|| {
            let mut model = TRACT.model_for_proto_model(&proto)?;
            for (index, fact) in facts.iter().enumerate() {
                model.set_input_fact(index, fact.clone())?;
            }
            let model = model.into_optimized()?;
            for node in model.nodes() {
                for output in &node.outputs {
                    limits::check_elements(&output.fact.shape)?;
                }
            }
            let plan = TypedSimplePlan::new(model)?;
            plan.spawn()
        })?;
        Ok(Built { met, state, fed })
    }

    /// Computes one batch of inputs as they are.
    fn compute(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        let met = |(position, input): (usize, &Option<super::kernel::Input>)| match input {
            None => Met::Absent,
            Some(input) if input.constant || shape_like(&self.op_type, position) => Met::Constant(input.value.clone()),
            Some(input) => Met::Variable(input.value.tensor().datum_type(), input.value.shape().to_vec()),
        };
        let met: Vec<Met> = inputs.iter().enumerate().map(met).collect();
        match self.built.iter().position(|built| built.fits(&met)) {
            Some(position) => self.built.get_mut(..=position).unwrap_or_default().rotate_right(1),
            None => {
                self.built.retain(|built| built.same_shapes(&met));
                self.built.truncate(BUILT_PLANS - 1);
                let built = self.build(met)?;
                self.built.insert(0, built);
            }
        }
        let Some(built) = self.built.first_mut() else { return Err("the plan was not built".to_owned()) };
        let fed = built.fed.iter().filter_map(|&at| inputs.get(at)?.as_ref()).map(|i| i.value.tensor().clone());
        let fed = fed.map(TValue::from_const).collect();
        let results = guarded(|| built.state.run(fed));
        if results.is_err() {
            // A failed state may hold half of a turn.
            self.built.remove(0);
        }
        let mut results = results?.into_iter();
        let mut values = Vec::with_capacity(self.outputs);
        for name in &self.node.output {
            // Left out outputs are not in the plan; the caller reads no value there.
            let value = match (name.is_empty(), results.next()) {
                (true, _) => Value::from_vec(DType::Float32, &[0], Vec::<f32>::new())?,
                (false, Some(result)) => Value::of_tract(IntoArcTensor::into_arc_tensor(result))?,
                (false, None) => return Err("tract gave fewer results than the node has outputs".to_owned()),
            };
            values.push(value);
        }
        Ok(values)
    }

    /// The ONNX type of a result: f16 and bf16 nodes compute in f32 and round, narrow types pass through moves.
    fn typed(&self, inputs: Inputs<'_>, result: Value) -> Result<Value, KernelError> {
        let data = if self.op_type == "Where" { 1 } else { 0 };
        let carried = result.tensor().datum_type();
        let mut present = inputs.iter().skip(data).flatten().map(|input| input.value.dtype());
        let dtype = if carried == DatumType::F32 {
            present.find(|d| d.is_float() && *d != DType::Float64)
        } else {
            present.next().filter(|_| moves_only(&self.op_type))
        };
        match dtype {
            Some(dtype) if carrier(dtype)? == carried && dtype != result.dtype() => {
                let computes = !moves_only(&self.op_type) && !matches!(dtype, DType::Float16 | DType::Bfloat16);
                if computes { Ok(result) } else { result.retyped(dtype) }
            }
            _ => Ok(result),
        }
    }
}

impl Kernel for TractNode {
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        limits::check_inputs(&self.op_type, &self.node, inputs)?;
        // tract takes 2 to 3 times longer per image for convolutions of a batch than one by one.
        let batch = match (self.op_type.as_str(), inputs.first()) {
            ("Conv", Some(Some(x))) if !x.constant => x.value.shape().first().copied().unwrap_or(1),
            _ => 1,
        };
        let results = if batch > 1 { self.compute_each(inputs, batch)? } else { self.compute(inputs)? };
        results.into_iter().map(|result| self.typed(inputs, result)).collect()
    }
}

impl TractNode {
    /// Runs the node for every index of the first input's first axis and joins the results.
    fn compute_each(&mut self, inputs: Inputs<'_>, batch: usize) -> Result<Vec<Value>, KernelError> {
        let Some(Some(x)) = inputs.first() else { return self.compute(inputs) };
        let mut parts = Vec::with_capacity(batch);
        for index in 0..batch {
            let slice = x.value.tensor().slice(0, index, index + 1).map_err(|e| e.to_string())?;
            let mut single = inputs.to_vec();
            if let Some(first) = single.first_mut() {
                let value = Value::new(x.value.dtype(), Arc::new(slice))?;
                *first = Some(super::kernel::Input { value, constant: false });
            }
            parts.push(self.compute(&single)?.into_iter().next().ok_or("no result")?);
        }
        let tensors: Vec<&Tensor> = parts.iter().map(|p| p.tensor().as_ref()).collect();
        let joined = Tensor::stack_tensors(0, &tensors).map_err(|e| e.to_string())?;
        Ok(vec![Value::of_tract(Arc::new(joined))?])
    }
}

/// Runs tract code: its errors become words, and natively its panics do too. In wasm a panic ends the worker, which
/// is why everything known to panic is refused before.
fn guarded<T>(work: impl FnOnce() -> tract_onnx::prelude::TractResult<T>) -> Result<T, KernelError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            // The innermost cause says what is wrong; the outer ones repeat the node and print tensors.
            let mut words = error.root_cause().to_string();
            if let Some((cut, _)) = words.char_indices().nth(300) {
                words.truncate(cut);
            }
            Err(words)
        }
        Err(_) => Err("the computation failed inside the engine".to_owned()),
    }
}

/// The bodies of `If`, `Loop` and `Scan` run inside tract as a whole, so they may hold only what tract computes itself.
fn check_bodies(node: &NodeProto) -> Result<(), KernelError> {
    for graph in node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)) {
        for inner in &graph.node {
            let op_type = inner.op_type();
            let ours = op_type.contains("Quantize") || op_type.starts_with("QLinear") || op_type.ends_with("Integer");
            if ours || !inner.domain_name().is_empty() || !knows(op_type) {
                return Err(format!("its body holds {op_type}, which the engine does not run inside of a body"));
            }
            limits::check_attributes(inner)?;
            check_bodies(inner)?;
        }
        let typed = |t: &crate::onnx::proto::TensorProto| DType::from_onnx(t.data_type());
        let narrow = |d: DType| d.is_float() && !matches!(d, DType::Float32 | DType::Float64);
        if let Some(bad) = graph.initializer.iter().filter_map(typed).find(|&d| narrow(d) || d.bits().unwrap_or(0) < 8)
        {
            return Err(format!("its body holds a constant of type {bad}"));
        }
    }
    Ok(())
}

fn constant_proto(name: &str, value: &Value) -> Result<pb::TensorProto, KernelError> {
    use pb::tensor_proto::DataType;
    let data_type = match value.tensor().datum_type() {
        DatumType::Bool => DataType::Bool,
        DatumType::U8 => DataType::Uint8,
        DatumType::U16 => DataType::Uint16,
        DatumType::U32 => DataType::Uint32,
        DatumType::U64 => DataType::Uint64,
        DatumType::I8 => DataType::Int8,
        DatumType::I16 => DataType::Int16,
        DatumType::I32 => DataType::Int32,
        DatumType::I64 => DataType::Int64,
        DatumType::F32 => DataType::Float,
        DatumType::F64 => DataType::Double,
        other => return Err(format!("{other:?} cannot be a constant")),
    };
    let dims = value.shape().iter().map(|&d| d as i64).collect();
    let raw_data = value.tensor().as_bytes().to_vec();
    Ok(pb::TensorProto { name: name.to_owned(), dims, data_type: data_type as i32, raw_data, ..Default::default() })
}
