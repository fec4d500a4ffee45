//! Arithmetic and comparison of what is known while code is followed.

use super::graph::{Args, Made};
use super::machine::Machine;
use super::python::Py;

/// Levels of lists inside of lists that are compared.
const MAX_COMPARED: usize = 16;

/// Whether two values are equal, where that is known.
fn equal(machine: &mut Machine<'_>, left: &Py, right: &Py, levels: usize) -> Made<Option<bool>> {
    machine.charge(1)?;
    Ok(match (left, right) {
        (Py::Text(left), Py::Text(right)) => Some(left == right),
        (Py::Unknown(_) | Py::Size(..) | Py::Sizes(_) | Py::Value(_), _)
        | (_, Py::Unknown(_) | Py::Size(..) | Py::Sizes(_) | Py::Value(_)) => None,
        (Py::None, other) | (other, Py::None) => Some(other.is_none()),
        (left, right) => match (left.items(), right.items()) {
            (Some(left), Some(right)) => {
                if left.len() != right.len() {
                    return Ok(Some(false));
                }
                if levels >= MAX_COMPARED {
                    return Ok(None);
                }
                let mut all = true;
                for (left, right) in left.iter().zip(&right) {
                    match equal(machine, left, right, levels + 1)? {
                        Some(same) => all &= same,
                        None => return Ok(None),
                    }
                }
                Some(all)
            }
            (None, None) => match (left.as_float(), right.as_float()) {
                (Some(left), Some(right)) => Some(left == right),
                _ => Some(false),
            },
            _ => Some(false),
        },
    })
}

/// Where a value is among others.
pub(super) fn position_of(machine: &mut Machine<'_>, items: &[Py], wanted: &Py) -> Made<Option<usize>> {
    for (position, item) in items.iter().enumerate() {
        if equal(machine, item, wanted, 0)? == Some(true) {
            return Ok(Some(position));
        }
    }
    Ok(None)
}

/// Arithmetic and comparison of plain numbers; `None` where a tensor takes part.
pub(super) fn numbers(machine: &mut Machine<'_>, name: &str, args: &Args) -> Made<Option<Py>> {
    let name = match name.strip_suffix('_') {
        Some(plain) if matches!(plain, "and" | "or") => plain,
        _ => name.split('.').next().unwrap_or(name),
    };
    // A trace keeps numbers as tensors without dims: beside a number they are numbers too.
    let plain = |value: &Py| !matches!(value, Py::Value(_) | Py::Tensor(_));
    let scalar = |value: &Py| match value {
        Py::Tensor(constant) => constant.tensor.shape().is_empty() && constant.quant.is_none(),
        other => plain(other),
    };
    if !args.positional.iter().any(plain) || !args.positional.iter().all(scalar) {
        return Ok(None);
    }
    let two = match args.positional.as_slice() {
        [left, right] => Some((left, right)),
        _ => None,
    };
    if let (Some((left, right)), "eq" | "ne") = (two, name) {
        return Ok(Some(match equal(machine, left, right, 0)? {
            Some(same) => Py::Bool(same == (name == "eq")),
            None => Py::unknown("a comparison of what a run gives"),
        }));
    }
    if let Some((left, right)) = two
        && let Some(joined) = joined(machine, name, left, right)?
    {
        return Ok(Some(joined));
    }
    Ok(computed(name, args))
}

/// `[1, 2] + [3]`, `[1] * 3`, `'a' + 'b'`. The operands are charged for where they are given.
fn joined(machine: &mut Machine<'_>, name: &str, left: &Py, right: &Py) -> Made<Option<Py>> {
    Ok(match (name, left.items(), right.items(), right.as_int()) {
        ("add", Some(mut items), Some(more), _) => {
            items.extend(more);
            Some(if matches!(left, Py::Tuple(_)) { Py::tuple(items) } else { Py::list(items) })
        }
        ("mul", Some(items), None, Some(count @ 0..=1000)) => {
            let length = items.len().saturating_mul(count as usize);
            machine.charge(length)?;
            Some(Py::list(items.iter().cycle().take(length).cloned().collect()))
        }
        _ => match (name, left.as_text(), right.as_text()) {
            ("add", Some(left), Some(right)) => Some(Py::Text(format!("{left}{right}").into())),
            _ => None,
        },
    })
}

/// Arithmetic and comparison of numbers alone.
fn computed(name: &str, args: &Args) -> Option<Py> {
    const KNOWN: [&str; 25] = [
        "add",
        "sub",
        "mul",
        "div",
        "truediv",
        "floordiv",
        "floor_divide",
        "mod",
        "remainder",
        "pow",
        "neg",
        "lt",
        "le",
        "gt",
        "ge",
        "and",
        "or",
        "min",
        "max",
        "ceil",
        "floor",
        "sqrt",
        "abs",
        "round",
        "__and__",
    ];
    if !KNOWN.contains(&name) {
        return None;
    }
    let unknown = || Some(Py::unknown("a number that a run gives"));
    if args.positional.iter().any(|value| matches!(value, Py::Size(..) | Py::Sizes(_) | Py::Unknown(_))) {
        return unknown();
    }
    let floats: Option<Vec<f64>> = args.positional.iter().map(Py::as_float).collect();
    let floats = floats?;
    let whole = args.positional.iter().all(|value| match value {
        Py::Tensor(constant) => constant.tensor.dtype().is_int(),
        other => matches!(other, Py::Int(_) | Py::Bool(_)),
    });
    let number = |value: f64| {
        if whole && value.fract() == 0.0 && value.abs() < 9e15 { Py::Int(value as i64) } else { Py::Float(value) }
    };
    Some(match (name, floats.as_slice()) {
        ("add", [a, b]) => number(a + b),
        ("sub", [a, b]) => number(a - b),
        ("mul", [a, b]) => number(a * b),
        ("div" | "truediv", [a, b]) if *b != 0.0 => match args.text(2, "rounding_mode") {
            None => Py::Float(a / b),
            Some("floor") => number((a / b).floor()),
            Some("trunc") => number((a / b).trunc()),
            Some(_) => return None,
        },
        ("floordiv" | "floor_divide", [a, b]) if *b != 0.0 => number((a / b).floor()),
        ("mod" | "remainder", [a, b]) if *b != 0.0 => number(a - b * (a / b).floor()),
        ("pow", [a, b]) => number(a.powf(*b)),
        ("neg", [a]) => number(-a),
        ("lt", [a, b]) => Py::Bool(a < b),
        ("le", [a, b]) => Py::Bool(a <= b),
        ("gt", [a, b]) => Py::Bool(a > b),
        ("ge", [a, b]) => Py::Bool(a >= b),
        ("and" | "__and__", [a, b]) => Py::Bool(*a != 0.0 && *b != 0.0),
        ("or", [a, b]) => Py::Bool(*a != 0.0 || *b != 0.0),
        ("min", [a, b]) => number(a.min(*b)),
        ("max", [a, b]) => number(a.max(*b)),
        ("ceil", [a]) => Py::Int(a.ceil() as i64),
        ("floor", [a]) => Py::Int(a.floor() as i64),
        ("sqrt", [a]) => Py::Float(a.sqrt()),
        ("abs", [a]) => number(a.abs()),
        ("round", [a]) => Py::Int(a.round_ties_even() as i64),
        _ => return None,
    })
}
