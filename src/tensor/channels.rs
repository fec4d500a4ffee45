//! Walking a tensor channel by channel.

/// How a row-major tensor falls apart along one axis: `outer` blocks of `count` channels of `inner` elements each.
/// Element `i` belongs to channel `(i / inner) % count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Product of the dims before the axis.
    pub outer: usize,
    /// The dim of the axis.
    pub count: usize,
    /// Product of the dims after the axis.
    pub inner: usize,
}

impl Channels {
    /// The split of `shape` along `axis`, which may be negative (ONNX counts from the end); `None` out of range.
    pub fn along(shape: &[usize], axis: i64) -> Option<Self> {
        let axis = usize::try_from(if axis < 0 { axis + shape.len() as i64 } else { axis }).ok()?;
        let count = *shape.get(axis)?;
        Some(Channels { outer: shape[..axis].iter().product(), count, inner: shape[axis + 1..].iter().product() })
    }

    /// The whole tensor as one channel.
    pub fn whole(len: usize) -> Self {
        Channels { outer: 1, count: 1, inner: len }
    }

    /// The channel that element `index` of the flat data belongs to.
    pub fn of(&self, index: usize) -> usize {
        (index / self.inner.max(1)) % self.count.max(1)
    }

    /// The elements of one channel, in memory order.
    pub fn values<'a, T>(&self, data: &'a [T], channel: usize) -> impl Iterator<Item = &'a T> + use<'a, T> {
        let Channels { count, inner, .. } = *self;
        data.chunks(inner.max(1)).skip(channel).step_by(count.max(1)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_middle_axis() {
        let data: Vec<i32> = (0..24).collect();
        let channels = Channels::along(&[2, 3, 4], 1).unwrap();
        assert_eq!(channels, Channels { outer: 2, count: 3, inner: 4 });
        let second: Vec<i32> = channels.values(&data, 1).copied().collect();
        assert_eq!(second, [4, 5, 6, 7, 16, 17, 18, 19]);
        assert!(second.iter().all(|&i| channels.of(i as usize) == 1));
    }

    #[test]
    fn negative_axes_count_from_the_end() {
        assert_eq!(Channels::along(&[2, 3], -1), Channels::along(&[2, 3], 1));
        assert_eq!(Channels::along(&[2, 3], 2), None);
        assert_eq!(Channels::along(&[2, 3], -3), None);
    }
}
