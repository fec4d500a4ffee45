//! What lists, tuples and dicts hold. Dropped level by level: code can put lists inside of lists without end, and a
//! stack ends.

use super::python::Py;
use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;

/// The items of a list.
#[derive(Debug)]
pub(super) struct Items(RefCell<Vec<Py>>);

/// The pairs of a dict, in order.
#[derive(Debug)]
pub(super) struct Pairs(RefCell<Vec<(Py, Py)>>);

/// The items of a tuple.
#[derive(Debug)]
pub(super) struct Fixed(Vec<Py>);

impl Items {
    pub fn new(items: Vec<Py>) -> Rc<Self> {
        Rc::new(Items(RefCell::new(items)))
    }
}

impl Pairs {
    pub fn new(pairs: Vec<(Py, Py)>) -> Rc<Self> {
        Rc::new(Pairs(RefCell::new(pairs)))
    }
}

impl Fixed {
    pub fn new(items: Vec<Py>) -> Rc<Self> {
        Rc::new(Fixed(items))
    }

    pub fn as_slice(&self) -> &[Py] {
        &self.0
    }
}

impl Deref for Items {
    type Target = RefCell<Vec<Py>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Deref for Pairs {
    type Target = RefCell<Vec<(Py, Py)>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Deref for Fixed {
    type Target = [Py];

    fn deref(&self) -> &[Py] {
        &self.0
    }
}

impl Drop for Items {
    fn drop(&mut self) {
        drop_all(self.0.take());
    }
}

impl Drop for Pairs {
    fn drop(&mut self) {
        drop_all(self.0.take().into_iter().flat_map(|(key, value)| [key, value]).collect());
    }
}

impl Drop for Fixed {
    fn drop(&mut self) {
        drop_all(std::mem::take(&mut self.0));
    }
}

/// Takes what nobody else holds out of its containers before they are dropped.
fn drop_all(mut left: Vec<Py>) {
    while let Some(value) = left.pop() {
        match value {
            Py::List(items) => left.extend(Rc::into_inner(items).into_iter().flat_map(|items| items.0.take())),
            Py::Tuple(items) => {
                left.extend(Rc::into_inner(items).into_iter().flat_map(|mut items| std::mem::take(&mut items.0)));
            }
            Py::Dict(pairs) => {
                let pairs = Rc::into_inner(pairs).into_iter().flat_map(|pairs| pairs.0.take());
                left.extend(pairs.flat_map(|(key, value)| [key, value]));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_levels_are_dropped() {
        let mut value = Py::None;
        for level in 0..1_000_000 {
            value = match level % 3 {
                0 => Py::list(vec![value]),
                1 => Py::tuple(vec![value]),
                _ => Py::dict(vec![(Py::Int(level), value)]),
            };
        }
        drop(value);
    }

    #[test]
    fn what_others_hold_stays() {
        let inner = Py::list(vec![Py::Int(1)]);
        drop(Py::tuple(vec![inner.clone(), Py::Int(2)]));
        assert_eq!(inner.items().map(|items| items.len()), Some(1));
    }
}
