//! What a search does, stage by stage.

use super::super::{Failure, Job};
use super::search::{Search, problem};
use crate::quant::TensorKind;
use crate::quant::autopilot::{Recipe, RowChange, better, first_recipes, halving, ladder};
use crate::quant::quantizer::{BiasCorrection, Corrections, Quantized};
use crate::quant::table::Row;
use std::cmp::Ordering;

/// Images on which single rows are switched.
const SWITCHING_IMAGES: usize = 32;
/// Candidates that go into the last round of a stage.
const LAST_ROUND: usize = 4;
/// Rows that are changed together at most, apart from weights.
const MOST_RAISED: usize = 32;
/// One in so many tensors may stay float, at most: a model whose activations are float is no integer model.
const FLOAT_EVERY: usize = 5;
/// Points of accuracy below the target at which making weights narrower ends.
const HOPELESS_POINTS: f64 = 5.0;
/// How many of the best candidates are corrected.
const CORRECTED: usize = 2;

impl<J: Job> Search<'_, J> {
    /// The whole search. What it has found stays where it is stopped or fails.
    pub async fn stages(&mut self) -> Result<(), Failure> {
        self.begin().await?;
        self.raise().await?;
        self.widen_weights().await?;
        self.narrow_weights().await?;
        self.corrections().await
    }

    fn stage(&mut self, words: &str) {
        words.clone_into(&mut self.report.stage);
        self.tell();
    }

    /// The order of two candidates by what they have shown.
    pub fn order(&self, first: usize, second: usize) -> Ordering {
        match (self.trials.get(first), self.trials.get(second)) {
            (Some(a), Some(b)) => {
                let order = better(&self.order.target, &self.standing(a), &self.standing(b));
                order.then(first.cmp(&second))
            }
            _ => first.cmp(&second),
        }
    }

    /// The best of the candidates that have seen all selection images and that a condition holds for.
    pub fn best(&self, condition: impl Fn(&Recipe) -> bool) -> Option<usize> {
        let seen = |at: &usize| {
            self.trials.get(*at).is_some_and(|trial| trial.seen == self.images() && condition(&trial.recipe))
        };
        (0..self.trials.len()).filter(seen).min_by(|a, b| self.order(*a, *b))
    }

    /// Successive halving among candidates; the last ones have seen all selection images.
    async fn compete(&mut self, mut candidates: Vec<usize>, last: usize) -> Result<(), Failure> {
        let rounds = halving(candidates.len(), self.images(), last);
        let total: usize = rounds.iter().map(|(count, _)| count).sum();
        let mut done = 0;
        for (count, images) in rounds {
            candidates.sort_by(|a, b| self.order(*a, *b));
            candidates.truncate(count);
            for &candidate in &candidates {
                self.advance(candidate, images, (done, total)).await?;
                done += 1;
            }
        }
        Ok(())
    }

    async fn propose_all(&mut self, recipes: impl Iterator<Item = Recipe>) -> Result<Vec<usize>, Failure> {
        let mut made = Vec::new();
        for recipe in recipes {
            self.checkpoint(0, 0).await?;
            made.extend(self.propose(recipe).await?);
        }
        Ok(made)
    }

    /// Calibrators, granularity, symmetry, equalization.
    async fn begin(&mut self) -> Result<(), Failure> {
        self.stage("Autopilot: comparing calibrations");
        let equalizable = self.documents.1.is_some();
        let recipes = first_recipes(self.order.wide_activations).into_iter();
        let candidates = self.propose_all(recipes.filter(|recipe| equalizable || !recipe.corrections.equalize)).await?;
        if candidates.is_empty() {
            let why = match first_recipes(false).first().map(|recipe| self.plain(recipe)) {
                Some(Err(error)) => error.to_string(),
                _ => "no recipe gives a model that can be written".to_owned(),
            };
            return Err(problem(&self.feed, "quantizing", why, "Quantize it by hand to see what is in the way.").into());
        }
        // Activations of 8 and of 16 bits apart: the first would not get into the last round.
        let (wide, narrow) =
            candidates.into_iter().partition(|at| self.trials.get(*at).is_some_and(|t| t.recipe.is_wide()));
        self.compete(narrow, LAST_ROUND).await?;
        self.compete(wide, LAST_ROUND / 2).await
    }

    /// The rows that are worst in 8 bits get 16, or stay float.
    async fn raise(&mut self) -> Result<(), Failure> {
        self.stage("Autopilot: raising the worst tensors");
        let Some(base) = self.best(|recipe| !recipe.is_wide()) else { return Ok(()) };
        let (recipe, quantized) = self.of(base)?;
        let rows = rows(&quantized, |row| row.kind != TensorKind::Weight);
        let off: Vec<Row> = rows.iter().map(|row| Row { enabled: false, ..row.clone() }).collect();
        let (own, without) = self.noise_with(&quantized, &off, SWITCHING_IMAGES).await?;
        let gains = without.into_iter().map(|noise| own - noise);
        let worst = sorted(rows.iter().zip(gains).map(|(row, gain)| (row, -gain)));
        let mut recipes = Vec::new();
        for count in ladder(worst.len().min(MOST_RAISED)) {
            let some = || worst.iter().take(count);
            let wide = |row: &&Row| RowChange::Wide { constant: row.constant.is_some() };
            if self.order.wide_activations {
                recipes.push(recipe.with(some().map(|row| (row.tensor.as_str(), wide(row)))));
            }
        }
        for count in ladder(worst.len().div_ceil(FLOAT_EVERY)) {
            let some = worst.iter().take(count);
            recipes.push(recipe.with(some.map(|row| (row.tensor.as_str(), RowChange::Float))));
        }
        let candidates = self.propose_all(recipes.into_iter()).await?;
        self.compete(candidates, LAST_ROUND).await
    }

    /// Where there is room in the file, the weights that gain most by it get 16 bits.
    async fn widen_weights(&mut self) -> Result<(), Failure> {
        self.stage("Autopilot: widening weights");
        let Some(base) = self.best(|_| true) else { return Ok(()) };
        let (recipe, quantized) = self.of(base)?;
        let rows = rows(&quantized, |row| row.kind == TensorKind::Weight);
        let off: Vec<Row> = rows.iter().map(|row| Row { enabled: false, ..row.clone() }).collect();
        let (own, without) = self.noise_with(&quantized, &off, SWITCHING_IMAGES).await?;
        let per_byte = |(row, noise): (&Row, f64)| -(own - noise) / elements(row) as f64;
        let worst = sorted(rows.iter().zip(without).map(|(row, noise)| (row, per_byte((row, noise)))));
        let room = self.order.target.max_bytes.saturating_sub(self.trials.get(base).map_or(0, |trial| trial.bytes));
        let mut recipes = Vec::new();
        for count in ladder(worst.len()) {
            let some = || worst.iter().take(count);
            if some().map(|row| elements(row)).sum::<usize>() <= room {
                let wide = RowChange::Wide { constant: true };
                recipes.push(recipe.with(some().map(|row| (row.tensor.as_str(), wide))));
            }
        }
        let candidates = self.propose_all(recipes.into_iter()).await?;
        self.compete(candidates, LAST_ROUND / 2).await
    }

    /// The weights that lose least by it get 4 bits, more and more of them: smaller files, and where nothing fits yet,
    /// one that does.
    async fn narrow_weights(&mut self) -> Result<(), Failure> {
        self.stage("Autopilot: narrowing weights");
        let of_eight =
            |recipe: &Recipe| !recipe.changes.values().any(|change| *change == RowChange::Wide { constant: true });
        let Some(base) = self.best(|recipe| of_eight(recipe) && recipe.per_channel).or_else(|| self.best(of_eight))
        else {
            return Ok(());
        };
        let (recipe, quantized) = self.of(base)?;
        let weights: Vec<String> =
            rows(&quantized, |row| row.kind == TensorKind::Weight).into_iter().map(|row| row.tensor).collect();
        let all = recipe.with(weights.iter().map(|weight| (weight.as_str(), RowChange::Narrow)));
        let Ok(narrow) = self.plain(&all) else { return Ok(()) };
        let narrow = rows(&narrow, |row| weights.contains(&row.tensor));
        let (own, with) = self.noise_with(&quantized, &narrow, SWITCHING_IMAGES).await?;
        let per_byte = |(row, noise): (&Row, f64)| (noise - own) / elements(row) as f64;
        let order = sorted(narrow.iter().zip(with).map(|(row, noise)| (row, per_byte((row, noise)))));
        let of =
            |count: usize| recipe.with(order.iter().take(count).map(|row| (row.tensor.as_str(), RowChange::Narrow)));
        let mut counts = ladder(order.len());
        if self.trials.get(base).is_some_and(|trial| trial.bytes > self.order.target.max_bytes) {
            // The fewest that make it fit, which is the best of those that do.
            let fits = |count: &usize| {
                let made = self.plain(&of(*count)).ok();
                let file = made.and_then(|made| {
                    crate::quant::table::lower(&made.document, &made.table, crate::quant::table::TableFormat::Qdq).ok()
                });
                file.is_some_and(|file| file.encode().len() <= self.order.target.max_bytes)
            };
            let all: Vec<usize> = (1..=order.len()).collect();
            let fewest = all.partition_point(|count| !fits(count)) + 1;
            if fewest <= order.len() && !counts.contains(&fewest) {
                counts.push(fewest);
                counts.sort_unstable();
            }
        }
        let images = self.images();
        for (done, count) in counts.iter().enumerate() {
            let Some(trial) = self.propose(of(*count)).await? else { continue };
            self.advance(trial, images, (done, counts.len())).await?;
            let standing = self.trials.get(trial).map(|trial| self.standing(trial)).unwrap_or_default();
            let target = self.order.target;
            if target.fits(&standing) && standing.drop_points() > target.max_drop_points + HOPELESS_POINTS {
                break;
            }
        }
        Ok(())
    }

    /// The best ones rounded to data and with their biases corrected: each, and both.
    async fn corrections(&mut self) -> Result<(), Failure> {
        self.stage("Autopilot: correcting the best");
        let mut best: Vec<usize> = (0..self.trials.len())
            .filter(|at| self.trials.get(*at).is_some_and(|trial| trial.seen == self.images()))
            .collect();
        best.sort_by(|a, b| self.order(*a, *b));
        best.truncate(CORRECTED);
        let mut recipes = Vec::new();
        for at in best {
            let Some(trial) = self.trials.get(at) else { continue };
            for (adaptive_rounding, bias) in
                [(false, BiasCorrection::Empirical), (true, BiasCorrection::None), (true, BiasCorrection::Empirical)]
            {
                let corrections = Corrections { adaptive_rounding, bias, ..trial.recipe.corrections };
                recipes.push(Recipe { corrections, ..trial.recipe.clone() });
            }
        }
        let candidates = self.propose_all(recipes.into_iter()).await?;
        self.compete(candidates, 3 * CORRECTED).await
    }

    fn of(&self, trial: usize) -> Result<(Recipe, std::rc::Rc<Quantized>), Failure> {
        let Some(recipe) = self.trials.get(trial).map(|trial| trial.recipe.clone()) else {
            return Err(Failure::Cancelled);
        };
        Ok((recipe, self.model_of(trial)?))
    }
}

/// The rows that are on, biases left out: their scales follow.
fn rows(quantized: &Quantized, wanted: impl Fn(&Row) -> bool) -> Vec<Row> {
    quantized.table.rows.iter().filter(|row| row.enabled && row.bias_of.is_none() && wanted(row)).cloned().collect()
}

fn elements(row: &Row) -> usize {
    row.constant.as_ref().map_or(1, |constant| constant.float.len()).max(1)
}

/// The rows with the smallest numbers first; equal ones in the graph's order.
fn sorted<'a>(rows: impl Iterator<Item = (&'a Row, f64)>) -> Vec<&'a Row> {
    let mut all: Vec<(&Row, f64)> = rows.collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1));
    all.into_iter().map(|(row, _)| row).collect()
}
