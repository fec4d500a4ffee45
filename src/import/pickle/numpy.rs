//! numpy arrays and scalars inside a pickle.

use super::value::{Id, Pickle, Value};
use crate::import::ImportError;
use crate::import::npy::{self, Descr};
use crate::tensor::Tensor;

/// Reads an array that numpy pickled, by `_reconstruct` + state (protocols 0 to 4) or `_frombuffer` (protocol 5).
/// `place` names it in messages.
pub fn array(pickle: &Pickle, id: Id, place: &str) -> Result<Tensor, ImportError> {
    let wrong = |what: &str| {
        let found = format!("{what} ({})", pickle.describe(id));
        ImportError::format(place.to_owned(), found, "a numpy array of numbers", "Export the file again.")
    };
    let (module, name, object) = pickle.call(id).ok_or_else(|| wrong("no array"))?;
    if !module.starts_with("numpy") {
        return Err(wrong("no array"));
    }
    let (shape, dtype, fortran_order, data) = match name {
        "_reconstruct" => {
            let state = object.state.and_then(|state| pickle.items(state)).unwrap_or_default();
            match state {
                [_version, shape, dtype, fortran, data] => (*shape, *dtype, pickle.int(*fortran) == Some(1), *data),
                _ => return Err(wrong("an array without its state")),
            }
        }
        "_frombuffer" => match pickle.items(object.args).unwrap_or_default() {
            [data, dtype, shape, order] => {
                (*shape, *dtype, pickle.text(*order).is_some_and(|order| order == "F"), *data)
            }
            _ => return Err(wrong("an array without its arguments")),
        },
        _ => return Err(wrong("no array")),
    };
    let shape = pickle.items(shape).ok_or_else(|| wrong("an array without a shape"))?;
    let shape: Option<Vec<i128>> = shape.iter().map(|&dim| pickle.int(dim).map(i128::from)).collect();
    let shape = shape.ok_or_else(|| wrong("a shape that is not of integers"))?;
    let descr = dtype_of(pickle, dtype).ok_or_else(|| wrong("an array whose dtype is unclear"))?;
    let data = pickle.bytes(data).ok_or_else(|| wrong("an array without its bytes"))?;
    npy::array(&Descr::parse(&descr)?, &shape, fortran_order, &data)
}

/// An int: a Python one or a numpy scalar.
pub fn integer(pickle: &Pickle, id: Id) -> Option<i64> {
    if let Some(value) = pickle.int(id) {
        return Some(value);
    }
    let (module, name, object) = pickle.call(id)?;
    let [dtype, data] = pickle.items(object.args)? else { return None };
    if !module.starts_with("numpy") || name != "scalar" {
        return None;
    }
    let descr = Descr::parse(&dtype_of(pickle, *dtype)?).ok()?;
    npy::array(&descr, &[], false, &pickle.bytes(*data)?).ok()?.to_i64().ok()?.first().copied()
}

/// `numpy.dtype('u1', ..)` with state `(3, '|', ..)` as "|u1".
fn dtype_of(pickle: &Pickle, id: Id) -> Option<String> {
    let (module, name, object) = pickle.call(id)?;
    // numpy 2 can name the class itself: numpy.dtypes.UInt8DType is not written by pickle, so it is not read.
    if !module.starts_with("numpy") || name != "dtype" {
        return None;
    }
    let code = pickle.text(*pickle.items(object.args)?.first()?)?;
    let order = object.state.and_then(|state| pickle.items(state)?.get(1).copied());
    let order = order.and_then(|order| match pickle.get(order) {
        Value::None => None,
        _ => pickle.text(order),
    });
    Some(format!("{}{code}", order.unwrap_or_default()))
}
