//! The shape of a model's first input as a person writes it: what a scripted PyTorch file does not tell.

use crate::onnx::Dim;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Axes that a tensor may have.
const MAX_AXES: usize = 8;
/// The largest dim: more is a slip of the finger.
const MAX_DIM: usize = 1 << 24;

/// Dims of an input; `None` is one that stays open, such as the batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputShape(Vec<Option<usize>>);

/// Why a text is no shape.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InputShapeError {
    /// A dim that is neither a number nor open.
    #[error("'{0}' is no dim: write a number from 1 to {MAX_DIM}, or N for one that stays open")]
    Dim(String),
    /// Too many axes, or none.
    #[error("{0} dims where 1 to {MAX_AXES} are expected, as in N,3,224,224")]
    Axes(usize),
}

impl FromStr for InputShape {
    type Err = InputShapeError;

    /// Reads `N,3,224,224`, `1x3x224x224` and `[-1, 3, 32, 32]`. Open is a dim of `N`, `?`, `-1` or `None`.
    fn from_str(text: &str) -> Result<Self, InputShapeError> {
        let bare = text.trim().trim_start_matches(['[', '(']).trim_end_matches([']', ')']);
        let parts: Vec<&str> =
            bare.split([',', ' ', 'x', 'X', '×', '*']).map(str::trim).filter(|part| !part.is_empty()).collect();
        if !(1..=MAX_AXES).contains(&parts.len()) {
            return Err(InputShapeError::Axes(parts.len()));
        }
        let dim = |part: &&str| match *part {
            "N" | "n" | "?" | "-1" | "None" => Ok(None),
            number => match number.parse() {
                Ok(dim) if (1..=MAX_DIM).contains(&dim) => Ok(Some(dim)),
                _ => Err(InputShapeError::Dim(number.to_owned())),
            },
        };
        parts.iter().map(dim).collect::<Result<_, _>>().map(InputShape)
    }
}

impl fmt::Display for InputShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.0.iter().map(|dim| dim.map_or("N".to_owned(), |dim| dim.to_string())).collect();
        f.write_str(&dims.join(", "))
    }
}

impl InputShape {
    /// The dims as the format has them.
    pub fn dims(&self) -> Vec<Dim> {
        self.0.iter().map(|dim| dim.map_or(Dim::Unknown, Dim::Known)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_read_as_people_write_it() {
        for text in ["N,3,224,224", "[-1, 3, 224, 224]", "? x 3 x 224 x 224", "(None,3,224,224)"] {
            assert_eq!(text.parse::<InputShape>().unwrap().to_string(), "N, 3, 224, 224", "{text}");
        }
        assert_eq!("1x3x8x8".parse::<InputShape>().unwrap().dims()[0], Dim::Known(1));
        assert_eq!("".parse::<InputShape>(), Err(InputShapeError::Axes(0)));
        assert_eq!("1,2,3,4,5,6,7,8,9".parse::<InputShape>(), Err(InputShapeError::Axes(9)));
        for dim in ["0", "-2", "3.5", "channels", "99999999999999999999"] {
            assert_eq!(dim.parse::<InputShape>(), Err(InputShapeError::Dim(dim.to_owned())), "{dim}");
        }
    }
}
