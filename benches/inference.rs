//! One image through the sample's networks: this engine, which shows every value, beside tract's own optimized plan of the
//! same file in the same run. `make bench` prints the ratios.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use quantscope::engine::{Observe, Plan, PlanOptions, Semantics};
use quantscope::onnx::Document;
use quantscope::tensor::Tensor;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tract_onnx::prelude::{Datum, Framework, InferenceFact, InferenceModelExt, IntoRunnable, TractResult, tvec};

const SHAPE: [usize; 4] = [1, 32, 32, 3];

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("public/sample").join(name)
}

/// Pixels as they come from a camera: all values of 0 to 255, neighbours unlike.
fn pixels() -> Vec<f32> {
    (0..SHAPE.iter().product()).map(|at: usize| (at * 37 % 256) as f32).collect()
}

/// One call of the returned closure is one image.
fn ours(path: &Path, observe: Observe) -> impl FnMut() {
    let document = Document::decode(Bytes::from(std::fs::read(path).unwrap())).unwrap();
    let mut plan = Plan::compile(&document, Semantics::Simulate, &PlanOptions { observe }).unwrap();
    let image = Tensor::from_vec(SHAPE.to_vec(), pixels()).unwrap();
    let input = [(plan.inputs()[0].name.clone(), image)];
    move || plan.run(&input).unwrap()
}

/// The whole file as tract plans it.
fn tract(path: &Path) -> TractResult<impl FnMut()> {
    let model = tract_onnx::onnx().model_for_path(path)?;
    let model = model.with_input_fact(0, InferenceFact::dt_shape(f32::datum_type(), SHAPE))?;
    let plan = model.into_optimized()?.into_runnable()?;
    let image = tract_onnx::prelude::Tensor::from_shape(&SHAPE, &pixels())?;
    plan.run(tvec!(image.clone().into()))?;
    Ok(move || drop(plan.run(tvec!(image.clone().into())).unwrap()))
}

fn inference(criterion: &mut Criterion) {
    for name in ["street-digits", "street-digits-int8"] {
        let path = sample(&format!("{name}.onnx"));
        let mut group = criterion.benchmark_group(name);
        group.bench_function("quantscope, outputs only", |bencher| bencher.iter(ours(&path, Observe::OutputsOnly)));
        group.bench_function("quantscope, every value", |bencher| bencher.iter(ours(&path, Observe::All)));
        match tract(&path) {
            Ok(mut run) => {
                group.bench_function("tract", |bencher| bencher.iter(&mut run));
            }
            Err(error) => println!("tract does not run {name}: {error:#}"),
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    targets = inference
}
criterion_main!(benches);
