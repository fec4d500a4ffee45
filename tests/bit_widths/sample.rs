//! The committed sample: ONNX Runtime's counts with rounded weights, and how cells behave.

use crate::support::{Page, Watched, inside};
use quantscope::worker::{ActivationRanges, BitWidthsOrder, FirstImages, Reply};
use serde_json::Value;

/// Right answers of 2000: two right runtimes differ by their order of sums.
const IMAGES: i64 = 4;

fn page() -> Page {
    Page::open(
        &["street-digits.onnx", "street-digits-int8.onnx", "street-digits.tar.gz"]
            .map(|name| inside("public/sample").join(name)),
    )
}

#[test]
fn rounded_weights_are_right_as_often_as_with_onnxruntime() {
    let path = inside("tests/fixtures/sample/expected.json");
    let recorded: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut page = page();
    // The record rounds the dense kernel too, which is read by a MatMul.
    let setting = quantscope::worker::BitWidthsSetting { mat_mul: true, ..page.setting("street-digits", "test") };
    let mut worst = 0;
    for (bits, value) in recorded["weight_bits"].as_object().unwrap() {
        let cell = page.cell(&setting, (bits.parse().ok(), None), usize::MAX);
        let wanted = value["correct"].as_i64().unwrap();
        println!("{bits} bits: {} recorded {wanted}", cell.correct);
        assert_eq!((cell.total, cell.weights), (2000, 10));
        worst = worst.max((cell.correct as i64 - wanted).abs());
    }
    assert!(worst <= IMAGES, "{worst}");
}

#[test]
fn pieces_of_a_calibrated_cell_add_up() {
    let mut page = page();
    let images = FirstImages { source: page.source("calibration"), count: 40 };
    let mut setting = page.setting("street-digits", "test");
    setting.ranges = ActivationRanges::Calibrated(images);
    setting.symmetric = false;
    setting.per_channel = true;
    let whole = page.cell(&setting, (Some(4), Some(6)), 90).correct;
    let mut sum = 0;
    for (first, count) in [(0, 37), (37, 16), (53, 37)] {
        let order = BitWidthsOrder { setting: setting.clone(), weights: Some(4), activations: Some(6), first, count };
        let Reply::BitWidths(cell) = page.ask(order, &Watched::new(usize::MAX)) else { panic!() };
        assert_eq!((cell.total, cell.together), (count, 0));
        sum += cell.correct;
    }
    assert_eq!(whole, sum);
    // In whatever order cells are asked for, each says the same.
    page.cell(&setting, (Some(8), None), 20);
    assert_eq!(page.cell(&setting, (Some(4), Some(6)), 90).correct, whole);
}

#[test]
fn more_bits_and_finer_scales_are_no_worse() {
    let mut page = page();
    let images = FirstImages { source: page.source("calibration"), count: 64 };
    let mut setting = page.setting("street-digits", "test");
    let cell = |page: &mut Page, setting: &_, bits| page.cell(setting, bits, 200).correct as i64;
    let float = cell(&mut page, &setting, (None, None));
    // 16 bits are as good as none.
    assert!((cell(&mut page, &setting, (Some(16), Some(16))) - float).abs() <= 1);
    let (few, coarse) = (cell(&mut page, &setting, (Some(2), Some(2))), cell(&mut page, &setting, (Some(4), None)));
    assert!(few < float - 100, "{few} {float}");
    setting.correction = Some(images);
    let corrected = cell(&mut page, &setting, (Some(3), None));
    setting.correction = None;
    let plain = cell(&mut page, &setting, (Some(3), None));
    println!("float {float}, 2 bits {few}, weights of 4 bits {coarse}, of 3 bits {plain}, corrected {corrected}");
    assert!(corrected > plain);
}

#[test]
fn a_dynamic_cell_takes_its_images_together() {
    let mut page = page();
    let setting = page.setting("street-digits", "test");
    let cell = page.cell(&setting, (None, Some(5)), 50);
    assert_eq!((cell.total, cell.together, cell.activations), (50, 50, 18));
    // The range is that of all images: a first half alone has a narrower one, and other answers somewhere.
    let again = page.cell(&setting, (None, Some(5)), 50);
    assert_eq!(again.correct, cell.correct);
}

#[test]
fn a_cancel_is_seen_soon_and_leaves_nothing_wrong() {
    let mut page = page();
    let images = FirstImages { source: page.source("calibration"), count: 48 };
    let mut setting = page.setting("street-digits", "test");
    setting.correction = Some(images);
    let order = |weights| BitWidthsOrder {
        setting: setting.clone(),
        weights: Some(weights),
        activations: Some(6),
        first: 0,
        count: 48,
    };
    let Reply::BitWidths(whole) = page.ask(order(3), &Watched::new(usize::MAX)) else { panic!() };
    for checkpoints in [1, 5, 20, 40, 70] {
        let mut fresh = self::page();
        let job = Watched::new(checkpoints);
        assert!(matches!(fresh.ask(order(3), &job), Reply::Cancelled), "{checkpoints}");
        println!("{checkpoints} checkpoints, {:.0} ms between two at most", job.longest_ms.get());
        let Reply::BitWidths(cell) = fresh.ask(order(3), &Watched::new(usize::MAX)) else { panic!() };
        assert_eq!(cell.correct, whole.correct, "{checkpoints}");
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let mut page = page();
    let (setting, quantized) = (page.setting("street-digits", "test"), page.model("int8"));
    let order = BitWidthsOrder { setting, weights: Some(8), activations: None, first: 0, count: 1 };
    let mut refused = |change: &dyn Fn(&mut BitWidthsOrder), words: &str| {
        let mut order = order.clone();
        change(&mut order);
        let problems = page.refused(order);
        assert!(problems.iter().any(|problem| problem.to_string().contains(words)), "{words}: {problems:?}");
    };
    refused(&|order| order.setting.model = quantized, "quantized already");
    refused(&|order| order.weights = Some(1), "1 bits");
    refused(&|order| order.activations = Some(17), "17 bits");
    refused(&|order| order.first = 2000, "none of 2000");
    refused(&|order| order.setting.source = 99, "closed");
}
