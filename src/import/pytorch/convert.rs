//! A model's code to an ONNX document.

use super::TorchOptions;
use super::code::Code;
use super::dtype::TorchType;
use super::graph::{Args, Graph, MATRIX, Made, Refusal, Settled};
use super::load::{InputHint, Loaded, model_of};
use super::machine::{Machine, open_dims};
use super::modules;
use super::python::{ObjectId, Py, ValueId};
use super::tree::Names;
use crate::import::{Converted, InputShape};
use crate::onnx::proto::ValueInfoProto;
use crate::onnx::{Dim, Document, Facts, declared_fact, value_info};
use crate::tensor::DType;
use std::collections::HashSet;

/// Why a file's model is not converted: a note, or nothing where there is no model.
type Stop = Option<String>;

/// Converts the model of a file; the error is a note that says why not, or nothing where there is no model.
///
/// The user's shape of the first input goes before what the file tells. Where neither tells the shapes of the inputs, a
/// first pass finds out what it can about them from what reads them, and a second one has them from the start.
pub(super) fn convert(loaded: Loaded, names: &Names, name: &str, options: &TorchOptions) -> Result<Converted, Stop> {
    let given = options.input_shape.as_ref().map(InputShape::dims);
    let mut told: Vec<Settled> = loaded.inputs.iter().map(hint).collect();
    set_first(&mut told, given.as_deref());
    let first = pass(&loaded, names, name, options, &told);
    if first.inputs.is_empty() || first.inputs.len() == told.len() {
        return first.made;
    }
    let mut learned: Vec<Settled> = first.inputs.into_iter().map(open_batch).collect();
    if given.is_some() {
        set_first(&mut learned, given.as_deref());
        return pass(&loaded, names, name, options, &learned).made;
    }
    let guessed = first.guesses.iter().any(|note| note == MATRIX);
    let mut stopped = None;
    // What was taken for rows may have axes between the batch and the features: lists of them, maps.
    for more in 0..=if guessed { 2 } else { 0 } {
        let inputs: Vec<Settled> = learned.iter().map(|input| with_axes(input, more)).collect();
        match pass(&loaded, names, name, options, &inputs).made {
            Ok(made) if first.made.as_ref().is_ok_and(|first| first.unsupported.len() < made.unsupported.len()) => {}
            Ok(mut made) => {
                let note = format!("Its inputs are taken for tensors of {} axes: the file does not tell.", 2 + more);
                let notes = if more > 0 { vec![note] } else { first.guesses };
                made.notes.splice(0..0, notes);
                return Ok(made);
            }
            Err(why) => stopped = stopped.or(why),
        }
    }
    first.made.map_err(|_| stopped)
}

/// The first input has the shape that the user gives.
fn set_first(inputs: &mut [Settled], given: Option<&[Dim]>) {
    if let (Some(first), Some(shape)) = (inputs.first_mut(), given) {
        *first = open_batch(Settled { dtype: first.dtype, shape: shape.to_vec() });
    }
}

/// An input of rows with so many more axes between its first and its last one.
fn with_axes(input: &Settled, more: usize) -> Settled {
    let mut shape = input.shape.clone();
    if shape.len() == 2 {
        shape.splice(1..1, vec![Dim::Unknown; more]);
    }
    Settled { dtype: input.dtype, shape }
}

/// An input as the file tells it.
fn hint((kind, dims): &InputHint) -> Settled {
    Settled { dtype: TorchType::of_name(kind).map_or(DType::Float32, |kind| kind.dtype), shape: open_dims(dims) }
}

/// The first axis of what has more is the batch.
fn open_batch(mut settled: Settled) -> Settled {
    if let [first @ Dim::Unknown, _, ..] = settled.shape.as_mut_slice() {
        *first = Dim::Symbol("N".to_owned());
    }
    settled
}

/// What one pass over the code gives.
struct Pass {
    made: Result<Converted, Stop>,
    /// The inputs, as far as the code was followed; none where it was not.
    inputs: Vec<Settled>,
    /// What was said about inputs that nothing tells of.
    guesses: Vec<String>,
}

impl Pass {
    fn stopped(why: Stop) -> Self {
        Pass { made: Err(why), inputs: Vec::new(), guesses: Vec::new() }
    }
}

/// Follows the code with inputs of these shapes; where their number is not that of the parameters, of none.
fn pass(loaded: &Loaded, names: &Names, name: &str, options: &TorchOptions, inputs: &[Settled]) -> Pass {
    // What the code sets on its objects is of this pass alone.
    let mut heap = loaded.heap.clone();
    let Some(model) = model_of(&heap, &loaded.root) else { return Pass::stopped(None) };
    let class = heap.get(model).class.clone();
    let mut machine = Machine::new(&mut heap, Code::new(&loaded.code), loaded.constants.clone());
    machine.paths = names.modules.clone();
    let mut graph = Graph::new(stem(name), options.opset, names.by_address.clone());
    if loaded.traced {
        graph.traced_batch = loaded.inputs.first().and_then(|(_, dims)| usize::try_from((*dims.first()?)?).ok());
    }
    machine.graph = Some(graph);
    let refused = |Refusal(why): Refusal| {
        Some(format!("The graph of {class} is not converted, only its weights are shown: {why}."))
    };
    match machine.has_code(model) {
        Err(why) => return Pass::stopped(refused(why)),
        Ok(false) if !modules::knows(&class) => {
            return Pass::stopped(Some(format!(
                "The class {class} is named in the file, its code is not: only its weights are shown. torch.jit.trace or \
                 torch.jit.script saves both."
            )));
        }
        Ok(_) => {}
    }
    let ran = run(&mut machine, model, inputs);
    let layer_of = std::mem::take(&mut machine.layers);
    let Some(mut graph) = machine.graph.take() else { return Pass::stopped(None) };
    let said = graph.notes.len();
    let inputs = graph.settle_inputs();
    let told = graph.notes.iter().enumerate().filter(|(at, note)| *at >= said || *note == MATRIX);
    let guesses = told.map(|(_, note)| note.clone()).collect();
    let finish = |ran: Made<()>| -> Made<Converted> {
        ran?;
        let (mut notes, unsupported) = (graph.notes, graph.unsupported);
        let document = ranked(graph.builder.finish()?)?;
        notes.extend(document.issues().iter().map(|issue| format!("The converted model: {issue}.")));
        Ok(Converted { document, notes, unsupported, layer_of, source_tensors: Vec::new() })
    };
    Pass { made: finish(ran).map_err(refused), inputs, guesses }
}

/// Outputs whose rank was lost on the way have it from the document's own rules: the format wants one.
fn ranked(document: Document) -> Made<Document> {
    let open = |port: &ValueInfoProto| declared_fact(port).shape.is_none();
    if !document.graph().output.iter().any(open) {
        return Ok(document);
    }
    let facts = Facts::of(&document);
    Ok(document.edit(|proto| {
        for port in proto.graph.iter_mut().flat_map(|graph| &mut graph.output).filter(|port| open(port)) {
            if let (Some(dtype), Some(shape)) = (declared_fact(port).dtype, facts.shape(port.name())) {
                *port = value_info(port.name(), dtype, Some(shape));
            }
        }
    })?)
}

/// The file's name without its extension.
fn stem(name: &str) -> &str {
    let base = name.rsplit('/').next().unwrap_or(name);
    base.rsplit_once('.').map_or(base, |(stem, _)| if stem.is_empty() { base } else { stem })
}

fn run(machine: &mut Machine<'_>, model: ObjectId, given: &[Settled]) -> Made<()> {
    let parameters = machine.inputs_of(model)?;
    let mut inputs = Vec::new();
    for (position, name) in parameters.iter().enumerate() {
        let given = given.get(position).filter(|_| given.len() == parameters.len());
        let dtype = given.map_or(DType::Float32, |given| given.dtype);
        let shape = given.map(|given| given.shape.clone());
        let Some(graph) = &mut machine.graph else { return Err(Refusal::new("no graph")) };
        inputs.push(Py::Value(graph.input(name, dtype, shape)));
    }
    let made = machine.call_module(model, Args::of(inputs))?;
    let mut outputs = Vec::new();
    flatten(&made, "output", &mut outputs)?;
    let Some(graph) = &mut machine.graph else { return Err(Refusal::new("no graph")) };
    if outputs.is_empty() {
        return Err(Refusal::new(format!("it gives {}, no tensor", made.describe())));
    }
    let mut taken: HashSet<String> = graph.builder.graph().input.iter().map(|input| input.name().to_owned()).collect();
    taken.extend(graph.builder.graph().initializer.iter().map(|tensor| tensor.name().to_owned()));
    for (wish, value) in outputs {
        let id = graph.operand(&value)?;
        output(graph, id, &wish, &mut taken);
    }
    Ok(())
}

fn output(graph: &mut Graph, id: ValueId, wish: &str, taken: &mut HashSet<String>) {
    let id = graph.current(id);
    let mut name = graph.real(id);
    if !taken.insert(name.clone()) {
        name = graph.builder.node("Identity", &[&name], wish, &[]);
    }
    let (dtype, mut shape) = (graph.value(id).dtype, graph.value(id).shape.clone());
    if shape.is_none() && !graph.unsupported.is_empty() {
        let rank = graph.first_rank();
        // Behind an operator that is not known. The format wants a number of axes.
        let note = format!(
            "The shape of output '{name}' is not known: it is written with {rank} open axes, as the input has."
        );
        graph.notes.push(note);
        shape = Some(vec![Dim::Unknown; rank]);
    }
    graph.builder.output(&name, dtype, shape.as_deref());
}

/// Values that a model gives, tensors and the lists around them.
const MAX_OUTPUTS: usize = 10_000;

/// The tensors that a model gives, out of tuples, lists and dicts.
fn flatten(made: &Py, wish: &str, found: &mut Vec<(String, Py)>) -> Made<()> {
    let mut left = vec![(made.clone(), wish.to_owned(), 0usize)];
    let mut seen = 0usize;
    while let Some((value, wish, depth)) = left.pop() {
        seen = seen.saturating_add(1).saturating_add(value.length());
        if seen > MAX_OUTPUTS {
            return Err(Refusal::new(format!("it gives more than {MAX_OUTPUTS} values")));
        }
        match &value {
            Py::Value(_) | Py::Tensor(_) => found.push((wish, value)),
            Py::Dict(pairs) if depth < 8 => {
                let pairs = pairs.borrow();
                left.extend(
                    pairs
                        .iter()
                        .rev()
                        .map(|(key, value)| (value.clone(), key.as_text().unwrap_or(&wish).to_owned(), depth + 1)),
                );
            }
            other if depth < 8 => {
                let items = other.items().unwrap_or_default();
                left.extend(items.into_iter().rev().map(|item| (item, wish.clone(), depth + 1)));
            }
            _ => {}
        }
    }
    Ok(())
}
