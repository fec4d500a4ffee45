//! `x[...]`: slices, whole numbers, new axes and `...`.

use super::given::plain;
use super::{select, shapes, with_dims};
use crate::import::keras::context::Context;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::value::{Layout, Value};
use serde_json::Value as Json;

/// What one entry between square brackets takes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Taken {
    /// From, to, step.
    Slice(Option<i64>, Option<i64>, i64),
    One(i64),
    /// An axis of 1 that was not there.
    New,
    /// `...`: whole axes, as many as are left.
    Rest,
}

/// One entry, as Keras 3 writes it or as Keras 2 does; `None` where it is something else.
fn taken(json: &Json) -> Option<Taken> {
    let class = json.get("class_name").and_then(Json::as_str);
    let slice = match json {
        Json::Null => return Some(Taken::New),
        Json::Number(at) => return at.as_i64().map(Taken::One),
        Json::String(text) if text == "..." => return Some(Taken::Rest),
        Json::Object(_) if class.is_some_and(|class| class.eq_ignore_ascii_case("__ellipsis__")) => {
            return Some(Taken::Rest);
        }
        Json::Object(_) if class == Some("__slice__") => json.get("config")?,
        Json::Object(map) if map.contains_key("start") && map.contains_key("stop") => json,
        _ => return None,
    };
    let end = |key: &str| match slice.get(key) {
        None | Some(Json::Null) => Some(None),
        Some(end) => Some(Some(end.as_i64()?)),
    };
    Some(Taken::Slice(end("start")?, end("stop")?, end("step")?.unwrap_or(1)))
}

/// The entries of the call, `...` written out for this many axes; `None` where one is no entry or there are too many.
fn entries(json: &Json, rank: usize) -> Option<Vec<Taken>> {
    let entries: Vec<Taken> = match json {
        Json::Array(list) => list.iter().map(taken).collect::<Option<_>>()?,
        one => vec![taken(one)?],
    };
    let is_axis = |entry: &&Taken| matches!(entry, Taken::Slice(..) | Taken::One(_));
    let left = rank.checked_sub(entries.iter().filter(is_axis).count())?;
    let whole = Taken::Slice(None, None, 1);
    let at = entries.iter().position(|entry| *entry == Taken::Rest).unwrap_or(entries.len());
    let (before, behind) = entries.split_at(at);
    let behind = behind.get(1..).unwrap_or_default();
    if behind.contains(&Taken::Rest) {
        return None;
    }
    Some(before.iter().copied().chain(vec![whole; left]).chain(behind.iter().copied()).collect())
}

/// The positions that a slice takes of an axis, as Python counts them.
fn positions(start: Option<i64>, end: Option<i64>, step: i64, size: usize) -> Vec<i64> {
    let size = size as i64;
    let place = |end: i64, low: i64, high: i64| (if end < 0 { end.saturating_add(size) } else { end }).clamp(low, high);
    if step > 0 {
        let (start, end) = (start.map_or(0, |at| place(at, 0, size)), end.map_or(size, |at| place(at, 0, size)));
        return (start..end.max(start)).step_by(step as usize).collect();
    }
    let last = size - 1;
    let (start, end) = (start.map_or(last, |at| place(at, -1, last)), end.map_or(-1, |at| place(at, -1, last)));
    (end + 1..=start).rev().step_by(step.unsigned_abs().max(1) as usize).collect()
}

/// Longest axis whose positions are listed.
const LARGEST_LISTED: usize = 1 << 20;

/// `x[...]`.
pub(super) fn item(context: &mut Context) -> Result<Value, Stop> {
    let tensors = context.call.tensors();
    let value = match tensors.as_slice() {
        [(tensor, shape)] => context.values.get(*tensor).map(|value| value.with_declared_shape(*shape)),
        _ => return unsupported("an index that is a tensor"),
    };
    let Some(value) = value else { return unsupported("an argument that nothing makes") };
    let (value, dims) = with_dims(context, &value)?;
    let index = context.call.keyword("slice_spec").or(context.call.args.get(1)).and_then(plain);
    let Some(entries) = index.and_then(|index| entries(&index, dims.len())) else {
        return unsupported("an index that is neither slices nor whole numbers");
    };
    // Slices first, all in one node, then what goes backwards, then axes that go and axes that come.
    let (mut lists, mut current) = ([const { Vec::new() }; 4], value.clone());
    let (mut backwards, mut gone, mut new, mut kept) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut sliced = dims.clone();
    let mut axis = 0;
    for entry in entries {
        let dim = dims.get(axis).copied().flatten();
        let (start, end, step) = match entry {
            Taken::New | Taken::Rest => {
                new.push(kept);
                kept += 1;
                continue;
            }
            Taken::One(at) => {
                if dim.is_some_and(|dim| !(-(dim as i64)..dim as i64).contains(&at)) {
                    return unsupported(format!("element {at} of an axis of {}", dim.unwrap_or_default()));
                }
                gone.push(axis);
                (at, if at == -1 { i64::MAX } else { at.saturating_add(1) }, 1)
            }
            Taken::Slice(_, _, 0) => return unsupported("a slice without a step"),
            Taken::Slice(start, end, step) => {
                kept += 1;
                match (step > 0, dim) {
                    (true, _) => (start.unwrap_or(0), end.unwrap_or(i64::MAX), step),
                    (false, Some(dim)) if dim <= LARGEST_LISTED => {
                        backwards.push((axis, positions(start, end, step, dim)));
                        axis += 1;
                        continue;
                    }
                    (false, _) => return unsupported("a slice backwards through an open axis"),
                }
            }
        };
        if (start, end, step) != (0, i64::MAX, 1) || matches!(entry, Taken::One(_)) {
            for (list, number) in lists.iter_mut().zip([start, end, axis as i64, step]) {
                list.push(number);
            }
            if let Some(dim) = sliced.get_mut(axis) {
                let clipped = |dim: usize| {
                    let dim = dim as i64;
                    let place = |end: i64| if end < 0 { (end + dim).max(0) } else { end.min(dim) };
                    let count = (place(end) - place(start)).max(0);
                    (count as u64).div_ceil(step.unsigned_abs()) as usize
                };
                *dim = if matches!(entry, Taken::One(_)) { Some(1) } else { dim.map(clipped) };
            }
        }
        axis += 1;
    }
    if lists.iter().any(|list| !list.is_empty()) {
        let mut inputs = vec![current.name.clone()];
        for (list, suffix) in lists.iter().zip(["starts", "ends", "axes", "steps"]) {
            inputs.push(context.ints(suffix, list)?);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let name = context.node("Slice", &inputs, "Slice", &[]);
        current = Value { dtype: value.dtype, ..Value::new(name, Some(sliced), Layout::AsIs) };
    }
    for (axis, positions) in backwards {
        current = select::gathered(context, &current, axis, &positions)?;
    }
    if !gone.is_empty() {
        current = shapes::without_axes(context, &current, &gone)?;
    }
    if !new.is_empty() {
        current = shapes::with_axes(context, &current, &new)?;
    }
    Ok(current)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn slices_take_what_python_takes() {
        assert_eq!(positions(None, None, -1, 4), [3, 2, 1, 0]);
        assert_eq!(positions(Some(-2), Some(0), -1, 4), [2, 1]);
        assert_eq!(positions(Some(9), None, -2, 4), [3, 1]);
        assert_eq!(positions(Some(1), Some(-1), 2, 6), [1, 3]);
        assert!(positions(Some(3), Some(1), 1, 6).is_empty() && positions(Some(0), Some(2), -1, 6).is_empty());
    }

    #[test]
    fn entries_of_both_versions_are_read() {
        let slice = Taken::Slice(Some(1), None, 1);
        let whole = Taken::Slice(None, None, 1);
        let old = json!([{"start": null, "stop": null, "step": null}, {"start": 1, "stop": null, "step": null}]);
        assert_eq!(entries(&old, 2), Some(vec![whole, slice]));
        let new = json!([{"class_name": "__ellipsis__", "config": {}}, 0]);
        assert_eq!(entries(&new, 3), Some(vec![whole, whole, Taken::One(0)]));
        let axis = json!([{"class_name": "__slice__", "config": {"start": 1, "stop": null, "step": null}}, null]);
        assert_eq!(entries(&axis, 2), Some(vec![slice, Taken::New, whole]));
        assert_eq!((entries(&json!([0, 0]), 1), entries(&json!([[0, 1]]), 1)), (None, None));
    }
}
