//! Python values: what a pickle holds, and what the code beside it computes with.

use super::contents::{Fixed, Items, Pairs};
use super::storage::{Storages, storage_ref};
use super::tensor::{Constant, Rebuilt, rebuild};
use crate::import::ImportError;
use crate::import::limits::Budget;
use crate::import::pickle::{self, Id, Object, Pickle, Value};
use std::collections::HashMap;
use std::rc::Rc;

/// An object on the [`Heap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ObjectId(usize);

/// A value of the graph that is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ValueId(pub usize);

/// One Python value.
#[derive(Clone, Debug)]
pub(super) enum Py {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    List(Rc<Items>),
    Tuple(Rc<Fixed>),
    Dict(Rc<Pairs>),
    /// A tensor of the file.
    Tensor(Rc<Constant>),
    Object(ObjectId),
    /// The weights of a quantized layer.
    Packed(Rc<Packed>),
    /// A tensor that the graph computes.
    Value(ValueId),
    /// A dim of a graph value that is not known yet, by axis.
    Size(ValueId, usize),
    /// All dims of a graph value whose rank is not known yet.
    Sizes(ValueId),
    /// A class, function or module by its dotted name.
    Name(Rc<str>),
    /// A method, not called yet.
    Method(Box<Py>, Rc<str>),
    /// Something that is not read, in words.
    Unknown(Rc<str>),
}

/// What `ops.quantized.conv2d_prepack` and its like keep.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    /// Dims that a convolution moves over; 0 for a linear layer.
    pub spatial: usize,
    pub weight: Rc<Constant>,
    pub bias: Option<Rc<Constant>>,
    pub stride: Vec<i64>,
    pub padding: Vec<i64>,
    pub dilation: Vec<i64>,
    pub output_padding: Vec<i64>,
    pub groups: i64,
    pub transposed: bool,
}

/// An instance of a class.
#[derive(Clone, Debug, Default)]
pub(super) struct PyObject {
    /// Its class by its dotted name.
    pub class: Rc<str>,
    /// Arguments that it was made with.
    pub args: Vec<Py>,
    /// Its attributes, in order.
    pub attributes: Vec<(Rc<str>, Py)>,
    /// A state that is no dict of attributes.
    pub state: Option<Py>,
}

impl PyObject {
    pub fn get(&self, name: &str) -> Option<&Py> {
        self.attributes.iter().rev().find(|(known, _)| known.as_ref() == name).map(|(_, value)| value)
    }

    pub fn set(&mut self, name: &str, value: Py) {
        match self.attributes.iter_mut().find(|(known, _)| known.as_ref() == name) {
            Some((_, old)) => *old = value,
            None => self.attributes.push((name.into(), value)),
        }
    }
}

/// All objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Heap {
    objects: Vec<PyObject>,
}

impl Heap {
    pub fn add(&mut self, object: PyObject) -> ObjectId {
        self.objects.push(object);
        ObjectId(self.objects.len() - 1)
    }

    pub fn get(&self, id: ObjectId) -> &PyObject {
        // Ids are made by `add` only.
        &self.objects[id.0]
    }

    pub fn get_mut(&mut self, id: ObjectId) -> &mut PyObject {
        &mut self.objects[id.0]
    }

    /// The objects whose state is no dict of attributes, in the file's order.
    pub fn with_state(&self) -> Vec<ObjectId> {
        let ids = self.objects.iter().enumerate().filter(|(_, object)| object.state.is_some());
        ids.map(|(position, _)| ObjectId(position)).collect()
    }

    /// An attribute of a module: an attribute proper, a parameter, a buffer or a submodule.
    pub fn attribute(&self, id: ObjectId, name: &str) -> Option<Py> {
        let object = self.get(id);
        if let Some(value) = object.get(name) {
            return Some(value.clone());
        }
        ["_parameters", "_buffers", "_modules"].iter().find_map(|table| object.get(table)?.entry(name))
    }
}

impl Py {
    pub fn text(text: &str) -> Py {
        Py::Text(text.into())
    }

    pub fn list(items: Vec<Py>) -> Py {
        Py::List(Items::new(items))
    }

    pub fn ints(items: &[i64]) -> Py {
        Py::list(items.iter().map(|&item| Py::Int(item)).collect())
    }

    pub fn tuple(items: Vec<Py>) -> Py {
        Py::Tuple(Fixed::new(items))
    }

    pub fn dict(pairs: Vec<(Py, Py)>) -> Py {
        Py::Dict(Pairs::new(pairs))
    }

    pub fn unknown(what: impl AsRef<str>) -> Py {
        Py::Unknown(what.as_ref().into())
    }

    /// The items of a list or tuple.
    pub fn items(&self) -> Option<Vec<Py>> {
        match self {
            Py::List(items) => Some(items.borrow().clone()),
            Py::Tuple(items) => Some(items.to_vec()),
            _ => None,
        }
    }

    /// How much a list, tuple, dict or text holds; 0 of anything else.
    pub fn length(&self) -> usize {
        match self {
            Py::List(items) => items.borrow().len(),
            Py::Tuple(items) => items.len(),
            Py::Dict(pairs) => pairs.borrow().len(),
            Py::Text(text) => text.len(),
            _ => 0,
        }
    }

    /// The value under a text key of a dict.
    pub fn entry(&self, key: &str) -> Option<Py> {
        let Py::Dict(pairs) = self else { return None };
        let pairs = pairs.borrow();
        pairs.iter().rev().find(|(known, _)| known.as_text() == Some(key)).map(|(_, value)| value.clone())
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Py::Text(text) => Some(text),
            _ => None,
        }
    }

    /// An int, also out of a tensor of one element.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Py::Int(value) => Some(*value),
            Py::Bool(value) => Some(i64::from(*value)),
            Py::Float(value) if value.fract() == 0.0 && value.abs() < 1e15 => Some(*value as i64),
            Py::Tensor(constant) if constant.tensor.len() == 1 && constant.tensor.dtype().is_int() => {
                constant.tensor.to_i64().ok()?.first().copied()
            }
            _ => None,
        }
    }

    /// A number, also out of a tensor of one element.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Py::Float(value) => Some(*value),
            Py::Tensor(constant) if constant.tensor.len() == 1 && constant.quant.is_none() => {
                constant.tensor.to_f64().ok()?.first().copied()
            }
            _ => self.as_int().map(|value| value as f64),
        }
    }

    pub fn is_none(&self) -> bool {
        matches!(self, Py::None)
    }

    /// What it is, for messages.
    pub fn describe(&self) -> String {
        match self {
            Py::None => "None".to_owned(),
            Py::Bool(value) => if *value { "True" } else { "False" }.to_owned(),
            Py::Int(value) => value.to_string(),
            Py::Float(value) => value.to_string(),
            Py::Text(text) => format!("'{}'", text.chars().take(40).collect::<String>()),
            Py::List(items) => format!("a list of {}", items.borrow().len()),
            Py::Tuple(items) => format!("a tuple of {}", items.len()),
            Py::Dict(pairs) => format!("a dict of {}", pairs.borrow().len()),
            Py::Tensor(constant) => format!("a constant {} tensor {:?}", constant.dtype, constant.tensor.shape()),
            Py::Object(_) => "a module".to_owned(),
            Py::Packed(_) => "packed weights".to_owned(),
            Py::Value(_) => "a computed tensor".to_owned(),
            Py::Size(..) => "a size that is not known before a run".to_owned(),
            Py::Sizes(_) => "the sizes of a tensor whose rank is not known".to_owned(),
            Py::Name(name) => format!("the name {name}"),
            Py::Method(_, name) => format!("the method {name}"),
            Py::Unknown(what) => what.to_string(),
        }
    }
}

/// Turns a pickle into Python values.
pub(super) struct Loader<'a, 'b, 'c> {
    pickle: &'a Pickle,
    heap: &'a mut Heap,
    storages: Storages<'b>,
    budget: &'a mut Budget<'c>,
    made: HashMap<Id, Py>,
    /// Tensors and other things that are not read, in words.
    pub unread: Vec<String>,
}

/// What stands for a tensor of which only type and shape were read: a tuple of this name, the type and the dims.
pub(super) const SHAPE: &str = "shape of a tensor";

/// Values inside of values; module trees are three levels per module.
const MAX_DEPTH: usize = 150;

impl<'a, 'b, 'c> Loader<'a, 'b, 'c> {
    pub fn new(pickle: &'a Pickle, heap: &'a mut Heap, storages: Storages<'b>, budget: &'a mut Budget<'c>) -> Self {
        Loader { pickle, heap, storages, budget, made: HashMap::new(), unread: Vec::new() }
    }

    /// The pickled value.
    pub fn root(&mut self) -> Result<Py, ImportError> {
        self.value(self.pickle.root(), 0)
    }

    fn value(&mut self, id: Id, depth: usize) -> Result<Py, ImportError> {
        if let Some(value) = self.made.get(&id) {
            return Ok(value.clone());
        }
        if depth > MAX_DEPTH {
            return Err(ImportError::LimitExceeded {
                place: "pickle".into(),
                what: "levels of values inside of each other".into(),
                found: depth as u64,
                limit: MAX_DEPTH as u64,
            });
        }
        let pickle = self.pickle;
        let value = match pickle.get(id) {
            Value::None => Py::None,
            Value::Bool(value) => Py::Bool(*value),
            Value::Int(value) => Py::Int(*value),
            Value::Long(_) => Py::unknown("an integer of more than 64 bits"),
            Value::Float(value) => Py::Float(*value),
            Value::Bytes(_) => Py::Text(pickle.text(id).unwrap_or_default().as_ref().into()),
            Value::Text(text) => Py::Text(text.as_str().into()),
            Value::List(items) => {
                let list = Py::list(Vec::new());
                // Remembered before its items: a list may hold itself.
                self.made.insert(id, list.clone());
                let items = self.values(items, depth)?;
                if let Py::List(list) = &list {
                    *list.borrow_mut() = items;
                }
                list
            }
            Value::Tuple(items) | Value::Set(items) => {
                self.made.insert(id, Py::unknown("a tuple that holds itself"));
                Py::tuple(self.values(items, depth)?)
            }
            Value::Dict(pairs) => self.dict(id, pairs, depth)?,
            Value::Global { module, name } => Py::Name(format!("{module}.{name}").into()),
            Value::Object(object) => self.object(id, object, depth)?,
            Value::Persistent(inner) => match storage_ref(pickle, id) {
                Some(_) => Py::unknown("a bare storage"),
                None => self.container(*inner, depth)?,
            },
        };
        self.made.insert(id, value.clone());
        Ok(value)
    }

    fn values(&mut self, items: &[Id], depth: usize) -> Result<Vec<Py>, ImportError> {
        items.iter().map(|&item| self.value(item, depth + 1)).collect()
    }

    fn dict(&mut self, id: Id, pairs: &[(Id, Id)], depth: usize) -> Result<Py, ImportError> {
        let dict = Py::dict(Vec::new());
        self.made.insert(id, dict.clone());
        let mut found = Vec::with_capacity(pairs.len());
        for &(key, value) in pairs {
            found.push((self.value(key, depth + 1)?, self.value(value, depth + 1)?));
        }
        if let Py::Dict(dict) = &dict {
            *dict.borrow_mut() = found;
        }
        Ok(dict)
    }

    /// Old files name the class of a module in a persistent id: `('module', class, file, source)`.
    fn container(&mut self, id: Id, depth: usize) -> Result<Py, ImportError> {
        match self.pickle.items(id) {
            Some([kind, class, ..]) if self.pickle.text(*kind).as_deref() == Some("module") => {
                self.value(*class, depth + 1)
            }
            _ => Ok(Py::unknown("a reference to something outside of the file")),
        }
    }

    fn object(&mut self, id: Id, object: &Object, depth: usize) -> Result<Py, ImportError> {
        let pickle = self.pickle;
        let args = pickle.items(object.args).unwrap_or_default();
        let call = pickle.call(id);
        if let Some(call) = call {
            match rebuild(pickle, call, &mut self.storages, self.budget)? {
                Rebuilt::Tensor(constant) => return Ok(Py::Tensor(Rc::new(*constant))),
                Rebuilt::Shape(shape, kind) => {
                    let shape = shape.iter().map(|&dim| Py::Int(dim as i64)).collect();
                    let kind = kind.map_or("float32", |kind| kind.name);
                    return Ok(Py::tuple(vec![Py::Name(SHAPE.into()), Py::text(kind), Py::tuple(shape)]));
                }
                Rebuilt::Same(inner) => {
                    self.made.insert(id, Py::unknown("a parameter that holds itself"));
                    return self.value(inner, depth + 1);
                }
                Rebuilt::Other(Some(what)) => {
                    self.unread.push(what.clone());
                    return Ok(Py::unknown(what));
                }
                Rebuilt::Other(None) => {}
            }
        }
        match call {
            Some(("collections", "OrderedDict" | "defaultdict" | "Counter", _)) => {
                return self.dict(id, &object.pairs, depth);
            }
            Some(("torch", "Size", _)) | Some(("torch.jit._pickle", _, _)) if !args.is_empty() => {
                self.made.insert(id, Py::unknown("a list that holds itself"));
                return self.value(args[0], depth + 1);
            }
            Some(("__builtin__" | "builtins", "getattr", _)) => {
                if let [owner, name] = args
                    && let (Py::Name(owner), Some(name)) = (self.value(*owner, depth + 1)?, pickle.text(*name))
                {
                    return Ok(Py::Name(format!("{owner}.{name}").into()));
                }
                return Ok(Py::unknown("an attribute of something"));
            }
            Some((module, _, _)) if module.starts_with("numpy") => {
                if let Ok(tensor) = pickle::array(pickle, id, "numpy array") {
                    return Ok(Py::Tensor(Rc::new(Constant::plain(tensor))));
                }
                if let Some(value) = pickle::integer(pickle, id) {
                    return Ok(Py::Int(value));
                }
            }
            _ => {}
        }
        self.instance(id, object, depth)
    }

    fn instance(&mut self, id: Id, object: &Object, depth: usize) -> Result<Py, ImportError> {
        let mut class = self.value(object.callable, depth + 1)?;
        let mut args = self.pickle.items(object.args).unwrap_or_default();
        // copyreg._reconstructor(class, base, state) and __newobj__(class) make the class they are given.
        if let (Py::Name(name), Some((&first, rest))) = (&class, args.split_first())
            && matches!(name.as_ref(), "copyreg._reconstructor" | "copy_reg._reconstructor" | "copyreg.__newobj__")
        {
            class = self.value(first, depth + 1)?;
            args = rest;
        }
        let name: Rc<str> = match class {
            Py::Name(name) => name,
            other => other.describe().into(),
        };
        let this = self.heap.add(PyObject { class: name, ..PyObject::default() });
        self.made.insert(id, Py::Object(this));
        let args = self.values(args, depth)?;
        let state = object.state.map(|state| self.value(state, depth + 1)).transpose()?;
        let mut attributes = Vec::new();
        let mut odd_state = None;
        for part in state.into_iter().flat_map(|state| match state {
            // (__dict__, __slots__)
            Py::Tuple(parts) if matches!(parts.as_slice(), [Py::None | Py::Dict(_), Py::Dict(_)]) => parts.to_vec(),
            state => vec![state],
        }) {
            match part {
                Py::Dict(pairs) => {
                    let named = |(key, value): &(Py, Py)| Some((Rc::from(key.as_text()?), value.clone()));
                    attributes.extend(pairs.borrow().iter().filter_map(named));
                }
                Py::None => {}
                other => odd_state = Some(other),
            }
        }
        if !object.pairs.is_empty() {
            let pairs = self.dict(id, &object.pairs, depth)?;
            attributes.push(("items".into(), pairs));
        }
        if !object.items.is_empty() {
            let items = self.values(&object.items, depth)?;
            attributes.push(("items".into(), Py::list(items)));
        }
        self.made.insert(id, Py::Object(this));
        // fx rebuilds a GraphModule from a dict of its attributes, its first argument.
        if self.heap.get(this).class.starts_with("torch.fx.graph_module.reduce_")
            && let Some(Py::Dict(pairs)) = args.first()
        {
            let named = |(key, value): &(Py, Py)| Some((Rc::from(key.as_text()?), value.clone()));
            attributes.extend(pairs.borrow().iter().filter_map(named));
        }
        let made = self.heap.get_mut(this);
        made.args = args;
        made.attributes = attributes;
        made.state = odd_state;
        Ok(Py::Object(this))
    }
}
