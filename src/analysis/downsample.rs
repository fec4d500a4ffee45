//! Shrinking a map by area average.

use ndarray::{Array2, ArrayView2};

/// The sides a map is shown with: unchanged up to `most`, else both shrunk by one factor, at least 1 each.
pub(super) fn shown_sides(rows: usize, columns: usize, most: usize) -> (usize, usize) {
    let longest = rows.max(columns);
    if longest <= most {
        return (rows, columns);
    }
    let shrink = |side: usize| (side * most).div_ceil(longest).max(1).min(side);
    (shrink(rows), shrink(columns))
}

/// Averages `map` onto `rows x columns` cells, which must not be more than the map has. Each cell is the mean of the
/// area it covers, elements on its border weighted by their part inside. Elements that are not finite are left out;
/// a cell of nothing else is NaN.
pub(super) fn area_average(map: ArrayView2<f32>, rows: usize, columns: usize) -> Array2<f32> {
    if map.dim() == (rows, columns) {
        return map.to_owned();
    }
    let row_parts: Vec<_> = (0..rows).map(|row| parts(row, rows, map.nrows())).collect();
    let column_parts: Vec<_> = (0..columns).map(|column| parts(column, columns, map.ncols())).collect();
    Array2::from_shape_fn((rows, columns), |(row, column)| {
        let (mut sum, mut area) = (0.0, 0.0);
        for &(y, height) in row_parts.get(row).into_iter().flatten() {
            for &(x, width) in column_parts.get(column).into_iter().flatten() {
                let value = map.get((y, x)).map_or(f64::NAN, |&value| f64::from(value));
                if value.is_finite() {
                    sum += value * height * width;
                    area += height * width;
                }
            }
        }
        (sum / area) as f32
    })
}

/// The elements that cell `cell` of `cells` covers among `count`, each with the part of it inside.
fn parts(cell: usize, cells: usize, count: usize) -> Vec<(usize, f64)> {
    // In units of 1 / cells of an element the borders are integers, so that the parts add up exactly.
    let (start, end) = (cell * count, (cell + 1) * count);
    let part = |element: usize| {
        let covered = ((element + 1) * cells).min(end).saturating_sub((element * cells).max(start));
        (element, covered as f64 / cells as f64)
    };
    (start / cells..end.div_ceil(cells)).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn sides_keep_their_proportion() {
        assert_eq!(shown_sides(64, 64, 64), (64, 64));
        assert_eq!(shown_sides(224, 112, 64), (64, 32));
        assert_eq!(shown_sides(1, 1000, 64), (1, 64));
        assert_eq!(shown_sides(1000, 3, 64), (64, 1));
        assert_eq!(shown_sides(0, 5, 64), (0, 5));
    }

    #[test]
    fn whole_cells_are_plain_means() {
        let map = array![[1.0f32, 3.0, 0.0, 0.0], [5.0, 7.0, 0.0, 8.0]];
        assert_eq!(area_average(map.view(), 1, 2), array![[4.0, 2.0]]);
    }

    #[test]
    fn borders_are_weighted_by_area() {
        // Three elements on two cells: the middle one is half in each.
        let map = array![[0.0f32, 3.0, 6.0]];
        assert_eq!(area_average(map.view(), 1, 2), array![[1.0, 5.0]]);
    }

    #[test]
    fn bad_elements_do_not_spread() {
        let map = array![[f32::NAN, 2.0, f32::NAN, f32::INFINITY]];
        let shrunk = area_average(map.view(), 1, 2);
        assert_eq!(shrunk[(0, 0)], 2.0);
        assert!(shrunk[(0, 1)].is_nan());
    }
}
