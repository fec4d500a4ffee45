//! Changing rows. What cannot be is refused, and the table stays as it was.

use super::edit::{Change, Edit};
use super::grid::{Grid, GridError};
use super::range::{Ranges, Span, container, ranges_of, widest};
use super::row::{QuantTable, Row, RowMode};
use crate::quant::{Granularity, QuantParams};
use crate::tensor::DType;

/// Smallest and largest value of an activation's channels (one pair where it has no channel axis), by
/// [`Row::tensor`]; `None` where they are not known.
pub type ValueRanges<'a> = &'a dyn Fn(&str) -> Option<Vec<(f32, f32)>>;

/// Bits that an edited row may have.
const BITS: std::ops::RangeInclusive<u8> = 2..=16;

/// Changes a row, and with it the biases whose scales follow. Gives the tensors of all rows that changed; a refused
/// edit changes nothing. `original` is the table as the file says it: a row that comes back to it gets its stored
/// codes back. `ranges` knows what the values of activations reach; those of constants are their own.
pub fn apply(
    table: &mut QuantTable,
    original: &QuantTable,
    edit: &Edit,
    ranges: Option<ValueRanges<'_>>,
) -> Result<Vec<String>, GridError> {
    let unknown = || GridError::Row(format!("no row is on '{}'", edit.tensor));
    let before = table.row(&edit.tensor).ok_or_else(unknown)?;
    let file = original.row(&edit.tensor);
    let mut row = before.clone();
    change(&mut row, file, &edit.change, ranges)?;
    settle(&mut row, file);
    let mut changed = Vec::new();
    if row.grid != before.grid || row.enabled != before.enabled {
        changed.push(row.clone());
    }
    let find = |tensor: &str| if tensor == row.tensor { Some(&row) } else { table.row(tensor) };
    for bias in &table.rows {
        let Some(of) = bias.bias_of.as_ref().filter(|of| of.input == row.tensor || of.weight == row.tensor) else {
            continue;
        };
        let (Some(input), Some(weight)) = (find(&of.input), find(&of.weight)) else { continue };
        let mut next = if bias.tensor == row.tensor { row.clone() } else { bias.clone() };
        next.grid = follow(&next, input, weight, original)?;
        settle(&mut next, original.row(&bias.tensor));
        if next.grid != bias.grid {
            changed.push(next);
        }
    }
    let names = changed.iter().map(|row| row.tensor.clone()).collect();
    for row in changed {
        if let Some(slot) = table.row_mut(&row.tensor) {
            *slot = row;
        }
    }
    Ok(names)
}

/// A row whose grid is the file's has the file's codes.
fn settle(row: &mut Row, file: Option<&Row>) {
    let stored = file.filter(|file| file.grid == row.grid).and_then(|file| file.constant.as_ref()?.stored.clone());
    if let Some(constant) = row.constant.as_mut() {
        constant.stored = stored;
    }
}

/// A bias's grid: scale = input scale x weight scale, the file's own where both are the file's.
fn follow(bias: &Row, input: &Row, weight: &Row, original: &QuantTable) -> Result<Grid, GridError> {
    let unedited =
        |row: &Row| original.row(&row.tensor).is_some_and(|file| file.grid.params.scale == row.grid.params.scale);
    if let Some(file) = original.row(&bias.tensor).filter(|_| unedited(input) && unedited(weight)) {
        return Ok(file.grid.clone());
    }
    let &[input_scale] = input.grid.params.scale.as_slice() else {
        let message = format!("the bias '{}' follows one scale of '{}', not several", bias.tensor, input.tensor);
        return Err(GridError::Row(message));
    };
    let scale: Vec<f32> = weight.grid.params.scale.iter().map(|weight| input_scale * weight).collect();
    let shape = bias.constant.as_ref().map(|constant| constant.float.shape());
    let granularity = match scale.len() {
        1 => Granularity::PerTensor,
        _ => Granularity::PerChannel { axis: shape.map_or(0, |shape| shape.len().saturating_sub(1)) },
    };
    let params = QuantParams { zero_point: vec![0; scale.len()], scale, dtype: DType::Int32, granularity };
    let grid = Grid { params, bits: 32, narrow_range: false };
    grid.check(shape)?;
    Ok(grid)
}

fn change(
    row: &mut Row,
    file: Option<&Row>,
    change: &Change,
    ranges: Option<ValueRanges<'_>>,
) -> Result<(), GridError> {
    let refuse = |message: &str| Err(GridError::Row(message.to_owned()));
    match change {
        Change::Enabled(enabled) => {
            row.enabled = *enabled;
            return Ok(());
        }
        Change::Reset => {
            let Some(file) = file else { return refuse("the file has no such row") };
            (row.grid, row.enabled) = (file.grid.clone(), file.enabled);
            return Ok(());
        }
        _ => {}
    }
    if row.bias_of.is_some() {
        return refuse("the scale of a bias follows from those of its input and its weight");
    }
    if row.mode == RowMode::Dynamic {
        return refuse("scale and zero point are computed in each run");
    }
    let grid = match change {
        Change::Scale { channel, scale } => {
            let mut grid = row.grid.clone();
            each(&mut grid.params.scale, *channel, |slot| *slot = *scale)?;
            grid
        }
        Change::ZeroPoint { channel, zero_point } => {
            let mut grid = row.grid.clone();
            each(&mut grid.params.zero_point, *channel, |slot| *slot = *zero_point)?;
            grid
        }
        Change::Range { channel, low, high } => range(&row.grid, *channel, *low, *high)?,
        Change::Codes { bits, signed, narrow_range } => codes(&row.grid, *bits, *signed, *narrow_range)?,
        Change::Symmetric(symmetric) => {
            let axis = axis_of(&row.grid)?;
            let known = values(row, axis, ranges).filter(|known| known.len() == row.grid.params.scale.len());
            let reach = known.map_or_else(|| row.grid.spans(), |known| wide(&known));
            row.grid.spread_over(&reach, axis, *symmetric)?
        }
        Change::PerChannel(per_channel) => per_channel_of(row, *per_channel, ranges)?,
        Change::Grid(grid) => {
            let same_width = grid.params.dtype == DType::Int32 && row.grid.params.dtype == DType::Int32;
            if !same_width && !BITS.contains(&grid.bits) {
                return Err(GridError::Bits { bits: grid.bits, dtype: grid.params.dtype });
            }
            grid.clone()
        }
        Change::Enabled(_) | Change::Reset => row.grid.clone(),
    };
    let shape = row.constant.as_ref().map(|constant| constant.float.shape());
    grid.check(shape)?;
    row.grid = grid;
    Ok(())
}

/// Changes one element, or all.
fn each<T>(values: &mut [T], channel: Option<usize>, mut change: impl FnMut(&mut T)) -> Result<(), GridError> {
    match channel {
        None => values.iter_mut().for_each(change),
        Some(channel) => {
            let count = values.len();
            let slot = values.get_mut(channel);
            change(slot.ok_or_else(|| GridError::Row(format!("there is no channel {channel} of {count}")))?);
        }
    }
    Ok(())
}

/// Scale and zero point of a range: a symmetric row keeps its zero point.
fn range(grid: &Grid, channel: Option<usize>, low: f32, high: f32) -> Result<Grid, GridError> {
    if !(low.is_finite() && high.is_finite() && low < high && low <= 0.0 && high >= 0.0) {
        return Err(GridError::Range { low, high });
    }
    let zero_point = grid.is_symmetric().then(|| grid.middle());
    let (scale, zero_point) = grid.spread(Span::of_reals(low, high), zero_point)?;
    let mut changed = grid.clone();
    each(&mut changed.params.scale, channel, |slot| *slot = scale)?;
    each(&mut changed.params.zero_point, channel, |slot| *slot = zero_point)?;
    Ok(changed)
}

/// Other codes over the same range.
fn codes(grid: &Grid, bits: u8, signed: bool, narrow_range: bool) -> Result<Grid, GridError> {
    let dtype = container(bits, signed, grid.params.dtype);
    if !BITS.contains(&bits) || grid.params.dtype == DType::Int32 {
        return Err(GridError::Bits { bits, dtype: grid.params.dtype });
    }
    let mut next = grid.clone();
    (next.bits, next.narrow_range, next.params.dtype) = (bits, narrow_range, dtype);
    let zero_point = grid.is_symmetric().then(|| next.middle());
    let pairs: Result<Vec<(f32, i32)>, GridError> =
        grid.spans().into_iter().map(|span| next.spread(span, zero_point)).collect();
    (next.params.scale, next.params.zero_point) = pairs?.into_iter().unzip();
    Ok(next)
}

/// The channel axis of a grid; blocks have none.
fn axis_of(grid: &Grid) -> Result<Option<usize>, GridError> {
    match grid.params.granularity {
        Granularity::PerTensor => Ok(None),
        Granularity::PerChannel { axis } => Ok(Some(axis)),
        Granularity::Blocked { .. } => Err(GridError::Row("a row of blocks is edited scale by scale".to_owned())),
    }
}

/// What the values reach, where it is known.
fn values(row: &Row, axis: Option<usize>, ranges: Option<ValueRanges<'_>>) -> Option<Ranges> {
    let found = match &row.constant {
        Some(constant) => ranges_of(&constant.float.to_f32().ok()?, constant.float.shape(), axis),
        None => ranges?(&row.tensor)?,
    };
    let finite = !found.is_empty() && found.iter().all(|(low, high)| low.is_finite() && high.is_finite());
    let found = Some(found).filter(|_| finite)?;
    Some(if axis.is_none() { vec![widest(&found)] } else { found })
}

fn wide(ranges: &[(f32, f32)]) -> Vec<Span> {
    ranges.iter().map(|&(low, high)| Span::of_reals(low, high)).collect()
}

/// One scale for each index of the channel axis, or one for all.
fn per_channel_of(row: &Row, per_channel: bool, ranges: Option<ValueRanges<'_>>) -> Result<Grid, GridError> {
    let symmetric = row.grid.is_symmetric();
    let now = row.grid.spans();
    if !per_channel {
        let all = now.iter().copied().fold(Span::of_codes(0.0, 0.0), Span::and);
        let reach = values(row, None, ranges).map_or_else(|| vec![all], |known| wide(&known));
        return row.grid.spread_over(&reach, None, symmetric);
    }
    let axis = row.channel_axis.ok_or_else(|| GridError::Row("the tensor has no channel axis".to_owned()))?;
    let known = values(row, Some(axis), ranges);
    let count = row.constant.as_ref().and_then(|constant| constant.float.shape().get(axis).copied());
    let count = count.or(known.as_ref().map(Vec::len));
    let count = count.ok_or_else(|| GridError::Row("the number of channels is not known".to_owned()))?;
    let reach = match (known, now.as_slice()) {
        (Some(known), _) => wide(&known),
        (None, [one]) => vec![*one; count],
        (None, all) => all.to_vec(),
    };
    row.grid.spread_over(&reach, Some(axis), symmetric)
}
