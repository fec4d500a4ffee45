//! Dilated convolutions as TensorFlow writes them: the image is spread over the batch (SPACE_TO_BATCH_ND), convolved
//! there, and put together again (BATCH_TO_SPACE_ND). ONNX has a dilation instead, so that all three are one node.

use super::{input, output, unsupported};
use crate::import::ImportError;
use crate::import::tflite::convert::Converter;
use crate::import::tflite::model::Operator;
use crate::import::tflite::values::Layout;

/// An image that was spread over the batch.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::import::tflite) struct Spread {
    /// The image before.
    pub image: usize,
    /// Every how many pixels, by axis.
    pub block: [usize; 2],
    /// Padding in front and behind, by axis.
    pub pads: [[i64; 2]; 2],
}

/// What a convolution of a spread image is in truth.
pub(super) struct Dilated {
    pub image: usize,
    pub result: usize,
    pub dilations: [usize; 2],
    /// As ONNX orders them.
    pub pads: [i64; 4],
}

/// Remembers a spread image. No node is added: the convolution that reads it takes the image itself.
pub(super) fn spread(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let (image, result) = (input(c, operator, 0)?, output(c, operator)?);
    let (block, pads) = (c.integers(input(c, operator, 1)?)?, c.integers(input(c, operator, 2)?)?);
    let readers: Vec<&Operator> =
        c.graph.operators.iter().filter(|reader| reader.inputs.contains(&Some(result))).collect();
    let convolved = readers.iter().all(|reader| matches!(reader.kind.as_str(), "CONV_2D" | "DEPTHWISE_CONV_2D"));
    let whole = |&block: &i64| usize::try_from(block).ok().filter(|block| (1..=1 << 20).contains(block));
    let sizes: Option<Vec<usize>> = block.iter().map(whole).collect();
    match (sizes.as_deref(), pads.as_slice(), convolved && c.rank(image) == 4 && !c.is_output(result)) {
        (Some(&[height, width]), &[top, bottom, left, right], true) => {
            let pads = [[top, bottom], [left, right]];
            c.spread.insert(result, Spread { image, block: [height, width], pads });
            Ok(())
        }
        _ => Err(unsupported(c, operator, "space to batch that is not a dilated convolution")),
    }
}

/// The end of a dilated convolution, whose result is there already.
pub(super) fn join(c: &mut Converter<'_>, operator: &Operator) -> Result<(), ImportError> {
    let made = output(c, operator)?;
    match c.values.contains_key(&(made, Layout::First)) {
        true => Ok(()),
        false => Err(unsupported(c, operator, "batch to space that is not a dilated convolution")),
    }
}

/// The dilated convolution that an operator on a spread image stands for; `None` for any other operator.
pub(super) fn dilated(c: &Converter<'_>, operator: &Operator) -> Result<Option<Dilated>, ImportError> {
    let (x, y) = (input(c, operator, 0)?, output(c, operator)?);
    let Some(spread) = c.spread.get(&x) else { return Ok(None) };
    let refuse = || unsupported(c, operator, "a convolution of a spread image that is not put together again");
    let mut readers = c.graph.operators.iter().filter(|reader| reader.inputs.contains(&Some(y)));
    let join = readers.next().filter(|reader| reader.kind == "BATCH_TO_SPACE_ND").ok_or_else(refuse)?;
    let block = c.integers(input(c, join, 1)?)?;
    let same_block = block.iter().map(|&size| usize::try_from(size).ok()).eq(spread.block.map(Some));
    let crops = c.integers(input(c, join, 2)?)?;
    let &[top, bottom, left, right] = crops.as_slice() else { return Err(refuse()) };
    let crops = [[top, bottom], [left, right]];
    let pad = |axis: usize, side: usize| spread.pads[axis][side].saturating_sub(crops[axis][side]);
    let pads = [pad(0, 0), pad(1, 0), pad(0, 1), pad(1, 1)];
    if readers.next().is_some() || !same_block || pads.iter().any(|&pad| pad < 0) {
        return Err(refuse());
    }
    Ok(Some(Dilated { image: spread.image, result: output(c, join)?, dilations: spread.block, pads }))
}
