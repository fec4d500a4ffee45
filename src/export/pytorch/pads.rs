//! Padding of windows: explicit, or as `auto_pad` computes it.

use super::code;
use super::emit::Emitter;
use super::error::Refusal;
use crate::onnx::proto::NodeProto;
use crate::onnx::{Dim, NodeExt};

/// The largest size, stride or padding that is taken: sums and products of these do not overflow.
pub(super) const MOST: i64 = 1 << 28;

/// The padding of a window's operator.
pub(super) enum Pads {
    /// The same in front and behind, by axis.
    Even(Vec<i64>),
    /// In front, behind.
    Uneven(Vec<i64>, Vec<i64>),
    /// `SAME_*` of an image whose size the file does not tell; true for UPPER.
    Same(bool),
}

/// A window: as many entries each as the image has axes.
pub(super) struct Window {
    pub kernel: Vec<i64>,
    pub strides: Vec<i64>,
    pub dilations: Vec<i64>,
    pub pads: Pads,
}

impl Window {
    pub fn read(emitter: &Emitter<'_>, node: &NodeProto, kernel: Vec<i64>) -> Result<Self, Refusal> {
        let rank = kernel.len();
        if !(1..=3).contains(&rank) {
            return Err(format!("a window of {rank} axes").into());
        }
        if let Some(size) = kernel.iter().find(|size| !(1..=MOST).contains(*size)) {
            return Err(format!("a window of size {size}").into());
        }
        let list = |name: &str| match node.ints(name) {
            [] => Ok(vec![1; rank]),
            given if given.len() == rank && given.iter().all(|size| (1..=MOST).contains(size)) => Ok(given.to_vec()),
            given => Err(Refusal(format!("{name} {given:?} of a window of {rank} axes"))),
        };
        let (strides, dilations) = (list("strides")?, list("dilations")?);
        let pads = match node.string("auto_pad").unwrap_or("NOTSET") {
            "NOTSET" => explicit(node.ints("pads"), rank)?,
            "VALID" => Pads::Even(vec![0; rank]),
            mode @ ("SAME_UPPER" | "SAME_LOWER") => {
                let upper = mode == "SAME_UPPER";
                let image =
                    emitter.shape(node, 0).map(|dims| dims.iter().skip(2).map(Dim::known).collect::<Option<Vec<_>>>());
                match image.flatten().filter(|image| image.len() == rank) {
                    Some(image) => same(&image, &kernel, &strides, &dilations, upper),
                    None => Pads::Same(upper),
                }
            }
            other => return Err(format!("auto_pad {other:?}").into()),
        };
        Ok(Window { kernel, strides, dilations, pads })
    }

    /// Pads the image in a line of its own where torch's modules cannot, and gives the image and the `padding` left.
    pub fn padded(&self, emitter: &mut Emitter<'_>, image: String, name: &str, fill: &str) -> (String, Vec<i64>) {
        let none = vec![0; self.kernel.len()];
        let pads = match &self.pads {
            Pads::Even(pads) => return (image, pads.clone()),
            Pads::Uneven(begin, end) => code::tuple(&torch_pads(begin, end)),
            Pads::Same(upper) => {
                let helper = emitter.helper("_same_pads");
                let lists = [&self.kernel, &self.strides, &self.dilations].map(|list| code::list(list)).join(", ");
                format!("{helper}({image}, {lists}, {})", code::boolean(*upper))
            }
        };
        let padded = emitter.give(&format!("{name}_padded"));
        emitter.line(format!("{padded} = F.pad({image}, {pads}, value={fill})"));
        (padded, none)
    }
}

/// `F.pad`'s order: the last axis first, in front and behind in turn.
pub(super) fn torch_pads(begin: &[i64], end: &[i64]) -> Vec<i64> {
    begin.iter().zip(end).rev().flat_map(|(&begin, &end)| [begin, end]).collect()
}

fn even(begin: Vec<i64>, end: Vec<i64>) -> Pads {
    if begin == end && begin.iter().all(|&pad| pad >= 0) { Pads::Even(begin) } else { Pads::Uneven(begin, end) }
}

pub(super) fn explicit(pads: &[i64], rank: usize) -> Result<Pads, Refusal> {
    if pads.is_empty() {
        return Ok(Pads::Even(vec![0; rank]));
    }
    let usual = pads.iter().all(|pad| (-MOST..=MOST).contains(pad));
    match pads.split_at_checked(rank).filter(|(_, end)| end.len() == rank && usual) {
        Some((begin, end)) => Ok(even(begin.to_vec(), end.to_vec())),
        None => Err(format!("pads {pads:?} of a window of {rank} axes").into()),
    }
}

fn same(image: &[usize], kernel: &[i64], strides: &[i64], dilations: &[i64], upper: bool) -> Pads {
    let (mut begin, mut end) = (Vec::new(), Vec::new());
    for (((&size, kernel), stride), dilation) in image.iter().zip(kernel).zip(strides).zip(dilations) {
        let size = (size as i64).min(1 << 48);
        let steps = (size + stride - 1) / stride - 1;
        let total = (steps * stride + (kernel - 1) * dilation + 1 - size).max(0);
        let less = total / 2;
        begin.push(if upper { less } else { total - less });
        end.push(if upper { total - less } else { less });
    }
    even(begin, end)
}
