//! Streaming collectors against `HistogramCollector` and `MinMaxCalibrater`, at once and chunk by chunk.

use super::support::{self, fixtures, json, npz};
use quantscope::quant::calibrate::{CalibrationMethod, RangeCollector};
use serde_json::Value;

/// The mean and the deviation of bins are sums of up to 600 products in f64, in another order than numpy's.
const SUM_ORDER: f64 = 1e-6;
/// numpy takes means of f32 in f32.
const F32_MEAN: f32 = 1e-6;

fn method(options: &Value) -> CalibrationMethod {
    let number = |key: &str| usize::try_from(options[key].as_u64().unwrap()).unwrap();
    let bins = number("num_bins");
    match options["method"].as_str().unwrap() {
        "entropy" => CalibrationMethod::Entropy { bins, quantized_bins: number("num_quantized_bins") },
        "percentile" => CalibrationMethod::Percentile {
            bins,
            percentile: options["percentile"].as_f64().unwrap(),
            symmetric: options["symmetric"].as_bool().unwrap(),
        },
        _ => CalibrationMethod::Distribution { bins },
    }
}

/// The recorded chunks of one data set.
fn chunks(arrays: &std::collections::BTreeMap<String, quantscope::tensor::Tensor>, data: &str) -> Vec<Vec<f32>> {
    let chunk = |index: usize| Some(arrays.get(&format!("{data}_{index}"))?.to_f32().unwrap());
    (0..).map_while(chunk).collect()
}

#[test]
fn thresholds_and_histograms() {
    let recorded = json(&fixtures().join("collectors.json"));
    let arrays = npz(&fixtures().join("collectors.npz"));
    let mut wrong = Vec::new();
    for entry in recorded["entries"].as_array().unwrap() {
        let number = |key: &str| support::number(&entry[key]);
        let (data, name) = (entry["data"].as_str().unwrap(), entry["method"].as_str().unwrap());
        let method = method(&recorded["methods"][name]);
        let label = format!("{data} {name} {}", entry["way"].as_str().unwrap());
        let chunks = chunks(&arrays, data);
        // What onnxruntime counts at once, we count in a second pass.
        let mut collector = RangeCollector::new(&[method]).unwrap();
        if entry["way"] == "at_once" {
            let mut first = RangeCollector::new(&[CalibrationMethod::MinMax]).unwrap();
            chunks.iter().for_each(|chunk| first.add("t", chunk));
            collector = RangeCollector::with_bounds(&[method], first.bounds()).unwrap();
        }
        chunks.iter().for_each(|chunk| collector.add("t", chunk));
        let range = collector.ranges(&method).unwrap()["t"];
        if range != (number("low") as f32, number("high") as f32) {
            wrong.push(format!("{label}: {range:?} instead of {} {}", number("low"), number("high")));
        }
        let kind = method.histogram().unwrap();
        let histogram = collector.histogram("t", kind).unwrap();
        let edges = histogram.edges().unwrap();
        let found = (histogram.counts().len() as f64, edges[0] as f64, edges[1] as f64, edges[edges.len() - 1] as f64);
        let expected = (number("bins"), number("first"), number("second"), number("last"));
        if found != expected {
            wrong.push(format!("{label}: bins {found:?} instead of {expected:?}"));
        }
        if let Some(counts) = entry["counts"].as_object() {
            let filled = histogram.counts().iter().enumerate().filter(|(_, count)| **count > 0);
            let found: Vec<(String, u64)> = filled.map(|(bin, &count)| (bin.to_string(), count)).collect();
            let expected: Vec<(String, u64)> =
                counts.iter().map(|(bin, count)| (bin.clone(), count.as_u64().unwrap())).collect();
            if found != expected {
                wrong.push(format!("{label}: counts differ"));
            }
        }
        if let (Some(mean), Some(spread)) = (entry["mean"].as_f64(), collector.spread("t", kind)) {
            let off = (f64::from(spread.mean) - mean).abs() + (f64::from(spread.deviation) - number("deviation")).abs();
            if off > SUM_ORDER * (1.0 + mean.abs()) {
                wrong.push(format!("{label}: {spread:?} instead of {mean} {}", number("deviation")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn moving_averages() {
    let recorded = json(&fixtures().join("moving.json"));
    for result in recorded["results"].as_array().unwrap() {
        let constant = result["constant"].as_f64().unwrap() as f32;
        let method = CalibrationMethod::MovingAverage { constant, every: result["every"].as_u64() };
        let mut collector = RangeCollector::new(&[method]).unwrap();
        for run in recorded["runs"].as_array().unwrap() {
            let x: Vec<f32> = run.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect();
            let y: Vec<f32> = x.iter().map(|x| x.max(0.0)).collect();
            collector.add("x", &x);
            collector.add("y", &y);
        }
        let found = collector.ranges(&method).unwrap();
        for (tensor, range) in result["ranges"].as_object().unwrap() {
            for (found, expected) in [found[tensor].0, found[tensor].1].into_iter().zip(range.as_array().unwrap()) {
                let expected = expected.as_f64().unwrap() as f32;
                assert!((found - expected).abs() <= F32_MEAN * expected.abs(), "{tensor} {found} {expected} {result}");
            }
        }
    }
}
