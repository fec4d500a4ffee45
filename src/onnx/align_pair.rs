//! Matching the operations of two models.
//!
//! 1. Structure: operations get colours by Weisfeiler-Lehman refinement, and a colour that stands once on each side
//!    is a match. Matches become anchors with colours of their own and the refinement starts again. It is done with
//!    wide and with narrow neighbourhoods, with and without operations that one side may have folded away.
//! 2. What structure leaves ambiguous (branches of equal shape): the weights' similarity. It outweighs names, since a
//!    quantized weight is nearly parallel to its float one (cosine above 0.99 at 8 bits) and names are arbitrary.
//! 3. Then equal names of nodes or values, then the order of running.
//!
//! Each decision of 2 and 3 is one match, after which structure decides again.

use super::align_view::{View, hash, is_foldable, is_optional};
use super::core_graph::CoreOp;
use super::document::Document;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// How far a wide neighbourhood reaches, in edges.
const WIDE: usize = 16;

/// Weights less parallel than this say nothing.
const COSINE_AT_LEAST: f64 = 0.5;

/// The best candidate has to be more parallel than the next by this much.
const COSINE_MARGIN: f64 = 0.05;

/// The weights of two models, read once each.
pub(super) struct Weights<'a> {
    documents: [&'a Document; 2],
    read: &'a dyn Fn(&Document, &str) -> Option<Vec<f32>>,
    known: HashMap<(usize, String), Option<Rc<Vec<f32>>>>,
}

impl<'a> Weights<'a> {
    pub fn new(documents: [&'a Document; 2], read: &'a dyn Fn(&Document, &str) -> Option<Vec<f32>>) -> Self {
        Weights { documents, read, known: HashMap::new() }
    }

    fn of(&mut self, side: usize, op: &CoreOp) -> Option<Rc<Vec<f32>>> {
        let constants = op.operands.iter().filter(|operand| operand.constant);
        let weight = constants.min_by_key(|operand| operand.role != "weight")?;
        let (document, read) = (self.documents[side], self.read);
        let known = self.known.entry((side, weight.value.clone()));
        known.or_insert_with(|| read(document, &weight.value).map(Rc::new)).clone()
    }

    fn cosine(&mut self, a: &CoreOp, b: &CoreOp) -> Option<f64> {
        let (a, b) = (self.of(0, a)?, self.of(1, b)?);
        let sum =
            |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b.iter()).map(|(&a, &b)| f(a.into(), b.into())).sum::<f64>();
        let norms = sum(&|a, _| a * a).sqrt() * sum(&|_, b| b * b).sqrt();
        (a.len() == b.len() && norms > 0.0).then(|| sum(&|a, b| a * b) / norms)
    }
}

/// For each operation of the first model its counterpart in the second.
pub(super) fn match_pair(documents: [&Document; 2], ops: [&[CoreOp]; 2], weights: &mut Weights) -> Vec<Option<usize>> {
    let views = |skip: &dyn Fn(&CoreOp) -> bool| [0, 1].map(|side| View::new(documents[side], ops[side], skip));
    let mut pair = Pair { documents, ops, partner: [vec![None; ops[0].len()], vec![None; ops[1].len()]] };
    // First without activation functions, which quantizers absorb; and without what may be folded into a layer.
    let plain = views(&is_optional);
    let folded = views(&|op| is_optional(op) || is_foldable(op));
    let radii = [WIDE, 4, 2, 1, 0];
    let levels: Vec<(&[View; 2], usize)> =
        radii.iter().flat_map(|&radius| [(&plain, radius), (&folded, radius)]).collect();
    pair.run(&levels, weights);
    // Then the activation functions, by the layers around them.
    let plain = views(&|_| false);
    let folded = views(&is_foldable);
    pair.run(&[(&plain, 2), (&folded, 2), (&plain, 1), (&folded, 1)], weights);
    pair.partner[0].clone()
}

/// Operations of both sides that look the same.
type Class = [Vec<usize>; 2];

struct Pair<'a> {
    documents: [&'a Document; 2],
    ops: [&'a [CoreOp]; 2],
    partner: [Vec<Option<usize>>; 2],
}

impl Pair<'_> {
    fn run(&mut self, levels: &[(&[View; 2], usize)], weights: &mut Weights) {
        loop {
            let by_structure = levels.iter().any(|(views, radius)| self.take_unique(views, *radius));
            let further = by_structure
                || levels.iter().any(|(views, radius)| self.take_by_weight(views, *radius, weights))
                || levels.iter().any(|(views, radius)| self.take_by_name(views, *radius))
                || levels.iter().any(|(views, radius)| self.take_by_order(views, *radius));
            if !further {
                return;
            }
        }
    }

    fn join(&mut self, first: usize, second: usize) {
        self.partner[0][first] = Some(second);
        self.partner[1][second] = Some(first);
    }

    /// The classes of unmatched operations that have members on both sides, in the order of the first side.
    fn classes(&self, views: &[View; 2], radius: usize) -> Vec<Class> {
        let anchor = |first: usize| hash(&("matched", first));
        let fixed: [Vec<Option<u64>>; 2] = [
            self.partner[0].iter().enumerate().map(|(op, partner)| partner.map(|_| anchor(op))).collect(),
            self.partner[1].iter().map(|partner| partner.map(anchor)).collect(),
        ];
        let mut classes: HashMap<u64, Class> = HashMap::new();
        for side in [0, 1] {
            let colours = views[side].colours(&fixed[side], radius);
            for (op, colour) in colours.into_iter().enumerate() {
                if self.partner[side][op].is_none() && !views[side].skipped[op] {
                    classes.entry(colour).or_default()[side].push(op);
                }
            }
        }
        let both = classes.into_values().filter(|class| class.iter().all(|side| !side.is_empty()));
        let ordered: BTreeMap<usize, Class> = both.map(|class| (class[0][0], class)).collect();
        ordered.into_values().collect()
    }

    /// Matches every class of one and one.
    fn take_unique(&mut self, views: &[View; 2], radius: usize) -> bool {
        let mut any = false;
        for class in self.classes(views, radius) {
            if let ([first], [second]) = (class[0].as_slice(), class[1].as_slice()) {
                self.join(*first, *second);
                any = true;
            }
        }
        any
    }

    /// Matches the one pair whose weights are clearly the most parallel of their class.
    fn take_by_weight(&mut self, views: &[View; 2], radius: usize, weights: &mut Weights) -> bool {
        for class in self.classes(views, radius) {
            for &first in &class[0] {
                let mut scored: Vec<(f64, usize)> = Vec::new();
                for &second in &class[1] {
                    let score = weights.cosine(&self.ops[0][first], &self.ops[1][second]);
                    scored.extend(score.map(|score| (score, second)));
                }
                scored.sort_by(|a, b| b.0.total_cmp(&a.0));
                let next = scored.get(1).map_or(f64::MIN, |next| next.0);
                if let Some(&(best, second)) = scored.first()
                    && best >= COSINE_AT_LEAST
                    && best - next >= COSINE_MARGIN
                {
                    self.join(first, second);
                    return true;
                }
            }
        }
        false
    }

    fn names(&self, side: usize, op: usize) -> Vec<String> {
        let op = &self.ops[side][op];
        let node = self.documents[side].node(op.node).map_or("", |node| node.name());
        // What quantizers append to names.
        let bare = |name: &str| name.trim_end_matches("_quantized").trim_end_matches("_quant").to_owned();
        let own = [node, op.output.as_str()].into_iter().filter(|name| !name.is_empty());
        own.map(bare).collect()
    }

    /// Matches the one pair of a class that shares a name no other member has.
    fn take_by_name(&mut self, views: &[View; 2], radius: usize) -> bool {
        for class in self.classes(views, radius) {
            for &first in &class[0] {
                let names = self.names(0, first);
                let same = |second: &&usize| self.names(1, **second).iter().any(|name| names.contains(name));
                let mut found = class[1].iter().filter(same);
                if let (Some(&second), None) = (found.next(), found.next()) {
                    self.join(first, second);
                    return true;
                }
            }
        }
        false
    }

    /// Matches the first pair of a class that is equally large on both sides.
    fn take_by_order(&mut self, views: &[View; 2], radius: usize) -> bool {
        let classes = self.classes(views, radius);
        let Some(class) = classes.iter().find(|class| class[0].len() == class[1].len()) else { return false };
        self.join(class[0][0], class[1][0]);
        true
    }
}
