//! Going stage by stage gives the bits of a run in one go.

use crate::support::inside;
use quantscope::engine::{LivePlan, Observe, PlanOptions, Wave};
use quantscope::onnx::Document;
use quantscope::quant::bit_widths::{Rounded, activation_row, free_row};
use quantscope::quant::table::QuantTable;
use quantscope::tensor::Tensor;

fn live() -> (LivePlan, Vec<String>) {
    let bytes = std::fs::read(inside("public/sample/street-digits.onnx")).unwrap();
    let document = Document::decode(bytes.into()).unwrap();
    let options = PlanOptions { observe: Observe::OutputsOnly };
    let live = LivePlan::compile_with(&document, &QuantTable::default(), &options).unwrap();
    let shape = |name: &str| live.plan().value(name).map(|tensor| tensor.shape().to_vec());
    let mut names = Rounded::of(&document, false, &shape).activations;
    names.sort_by_key(|name| live.stage_of(name));
    (live, names)
}

/// Two images of a pattern that is not the same anywhere.
fn inputs(live: &LivePlan, seed: usize) -> Vec<(String, Tensor)> {
    let pixel = |at: usize| ((at * 7919 + seed * 104_729) % 256) as f32;
    let tensor = Tensor::from_vec(vec![2, 32, 32, 3], (0..2 * 3072).map(pixel).collect()).unwrap();
    vec![(live.plan().inputs()[0].name.clone(), tensor)]
}

fn output(live: &LivePlan, wave: &Wave) -> Tensor {
    live.value_of(wave, &live.plan().outputs()[0]).unwrap()
}

#[test]
fn stages_give_the_bits_of_a_run() {
    let (mut live, names) = live();
    assert_eq!(names.len(), 18);
    let batches: Vec<_> = (1..4).map(|seed| inputs(&live, seed)).collect();
    let mut waves: Vec<Wave> = batches.iter().map(|batch| live.depart(batch).unwrap()).collect();
    let whole = live.plan().inputs().len();
    assert!(whole == 1 && waves.iter().all(|wave| wave.bytes() == 2 * 3072 * 4));
    let mut rows = Vec::new();
    for name in &names {
        let mut reached = (0f32, 0f32);
        for wave in &mut waves {
            live.advance(wave, Some(name)).unwrap();
            // Asking again computes nothing.
            let bytes = wave.bytes();
            live.advance(wave, Some(name)).unwrap();
            assert_eq!(wave.bytes(), bytes);
            let (low, high) = live.reach_of(wave, name).unwrap();
            let values = live.value_of(wave, name).unwrap().to_f32().unwrap();
            assert_eq!(low, values.iter().copied().fold(f32::INFINITY, f32::min));
            assert_eq!(high, values.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            reached = (reached.0.min(low), reached.1.max(high));
        }
        let row = activation_row(name, reached, 5, true).unwrap();
        live.set_row(&row).unwrap();
        rows.push(row);
    }
    for wave in &mut waves {
        live.advance(wave, None).unwrap();
    }
    // The same rows from the start, batch by batch.
    for (batch, wave) in batches.iter().zip(&waves) {
        live.run(batch).unwrap();
        let run = live.plan().rounded(&live.plan().outputs()[0]).unwrap();
        assert_eq!(output(&live, wave).bytes(), run.bytes());
    }
    // And rows that are off let everything through.
    let rounded = output(&live, &waves[0]);
    for name in &names {
        live.set_row(&free_row(name).unwrap()).unwrap();
    }
    let mut wave = live.depart(&batches[0]).unwrap();
    live.advance(&mut wave, None).unwrap();
    assert_ne!(output(&live, &wave).bytes(), rounded.bytes());
}

#[test]
fn a_shift_is_a_bias() {
    let (mut live, names) = live();
    let batch = inputs(&live, 5);
    let mut wave = live.depart(&batch).unwrap();
    live.advance(&mut wave, Some(&names[0])).unwrap();
    let before = live.value_of(&wave, &names[0]).unwrap();
    let channels = before.shape()[1];
    let additions: Vec<f64> = (0..channels).map(|channel| channel as f64).collect();
    live.shift(&mut wave, &names[0], &additions, 1);
    let after = live.value_of(&wave, &names[0]).unwrap().to_f32().unwrap();
    let pixels = before.len() / channels / 2;
    for (at, (before, after)) in before.to_f32().unwrap().iter().zip(&after).enumerate() {
        assert_eq!(*after, before + (at / pixels % channels) as f32);
    }
    // What does not fit changes nothing.
    live.shift(&mut wave, &names[0], &[1.0], 1);
    live.shift(&mut wave, "nothing", &additions, 1);
    assert_eq!(live.value_of(&wave, &names[0]).unwrap().to_f32().unwrap(), after);
    assert!(live.advance(&mut wave, Some("nothing")).is_err());
    assert_eq!(live.stage_of("nothing"), None);
}
