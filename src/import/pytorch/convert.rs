//! A model's code to an ONNX document.

use super::TorchOptions;
use super::code::Code;
use super::dtype::TorchType;
use super::graph::{Args, Graph, Made, Refusal};
use super::load::{Loaded, model_of};
use super::machine::{Machine, open_dims};
use super::modules;
use super::python::{ObjectId, Py, ValueId};
use super::tree::Names;
use crate::import::Converted;
use crate::onnx::Dim;
use crate::tensor::DType;
use std::collections::HashSet;

/// Converts the model of a file; the error is a note that says why not, or nothing where there is no model.
pub(super) fn convert(
    mut loaded: Loaded,
    names: &Names,
    name: &str,
    options: &TorchOptions,
) -> Result<Converted, Option<String>> {
    let model = model_of(&loaded.heap, &loaded.root).ok_or(None)?;
    let class = loaded.heap.get(model).class.clone();
    let code = Code::new(&loaded.code);
    let mut machine = Machine::new(&mut loaded.heap, code, loaded.constants.clone());
    machine.paths = names.modules.clone();
    let mut graph = Graph::new(stem(name), options.opset, names.by_address.clone());
    if loaded.traced {
        graph.traced_batch = loaded.inputs.first().and_then(|(_, dims)| usize::try_from((*dims.first()?)?).ok());
    }
    machine.graph = Some(graph);
    let refused = |Refusal(why): Refusal| {
        Some(format!("The graph of {class} is not converted, only its weights are shown: {why}."))
    };
    if !machine.has_code(model).map_err(refused)? && !modules::knows(&class) {
        return Err(Some(format!(
            "The class {class} is named in the file, its code is not: only its weights are shown. torch.jit.trace or \
             torch.jit.script saves both."
        )));
    }
    run(&mut machine, model, &loaded.inputs).map_err(refused)?;
    let layer_of = std::mem::take(&mut machine.layers);
    let Some(graph) = machine.graph.take() else { return Err(None) };
    let (mut notes, unsupported) = (graph.notes, graph.unsupported);
    let document = graph.builder.finish().map_err(|error| refused(error.into()))?;
    notes.extend(document.issues().iter().map(|issue| format!("The converted model: {issue}.")));
    Ok(Converted { document, notes, unsupported, layer_of, source_tensors: Vec::new() })
}

/// The file's name without its extension.
fn stem(name: &str) -> &str {
    let base = name.rsplit('/').next().unwrap_or(name);
    base.rsplit_once('.').map_or(base, |(stem, _)| if stem.is_empty() { base } else { stem })
}

fn run(machine: &mut Machine<'_>, model: ObjectId, hints: &[(String, Vec<Option<i64>>)]) -> Made<()> {
    let parameters = machine.inputs_of(model)?;
    let mut inputs = Vec::new();
    for (position, name) in parameters.iter().enumerate() {
        let hint = hints.get(position).filter(|_| hints.len() == parameters.len());
        let dtype = hint.and_then(|(kind, _)| TorchType::of_name(kind)).map_or(DType::Float32, |kind| kind.dtype);
        let shape: Option<Vec<Dim>> = hint.map(|(_, dims)| open_dims(dims));
        let Some(graph) = &mut machine.graph else { return Err(Refusal::new("no graph")) };
        inputs.push(Py::Value(graph.input(name, dtype, shape)));
    }
    let made = machine.call_module(model, Args::of(inputs))?;
    let mut outputs = Vec::new();
    flatten(&made, "output", &mut outputs, 0);
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
    graph.settle_inputs();
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

/// The tensors that a model gives, out of tuples, lists and dicts.
fn flatten(value: &Py, wish: &str, found: &mut Vec<(String, Py)>, depth: usize) {
    match value {
        Py::Value(_) | Py::Tensor(_) => found.push((wish.to_owned(), value.clone())),
        Py::Dict(pairs) if depth < 8 => {
            for (key, value) in pairs.borrow().iter() {
                flatten(value, key.as_text().unwrap_or(wish), found, depth + 1);
            }
        }
        other if depth < 8 => {
            other.items().unwrap_or_default().iter().for_each(|item| flatten(item, wish, found, depth + 1));
        }
        _ => {}
    }
}
