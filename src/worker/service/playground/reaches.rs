//! What the values of an activation reach, for edits that make a range from them.

use super::runs::Runs;
use super::states::channel_axis;
use crate::quant::table::Row;
use crate::tensor::Channels;
use crate::worker::protocol::Version;

/// Smallest and largest value of an activation's channels in the edited version, before its own rounding and behind the
/// absorbed activation function; `None` for constants, and for values that nothing has run with.
///
/// The input that is looked at is one of many, and others reach further. So its values say how far one side reaches in
/// proportion to the other, and the larger side is the row's own: what was calibrated, or set by hand.
pub fn reached(runs: &Runs, row: &Row) -> Option<Vec<(f32, f32)>> {
    if row.constant.is_some() {
        return None;
    }
    let values = runs.before(Version::Edited, row)?;
    let channels = channel_axis(row).filter(|_| row.grid.params.scale.len() > 1);
    let channels = match channels {
        Some(axis) => Channels::along(runs.shape(&row.tensor)?, i64::try_from(axis).ok()?)?,
        None => Channels::whole(values.len()),
    };
    let reach = row.grid.reach();
    let (one_for_all, symmetric) = (reach.first().copied(), row.grid.is_symmetric());
    let found = (0..channels.count).map(|channel| {
        let own = if reach.len() > 1 { reach.get(channel).copied() } else { one_for_all }?;
        let own = if symmetric { mirrored(own) } else { own };
        Some(in_proportion(bounds(channels.values(&values, channel)), own))
    });
    found.collect()
}

/// Smallest and largest finite value, 0 among them.
fn bounds<'a>(values: impl Iterator<Item = &'a f32>) -> (f32, f32) {
    let finite = values.filter(|value| value.is_finite());
    finite.fold((0.0, 0.0), |(low, high), value| (low.min(*value), high.max(*value)))
}

/// The side that both directions of a symmetric range have.
fn mirrored((low, high): (f32, f32)) -> (f32, f32) {
    let side = low.abs().min(high.abs());
    (-side, side)
}

/// The values' bounds made larger or smaller, so that their larger side is that of the present range; that range where
/// all values are 0.
fn in_proportion((low, high): (f32, f32), own: (f32, f32)) -> (f32, f32) {
    let (larger, side) = (high.max(-low), own.1.abs().max(own.0.abs()));
    if larger == 0.0 {
        return own;
    }
    let scaled = |bound: f32| (f64::from(bound) / f64::from(larger) * f64::from(side)) as f32;
    (scaled(low), scaled(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_side_is_the_row_s_own() {
        assert_eq!(in_proportion((0.0, 4.0), (-6.0, 6.0)), (0.0, 6.0));
        assert_eq!(in_proportion((-2.0, 4.0), (-6.0, 6.0)), (-3.0, 6.0));
        assert_eq!(in_proportion((-40.0, 10.0), (-6.0, 6.0)), (-6.0, 1.5), "what was clipped by hand stays clipped");
        assert_eq!(in_proportion((0.0, 0.0), (-1.0, 2.0)), (-1.0, 2.0));
        assert_eq!(bounds([f32::NAN, -1.0, f32::INFINITY, 3.0].iter()), (-1.0, 3.0));
        assert_eq!(mirrored((-12.8, 12.7)), (-12.7, 12.7));
    }
}
