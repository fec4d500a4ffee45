//! Reordering a tensor's axes.

use super::{Tensor, TensorError};
use bytes::Bytes;

impl Tensor {
    /// The elements with the axes in another order: axis `i` of the result is axis `axes[i]` of this tensor, as in
    /// numpy's `transpose`. Fails where `axes` is no permutation of this tensor's axes.
    pub fn permuted(&self, axes: &[usize]) -> Result<Tensor, TensorError> {
        let rank = self.shape().len();
        let is_permutation = axes.len() == rank && (0..rank).all(|axis| axes.contains(&axis));
        if !is_permutation {
            return Err(TensorError::Axes { axes: axes.to_vec(), shape: self.shape().to_vec() });
        }
        let shape: Vec<usize> = axes.iter().filter_map(|&axis| self.shape().get(axis)).copied().collect();
        let mut strides = vec![1usize; rank];
        for axis in (1..rank).rev() {
            strides[axis - 1] = strides[axis] * self.shape()[axis];
        }
        let strides: Vec<usize> = axes.iter().filter_map(|&axis| strides.get(axis)).copied().collect();
        let bits = self.dtype().bits().unwrap_or(8);
        let sources = Sources { shape: &shape, strides: &strides, index: vec![0; rank], next: 0, left: self.len() };
        let bytes = if bits < 8 { self.gather_codes(sources, bits) } else { self.gather_bytes(sources, bits / 8) };
        Tensor::new(self.dtype(), shape, Bytes::from(bytes))
    }

    fn gather_bytes(&self, sources: Sources<'_>, width: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes().len());
        for source in sources {
            out.extend_from_slice(self.bytes().get(source * width..(source + 1) * width).unwrap_or_default());
        }
        out
    }

    /// Elements below a byte, packed low bits first.
    fn gather_codes(&self, sources: Sources<'_>, bits: usize) -> Vec<u8> {
        let per_byte = 8 / bits;
        let mask = ((1u16 << bits) - 1) as u8;
        let mut out = vec![0u8; self.bytes().len()];
        for (target, source) in sources.enumerate() {
            let code = self.bytes().get(source / per_byte).map_or(0, |byte| byte >> (source % per_byte * bits)) & mask;
            if let Some(byte) = out.get_mut(target / per_byte) {
                *byte |= code << (target % per_byte * bits);
            }
        }
        out
    }
}

/// For each element of the result in order, its position in the source.
struct Sources<'a> {
    shape: &'a [usize],
    strides: &'a [usize],
    index: Vec<usize>,
    next: usize,
    left: usize,
}

impl Iterator for Sources<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let source = self.next;
        for axis in (0..self.shape.len()).rev() {
            self.index[axis] += 1;
            self.next += self.strides[axis];
            if self.index[axis] < self.shape[axis] {
                break;
            }
            self.next -= self.strides[axis] * self.index[axis];
            self.index[axis] = 0;
        }
        Some(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    #[test]
    fn axes_move_as_numpy_moves_them() {
        let tensor = Tensor::from_vec(vec![2, 3, 2], (0..12i16).collect()).unwrap();
        let moved = tensor.permuted(&[2, 0, 1]).unwrap();
        assert_eq!(moved.shape(), [2, 2, 3]);
        // numpy: np.arange(12).reshape(2, 3, 2).transpose(2, 0, 1).ravel()
        assert_eq!(moved.to_i64().unwrap(), [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]);
        assert_eq!(moved.permuted(&[1, 2, 0]).unwrap(), tensor);
    }

    #[test]
    fn packed_and_empty_and_scalar() {
        let int4 = Tensor::new(DType::Int4, vec![3, 1], Bytes::from_static(&[0xf7, 0x08])).unwrap();
        assert_eq!(int4.permuted(&[1, 0]).unwrap().to_i64().unwrap(), [7, -1, -8]);
        let square = Tensor::new(DType::Uint4, vec![2, 2], Bytes::from_static(&[0x21, 0x43])).unwrap();
        assert_eq!(square.permuted(&[1, 0]).unwrap().to_i64().unwrap(), [1, 3, 2, 4]);
        let empty = Tensor::from_vec::<f32>(vec![0, 4], vec![]).unwrap();
        assert_eq!(empty.permuted(&[1, 0]).unwrap().shape(), [4, 0]);
        let scalar = Tensor::from_vec(vec![], vec![1u8]).unwrap();
        assert_eq!(scalar.permuted(&[]).unwrap(), scalar);
    }

    #[test]
    fn no_permutation_is_refused() {
        let tensor = Tensor::from_vec(vec![2, 3], vec![0u8; 6]).unwrap();
        for axes in [&[0][..], &[0, 0], &[0, 2], &[0, 1, 2]] {
            assert!(matches!(tensor.permuted(axes), Err(TensorError::Axes { .. })), "{axes:?}");
        }
    }
}
