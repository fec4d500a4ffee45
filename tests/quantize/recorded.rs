//! The reference's recorded histograms and ranges.

use super::support::{Cifar, Runner, document, json, npz, reference};
use quantscope::quant::calibrate::{
    CalibrationMethod, GrowingHistogram, HistogramSide, RangeCollector, ValueRange, entropy_range, percentile_range,
};
use quantscope::quant::quantizer::{QuantizeOptions, adjusted_ranges, calibration_tensors};
use std::collections::BTreeMap;
use std::path::Path;

/// From images the last bits of activations differ: our engine adds f32 numbers in another order than onnxruntime. The
/// largest difference, relative to the larger bound, stays below this.
const FROM_IMAGES: f64 = 1e-5;

const ENTROPY_2048: CalibrationMethod = CalibrationMethod::Entropy { bins: 2048, quantized_bins: 128 };

/// What onnxruntime recorded: file of histograms, method, key in calibration_ranges.json.
const METHODS: [(&str, CalibrationMethod, &str); 3] = [
    ("entropy_default_128", CalibrationMethod::ENTROPY, "entropy"),
    ("entropy_2048_bins_128_quantized", ENTROPY_2048, "entropy_2048_bins_128_quantized"),
    ("percentile_99.999_2048", CalibrationMethod::PERCENTILE, "percentile"),
];

fn recorded_ranges(folder: &Path, key: &str) -> BTreeMap<String, (f32, f32)> {
    let all = json(&folder.join("expected/calibration_ranges.json"));
    let bound = |value: &serde_json::Value| value.as_f64().unwrap() as f32;
    let pairs = all[key].as_object().unwrap().iter();
    pairs.map(|(tensor, range)| (tensor.clone(), (bound(&range["low"]), bound(&range["high"])))).collect()
}

/// Calibrated ranges as the file has them: those of Entropy with 2048 bins were written down after the quantizer had
/// adjusted them for Relu and Softmax.
fn as_recorded(folder: &Path, key: &str, ranges: BTreeMap<String, (f32, f32)>) -> BTreeMap<String, (f32, f32)> {
    match key {
        "entropy_2048_bins_128_quantized" => {
            let model = document(&folder.join("models/resnet8.onnx"));
            adjusted_ranges(&model, &ranges, &QuantizeOptions::default())
        }
        _ => ranges,
    }
}

#[test]
fn thresholds_from_recorded_histograms_are_exact() {
    let Some(folder) = reference() else { return };
    for (file, method, key) in METHODS {
        let about = json(&folder.join(format!("expected/histograms/{file}.json")));
        let arrays = npz(&folder.join(format!("expected/histograms/{file}.npz")));
        let mut found = BTreeMap::new();
        for entry in about["tensors"].as_array().unwrap() {
            let number = |key: &str| entry[key].as_f64().unwrap() as f32;
            let at = entry["key"].as_str().unwrap();
            let counts = arrays[&format!("h{at}")].to_i64().unwrap().iter().map(|&count| count as u64).collect();
            let edges = arrays[&format!("e{at}")].to_f32().unwrap();
            let side = method.histogram().unwrap().side;
            let range = ValueRange { low: number("min"), high: number("max") };
            let histogram = GrowingHistogram::counted(side, counts, edges, range).unwrap();
            let range = match (method, side) {
                (CalibrationMethod::Entropy { quantized_bins, .. }, _) => entropy_range(&histogram, quantized_bins),
                (_, HistogramSide::Absolute) => percentile_range(&histogram, 99.999),
                _ => unreachable!(),
            };
            let range = range.unwrap();
            found.insert(entry["tensor"].as_str().unwrap().to_owned(), (range.low, range.high));
        }
        assert_eq!(as_recorded(&folder, key, found), recorded_ranges(&folder, key), "{file}");
    }
}

#[test]
fn ranges_from_the_images_themselves() {
    let Some(folder) = reference() else { return };
    let model = document(&folder.join("models/resnet8.onnx"));
    let images = Cifar::open(&folder.join("cifar10/data_batch_head.bin"));
    let tensors = calibration_tensors(&model, &QuantizeOptions::default());
    let expected = recorded_ranges(&folder, "minmax");
    assert_eq!(tensors.iter().collect::<std::collections::BTreeSet<_>>(), expected.keys().collect());
    let mut runner = Runner::new(&model, tensors);
    let mut first = RangeCollector::new(&[CalibrationMethod::MinMax]).unwrap();
    (0..images.len()).for_each(|index| runner.run(images.image(index), |tensor, values| first.add(tensor, values)));
    let methods = METHODS.map(|(_, method, _)| method);
    let mut second = RangeCollector::with_bounds(&methods, first.bounds()).unwrap();
    (0..images.len()).for_each(|index| runner.run(images.image(index), |tensor, values| second.add(tensor, values)));
    let mut report = Vec::new();
    let mut compare = |name: &str, found: BTreeMap<String, (f32, f32)>| {
        let found = as_recorded(&folder, name, found);
        for (tensor, (low, high)) in recorded_ranges(&folder, name) {
            let found = found[&tensor];
            let reach = f64::from(low.abs().max(high.abs()));
            let off = f64::from((found.0 - low).abs().max((found.1 - high).abs())) / reach;
            if off > FROM_IMAGES {
                report.push(format!("{name} {tensor}: {found:?} instead of {low} {high}, off by {off:.2e}"));
            }
        }
    };
    compare("minmax", first.ranges(&CalibrationMethod::MinMax).unwrap());
    for (_, method, name) in METHODS {
        compare(name, second.ranges(&method).unwrap());
    }
    assert!(report.is_empty(), "{}", report.join("\n"));
}
