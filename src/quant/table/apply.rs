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

/// A zero point is put beside the middle by a range where the scale grows by no more than this.
const BESIDE_AT_MOST: f32 = 1.05;

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
        Change::Codes { bits, signed, narrow_range } => {
            let dtype = container(*bits, *signed, row.grid.params.dtype);
            codes(&row.grid, *bits, dtype, *narrow_range)?
        }
        Change::Type(dtype) => stored_as(&row.grid, *dtype)?,
        Change::Symmetric(symmetric) => {
            let axis = axis_of(&row.grid)?;
            let known = values(row, axis, ranges).filter(|known| known.len() == row.grid.params.scale.len());
            let reach = known.map_or_else(|| row.grid.spans(), |known| wide(&known));
            let grid = row.grid.spread_over(&reach, axis, *symmetric)?;
            if *symmetric { grid } else { beside_the_middle(grid, &reach)? }
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
            change(values.get_mut(channel).ok_or_else(|| no_channel(channel, count))?);
        }
    }
    Ok(())
}

fn no_channel(channel: usize, count: usize) -> GridError {
    GridError::Row(format!("there is no channel {channel} of {count}"))
}

/// An asymmetric grid over ranges whose zero points came out in the middle: one code beside it.
fn beside_the_middle(mut grid: Grid, reach: &[Span]) -> Result<Grid, GridError> {
    if !grid.is_symmetric() {
        return Ok(grid);
    }
    let pairs: Option<Vec<(f32, i32)>> = reach.iter().map(|span| grid.spread_aside(*span)).collect();
    let pairs = pairs.ok_or_else(|| {
        GridError::Row(format!("the codes of {} bits reach both sides of 0 only symmetrically", grid.bits))
    })?;
    (grid.params.scale, grid.params.zero_point) = pairs.into_iter().unzip();
    Ok(grid)
}

/// Scale and zero point of a range. A symmetric row keeps its zero point; an asymmetric one stays asymmetric as long as
/// that costs next to nothing, so that a bound that is dragged past the other one's mirror image does not begin to move
/// both. For all channels of several the range is the widest of them, and their own lie in it.
fn range(grid: &Grid, channel: Option<usize>, low: f32, high: f32) -> Result<Grid, GridError> {
    if !(low.is_finite() && high.is_finite() && low < high && low <= 0.0 && high >= 0.0) {
        return Err(GridError::Range { low, high });
    }
    let count = grid.params.scale.len();
    let asked = Span::of_reals(low, high);
    let spans = match channel {
        Some(channel) if channel >= count => return Err(no_channel(channel, count)),
        Some(channel) => vec![(channel, asked)],
        None if count == 1 => vec![(0, asked)],
        None => all_within(grid, (low, high)),
    };
    let zero_point = grid.is_symmetric().then(|| grid.middle());
    let pairs: Result<Vec<(f32, i32)>, GridError> =
        spans.iter().map(|(_, span)| grid.spread(*span, zero_point)).collect();
    let mut pairs = pairs?;
    let changed = with_pairs(grid, &spans, &pairs);
    if zero_point.is_some() || !changed.is_symmetric() {
        return Ok(changed);
    }
    for ((_, span), pair) in spans.iter().zip(&mut pairs) {
        let beside = grid.spread_aside(*span).filter(|(scale, _)| *scale <= pair.0 * BESIDE_AT_MOST);
        *pair = beside.unwrap_or(*pair);
    }
    Ok(with_pairs(grid, &spans, &pairs))
}

/// A grid with other scales and zero points in some places.
fn with_pairs(grid: &Grid, places: &[(usize, Span)], pairs: &[(f32, i32)]) -> Grid {
    let mut changed = grid.clone();
    for ((place, _), pair) in places.iter().zip(pairs) {
        let params = &mut changed.params;
        if let (Some(scale), Some(zero_point)) = (params.scale.get_mut(*place), params.zero_point.get_mut(*place)) {
            (*scale, *zero_point) = *pair;
        }
    }
    changed
}

/// The ranges of the channels that a range for all of them changes. Moved inwards, a bound cuts the channels that reach
/// further, and leaves those alone that do not; moved outwards, it takes those along that reached furthest.
fn all_within(grid: &Grid, asked: (f32, f32)) -> Vec<(usize, Span)> {
    let own: Vec<(f32, f32)> = match grid.is_symmetric() {
        true => grid.spans().into_iter().map(Span::reals).collect(),
        false => grid.reach(),
    };
    let most = widest(&own);
    let high = |own: f32, most: f32, asked: f32| match asked > most {
        true if own >= most => asked,
        true => own,
        false => own.min(asked),
    };
    let next = own.iter().enumerate().map(|(place, own)| {
        let next = (-high(-own.0, -most.0, -asked.0), high(own.1, most.1, asked.1));
        (place, *own, next)
    });
    let changed = next.filter(|(_, own, next)| own != next);
    let span = |(low, high): (f32, f32)| Some(Span::of_reals(low, high)).filter(|span| !span.is_empty());
    // A channel of which nothing is left has the whole range: what it holds is cut off all the same.
    changed.map(|(place, _, next)| (place, span(next).unwrap_or(Span::of_reals(asked.0, asked.1)))).collect()
}

/// The types that codes of 2 to 16 bits are stored in.
const STORED: [DType; 6] = [DType::Int4, DType::Uint4, DType::Int8, DType::Uint8, DType::Int16, DType::Uint16];

/// The same range in codes of another type: all of them, or as many bits as now where the type is as wide.
fn stored_as(grid: &Grid, dtype: DType) -> Result<Grid, GridError> {
    let width = dtype.bits().and_then(|bits| u8::try_from(bits).ok()).filter(|_| STORED.contains(&dtype));
    let Some(width) = width else {
        return Err(GridError::Row(format!("codes are stored in 4, 8 or 16 bits, not as {dtype}")));
    };
    let bits = if grid.params.dtype.bits() == dtype.bits() { grid.bits } else { width };
    codes(grid, bits, dtype, grid.narrow_range)
}

/// Other codes over the same range.
fn codes(grid: &Grid, bits: u8, dtype: DType, narrow_range: bool) -> Result<Grid, GridError> {
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
