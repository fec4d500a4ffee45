//! What a pickle holds.

use bytes::Bytes;
use std::borrow::Cow;

/// A value of a [`Pickle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(pub(super) u32);

/// One Python value; parts are named by their [`Id`].
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None`.
    None,
    /// `True`, `False`.
    Bool(bool),
    /// An int that fits.
    Int(i64),
    /// A larger int: little-endian two's complement.
    Long(Bytes),
    /// A float.
    Float(f64),
    /// `bytes`, `bytearray` and Python 2's `str`.
    Bytes(Bytes),
    /// `str`.
    Text(String),
    /// A list.
    List(Vec<Id>),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A set or frozenset.
    Set(Vec<Id>),
    /// A dict, in order, with duplicates if the pickle sets a key twice (the last counts).
    Dict(Vec<(Id, Id)>),
    /// A class or function by name.
    Global {
        /// Python module.
        module: String,
        /// Qualified name in it.
        name: String,
    },
    /// The result of a call that was not made.
    Object(Box<Object>),
    /// An object that is stored elsewhere (`persistent_load`), by its id.
    Persistent(Id),
}

/// What a pickle would have called, and what it would have done with the result.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// What is called: a [`Value::Global`] in honest files.
    pub callable: Id,
    /// Positional arguments: a [`Value::Tuple`].
    pub args: Id,
    /// Keyword arguments of `NEWOBJ_EX`.
    pub kwargs: Option<Id>,
    /// The argument of `BUILD` (`__setstate__`).
    pub state: Option<Id>,
    /// What was appended to it.
    pub items: Vec<Id>,
    /// What was set in it: an `OrderedDict`'s content for instance.
    pub pairs: Vec<(Id, Id)>,
}

/// A parsed pickle.
#[derive(Clone, Debug)]
pub struct Pickle {
    pub(super) values: Vec<Value>,
    pub(super) root: Id,
}

impl Pickle {
    /// The pickled object.
    pub fn root(&self) -> Id {
        self.root
    }

    /// A value.
    pub fn get(&self, id: Id) -> &Value {
        // Ids are made by the machine, for values it has pushed.
        self.values.get(id.0 as usize).unwrap_or(&Value::None)
    }

    /// Every value in the order the pickle made them.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.values.iter()
    }

    /// Module and name of a global.
    pub fn global(&self, id: Id) -> Option<(&str, &str)> {
        match self.get(id) {
            Value::Global { module, name } => Some((module, name)),
            _ => None,
        }
    }

    /// Module and name of what an object would be made by, with the object.
    pub fn call(&self, id: Id) -> Option<(&str, &str, &Object)> {
        match self.get(id) {
            Value::Object(object) => self.global(object.callable).map(|(module, name)| (module, name, object.as_ref())),
            _ => None,
        }
    }

    /// The items of a list or tuple.
    pub fn items(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::List(items) | Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The pairs of a dict or of a dict-like object (`OrderedDict`, `defaultdict`).
    pub fn pairs(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Value::Dict(pairs) => Some(pairs),
            Value::Object(object) if !object.pairs.is_empty() => Some(&object.pairs),
            Value::Object(_) => self.call(id).filter(|call| call.1 == "OrderedDict").map(|_| [].as_slice()),
            _ => None,
        }
    }

    /// The value under a text key; Python 2 wrote such keys as bytes.
    pub fn entry(&self, dict: Id, key: &str) -> Option<Id> {
        let is_key = |id: Id| self.text(id).is_some_and(|text| text == key);
        self.pairs(dict)?.iter().rev().find(|(id, _)| is_key(*id)).map(|&(_, value)| value)
    }

    /// Text; bytes are taken as Latin-1, as Python 2 files need.
    pub fn text(&self, id: Id) -> Option<Cow<'_, str>> {
        match self.get(id) {
            Value::Text(text) => Some(Cow::Borrowed(text)),
            Value::Bytes(bytes) => Some(latin1_text(bytes)),
            _ => self.bytes(id).map(|bytes| Cow::Owned(latin1_text(&bytes).into_owned())),
        }
    }

    /// Bytes: as such, or in the two ways Python 3 writes them at protocol 2 (`_codecs.encode(text, 'latin1')`, `bytes()`).
    pub fn bytes(&self, id: Id) -> Option<Bytes> {
        match self.get(id) {
            Value::Bytes(bytes) => Some(bytes.clone()),
            Value::Object(_) => {
                let (module, name, object) = self.call(id)?;
                let args = self.items(object.args)?;
                match (module, name, args) {
                    ("_codecs", "encode", [text, codec]) => match (self.get(*text), self.get(*codec)) {
                        (Value::Text(text), Value::Text(codec)) if matches!(codec.as_str(), "latin1" | "latin-1") => {
                            text.chars()
                                .map(|c| u8::try_from(u32::from(c)).ok())
                                .collect::<Option<Vec<u8>>>()
                                .map(Bytes::from)
                        }
                        _ => None,
                    },
                    ("__builtin__" | "builtins", "bytes" | "bytearray", []) => Some(Bytes::new()),
                    ("__builtin__" | "builtins", "bytearray", [content]) => match self.get(*content) {
                        Value::Bytes(bytes) => Some(bytes.clone()),
                        _ => None,
                    },
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// An int that fits; booleans count as 0 and 1, as in Python.
    pub fn int(&self, id: Id) -> Option<i64> {
        match self.get(id) {
            Value::Int(value) => Some(*value),
            Value::Bool(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    /// The `module.name` of every global that plain data has no use for, such as `posix.system`: what a malicious
    /// pickle would call. `known` are the module prefixes that the caller's format uses.
    pub fn foreign_globals(&self, known: &[&str]) -> Vec<String> {
        let mut foreign = Vec::new();
        for value in &self.values {
            let Value::Global { module, name } = value else { continue };
            let in_package =
                |package: &&str| module.strip_prefix(*package).is_some_and(|r| r.is_empty() || r.starts_with('.'));
            if is_harmless(module, name) || known.iter().any(in_package) {
                continue;
            }
            let full = format!("{module}.{name}");
            if !foreign.contains(&full) {
                foreign.push(full);
            }
        }
        foreign
    }

    /// What a value is, in a few words, for messages.
    pub fn describe(&self, id: Id) -> String {
        match self.get(id) {
            Value::None => "None".to_owned(),
            Value::Bool(_) => "a boolean".to_owned(),
            Value::Int(_) | Value::Long(_) => "an integer".to_owned(),
            Value::Float(_) => "a float".to_owned(),
            Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Value::Text(_) => "a string".to_owned(),
            Value::List(items) => format!("a list of {}", items.len()),
            Value::Tuple(items) => format!("a tuple of {}", items.len()),
            Value::Set(items) => format!("a set of {}", items.len()),
            Value::Dict(pairs) => {
                let keys = pairs.iter().filter_map(|&(key, _)| self.text(key)).take(5);
                let keys = keys.map(|key| key.chars().take(20).collect()).collect::<Vec<String>>().join(", ");
                if keys.is_empty() { format!("a dict of {}", pairs.len()) } else { format!("a dict with {keys}") }
            }
            Value::Global { module, name } => format!("the name {module}.{name}"),
            Value::Object(object) => match self.global(object.callable) {
                Some((module, name)) => format!("an object of {module}.{name}"),
                None => "an object".to_owned(),
            },
            Value::Persistent(_) => "a reference to other storage".to_owned(),
        }
    }
}

/// What plain Python data may name.
fn is_harmless(module: &str, name: &str) -> bool {
    match module {
        "__builtin__" | "builtins" => {
            matches!(
                name,
                "bytes"
                    | "bytearray"
                    | "complex"
                    | "set"
                    | "frozenset"
                    | "dict"
                    | "list"
                    | "tuple"
                    | "int"
                    | "long"
                    | "float"
                    | "bool"
                    | "str"
                    | "unicode"
                    | "object"
                    | "slice"
                    | "range"
            )
        }
        "_codecs" => name == "encode",
        "collections" => matches!(name, "OrderedDict" | "defaultdict"),
        "copy_reg" | "copyreg" => name == "_reconstructor",
        _ => false,
    }
}

fn latin1_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}
