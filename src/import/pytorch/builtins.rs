//! What is computed while code is followed: numbers, lists, text, sizes, packed weights.

use super::graph::{self, Args, Made, Refusal};
use super::machine::Machine;
use super::numbers::{numbers, position_of};
use super::packed;
use super::python::Py;
use crate::onnx::Dim;

/// Numbers of one range.
const MAX_RANGE: usize = 1_000_000;

/// What a name comes to without a node; `None` where it is no such thing.
pub(super) fn call(machine: &mut Machine<'_>, full_name: &str, args: &Args) -> Made<Option<Py>> {
    let mut name = full_name;
    for prefix in ["torch.ops.", "ops.", "torch.", "operator.", "_operator.", "builtins.", "aten.", "prim.", "math."] {
        name = name.strip_prefix(prefix).unwrap_or(name);
    }
    if let Some(packed) = packed::prepack(name, args)? {
        return Ok(Some(packed));
    }
    let at = |position: usize| args.positional.get(position).cloned().unwrap_or(Py::None);
    let first = at(0);
    Ok(Some(match name {
        "annotate" | "unchecked_cast" => at(1),
        "_unwrap_optional"
        | "unchecked_unwrap_optional"
        | "NumToTensor"
        | "ImplicitTensorToNum"
        | "ScalarImplicit"
        | "IntImplicit"
        | "FloatImplicit" => first,
        "uninitialized" => Py::None,
        "RaiseException" => {
            let what = first.as_text().unwrap_or("an exception").to_owned();
            return Err(Refusal::new(format!("the code raises: {what}")));
        }
        "print" | "warn" | "warnings.warn" | "_log_api_usage_once" | "_C._log_api_usage_once" | "_assert" => Py::None,
        "format" | "str" => Py::text(first.as_text().unwrap_or("")),
        "device" => Py::unknown("a device"),
        "dtype" | "layout" => Py::unknown("the type of a tensor"),
        "is_" | "__is__" => is(&first, &at(1)),
        "is_not" | "__isnot__" => negate(machine, &is(&first, &at(1))),
        "not_" | "__not__" => negate(machine, &first),
        "isinstance" | "hasattr" => match name {
            "hasattr" => match (&first, at(1).as_text()) {
                (Py::Object(object), Some(name)) => Py::Bool(machine.heap.attribute(*object, name).is_some()),
                _ => Py::unknown("whether something is there"),
            },
            _ => Py::unknown("the class of something"),
        },
        "getattr" => match at(1).as_text() {
            Some(name) => machine.attribute(first, name)?,
            None => return Err(Refusal::new("an attribute whose name is computed")),
        },
        "getitem" | "__getitem__" => item(machine, &first, &at(1))?,
        "len" => match length(&first) {
            Some(length) => Py::Int(length as i64),
            None => match size(machine, &first, Some(0)) {
                Ok(size) => size,
                Err(_) => Py::unknown("the length of something"),
            },
        },
        "size" => size(machine, &first, args.int(1, "dim")?)?,
        "dim" | "ndimension" => rank(machine, &first)?,
        "numel" => Py::unknown("the number of a tensor's elements"),
        "is_floating_point" => Py::Bool(true),
        "is_grad_enabled" | "is_cuda" | "is_scripting" | "is_tracing" | "is_complex" | "is_nonzero" => match name {
            "is_nonzero" => Py::unknown("an element of a tensor"),
            "is_scripting" => Py::Bool(true),
            _ => Py::Bool(false),
        },
        // Python's own, of which x[a:b] is made; a tensor's is called torch.slice.
        "slice" if full_name == "slice" && !matches!(first, Py::Value(_) | Py::Tensor(_)) => {
            let (start, end, step) = match args.positional.as_slice() {
                [end] => (Py::None, end.clone(), Py::None),
                _ => (first, at(1), at(2)),
            };
            Py::tuple(vec![Py::Name("slice".into()), start, end, step])
        }
        "range" => {
            let number = |value: &Py| value.as_int().ok_or_else(|| Refusal::new("a loop of unknown length"));
            let (start, end, step) = match args.positional.as_slice() {
                [end] => (0, number(end)?, 1),
                [start, end] => (number(start)?, number(end)?, 1),
                [start, end, step] => (number(start)?, number(end)?, number(step)?),
                _ => return Err(Refusal::new("a range of unknown length")),
            };
            let count = match step {
                0 => return Err(Refusal::new(format!("a range from {start} to {end}"))),
                1.. => i128::from(end) - i128::from(start),
                _ => i128::from(start) - i128::from(end),
            };
            let count = (count.max(0) + i128::from(step).abs() - 1) / i128::from(step).abs();
            let count = usize::try_from(count).ok().filter(|&count| count <= MAX_RANGE);
            let count = count.ok_or_else(|| Refusal::new(format!("a range from {start} to {end}")))?;
            machine.charge(count)?;
            let at = |index: usize| start.saturating_add((index as i64).saturating_mul(step));
            Py::list((0..count).map(|index| Py::Int(at(index))).collect())
        }
        "list" | "tuple" => match first.items() {
            Some(items) if name == "list" => Py::list(items),
            Some(items) => Py::tuple(items),
            None => Py::list(Vec::new()),
        },
        "append" => {
            if let Py::List(list) = &first {
                list.borrow_mut().push(at(1));
            }
            first
        }
        "keys" | "values" | "items" => match &first {
            Py::Dict(pairs) => {
                let part = |(key, value): &(Py, Py)| match name {
                    "keys" => key.clone(),
                    "values" => value.clone(),
                    _ => Py::tuple(vec![key.clone(), value.clone()]),
                };
                Py::list(pairs.borrow().iter().map(part).collect())
            }
            _ => return Ok(None),
        },
        "get" => match (&first, at(1).as_text()) {
            (Py::Dict(_), Some(key)) => first.entry(key).unwrap_or(at(2)),
            _ => return Ok(None),
        },
        "__contains__" | "in_" => {
            let items = match &first {
                Py::Dict(pairs) => Some(pairs.borrow().iter().map(|(key, _)| key.clone()).collect()),
                other => other.items(),
            };
            match items {
                Some(items) => Py::Bool(position_of(machine, &items, &at(1))?.is_some()),
                None => Py::unknown("whether something is in there"),
            }
        }
        "int" | "Int" | "item" => match (&first, first.as_float()) {
            (Py::Size(..), _) => first,
            (_, Some(number)) => Py::Int(number as i64),
            _ => Py::unknown("a number that is computed"),
        },
        "float" | "Float" if !matches!(first, Py::Value(_)) => match first.as_float() {
            Some(number) => Py::Float(number),
            None => Py::unknown("a number that is computed"),
        },
        "bool" | "Bool" => machine.truth(&first).map_or(Py::unknown("a condition that is computed"), Py::Bool),
        "Size" => first,
        "Tensor" | "tensor" | "scalar_tensor" | "as_tensor" if first.as_float().is_some() => first,
        _ => return numbers(machine, name, args),
    }))
}

fn negate(machine: &Machine<'_>, value: &Py) -> Py {
    machine.truth(value).map_or_else(|| value.clone(), |truth| Py::Bool(!truth))
}

fn is(left: &Py, right: &Py) -> Py {
    match (left, right) {
        (Py::Unknown(_), _) | (_, Py::Unknown(_)) => Py::unknown("whether two values are one"),
        (Py::Bool(left), Py::Bool(right)) => Py::Bool(left == right),
        _ => Py::Bool(left.is_none() && right.is_none()),
    }
}

fn length(value: &Py) -> Option<usize> {
    match value {
        Py::List(items) => Some(items.borrow().len()),
        Py::Tuple(items) => Some(items.len()),
        Py::Dict(pairs) => Some(pairs.borrow().len()),
        Py::Text(text) => Some(text.chars().count()),
        _ => None,
    }
}

/// The sizes of a tensor, or one of them.
pub(super) fn size(machine: &mut Machine<'_>, value: &Py, axis: Option<i64>) -> Made<Py> {
    let sizes: Vec<Py> = match (value, &mut machine.graph) {
        (Py::Tensor(constant), _) => constant.tensor.shape().iter().map(|&dim| Py::Int(dim as i64)).collect(),
        (Py::Value(id), Some(graph)) => {
            let id = graph.current(*id);
            match graph.shape(id) {
                Some(shape) => {
                    let size = |(axis, dim): (usize, &Dim)| match dim.known() {
                        Some(dim) => Py::Int(dim as i64),
                        None => Py::Size(id, axis),
                    };
                    shape.iter().enumerate().map(size).collect()
                }
                // The first axis is the batch, whatever the rank.
                None if axis == Some(0) => return Ok(Py::Size(id, 0)),
                None if axis.is_none() => return Ok(Py::Sizes(id)),
                None => return Ok(Py::unknown("the size of a tensor whose rank is not known")),
            }
        }
        (other, _) => return Err(Refusal::new(format!("the size of {}", other.describe()))),
    };
    match axis {
        None => Ok(Py::list(sizes)),
        Some(axis) => {
            let at = if axis < 0 { axis + sizes.len() as i64 } else { axis };
            let found = usize::try_from(at).ok().and_then(|at| sizes.get(at)).cloned();
            found.ok_or_else(|| Refusal::new(format!("size {axis} of a tensor of rank {}", sizes.len())))
        }
    }
}

/// The number of a tensor's dims.
pub(super) fn rank(machine: &mut Machine<'_>, value: &Py) -> Made<Py> {
    Ok(match size(machine, value, None)?.items() {
        Some(sizes) => Py::Int(sizes.len() as i64),
        None => Py::unknown("the rank of an input"),
    })
}

/// `owner[key]`.
pub(super) fn item(machine: &mut Machine<'_>, owner: &Py, key: &Py) -> Made<Py> {
    if let (Py::Dict(_), Some(key)) = (owner, key.as_text()) {
        machine.charge(owner.length())?;
        return owner.entry(key).ok_or_else(|| Refusal::new(format!("the key '{key}', which is not there")));
    }
    if let Py::Sizes(id) = owner {
        let axis = key.as_int();
        return match axis {
            Some(_) => size(machine, &Py::Value(*id), axis),
            None => Ok(Py::unknown("some sizes of a tensor whose rank is not known")),
        };
    }
    if matches!(owner, Py::List(_) | Py::Tuple(_)) {
        if let Some((start, end, step)) = slice_of(key) {
            machine.charge(owner.length())?;
            let items = owner.items().unwrap_or_default();
            let length = items.len() as i64;
            let clamp = |index: Option<i64>, default: i64| match index {
                Some(index) if index < 0 => (index + length).max(0),
                Some(index) => index.min(length),
                None => default,
            };
            let (start, end) = (clamp(start, 0), clamp(end, length));
            let part = items.into_iter().skip(start as usize).take((end - start).max(0) as usize);
            let part: Vec<Py> = part.step_by(step.max(1) as usize).collect();
            return Ok(if matches!(owner, Py::Tuple(_)) { Py::tuple(part) } else { Py::list(part) });
        }
        let index = key.as_int().ok_or_else(|| Refusal::new(format!("the index {}", key.describe())))?;
        let at = if index < 0 { index + owner.length() as i64 } else { index };
        let found = usize::try_from(at).ok().and_then(|at| match owner {
            Py::List(items) => items.borrow().get(at).cloned(),
            Py::Tuple(items) => items.get(at).cloned(),
            _ => None,
        });
        return found.ok_or_else(|| Refusal::new(format!("item {index} of {}", owner.length())));
    }
    match owner {
        // A type: `List[int]`.
        Py::Name(name) => Ok(Py::Name(name.clone())),
        Py::Unknown(_) => Ok(owner.clone()),
        Py::Object(object) => {
            let key = key.as_int().map_or_else(|| key.as_text().unwrap_or("").to_owned(), |index| index.to_string());
            let found = machine.heap.attribute(*object, &key);
            found.ok_or_else(|| Refusal::new(format!("the module '{key}', which is not there")))
        }
        Py::Value(_) | Py::Tensor(_) => index_tensor(machine, owner, key),
        other => Err(Refusal::new(format!("an item of {}", other.describe()))),
    }
}

/// Start, end and step of a slice.
fn slice_of(key: &Py) -> Option<(Option<i64>, Option<i64>, i64)> {
    let Py::Tuple(parts) = key else { return None };
    match parts.as_slice() {
        [Py::Name(name), start, end, step] if name.as_ref() == "slice" => {
            Some((start.as_int(), end.as_int(), step.as_int().unwrap_or(1)))
        }
        _ => None,
    }
}

/// `x[:, 0, 1:3]`: index by index.
fn index_tensor(machine: &mut Machine<'_>, owner: &Py, key: &Py) -> Made<Py> {
    let parts = match (slice_of(key), key) {
        (None, Py::Tuple(parts)) => parts.to_vec(),
        _ => vec![key.clone()],
    };
    let Some(graph) = &mut machine.graph else { return Err(Refusal::new("an item of a tensor")) };
    let mut value = owner.clone();
    let mut axis = 0i64;
    for part in parts {
        let call = |graph: &mut graph::Graph, name: &str, args: Vec<Py>| -> Made<Py> {
            let made = graph::call(graph, name, &Args::of(args))?;
            made.ok_or_else(|| Refusal::new("an item of a tensor"))
        };
        if let Some((start, end, step)) = slice_of(&part) {
            let number = |number: Option<i64>| number.map_or(Py::None, Py::Int);
            let args = vec![value, Py::Int(axis), number(start), number(end), Py::Int(step)];
            value = call(graph, "torch.slice", args)?;
            axis += 1;
        } else if part.is_none() {
            value = call(graph, "torch.unsqueeze", vec![value, Py::Int(axis)])?;
            axis += 1;
        } else if let Some(index) = part.as_int() {
            value = call(graph, "torch.select", vec![value, Py::Int(axis), Py::Int(index)])?;
        } else {
            return Err(Refusal::new(format!("a tensor indexed by {}", part.describe())));
        }
    }
    Ok(value)
}

/// `owner[key] = value`.
pub(super) fn set_item(machine: &mut Machine<'_>, owner: &Py, key: &Py, value: Py) -> Made<()> {
    match owner {
        Py::Dict(pairs) => {
            let keys: Vec<Py> = pairs.borrow().iter().map(|(known, _)| known.clone()).collect();
            let known = position_of(machine, &keys, key)?;
            let mut pairs = pairs.borrow_mut();
            match known.and_then(|position| pairs.get_mut(position)) {
                Some((_, old)) => *old = value,
                None => pairs.push((key.clone(), value)),
            }
            Ok(())
        }
        Py::List(items) => {
            let mut items = items.borrow_mut();
            let index = key
                .as_int()
                .and_then(|index| usize::try_from(if index < 0 { index + items.len() as i64 } else { index }).ok());
            match index.and_then(|index| items.get_mut(index)) {
                Some(slot) => {
                    *slot = value;
                    Ok(())
                }
                None => Err(Refusal::new("an item set outside of a list")),
            }
        }
        // Annotations of classes, which nothing here reads.
        Py::Name(_) => Ok(()),
        other => Err(Refusal::new(format!("an item set in {}", other.describe()))),
    }
}
