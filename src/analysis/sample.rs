//! Elements that the analyses accept, and a tensor's elements as one of them.

use crate::tensor::{DType, Tensor, TensorError};

/// A real number that widens to `f64`: exactly, but for 64-bit integers beyond 2^53.
pub trait Sample: Copy {
    /// The value as `f64`.
    fn widen(self) -> f64;
}

macro_rules! samples {
    ($($t:ty),*) => { $(impl Sample for $t {
        fn widen(self) -> f64 {
            self as f64
        }
    })* };
}
samples!(f32, f64, i8, i16, i32, i64, u8, u16, u32, u64);

impl Sample for half::f16 {
    fn widen(self) -> f64 {
        self.to_f64()
    }
}

impl Sample for half::bf16 {
    fn widen(self) -> f64 {
        self.to_f64()
    }
}

/// A tensor's elements in the type that numpy would compute their histogram in.
pub(super) enum Elements {
    /// float16.
    Half(Vec<half::f16>),
    /// float32, and the narrow types numpy does not know (bfloat16, fp8, fp4), which float32 holds exactly.
    Single(Vec<f32>),
    /// float64, and integers up to 32 bits and booleans, which float64 holds exactly.
    Double(Vec<f64>),
    /// int64.
    Signed(Vec<i64>),
    /// uint64.
    Unsigned(Vec<u64>),
}

impl Elements {
    /// Reads the elements; fails for complex numbers.
    pub(super) fn of(tensor: &Tensor) -> Result<Self, TensorError> {
        Ok(match tensor.dtype() {
            DType::Float16 => Elements::Half(tensor.to_vec()?),
            DType::Int64 => Elements::Signed(tensor.to_vec()?),
            DType::Uint64 => Elements::Unsigned(tensor.to_vec()?),
            DType::Float64 => Elements::Double(tensor.to_vec()?),
            dtype if dtype.is_float() => Elements::Single(tensor.to_f32()?),
            _ => Elements::Double(tensor.to_f64()?),
        })
    }
}

/// Calls `$run` with the elements of `$tensor` as a slice of their own type bound to `$values`.
macro_rules! with_elements {
    ($tensor:expr, $values:ident => $run:expr) => {
        match $crate::analysis::sample::Elements::of($tensor)? {
            $crate::analysis::sample::Elements::Half($values) => $run,
            $crate::analysis::sample::Elements::Single($values) => $run,
            $crate::analysis::sample::Elements::Double($values) => $run,
            $crate::analysis::sample::Elements::Signed($values) => $run,
            $crate::analysis::sample::Elements::Unsigned($values) => $run,
        }
    };
}
pub(super) use with_elements;
