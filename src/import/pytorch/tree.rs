//! Names: every tensor by its path in the state dict or the module tree, every module by its own.

use super::packed;
use super::python::{Heap, ObjectId, Py};
use super::tensor::{Constant, TorchTensor};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// The tensors of a file with their names.
#[derive(Default)]
pub(super) struct Names {
    pub tensors: Vec<(String, Rc<Constant>)>,
    /// Names by the address of a tensor.
    pub by_address: HashMap<*const Constant, String>,
    pub modules: HashMap<ObjectId, String>,
}

impl Names {
    /// The tensors as plain data.
    pub fn tensors(&self) -> Vec<TorchTensor> {
        let tensor = |(name, constant): &(String, Rc<Constant>)| TorchTensor {
            name: name.clone(),
            dtype: constant.dtype.to_owned(),
            tensor: constant.tensor.clone(),
            quant: constant.quant.clone(),
        };
        self.tensors.iter().map(tensor).collect()
    }
}

/// Whether a value is a dict of tensors by name.
pub(super) fn is_state_dict(value: &Py) -> bool {
    let Py::Dict(pairs) = value else { return false };
    let pairs = pairs.borrow();
    pairs.iter().all(|(key, _)| key.as_text().is_some())
        && pairs.iter().any(|(_, value)| matches!(value, Py::Tensor(_)))
}

/// Whether a value is a model: an object with submodules, parameters or buffers, or one of TorchScript.
pub(super) fn is_module(heap: &Heap, value: &Py) -> bool {
    let Py::Object(object) = value else { return false };
    let object = heap.get(*object);
    object.class.starts_with("__torch__.") || object.get("_modules").is_some() || object.get("_parameters").is_some()
}

/// Names everything under a root. State dicts and models in a checkpoint count from themselves on, as
/// `load_state_dict` takes them; where two of them disagree, the later one's names begin with its key.
pub(super) fn name(heap: &Heap, root: &Py) -> Names {
    let mut groups: Vec<(String, Walk)> = Vec::new();
    let mut modules = HashMap::new();
    let mut add = |key: &str, start: &str, value: &Py| {
        let mut walk = Walk::new(heap);
        walk.value(value, start, 0);
        modules.extend(walk.modules.drain());
        groups.push((key.to_owned(), walk));
    };
    match root {
        Py::Dict(pairs) if !is_state_dict(root) => {
            for (key, value) in pairs.borrow().iter() {
                let key = key_text(key);
                let own = is_state_dict(value) || is_module(heap, value);
                add(&key, if own { "" } else { &key }, value);
            }
        }
        Py::Tensor(_) => add("", "tensor", root),
        _ => add("", "", root),
    }
    let mut names = Names { modules, ..Names::default() };
    let mut known: HashMap<String, Rc<Constant>> = HashMap::new();
    for (key, walk) in groups {
        for (name, constant) in walk.tensors {
            let name = match known.get(&name) {
                Some(other) if same(other, &constant) => {
                    names.by_address.insert(Rc::as_ptr(&constant), name);
                    continue;
                }
                Some(_) => format!("{key}.{name}"),
                None => name,
            };
            known.insert(name.clone(), constant.clone());
            names.by_address.entry(Rc::as_ptr(&constant)).or_insert_with(|| name.clone());
            names.tensors.push((name, constant));
        }
    }
    names
}

/// Whether two tensors are one, or equal.
fn same(left: &Rc<Constant>, right: &Rc<Constant>) -> bool {
    Rc::ptr_eq(left, right) || left == right
}

fn key_text(key: &Py) -> String {
    match key {
        Py::Text(text) => text.to_string(),
        Py::Int(number) => number.to_string(),
        other => other.describe(),
    }
}

/// Values inside of values.
const MAX_DEPTH: usize = 150;

struct Walk<'a> {
    heap: &'a Heap,
    tensors: Vec<(String, Rc<Constant>)>,
    modules: HashMap<ObjectId, String>,
    /// Lists and dicts that were walked, by address: shared ones once, cycles at all.
    seen: HashSet<*const ()>,
}

/// What PyTorch keeps the parts of a module in.
const TABLES: [&str; 3] = ["_parameters", "_buffers", "_modules"];

impl<'a> Walk<'a> {
    fn new(heap: &'a Heap) -> Self {
        Walk { heap, tensors: Vec::new(), modules: HashMap::new(), seen: HashSet::new() }
    }

    fn value(&mut self, value: &Py, path: &str, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        match value {
            Py::Tensor(constant) => self.tensors.push((path.to_owned(), constant.clone())),
            Py::Packed(_) => self.packed(value, path),
            Py::Object(object) => {
                if self.modules.contains_key(object) {
                    return;
                }
                self.modules.insert(*object, path.to_owned());
                if packed::of(self.heap, value).is_some() {
                    return self.packed(value, path);
                }
                let object = self.heap.get(*object);
                for (name, value) in &object.attributes {
                    let inside = if TABLES.contains(&name.as_ref()) { path.to_owned() } else { join(path, name) };
                    self.value(value, &inside, depth + 1);
                }
                for (position, value) in object.args.iter().chain(&object.state).enumerate() {
                    // fx's first argument is the dict that the attributes were taken from.
                    if !object.class.starts_with("torch.fx.") {
                        self.value(value, &join(path, &position.to_string()), depth + 1);
                    }
                }
            }
            Py::Dict(pairs) if self.seen.insert(Rc::as_ptr(pairs).cast()) => {
                for (key, value) in pairs.borrow().iter() {
                    self.value(value, &join(path, &key_text(key)), depth + 1);
                }
            }
            Py::List(items) if self.seen.insert(Rc::as_ptr(items).cast()) => {
                for (position, value) in items.borrow().iter().enumerate() {
                    self.value(value, &join(path, &position.to_string()), depth + 1);
                }
            }
            Py::Tuple(items) => {
                if !self.seen.insert(Rc::as_ptr(items).cast()) {
                    return;
                }
                // The state dict of a quantized linear layer: (weight, bias).
                if let (Some(layer), [Py::Tensor(_), Py::Tensor(_) | Py::None]) = (unpacked(path), items.as_slice()) {
                    self.value(&items[0], &join(layer, "weight"), depth + 1);
                    return self.value(&items[1], &join(layer, "bias"), depth + 1);
                }
                for (position, value) in items.iter().enumerate() {
                    self.value(value, &join(path, &position.to_string()), depth + 1);
                }
            }
            _ => {}
        }
    }

    fn packed(&mut self, value: &Py, path: &str) {
        let Some(packed) = packed::of(self.heap, value) else { return };
        let layer = unpacked(path).unwrap_or(path).to_owned();
        self.tensors.push((join(&layer, "weight"), packed.weight.clone()));
        self.tensors.extend(packed.bias.iter().map(|bias| (join(&layer, "bias"), bias.clone())));
    }
}

/// The layer whose packed parameters are at this path; `None` where none are.
fn unpacked(path: &str) -> Option<&str> {
    let mut layer = path;
    while let Some(rest) = layer.strip_suffix("_packed_params") {
        layer = rest.strip_suffix('.').unwrap_or(rest);
    }
    (layer.len() < path.len()).then_some(layer)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensor;

    fn tensor(value: f32) -> Py {
        Py::Tensor(Rc::new(Constant::plain(Tensor::from_vec(vec![1], vec![value]).unwrap())))
    }

    fn names_of(root: &Py) -> Vec<String> {
        name(&Heap::default(), root).tensors.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_checkpoint_counts_from_its_state_dicts_on() {
        let state = Py::dict(vec![(Py::text("conv.weight"), tensor(1.0))]);
        let other = Py::dict(vec![(Py::text("conv.weight"), tensor(2.0))]);
        let root = Py::dict(vec![
            (Py::text("epoch"), Py::Int(3)),
            (Py::text("state_dict"), state.clone()),
            (Py::text("copy"), state.clone()),
            (Py::text("ema"), other),
            (Py::text("optimizer"), Py::dict(vec![(Py::Int(0), Py::list(vec![tensor(3.0)]))])),
        ]);
        assert_eq!(names_of(&root), ["conv.weight", "ema.conv.weight", "optimizer.0.0"]);
        assert_eq!(names_of(&state), ["conv.weight"]);
    }

    #[test]
    fn packed_parameters_belong_to_their_layer() {
        let pair = Py::tuple(vec![tensor(1.0), Py::None]);
        let state = Py::dict(vec![(Py::text("fc._packed_params._packed_params"), pair), (Py::text("a"), tensor(0.0))]);
        assert_eq!(names_of(&state), ["fc.weight", "a"]);
        assert_eq!(unpacked("_packed_params"), Some(""));
        assert_eq!(unpacked("fc.weight"), None);
    }

    #[test]
    fn a_list_that_holds_itself_ends() {
        let list = Py::list(vec![tensor(1.0)]);
        if let Py::List(items) = &list {
            items.borrow_mut().push(list.clone());
        }
        assert_eq!(names_of(&list), ["0"]);
    }
}
