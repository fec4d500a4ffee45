//! Reading a layer's configuration: every entry by its name, with its default and its place in messages.

use super::stop::Stop;
use crate::import::ImportError;
use serde_json::{Map, Value};

/// Entries above this are a damaged file: no layer is as wide.
const LARGEST_NUMBER: i64 = 1 << 31;

/// The `config` of a layer.
#[derive(Clone, Copy)]
pub(super) struct Config<'a> {
    layer: &'a str,
    map: &'a Map<String, Value>,
}

impl<'a> Config<'a> {
    pub fn new(layer: &'a str, map: &'a Map<String, Value>) -> Self {
        Config { layer, map }
    }

    /// The entry; `None` where it is absent or null.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// The first of these entries that is there: names changed between versions.
    pub fn first(&self, keys: &[&str]) -> Option<&'a Value> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// The error of an entry that is not what it should be.
    pub fn refused(&self, key: &str, expected: &str) -> ImportError {
        let found = self.map.get(key).map_or("nothing".to_owned(), short);
        ImportError::format(
            format!("layer '{}', config '{key}'", self.layer),
            found,
            expected.to_owned(),
            "The model's configuration is damaged: save the model again.",
        )
    }

    pub fn wrong(&self, key: &str, expected: &str) -> Stop {
        Stop::Broken(self.refused(key, expected))
    }

    pub fn bool(&self, key: &str, default: bool) -> Result<bool, Stop> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.wrong(key, "true or false")),
        }
    }

    pub fn text(&self, key: &str, default: &'a str) -> Result<&'a str, Stop> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_str().ok_or_else(|| self.wrong(key, "a word")),
        }
    }

    pub fn float(&self, key: &str, default: f64) -> Result<f64, Stop> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => number(value).ok_or_else(|| self.wrong(key, "a number")),
        }
    }

    /// A count of at least 1.
    pub fn count(&self, key: &str) -> Result<usize, Stop> {
        self.get(key).and_then(|value| size(value, 1)).ok_or_else(|| self.wrong(key, "a whole number of 1 or more"))
    }

    pub fn count_or(&self, key: &str, default: usize) -> Result<usize, Stop> {
        if self.get(key).is_some() { self.count(key) } else { Ok(default) }
    }

    pub fn int(&self, key: &str, default: i64) -> Result<i64, Stop> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_i64().ok_or_else(|| self.wrong(key, "a whole number")),
        }
    }

    /// Axes: one number or a list of them.
    pub fn axes(&self, key: &str, default: &[i64]) -> Result<Vec<i64>, Stop> {
        match self.get(key) {
            None => Ok(default.to_vec()),
            Some(Value::Array(list)) => {
                let axes: Option<Vec<i64>> = list.iter().map(Value::as_i64).collect();
                axes.ok_or_else(|| self.wrong(key, "a list of axes"))
            }
            Some(value) => Ok(vec![value.as_i64().ok_or_else(|| self.wrong(key, "an axis"))?]),
        }
    }

    /// `count` sizes of at least `low`, given as a list or as one number for all.
    pub fn sizes(&self, key: &str, count: usize, low: i64, default: Option<usize>) -> Result<Vec<usize>, Stop> {
        let expected = || format!("{count} whole numbers of {low} or more");
        let Some(value) = self.get(key) else {
            let default = default.ok_or_else(|| self.wrong(key, &expected()))?;
            return Ok(vec![default; count]);
        };
        let sizes: Option<Vec<usize>> = match value {
            Value::Array(list) => list.iter().map(|value| size(value, low)).collect(),
            value => size(value, low).map(|size| vec![size; count]),
        };
        sizes.filter(|sizes| sizes.len() == count).ok_or_else(|| self.wrong(key, &expected()))
    }

    /// Sizes before and after each of `count` axes: `1`, `[1, 2]` or `[[1, 2], [3, 4]]`.
    pub fn size_pairs(&self, key: &str, count: usize, default: usize) -> Result<Vec<(usize, usize)>, Stop> {
        let expected = || format!("a size before and after each of {count} axes");
        let Some(value) = self.get(key) else { return Ok(vec![(default, default); count]) };
        let pair = |value: &Value| match value {
            Value::Array(pair) => match pair.as_slice() {
                [before, after] => Some((size(before, 0)?, size(after, 0)?)),
                _ => None,
            },
            value => size(value, 0).map(|both| (both, both)),
        };
        let pairs: Option<Vec<(usize, usize)>> = match value {
            // One axis: [1, 2] is its pair.
            Value::Array(list) if count == 1 && list.len() == 2 => pair(value).map(|pair| vec![pair]),
            Value::Array(list) => list.iter().map(pair).collect(),
            value => pair(value).map(|pair| vec![pair; count]),
        };
        pairs.filter(|pairs| pairs.len() == count).ok_or_else(|| self.wrong(key, &expected()))
    }

    /// Numbers in nested lists, in order.
    pub fn floats(&self, key: &str) -> Result<Option<Vec<f32>>, Stop> {
        fn collect(value: &Value, into: &mut Vec<f32>) -> Option<()> {
            match value {
                Value::Array(list) => list.iter().try_for_each(|value| collect(value, into)),
                value => {
                    into.push(number(value)? as f32);
                    Some(())
                }
            }
        }
        let Some(value) = self.get(key) else { return Ok(None) };
        let mut floats = Vec::new();
        collect(unwrapped(value), &mut floats).ok_or_else(|| self.wrong(key, "numbers"))?;
        Ok(Some(floats))
    }

    /// The whole configuration.
    pub fn map(&self) -> &'a Map<String, Value> {
        self.map
    }
}

/// A number as Keras writes it: plain, or as `{"class_name": "float", "config": ...}` and `{"value": ...}`.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Object(_) => match unwrapped(value) {
            Value::Object(_) => None,
            inner => number(inner),
        },
        _ => None,
    }
}

/// What a serialized array or number wraps.
fn unwrapped(value: &Value) -> &Value {
    let mut value = value;
    while let Value::Object(map) = value {
        match map.get("config").or_else(|| map.get("value")) {
            Some(inner) => value = inner,
            None => break,
        }
    }
    value
}

fn size(value: &Value, low: i64) -> Option<usize> {
    // 3.0 for 3 is what some writers make of a number.
    let number = value.as_i64().or_else(|| value.as_f64().filter(|v| v.fract() == 0.0).map(|v| v as i64))?;
    usize::try_from(number).ok().filter(|_| (low..LARGEST_NUMBER).contains(&number))
}

/// The beginning of a value, for messages.
pub(super) fn short(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}
