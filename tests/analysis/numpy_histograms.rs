//! Every histogram that `tools/fixtures/numpy_histograms.py` recorded, bit for bit.

use quantscope::analysis::{
    Histogram, HistogramError, ValueRange, histogram, percentiles, tensor_histogram, tensor_stats,
};
use quantscope::tensor::{DType, Tensor};
use serde::Deserialize;

#[derive(Deserialize)]
struct Recorded {
    percents: Vec<f64>,
    cases: Vec<Case>,
    refused: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    dtype: String,
    data: String,
    bins: usize,
    range: Option<String>,
    #[serde(default)]
    counts: Vec<u64>,
    #[serde(default)]
    statistics: Option<Statistics>,
    #[serde(default)]
    edges_dtype: String,
    #[serde(default)]
    edges: String,
}

#[derive(Deserialize)]
struct Statistics {
    mean: f64,
    std: f64,
    percentiles: Vec<f64>,
}

/// Both sides sum in float64, numpy pairwise: n x 1.1e-16 of the largest magnitude, for 300 elements.
const ACCUMULATION_TOLERANCE: f64 = 1e-13;

/// float16 data whose width float16 cannot hold: numpy fails, this crate goes on in float64.
const WIDER_THAN_ITS_TYPE: &str = "float16 wide";

impl Case {
    fn run(&self) -> Result<Histogram, HistogramError> {
        let ends = self.range.as_ref().map(|hex| tensor("float64", hex).to_f64().unwrap());
        let range = ends.map(|ends| ValueRange { low: ends[0], high: ends[1] });
        tensor_histogram(&tensor(&self.dtype, &self.data), self.bins, range)
    }
}

pub(crate) fn tensor(dtype: &str, hex: &str) -> Tensor {
    let dtype = (1..=26).filter_map(DType::from_onnx).find(|found| found.name() == dtype).expect("a known dtype");
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    let count = bytes.len() * 8 / dtype.bits().expect("numbers");
    Tensor::new(dtype, vec![count], bytes.into()).expect("the bytes fit")
}

fn recorded() -> Recorded {
    serde_json::from_str(include_str!("../fixtures/numpy/histograms.json")).expect("the fixture parses")
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn counts_and_edges_are_those_of_numpy() {
    let cases = recorded().cases;
    assert!(cases.len() > 90, "only {} cases", cases.len());
    for case in &cases {
        let result = case.run().unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let edges = tensor(&case.edges_dtype, &case.edges).to_f64().unwrap();
        assert_eq!(bits(&result.edges), bits(&edges), "edges of {}", case.name);
        assert_eq!(result.counts, case.counts, "counts of {}", case.name);
        let total = result.inside() + result.below + result.above + result.not_finite;
        assert_eq!(total as usize, tensor(&case.dtype, &case.data).len(), "elements of {}", case.name);
    }
}

#[test]
fn statistics_are_those_of_numpy() {
    let recorded = recorded();
    let mut checked = 0;
    for case in &recorded.cases {
        let Some(expected) = &case.statistics else { continue };
        let tensor = tensor(&case.dtype, &case.data);
        let found = tensor_stats(&tensor).unwrap();
        let magnitude = found.abs_max.unwrap();
        let close = |found: f64, expected: f64, what: &str| {
            let difference = (found - expected).abs();
            assert!(difference <= ACCUMULATION_TOLERANCE * magnitude, "{what} of {}: {found}, {expected}", case.name);
        };
        close(found.mean.unwrap(), expected.mean, "mean");
        close(found.std.unwrap(), expected.std, "std");
        let at = percentiles(&tensor.to_f64().unwrap(), &recorded.percents).unwrap();
        assert_eq!(at.len(), expected.percentiles.len());
        at.iter().zip(&expected.percentiles).for_each(|(found, expected)| close(*found, *expected, "percentile"));
        checked += 1;
    }
    assert!(checked > 80, "only {checked}");
}

#[test]
fn what_numpy_refuses_is_refused() {
    let refused = recorded().refused;
    assert!(refused.len() > 4);
    for case in refused {
        if case.name == WIDER_THAN_ITS_TYPE {
            let exact = tensor(&case.dtype, &case.data).to_f64().unwrap();
            assert_eq!(case.run().unwrap().counts, histogram(&exact, case.bins, None).unwrap().counts);
        } else {
            assert!(case.run().is_err(), "{}", case.name);
        }
    }
}
