//! A classifier on many items.

use super::scores::score_of;
use super::{Answered, Failure, Job, Service};
use crate::engine::Observe;
use crate::problem::Problem;
use crate::worker::protocol::{EvaluateOrder, InputChoice, Reply, RunOrder, Scores};

impl Service {
    /// Scores of the ordered items, one run each.
    pub(super) async fn evaluate(&mut self, order: EvaluateOrder, job: &impl Job) -> Answered {
        let mut plans = std::mem::take(&mut self.plans);
        let mut tables = std::mem::take(&mut self.tables);
        let scores = self.scores(&order, &mut plans, &mut tables, job).await;
        (self.plans, self.tables) = (plans, tables);
        Ok((Reply::Scores(scores?), None))
    }

    async fn scores(
        &self,
        order: &EvaluateOrder,
        plans: &mut super::run::Plans,
        tables: &mut super::playground::Tables,
        job: &impl Job,
    ) -> Result<Scores, Failure> {
        let model = self.model(order.model)?;
        let source = self.source(order.source)?;
        let file = &model.summary.file;
        Self::can_run(model)?;
        let end = order.first.saturating_add(order.count).min(self.item_count(model, source));
        let plan = if order.edited {
            let (edits, document) = self.edited_document(tables, model)?;
            plans.of_edited((model.id, edits, &document), order.semantics)
        } else {
            plans.of(model, order.semantics, Observe::OutputsOnly)
        };
        let plan = plan.map_err(|error| error.problem(file))?;
        let began_ms = job.now_ms();
        let mut scores = Vec::with_capacity(end.saturating_sub(order.first));
        for item in order.first..end {
            let label = format!("Evaluating {}", model.summary.name);
            if !job.checkpoint(&label, item - order.first, end - order.first).await {
                return Err(Failure::Cancelled);
            }
            let run = RunOrder {
                input: InputChoice::Item { source: order.source, index: item },
                preprocess: order.preprocess.clone(),
                semantics: order.semantics,
            };
            let inputs = self.inputs(model, plan.inputs(), &run)?;
            plan.run(&inputs).map_err(|error| error.problem(file))?;
            let score = plan.outputs().first().and_then(|name| {
                score_of(model, name, &plan.value(name)?, u32::try_from(item).ok()?, source.label(item))
            });
            scores.push(score.ok_or_else(|| Problem {
                file: file.clone(),
                place: "the first output".to_owned(),
                found: "it is not a vector of class scores".to_owned(),
                expected: "[classes] or [1, classes]".to_owned(),
                advice: "Only classifiers can be evaluated.".to_owned(),
            })?);
        }
        Ok(Scores { order: order.clone(), scores, run_ms: job.now_ms() - began_ms })
    }
}
