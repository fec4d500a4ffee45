//! How many items a source has for a model, and which of its arrays feeds which input.

use super::Service;
use super::model::OpenModel;
use super::source::{Content, OpenSource};
use crate::engine::{InputFact, input_facts};
use crate::tensor::Tensor;

/// What of an array goes into a model's input in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All of it: it is one item, or does not fit at all.
    Whole,
    /// `rows` along its first axis, as many as the input's batch takes: `count` items. A rest that fills no batch is left
    /// out.
    Rows {
        /// Rows of an item.
        rows: usize,
        /// Items.
        count: usize,
    },
    /// One place on its first axis, which the input does not have.
    Elements {
        /// Items.
        count: usize,
    },
}

impl Cut {
    /// How an array of this shape, `[N, sample..]`, is cut for an input.
    pub fn of(shape: &[usize], fact: &InputFact) -> Cut {
        let (Some((&count, sample)), true) = (shape.split_first(), fact.ranked) else { return Cut::Whole };
        if fits(shape, &fact.shape) && fact.shape.first().copied().flatten().is_some() {
            return Cut::Whole;
        }
        match fact.shape.split_first() {
            Some((batch, dims)) if fits(sample, dims) => match batch.unwrap_or(1) {
                0 => Cut::Whole,
                rows if count < rows => Cut::Whole,
                rows => Cut::Rows { rows, count: count / rows },
            },
            _ if count > 0 && fits(sample, &fact.shape) => Cut::Elements { count },
            _ => Cut::Whole,
        }
    }

    /// Number of items.
    pub fn count(self) -> usize {
        match self {
            Cut::Whole => 1,
            Cut::Rows { count, .. } | Cut::Elements { count } => count,
        }
    }

    /// An item; `None` where there is no such one.
    pub fn item(self, tensor: &Tensor, index: usize) -> Option<Tensor> {
        let sample = tensor.shape().get(1..).unwrap_or_default();
        let (rows, shape) = match self {
            Cut::Whole => return (index == 0).then(|| tensor.clone()),
            Cut::Rows { rows, .. } => (rows, std::iter::once(rows).chain(sample.iter().copied()).collect()),
            Cut::Elements { .. } => (1, sample.to_vec()),
        };
        let size = sample.iter().try_fold(rows, |size, &dim| size.checked_mul(dim))?;
        // Packed elements of 4 bits do not begin at a byte; no file of arrays has them.
        let bytes = tensor.dtype().bytes_for(size).filter(|_| tensor.dtype().bits() >= Some(8))?;
        let (start, end) = (index.checked_mul(bytes)?, index.checked_add(1)?.checked_mul(bytes)?);
        let inside = index < self.count() && end <= tensor.bytes().len();
        inside.then(|| Tensor::new(tensor.dtype(), shape, tensor.bytes().slice(start..end)).ok()).flatten()
    }
}

fn fits(shape: &[usize], wanted: &[Option<usize>]) -> bool {
    shape.len() == wanted.len()
        && shape.iter().zip(wanted).all(|(dim, wanted)| wanted.is_none_or(|wanted| wanted == *dim))
}

/// What feeds an input.
pub enum Part<'a> {
    /// The items of a source.
    Items(&'a OpenSource),
    /// The numbers that were taken for its labels.
    Labels(&'a OpenSource),
}

impl Service {
    /// What of a source, or of the arrays that share its file, feeds the input at `position`; `None` where nothing does.
    ///
    /// The only input takes the source. Of several inputs each takes the array of its name; a source that has the name of
    /// none feeds the first.
    pub(super) fn part<'a>(&'a self, facts: &[InputFact], position: usize, source: &'a OpenSource) -> Option<Part<'a>> {
        let fact = facts.get(position)?;
        if facts.len() == 1 {
            return Some(Part::Items(source));
        }
        let beside = |open: &&OpenSource| open.id != source.id && open.file().is_some() && open.file() == source.file();
        let together = || std::iter::once(source).chain(self.sources.iter().filter(beside));
        let named = together().find(|open| open.array_name() == Some(fact.name.as_str())).map(Part::Items);
        let labels = || together().find(|open| open.labels_name() == Some(fact.name.as_str())).map(Part::Labels);
        let own = source.array_name();
        let first = position == 0 && !facts.iter().any(|fact| own == Some(fact.name.as_str()));
        named.or_else(labels).or_else(|| first.then_some(Part::Items(source)))
    }

    /// How many items a source has for a model.
    pub(super) fn item_count(&self, model: &OpenModel, source: &OpenSource) -> usize {
        let Content::Array { array, .. } = &source.content else { return source.len() };
        // A model whose inputs cannot be told cannot run either.
        let facts = input_facts(&model.document).unwrap_or_default();
        let feeds =
            |at: &usize| matches!(self.part(&facts, *at, source), Some(Part::Items(open)) if open.id == source.id);
        let fact = (0..facts.len()).find(feeds).and_then(|at| facts.get(at));
        fact.map_or(1, |fact| Cut::of(array.tensor.shape(), fact).count())
    }

    /// How many items a source is said to have: for the first open model that takes more than one.
    pub(super) fn shown_items(&self, source: &OpenSource) -> usize {
        match source.content {
            Content::Array { .. } => {
                self.models.iter().map(|model| self.item_count(model, source)).find(|count| *count > 1).unwrap_or(1)
            }
            _ => source.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    fn fact(shape: &[Option<usize>]) -> InputFact {
        InputFact { name: "x".to_owned(), dtype: DType::Float32, ranked: true, shape: shape.to_vec() }
    }

    #[test]
    fn arrays_are_cut_along_their_first_axis() {
        type Case<'a> = (&'a [usize], &'a [Option<usize>], Cut);
        let cases: [Case; 11] = [
            (&[500, 16], &[None, Some(16)], Cut::Rows { rows: 1, count: 500 }),
            (&[500, 16], &[Some(1), Some(16)], Cut::Rows { rows: 1, count: 500 }),
            (&[500, 2, 128], &[None, None, None], Cut::Rows { rows: 1, count: 500 }),
            (&[9, 16], &[Some(4), Some(16)], Cut::Rows { rows: 4, count: 2 }),
            // What the model takes at once is one item.
            (&[4, 16], &[Some(4), Some(16)], Cut::Whole),
            (&[1, 16], &[Some(1), Some(16)], Cut::Whole),
            // A sample without batch, and too few rows.
            (&[16], &[None, Some(16)], Cut::Whole),
            (&[3, 16], &[Some(4), Some(16)], Cut::Whole),
            // A model without a batch axis.
            (&[500, 16, 64], &[Some(16), Some(64)], Cut::Elements { count: 500 }),
            (&[500, 17], &[None, Some(16)], Cut::Whole),
            (&[0, 16], &[None, Some(16)], Cut::Whole),
        ];
        for (shape, wanted, cut) in cases {
            assert_eq!(Cut::of(shape, &fact(wanted)), cut, "{shape:?} for {wanted:?}");
        }
        let unranked = InputFact { ranked: false, ..fact(&[]) };
        assert_eq!(Cut::of(&[500, 16], &unranked), Cut::Whole);
    }

    #[test]
    fn items_are_the_rows() {
        let tensor = Tensor::from_vec(vec![5, 2], (0..10).map(|value| value as f32).collect()).unwrap();
        let item =
            |cut: Cut, index| cut.item(&tensor, index).map(|item| (item.shape().to_vec(), item.to_f32().unwrap()));
        let one = Cut::Rows { rows: 1, count: 5 };
        assert_eq!(item(one, 4), Some((vec![1, 2], vec![8.0, 9.0])));
        assert_eq!(item(one, 5), None);
        let two = Cut::Rows { rows: 2, count: 2 };
        assert_eq!(item(two, 1), Some((vec![2, 2], vec![4.0, 5.0, 6.0, 7.0])));
        // The fifth row fills no batch.
        assert_eq!(item(two, 2), None);
        assert_eq!(item(Cut::Elements { count: 5 }, 1), Some((vec![2], vec![2.0, 3.0])));
        assert_eq!(item(Cut::Whole, 0).unwrap().0, [5, 2]);
        assert_eq!(item(Cut::Whole, 1), None);
    }
}
