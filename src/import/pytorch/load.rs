//! A file's bytes to Python values.

use super::code::Code;
use super::container::Container;
use super::graph::Args;
use super::machine::Machine;
use super::python::{Heap, Loader, ObjectId, Py, SHAPE};
use super::storage::Storages;
use super::tree::{self, Names, is_module, is_state_dict};
use super::{TorchKind, legacy};
use crate::import::ImportError;
use crate::import::limits::Budget;
use crate::import::pickle::{self, Pickle};
use bytes::Bytes;
use std::collections::HashMap;

/// An input as a trace or a checkpoint tells it: PyTorch's element type and the dims.
pub(super) type InputHint = (String, Vec<Option<i64>>);

/// A file, read.
pub(super) struct Loaded {
    pub heap: Heap,
    pub root: Py,
    pub constants: Vec<Py>,
    pub code: Vec<(String, String)>,
    pub inputs: Vec<InputHint>,
    /// Whether `inputs` are those of a trace, whose sizes the code may have built in.
    pub traced: bool,
    pub kind: TorchKind,
    pub notes: Vec<String>,
}

/// Modules of Python whose functions a model file has no use for, and a malicious one has.
const DANGEROUS: [&str; 31] = [
    "os",
    "posix",
    "nt",
    "sys",
    "subprocess",
    "importlib",
    "shutil",
    "socket",
    "runpy",
    "pty",
    "commands",
    "ctypes",
    "webbrowser",
    "code",
    "codeop",
    "marshal",
    "pickle",
    "_pickle",
    "multiprocessing",
    "threading",
    "_thread",
    "asyncio",
    "http",
    "urllib",
    "urllib2",
    "requests",
    "httplib",
    "ftplib",
    "smtplib",
    "timeit",
    "pip",
];
/// Functions of `builtins` of that kind.
const DANGEROUS_BUILTINS: [&str; 11] =
    ["eval", "exec", "execfile", "compile", "open", "file", "input", "__import__", "breakpoint", "globals", "apply"];

/// Refuses a pickle that names what only an attack needs; gives the other names outside of PyTorch.
fn foreign(pickle: &Pickle, place: &str) -> Result<Vec<String>, ImportError> {
    let foreign = pickle.foreign_globals(&["torch", "numpy", "__torch__", "torchvision"]);
    let dangerous = |full: &String| {
        let (module, name) = full.rsplit_once('.').unwrap_or(("", full));
        let package = module.split('.').next().unwrap_or(module);
        match package {
            "builtins" | "__builtin__" => DANGEROUS_BUILTINS.contains(&name),
            package => DANGEROUS.contains(&package),
        }
    };
    let (dangerous, others): (Vec<String>, Vec<String>) = foreign.into_iter().partition(dangerous);
    if dangerous.is_empty() {
        return Ok(others);
    }
    Err(ImportError::unsupported(
        place.to_owned(),
        format!("a pickle that would call {}", dangerous.join(", ")),
        "tensors and modules",
        "Nothing of it was executed. Do not load this file with PyTorch: it runs code of its own. Ask its source for safetensors.",
    ))
}

/// Reads a file.
pub(super) fn load(bytes: &Bytes, budget: &mut Budget<'_>) -> Result<Loaded, ImportError> {
    if bytes.starts_with(b"PK") {
        return load_archive(bytes, budget);
    }
    let legacy::Legacy { pickle, storages } = legacy::read(bytes, budget.limits)?;
    let names = foreign(&pickle, "pickle")?;
    let mut heap = Heap::default();
    let mut loader = Loader::new(&pickle, &mut heap, Storages::Legacy(storages), budget);
    let root = loader.root()?;
    let unread = std::mem::take(&mut loader.unread);
    Ok(finish(heap, root, Vec::new(), Vec::new(), false, names, unread))
}

fn load_archive(bytes: &Bytes, budget: &mut Budget<'_>) -> Result<Loaded, ImportError> {
    let mut container = Container::open(bytes, budget)?;
    if !container.has("data.pkl") {
        let (found, advice) = if container.has("model.json") {
            ("a TorchScript archive from before PyTorch 1.4", "Load it with torch.jit.load and save it again.")
        } else if container.has("archive_format") || container.paths().iter().any(|path| path.ends_with("model.json")) {
            ("an exported program (.pt2)", "Save its state dict with torch.save, or export it with torch.onnx.export.")
        } else {
            ("an archive without data.pkl", "Save the model or its state dict with torch.save.")
        };
        return Err(ImportError::unsupported("zip directory", found, "a PyTorch archive with data.pkl", advice));
    }
    let big_endian = container.text("byteorder", budget)?.is_some_and(|order| order.trim() == "big");
    let is_code = |path: &String| path.starts_with("code/") && path.ends_with(".py");
    let mut code = Vec::new();
    for path in container.paths().into_iter().filter(is_code) {
        if let Some(text) = container.text(&path, budget)?.filter(|text| !text.trim().is_empty()) {
            code.push((path, text));
        }
    }
    let mut heap = Heap::default();
    let mut unread = Vec::new();
    let mut names = Vec::new();
    let mut part = |container: &mut Container, heap: &mut Heap, folder: &'static str, shapes_only: bool| {
        let path = format!("{folder}.pkl");
        let Some(content) = container.read(&path, budget)? else { return Ok(None) };
        let (pickle, _) = pickle::parse(&content, budget.limits.pickle_values)?;
        names.extend(foreign(&pickle, &path)?);
        let storages = Storages::Archive { container, folder, big_endian, shapes_only, read: HashMap::new() };
        let mut loader = Loader::new(&pickle, heap, storages, budget);
        let root = loader.root()?;
        unread.append(&mut loader.unread);
        Ok::<_, ImportError>(Some(root))
    };
    let script = container.has("constants.pkl");
    let root = part(&mut container, &mut heap, "data", false)?.unwrap_or(Py::None);
    let constants = match script {
        true => part(&mut container, &mut heap, "constants", false)?.and_then(|list| list.items()).unwrap_or_default(),
        false => Vec::new(),
    };
    let traced = match part(&mut container, &mut heap, "traced_inputs", true) {
        Ok(Some(traced)) => traced.entry("forward").and_then(|list| list.items()).unwrap_or_default(),
        // A help, not a part of the model.
        _ => Vec::new(),
    };
    let mut loaded = finish(heap, root, code, constants, script, names, unread);
    let inputs: Vec<InputHint> = traced.iter().filter_map(traced_input).collect();
    if !inputs.is_empty() && inputs.len() == traced.len() {
        loaded.inputs = inputs;
        loaded.traced = true;
    }
    Ok(loaded)
}

fn traced_input(value: &Py) -> Option<InputHint> {
    match value.items()?.as_slice() {
        [Py::Name(mark), Py::Text(kind), dims] if mark.as_ref() == SHAPE => {
            Some((kind.to_string(), dims.items()?.iter().map(Py::as_int).collect()))
        }
        _ => None,
    }
}

fn finish(
    heap: Heap,
    root: Py,
    mut code: Vec<(String, String)>,
    constants: Vec<Py>,
    script: bool,
    mut foreign: Vec<String>,
    unread: Vec<String>,
) -> Loaded {
    let mut notes = Vec::new();
    foreign.retain(|name| !name.starts_with("__builtin__.getattr") && !name.starts_with("builtins.getattr"));
    if !foreign.is_empty() {
        foreign.sort();
        foreign.dedup();
        let shown = foreign.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
        let more = if foreign.len() > 8 { format!(" and {} more", foreign.len() - 8) } else { String::new() };
        notes.push(format!("The file names code outside of PyTorch, and nothing of it was executed: {shown}{more}."));
    }
    for what in unread {
        let note = format!("Not read: {what}.");
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    let model = model_of(&heap, &root);
    let generated = model.and_then(|model| heap.get(model).get("_code").cloned());
    let is_graph_module = generated.is_some();
    if let Some(text) = generated.as_ref().and_then(Py::as_text) {
        code.push(("forward.py".to_owned(), text.trim().to_owned() + "\n"));
    }
    let kind = match (&root, model) {
        _ if script => TorchKind::TorchScript,
        (Py::Object(_), Some(_)) if is_graph_module => TorchKind::GraphModule,
        (Py::Object(_), Some(_)) => TorchKind::Module,
        _ if is_state_dict(&root) => TorchKind::StateDict,
        (Py::Dict(_), _) => TorchKind::Checkpoint,
        _ => TorchKind::Tensors,
    };
    let inputs = root.entry("input_shape").and_then(|shape| shape.items()).filter(|dims| !dims.is_empty());
    let inputs = inputs.map(|dims| ("float32".to_owned(), dims.iter().map(Py::as_int).collect()));
    let inputs = inputs.into_iter().collect();
    Loaded { heap, root, constants, code, inputs, traced: false, kind, notes }
}

/// The model in a file: the root, or the first module of a checkpoint.
pub(super) fn model_of(heap: &Heap, root: &Py) -> Option<ObjectId> {
    match root {
        Py::Object(object) if is_module(heap, root) => Some(*object),
        Py::Dict(pairs) => pairs.borrow().iter().find_map(|(_, value)| match value {
            Py::Object(object) if is_module(heap, value) => Some(*object),
            _ => None,
        }),
        _ => None,
    }
}

/// Lets the objects take their state as the code beside them says, and names every tensor.
pub(super) fn settle(loaded: &mut Loaded) -> Names {
    let code = Code::new(&loaded.code);
    let with_state = loaded.heap.with_state();
    let mut machine = Machine::new(&mut loaded.heap, code, loaded.constants.clone());
    for object in with_state {
        let Some(state) = machine.heap.get(object).state.clone() else { continue };
        // Where the code cannot be followed the tensors go by their place in the state.
        if let Ok(Some(_)) = machine.call_method(object, "__setstate__", Args::of(vec![state])) {
            machine.heap.get_mut(object).state = None;
        }
    }
    let mut names = tree::name(&loaded.heap, &loaded.root);
    // The constants of the code are tensors of the file too.
    for (position, constant) in loaded.constants.iter().enumerate() {
        if let Py::Tensor(tensor) = constant {
            let name = format!("CONSTANTS.c{position}");
            names.by_address.insert(std::rc::Rc::as_ptr(tensor), name.clone());
            names.tensors.push((name, tensor.clone()));
        }
        if let Some(packed) = super::packed::of(&loaded.heap, constant) {
            for (part, tensor) in [("weight", Some(packed.weight.clone())), ("bias", packed.bias.clone())] {
                if let Some(tensor) = tensor {
                    let name = format!("CONSTANTS.c{position}.{part}");
                    names.by_address.insert(std::rc::Rc::as_ptr(&tensor), name.clone());
                    names.tensors.push((name, tensor));
                }
            }
        }
    }
    names
}
