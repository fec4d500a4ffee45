//! Follows the code of a model with values that are known, and tensors that a graph is written for.
//!
//! Python itself is never run: what is understood is the part that TorchScript and fx write, each operation either
//! computed here (numbers, lists, text) or made a node. What a branch or loop depends on has to be known.

use super::code::Code;
use super::graph::{Args, Graph, Made, Refusal};
use super::python::{Heap, ObjectId, Py};
use super::script::{Expr, Function, Statement, parse};
use super::{builtins, modules};
use crate::import::LayerValues;
use crate::onnx::Dim;
use std::collections::HashMap;
use std::rc::Rc;

/// Expressions, statements and elements of lists and texts that one file may take: loops end, and lists stay small.
const MAX_STEPS: usize = 2_000_000;
/// Expressions inside of expressions, over all calls.
const MAX_LEVELS: usize = 300;
/// Letters of a dotted name.
pub(super) const MAX_NAME: usize = 1000;
/// Calls inside of calls.
const MAX_CALLS: usize = 48;

/// What a block of statements comes to.
enum Flow {
    Next,
    Break,
    Continue,
    Return(Py),
}

type Names = HashMap<Rc<str>, Py>;

/// Runs the code of one file.
pub(super) struct Machine<'a> {
    pub heap: &'a mut Heap,
    pub code: Code,
    /// What `CONSTANTS.c0` and its like mean.
    pub constants: Vec<Py>,
    /// The graph that is written; `None` while objects are only put together.
    pub graph: Option<Graph>,
    /// Where objects are in the module tree.
    pub paths: HashMap<ObjectId, String>,
    /// The values of each layer, in the order of its calls.
    pub layers: Vec<LayerValues>,
    generated: HashMap<ObjectId, Rc<Function>>,
    steps: usize,
    calls: usize,
    levels: usize,
}

impl<'a> Machine<'a> {
    pub fn new(heap: &'a mut Heap, code: Code, constants: Vec<Py>) -> Self {
        Machine {
            heap,
            code,
            constants,
            graph: None,
            paths: HashMap::new(),
            layers: Vec::new(),
            generated: HashMap::new(),
            steps: 0,
            calls: 0,
            levels: 0,
        }
    }

    /// The parameters of a model's `forward` that have no default, without `self`.
    pub fn inputs_of(&mut self, model: ObjectId) -> Made<Vec<String>> {
        let Some(function) = self.forward_of(model)? else { return Ok(vec!["input".to_owned()]) };
        let parameters = function.parameters.iter().skip(1).filter(|(_, default)| default.is_none());
        Ok(parameters.map(|(name, _)| name.to_string()).collect())
    }

    /// Whether the file has the code of a module.
    pub fn has_code(&mut self, module: ObjectId) -> Made<bool> {
        self.forward_of(module).map(|forward| forward.is_some())
    }

    /// The `forward` of a module: TorchScript's, or the one fx generated. `None` where there is no code.
    fn forward_of(&mut self, module: ObjectId) -> Made<Option<Rc<Function>>> {
        let class = self.heap.get(module).class.clone();
        if let Some(found) = self.code.method(&class, "forward") {
            return found.map(Some).map_err(Refusal::new);
        }
        if let Some(found) = self.generated.get(&module) {
            return Ok(Some(found.clone()));
        }
        let text = self.heap.get(module).get("_code").cloned();
        let Some(text) = text.as_ref().and_then(Py::as_text) else { return Ok(None) };
        let source =
            parse(text).map_err(|(line, what)| Refusal::new(format!("the generated code, line {line}: {what}")))?;
        let forward = source.functions.into_iter().find(|function| function.name.as_ref() == "forward");
        let forward = forward.ok_or_else(|| Refusal::new("the generated code has no forward"))?;
        self.generated.insert(module, forward.clone());
        Ok(Some(forward))
    }

    /// Calls a module.
    pub fn call_module(&mut self, module: ObjectId, args: Args) -> Made<Py> {
        let scope = self.paths.get(&module).cloned().unwrap_or_default();
        let outer = self.graph.as_mut().map(|graph| {
            let hint = graph.hint.take();
            (std::mem::replace(&mut graph.scope, scope.clone()), hint)
        });
        let made = match self.forward_of(module)? {
            Some(forward) => self.call_function(&forward, Some(Py::Object(module)), args),
            None => modules::call(self, module, args),
        };
        if let (Some((outer, hint)), Some(graph)) = (outer, &mut self.graph) {
            graph.scope = outer;
            graph.hint = hint;
        }
        let made = made.map_err(|refusal| match scope.as_str() {
            "" => refusal,
            _ if refusal.0.starts_with("in ") => refusal,
            scope => Refusal::new(format!("in {scope}: {}", refusal.0)),
        })?;
        if let (Some(graph), false, Py::Value(id)) = (&mut self.graph, scope.is_empty(), &made) {
            let id = graph.current(*id);
            let name = graph.value(id).name.clone();
            match self.layers.iter_mut().find(|layer| layer.layer == scope) {
                Some(layer) => layer.values.push(name),
                None => self.layers.push(LayerValues { layer: scope, values: vec![name] }),
            }
        }
        Ok(made)
    }

    /// Calls a method that the code has; `None` where it has none of this name.
    pub fn call_method(&mut self, object: ObjectId, name: &str, args: Args) -> Made<Option<Py>> {
        let class = self.heap.get(object).class.clone();
        match self.code.method(&class, name) {
            Some(method) => {
                let method = method.map_err(Refusal::new)?;
                self.call_function(&method, Some(Py::Object(object)), args).map(Some)
            }
            None => Ok(None),
        }
    }

    pub fn call_function(&mut self, function: &Rc<Function>, this: Option<Py>, args: Args) -> Made<Py> {
        if self.calls >= MAX_CALLS {
            return Err(Refusal::new("calls inside of each other without an end"));
        }
        let mut names = Names::new();
        let mut positional = this.into_iter().chain(args.positional);
        for (name, default) in &function.parameters {
            let named = args.named.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            let value = match (positional.next().or(named), default) {
                (Some(value), _) => value,
                (None, Some(default)) => self.value(default, &mut Names::new())?,
                (None, None) => {
                    return Err(Refusal::new(format!("{} is called without '{name}'", function.name)));
                }
            };
            names.insert(name.clone(), value);
        }
        self.calls += 1;
        let flow = self.block(&function.body, &mut names);
        self.calls -= 1;
        Ok(match flow? {
            Flow::Return(value) => value,
            _ => Py::None,
        })
    }

    fn step(&mut self) -> Made<()> {
        self.charge(1)
    }

    /// Counts steps, or elements that are made or walked.
    pub fn charge(&mut self, steps: usize) -> Made<()> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS { Err(Refusal::new("code that takes too many steps")) } else { Ok(()) }
    }

    fn block(&mut self, body: &[Statement], names: &mut Names) -> Made<Flow> {
        for statement in body {
            self.step()?;
            match self.statement(statement, names)? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, statement: &Statement, names: &mut Names) -> Made<Flow> {
        match statement {
            Statement::Assign(targets, value) => {
                if let (Some(graph), Some(Expr::Name(target))) = (&mut self.graph, targets.first()) {
                    graph.hint = telling_name(target);
                }
                let value = self.value(value, names)?;
                if let Some(graph) = &mut self.graph {
                    graph.hint = None;
                }
                for target in targets {
                    self.assign(target, value.clone(), names)?;
                }
                Ok(Flow::Next)
            }
            Statement::Expression(value) => {
                self.value(value, names)?;
                Ok(Flow::Next)
            }
            Statement::Return(value) => self.value(value, names).map(Flow::Return),
            Statement::If(condition, then, otherwise) => {
                let value = self.value(condition, names)?;
                let taken = match (self.truth(&value), raises(then), raises(otherwise)) {
                    (Some(true), ..) => then,
                    (Some(false), ..) => otherwise,
                    // What only guards against a wrong input is taken to be fine.
                    (None, true, false) => otherwise,
                    (None, false, true) => then,
                    _ => {
                        return Err(Refusal::new(format!("a branch that depends on {}", value.describe())));
                    }
                };
                self.block(taken, names)
            }
            Statement::While(condition, body) => loop {
                self.step()?;
                let value = self.value(condition, names)?;
                match self.truth(&value) {
                    Some(true) => {}
                    Some(false) => return Ok(Flow::Next),
                    None => return Err(Refusal::new(format!("a loop that depends on {}", value.describe()))),
                }
                match self.block(body, names)? {
                    Flow::Break => return Ok(Flow::Next),
                    Flow::Return(value) => return Ok(Flow::Return(value)),
                    Flow::Next | Flow::Continue => {}
                }
            },
            Statement::For(target, items, body) => {
                let items = self.value(items, names)?;
                self.charge(items.length().max(items.as_int().map_or(0, |count| usize::try_from(count).unwrap_or(0))))?;
                let items = match items {
                    // `range(3)` is a list here.
                    Py::Int(count) => (0..count.clamp(0, MAX_STEPS as i64)).map(Py::Int).collect(),
                    items => items.items().ok_or_else(|| Refusal::new(format!("a loop over {}", items.describe())))?,
                };
                for item in items {
                    self.step()?;
                    self.assign(target, item, names)?;
                    match self.block(body, names)? {
                        Flow::Break => break,
                        Flow::Return(value) => return Ok(Flow::Return(value)),
                        Flow::Next | Flow::Continue => {}
                    }
                }
                Ok(Flow::Next)
            }
            Statement::Assert(condition) => {
                let value = self.value(condition, names)?;
                match self.truth(&value) {
                    Some(false) => Err(Refusal::new("an assertion of the code does not hold")),
                    _ => Ok(Flow::Next),
                }
            }
            Statement::Raise => Err(Refusal::new("the code raises an exception")),
            Statement::Break => Ok(Flow::Break),
            Statement::Continue => Ok(Flow::Continue),
        }
    }

    fn assign(&mut self, target: &Expr, value: Py, names: &mut Names) -> Made<()> {
        match target {
            Expr::Name(name) => _ = names.insert(name.clone(), value),
            Expr::Tuple(targets) | Expr::List(targets) => {
                self.charge(value.length())?;
                let value = self.ranked(value, targets.len())?;
                let items = value.items().filter(|items| items.len() == targets.len());
                let items =
                    items.ok_or_else(|| Refusal::new(format!("{} for {} names", value.describe(), targets.len())))?;
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, item, names)?;
                }
            }
            Expr::Attribute(owner, name) => match self.value(owner, names)? {
                Py::Object(object) => self.heap.get_mut(object).set(name, value),
                other => return Err(Refusal::new(format!("an attribute set on {}", other.describe()))),
            },
            Expr::Index(owner, key) => {
                let (owner, key) = (self.value(owner, names)?, self.value(key, names)?);
                builtins::set_item(self, &owner, &key, value)?;
            }
            _ => return Err(Refusal::new("a value is assigned to something that holds none")),
        }
        Ok(())
    }

    /// Whether a value counts as true; `None` where that shows in a run only.
    pub fn truth(&self, value: &Py) -> Option<bool> {
        Some(match value {
            Py::None => false,
            Py::Bool(value) => *value,
            Py::Int(value) => *value != 0,
            Py::Float(value) => *value != 0.0,
            Py::Text(text) => !text.is_empty(),
            Py::List(items) => !items.borrow().is_empty(),
            Py::Tuple(items) => !items.is_empty(),
            Py::Dict(pairs) => !pairs.borrow().is_empty(),
            Py::Tensor(_) => value.as_float()? != 0.0,
            Py::Object(_) | Py::Packed(_) | Py::Name(_) | Py::Method(..) => true,
            Py::Value(_) | Py::Size(..) | Py::Sizes(_) | Py::Unknown(_) => return None,
        })
    }

    /// `b, c, h, w = x.size()` tells how many dims x has.
    fn ranked(&mut self, value: Py, count: usize) -> Made<Py> {
        match (&value, &mut self.graph) {
            (Py::Sizes(id), Some(graph)) => {
                graph.learn(*id, &vec![Dim::Unknown; count]);
                builtins::size(self, &Py::Value(*id), None)
            }
            _ => Ok(value),
        }
    }

    fn values(&mut self, items: &[Expr], names: &mut Names) -> Made<Vec<Py>> {
        let mut found = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Expr::Operator("unpack", inner) => {
                    let inner = self.value(inner.first().unwrap_or(&Expr::None), names)?;
                    self.charge(inner.length())?;
                    found.extend(inner.items().ok_or_else(|| Refusal::new("something that is no list is unpacked"))?);
                }
                item => found.push(self.value(item, names)?),
            }
        }
        Ok(found)
    }

    fn value(&mut self, expr: &Expr, names: &mut Names) -> Made<Py> {
        self.step()?;
        if self.levels >= MAX_LEVELS {
            return Err(Refusal::new("code nested too deeply"));
        }
        self.levels += 1;
        let value = self.value_of(expr, names);
        self.levels -= 1;
        value
    }

    fn value_of(&mut self, expr: &Expr, names: &mut Names) -> Made<Py> {
        Ok(match expr {
            Expr::None => Py::None,
            Expr::Bool(value) => Py::Bool(*value),
            Expr::Int(value) => Py::Int(*value),
            Expr::Float(value) => Py::Float(*value),
            Expr::Text(text) => Py::Text(text.clone()),
            Expr::Name(name) => names.get(name).cloned().unwrap_or_else(|| Py::Name(name.clone())),
            Expr::Tuple(items) => Py::tuple(self.values(items, names)?),
            Expr::List(items) => Py::list(self.values(items, names)?),
            Expr::Dict(pairs) => {
                let mut found = Vec::new();
                for (key, value) in pairs {
                    found.push((self.value(key, names)?, self.value(value, names)?));
                }
                Py::dict(found)
            }
            Expr::Attribute(owner, name) => {
                let owner = self.value(owner, names)?;
                self.attribute(owner, name)?
            }
            Expr::Index(owner, key) => {
                let (owner, key) = (self.value(owner, names)?, self.value(key, names)?);
                builtins::item(self, &owner, &key)?
            }
            Expr::Slice(start, end, step) => {
                let mut part = |part: &Option<Box<Expr>>| match part {
                    Some(part) => self.value(part, names),
                    None => Ok(Py::None),
                };
                let parts = [part(start)?, part(end)?, part(step)?];
                Py::tuple([Py::Name("slice".into())].into_iter().chain(parts).collect())
            }
            Expr::Call(function, positional, named) => {
                let function = self.value(function, names)?;
                let positional = self.values(positional, names)?;
                let mut by_name = Vec::new();
                for (name, value) in named {
                    by_name.push((name.clone(), self.value(value, names)?));
                }
                self.call(function, Args { positional, named: by_name })?
            }
            Expr::Operator(name, operands) => {
                let operands = self.values(operands, names)?;
                self.call_name(&format!("operator.{name}"), Args::of(operands))?
            }
            Expr::And(left, right) => {
                let left = self.value(left, names)?;
                match self.truth(&left) {
                    Some(false) => left,
                    Some(true) => self.value(right, names)?,
                    None => match self.value(right, names)? {
                        right if self.truth(&right) == Some(false) => right,
                        _ => left,
                    },
                }
            }
            Expr::Or(left, right) => {
                let left = self.value(left, names)?;
                match self.truth(&left) {
                    Some(true) => left,
                    Some(false) => self.value(right, names)?,
                    None => match self.value(right, names)? {
                        right if self.truth(&right) == Some(true) => right,
                        _ => left,
                    },
                }
            }
            Expr::Choice(parts) => {
                let (condition, then, otherwise) = parts.as_ref();
                let condition = self.value(condition, names)?;
                match self.truth(&condition) {
                    Some(true) => self.value(then, names)?,
                    Some(false) => self.value(otherwise, names)?,
                    None => return Err(Refusal::new(format!("a choice that depends on {}", condition.describe()))),
                }
            }
        })
    }
}

/// A name that says more than `_12` or `input3`.
fn telling_name(name: &str) -> Option<String> {
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let telling = !plain.is_empty() && plain.len() <= MAX_NAME && plain != "_" && plain != "input" && plain != "x";
    telling.then(|| name.to_owned())
}

/// Whether a block does nothing but raise.
fn raises(body: &[Statement]) -> bool {
    let is_raise = |statement: &Statement| match statement {
        Statement::Raise => true,
        Statement::Expression(Expr::Call(function, ..)) => match function.as_ref() {
            Expr::Attribute(_, name) => name.as_ref() == "RaiseException",
            _ => false,
        },
        _ => false,
    };
    body.iter().any(is_raise)
}

/// Dims of a traced or declared input.
pub(super) fn open_dims(sizes: &[Option<i64>]) -> Vec<Dim> {
    let dim = |(axis, size): (usize, &Option<i64>)| match (axis, size) {
        (0, _) if sizes.len() > 1 => Dim::Symbol("N".to_owned()),
        (_, Some(size)) => usize::try_from(*size).map_or(Dim::Unknown, Dim::Known),
        (_, None) => Dim::Unknown,
    };
    sizes.iter().enumerate().map(dim).collect()
}
