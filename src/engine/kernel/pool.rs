//! `AveragePool` and `GlobalAveragePool` in f32, summed in the order of ONNX Runtime's kernels.
//!
//! A pooling between a DequantizeLinear and a QuantizeLinear of equal scales has sums that lie on rounding ties in every
//! 60th element: there the last bit decides. Nothing in these sums depends on FMA, so the same order gives the same bits
//! natively and in wasm.

use super::{Inputs, Kernel, required};
use crate::engine::lower::FlatNode;
use crate::engine::tract_node::TractNode;
use crate::engine::value::{KernelError, Value};
use crate::engine::window::{AxisWindows, Pooling, Window};
use crate::tensor::DType;

/// Sum of a whole plane: four running sums, joined as (0 + 2) + (1 + 3), then the rest one by one.
///
/// Source: ORT `MlasPoolGlobalKernel`, `MlasReduceAddFloat32x4`.
fn plane_sum(data: &[f32]) -> f32 {
    let (quads, rest) = data.split_at(data.len() - data.len() % 4);
    let mut lanes = [0f32; 4];
    for quad in quads.chunks_exact(4) {
        lanes.iter_mut().zip(quad).for_each(|(lane, &v)| *lane += v);
    }
    let [a, b, c, d] = lanes;
    rest.iter().fold((a + c) + (b + d), |sum, &v| sum + v)
}

/// `AveragePool`.
pub(super) struct AveragePool {
    pooling: Pooling,
    /// From operator set 19 on ORT pools by another code path: elements in memory order.
    in_order: bool,
}

/// The kernel of a pooling node; tract's where the window is dilated.
pub(super) fn average(flat: &FlatNode) -> Result<Box<dyn Kernel>, KernelError> {
    match Pooling::new(&flat.proto) {
        Ok(pooling) => Ok(Box::new(AveragePool { pooling, in_order: flat.opset >= 19 })),
        Err(_) => Ok(Box::new(TractNode::new(flat)?)),
    }
}

/// Widest row that fits ORT's reduction buffer.
const BUFFERED_WIDTH: usize = 1984;

/// How ORT sums a window.
///
/// Source: ORT `MlasPool`, which chooses the kernel.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    Whole,
    ByColumns,
    InMemory,
}

impl AveragePool {
    fn order(&self, windows: &[AxisWindows], dims: &[usize]) -> Order {
        if self.in_order {
            return Order::InMemory;
        }
        let buffered = dims.last().is_some_and(|&width| width <= BUFFERED_WIDTH);
        match self.pooling.is_global(windows) {
            true => Order::Whole,
            false if dims.len() >= 2 && self.pooling.last_stride() <= 2 && self.pooling.is_at_most(32) && buffered => {
                Order::ByColumns
            }
            false => Order::InMemory,
        }
    }

    fn mean(&self, data: &[f32], window: &Window, order: Order) -> f32 {
        let sum = match order {
            Order::Whole => plane_sum(data),
            Order::ByColumns => window.sum_by_columns(data),
            Order::InMemory => window.sum(data),
        };
        let count = match (self.pooling.count_include_pad, self.in_order) {
            (false, _) => window.inside(),
            // With `ceil_mode` a window may reach past the padding; older kernels count that part too.
            (true, false) => self.pooling.volume(),
            (true, true) => window.padded(),
        };
        sum / count as f32
    }
}

impl Kernel for AveragePool {
    fn run(&mut self, inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
        let x = required(inputs, 0)?;
        let numbers = x.f32s()?;
        let windows = self.pooling.windows(x.shape())?;
        let (lead, dims) = x.shape().split_at_checked(2).unwrap_or((x.shape(), &[]));
        let (plane, results): (usize, usize) = (dims.iter().product(), windows.iter().map(|w| w.count).product());
        let shape: Vec<usize> = lead.iter().copied().chain(windows.iter().map(|w| w.count)).collect();
        let order = self.order(&windows, dims);
        let mut window = Window::default();
        let y = Value::build(DType::Float32, &shape, |y: &mut [f32]| {
            for position in 0..results {
                window.move_to(&windows, position);
                for (y, data) in y.chunks_mut(results).zip(numbers.chunks(plane.max(1))) {
                    if let Some(y) = y.get_mut(position) {
                        *y = self.mean(data, &window, order);
                    }
                }
            }
            Ok(())
        })?;
        Ok(vec![y.retyped(x.dtype())?])
    }
}

/// `GlobalAveragePool`.
pub(super) fn global_average(inputs: Inputs<'_>) -> Result<Vec<Value>, KernelError> {
    let x = required(inputs, 0)?;
    let numbers = x.f32s()?;
    if x.shape().len() < 2 {
        return Err(format!("data of shape {:?} has no channels", x.shape()));
    }
    let plane: usize = x.shape().iter().skip(2).product();
    let shape: Vec<usize> = x.shape().iter().enumerate().map(|(axis, &d)| if axis < 2 { d } else { 1 }).collect();
    let y = Value::build(DType::Float32, &shape, |y: &mut [f32]| {
        y.iter_mut().zip(numbers.chunks(plane.max(1))).for_each(|(y, data)| *y = plane_sum(data) / plane as f32);
        Ok(())
    })?;
    Ok(vec![y.retyped(x.dtype())?])
}
