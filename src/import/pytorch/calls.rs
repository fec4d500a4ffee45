//! What names mean while code is followed: attributes, methods, functions and operations.

use super::builtins;
use super::graph::{self, Args, Made, Refusal};
use super::machine::{MAX_NAME, Machine};
use super::python::Py;
use crate::tensor::DType;

/// What a node of the graph costs of a file's steps: it takes more memory than a number.
const STEPS_PER_NODE: usize = 20;

impl Machine<'_> {
    /// `owner.name`.
    pub fn attribute(&mut self, owner: Py, name: &str) -> Made<Py> {
        Ok(match &owner {
            Py::Object(object) => {
                if let Some(value) = self.heap.attribute(*object, name) {
                    return Ok(match &value {
                        Py::Object(_) => super::packed::of(self.heap, &value).map_or(value, Py::Packed),
                        _ => value,
                    });
                }
                Py::Method(Box::new(owner), name.into())
            }
            Py::Name(module) if module.as_ref() == "CONSTANTS" => {
                let number = name.strip_prefix('c').and_then(|number| number.parse::<usize>().ok());
                let found = number.and_then(|number| self.constants.get(number)).cloned();
                let found = found.map(|value| super::packed::of(self.heap, &value).map_or(value, Py::Packed));
                found.ok_or_else(|| Refusal::new(format!("the constant {name}, which is not in the file")))?
            }
            Py::Name(module) if module.len() + name.len() > MAX_NAME => {
                return Err(Refusal::new(format!("a name of more than {MAX_NAME} letters")));
            }
            Py::Name(module) => Py::Name(format!("{module}.{name}").into()),
            Py::Method(..) => return Err(Refusal::new(format!("the attribute '{name}' of {}", owner.describe()))),
            Py::Value(_) | Py::Tensor(_) => match name {
                "shape" => builtins::size(self, &owner, None)?,
                "ndim" => builtins::rank(self, &owner)?,
                "T" | "mT" => self.call_name("torch.t", Args::of(vec![owner]))?,
                "dtype" | "device" | "layout" | "is_cuda" | "requires_grad" | "is_sparse" => {
                    Py::unknown(format!("the {name} of a tensor"))
                }
                "is_quantized" => match (&owner, &self.graph) {
                    (Py::Tensor(constant), _) => Py::Bool(constant.quant.is_some()),
                    (Py::Value(id), Some(graph)) => Py::Bool(graph.value(graph.current(*id)).quant.is_some()),
                    _ => Py::unknown("the kind of a tensor"),
                },
                _ => Py::Method(Box::new(owner), name.into()),
            },
            _ => Py::Method(Box::new(owner), name.into()),
        })
    }

    pub fn call(&mut self, function: Py, mut args: Args) -> Made<Py> {
        match function {
            Py::Object(module) => self.call_module(module, args),
            Py::Name(name) => self.call_name(&name, args),
            Py::Method(owner, name) => match *owner {
                Py::Object(object) => {
                    if matches!(name.as_ref(), "forward" | "__call__") {
                        return self.call_module(object, args);
                    }
                    let made = self.call_method(object, &name, args)?;
                    let class = self.heap.get(object).class.clone();
                    made.ok_or_else(|| Refusal::new(format!("the method {name} of {class}, whose code is not here")))
                }
                Py::Packed(packed) if matches!(name.as_ref(), "unpack" | "_weight_bias") => {
                    let bias = packed.bias.clone().map_or(Py::None, Py::Tensor);
                    Ok(Py::tuple(vec![Py::Tensor(packed.weight.clone()), bias]))
                }
                owner => {
                    args.positional.insert(0, owner);
                    self.call_name(&name, args)
                }
            },
            other => Err(Refusal::new(format!("a call of {}", other.describe()))),
        }
    }

    /// Calls a function by its name: computed here, found in the code, or an operation of the graph.
    pub fn call_name(&mut self, name: &str, args: Args) -> Made<Py> {
        let given = args.positional.iter().chain(args.named.iter().map(|(_, value)| value));
        self.charge(given.map(Py::length).fold(0, usize::saturating_add))?;
        if let Some(value) = builtins::call(self, name, &args)? {
            return Ok(value);
        }
        if name.starts_with("__torch__.") {
            if self.code.is_named_tuple(name) {
                let named = args.named.into_iter().map(|(_, value)| value);
                return Ok(Py::tuple(args.positional.into_iter().chain(named).collect()));
            }
            let function = self.code.function(name);
            let function = function.ok_or_else(|| Refusal::new(format!("the function {name} is not in the file")))?;
            return self.call_function(&function.map_err(Refusal::new)?, None, args);
        }
        self.charge(STEPS_PER_NODE)?;
        let Some(graph) = &mut self.graph else {
            return Err(Refusal::new(format!("{name} outside of forward")));
        };
        let made = graph::call(graph, name, &args)
            .map_err(|Refusal(why)| Refusal(if why.contains(name) { why } else { format!("{name}: {why}") }))?;
        match made {
            Some(value) => Ok(value),
            None => self.foreign(name, &args),
        }
    }

    /// An operation that has no ONNX form here is a node of a domain of its own, so that the rest can be seen.
    pub fn foreign(&mut self, name: &str, args: &Args) -> Made<Py> {
        let Some(graph) = &mut self.graph else { return Err(Refusal::new(format!("the operation {name}"))) };
        let mut inputs = Vec::new();
        let given = args.positional.iter().chain(args.named.iter().map(|(_, value)| value));
        for value in given.flat_map(|value| value.items().unwrap_or_else(|| vec![value.clone()])) {
            if matches!(value, Py::Value(_) | Py::Tensor(_)) {
                let id = graph.operand(&value)?;
                inputs.push(graph.real(id));
            }
        }
        if inputs.is_empty() {
            return Err(Refusal::new(format!("{name}, which is not known")));
        }
        let op = name.rsplit('.').next().unwrap_or(name);
        let place = if graph.scope.is_empty() { String::new() } else { format!(" in {}", graph.scope) };
        graph.unsupported.push(format!("{name}{place}"));
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let wish = graph.wish(op);
        let made = graph.builder.node_of("pytorch", op, &inputs, &[&wish], &[]);
        let name = made.into_iter().next().unwrap_or_default();
        Ok(Py::Value(graph.unknown_value(name, DType::Float32)))
    }
}
