//! Many runs at the same time.

use super::{EngineError, Plan, PlanOptions, Semantics};
use crate::onnx::Document;
use crate::tensor::Tensor;

/// Plans of one document that run side by side, as many as the machine has cores. Where there are no threads, as in a
/// browser's worker, it is one plan.
pub struct Team {
    plans: Vec<Plan>,
}

impl Team {
    /// Makes the document ready as often as there are cores, but at most `most` times. Fails as [`Plan::compile`] does.
    pub fn compile(
        document: &Document,
        semantics: Semantics,
        options: &PlanOptions,
        most: usize,
    ) -> Result<Self, EngineError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let plans = (0..cores.clamp(1, most.max(1))).map(|_| Plan::compile(document, semantics, options));
        Ok(Team { plans: plans.collect::<Result<_, _>>()? })
    }

    /// The number of runs that go on together.
    pub fn size(&self) -> usize {
        self.plans.len()
    }

    /// One of the plans: what it takes and gives is what all take and give.
    pub fn plan(&self) -> Option<&Plan> {
        self.plans.first()
    }

    /// Runs up to [`Team::size`] sets of inputs, and gives what `read` takes from each run, in the inputs' order;
    /// `meanwhile` is done by this thread while the others run. Fails with the first input's failure.
    pub fn run<T: Send>(
        &mut self,
        inputs: &[Vec<(String, Tensor)>],
        read: impl Fn(&Plan, &[(String, Tensor)]) -> T + Sync,
        meanwhile: impl FnOnce(),
    ) -> Result<Vec<T>, EngineError> {
        let one = |plan: &mut Plan, inputs: &Vec<(String, Tensor)>| {
            plan.run(inputs)?;
            Ok(read(plan, inputs))
        };
        if self.plans.len() == 1 {
            meanwhile();
            return self.plans.iter_mut().zip(inputs).map(|(plan, inputs)| one(plan, inputs)).collect();
        }
        std::thread::scope(|scope| {
            let one = &one;
            let runs = self.plans.iter_mut().zip(inputs).map(|(plan, inputs)| scope.spawn(move || one(plan, inputs)));
            let runs: Vec<_> = runs.collect();
            meanwhile();
            // A panic in a run is a panic of the whole, as without threads.
            let result = |run: std::thread::ScopedJoinHandle<'_, _>| {
                run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            runs.into_iter().map(result).collect()
        })
    }
}
