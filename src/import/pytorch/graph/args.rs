//! Arguments of a call, by position or by name.

use super::{Made, Refusal};
use crate::import::pytorch::python::Py;
use std::rc::Rc;

/// No window of a convolution or a pooling is wider.
const MAX_WINDOW: u64 = 1 << 24;

/// The arguments of one call.
#[derive(Clone, Debug, Default)]
pub(in crate::import::pytorch) struct Args {
    pub positional: Vec<Py>,
    pub named: Vec<(Rc<str>, Py)>,
}

impl Args {
    pub fn of(positional: Vec<Py>) -> Self {
        Args { positional, named: Vec::new() }
    }

    /// The argument; one that is `None` counts as left out.
    pub fn get(&self, position: usize, name: &str) -> Option<&Py> {
        let named = self.named.iter().find(|(known, _)| known.as_ref() == name).map(|(_, value)| value);
        named.or_else(|| self.positional.get(position)).filter(|value| !value.is_none())
    }

    pub fn required(&self, position: usize, name: &str) -> Made<&Py> {
        self.get(position, name).ok_or_else(|| Refusal::new(format!("the argument '{name}' is missing")))
    }

    pub fn int(&self, position: usize, name: &str) -> Made<Option<i64>> {
        self.get(position, name).map(|value| int(value, name)).transpose()
    }

    pub fn int_or(&self, position: usize, name: &str, default: i64) -> Made<i64> {
        Ok(self.int(position, name)?.unwrap_or(default))
    }

    pub fn float(&self, position: usize, name: &str) -> Made<Option<f64>> {
        let read =
            |value: &Py| value.as_float().ok_or_else(|| Refusal::new(format!("{} for '{name}'", value.describe())));
        self.get(position, name).map(read).transpose()
    }

    pub fn float_or(&self, position: usize, name: &str, default: f64) -> Made<f64> {
        Ok(self.float(position, name)?.unwrap_or(default))
    }

    pub fn bool_or(&self, position: usize, name: &str, default: bool) -> Made<bool> {
        Ok(self.int(position, name)?.map_or(default, |value| value != 0))
    }

    /// A list of ints; a single int counts as a list of one. `None` and an empty list give `None`.
    pub fn ints(&self, position: usize, name: &str) -> Made<Option<Vec<i64>>> {
        let Some(value) = self.get(position, name) else { return Ok(None) };
        let items = match value.items() {
            Some(items) => items.iter().map(|item| int(item, name)).collect::<Made<Vec<i64>>>()?,
            None => vec![int(value, name)?],
        };
        Ok(Some(items).filter(|items| !items.is_empty()))
    }

    /// A list of `count` ints, where a single one counts for all: steps and sizes of windows, which sizes are computed
    /// from.
    pub fn ints_of(&self, position: usize, name: &str, count: usize, default: i64) -> Made<Vec<i64>> {
        let found = self.ints(position, name)?.unwrap_or_else(|| vec![default]);
        if let Some(large) = found.iter().find(|value| value.unsigned_abs() > MAX_WINDOW) {
            return Err(Refusal::new(format!("{large} for '{name}'")));
        }
        match found.as_slice() {
            [single] => Ok(vec![*single; count]),
            items if items.len() == count => Ok(found),
            items => Err(Refusal::new(format!("{} values for '{name}', where {count} are expected", items.len()))),
        }
    }

    pub fn text(&self, position: usize, name: &str) -> Option<&str> {
        self.get(position, name).and_then(Py::as_text)
    }
}

fn int(value: &Py, name: &str) -> Made<i64> {
    value.as_int().ok_or_else(|| Refusal::new(format!("{} for '{name}'", value.describe())))
}
