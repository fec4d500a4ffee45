//! What is lifted and lowered unedited is the file again.

use crate::documents::{content, count, feed, integers, lifted, own_models, reference_models, run, stem, whole_models};
use crate::support::{fixtures, npz};
use quantscope::engine::{Plan, Semantics};
use quantscope::onnx::Document;
use quantscope::quant::table::{Lowered, Row, TableFormat, lift, lower, lower_named};
use quantscope::tensor::DType;

/// Models that do not come back node for node, each with its reason; their numbers are the file's all the same.
const OTHERWISE: [(&str, &str); 5] = [
    ("constant_nodes", "constants that were nodes become initializers"),
    ("integers_moved", "QDQ form moves reals where the file moved integers"),
    ("raw_readers", "two equal pairs on one value become one row"),
    ("read_in_a_subgraph", "a dequantized constant that a subgraph reads keeps its name by a copy"),
    ("static_dedicated_pairs", "two equal pairs on one value become one row"),
];

fn all() -> Vec<std::path::PathBuf> {
    [own_models(), whole_models(), reference_models()].concat()
}

fn lowered(path: &std::path::Path) -> (Document, Document) {
    let (document, lifted) = lifted(path);
    let lowered = lower(&lifted.float, &lifted.table, lifted.table.format).unwrap();
    (document, lowered)
}

#[test]
fn nodes_and_initializers_come_back() {
    let mut failures = Vec::new();
    for path in all() {
        let (document, lowered) = lowered(&path);
        let same = content(&document) == content(&lowered);
        let excused = OTHERWISE.iter().any(|(name, _)| *name == stem(&path));
        if same == excused {
            failures.push(format!("{}: same {same}", stem(&path)));
        }
        let (before, after) = (document.proto(), lowered.proto());
        assert_eq!(before.opset_import, after.opset_import, "{}", stem(&path));
        assert_eq!(before.metadata_props, after.metadata_props);
        assert_eq!(document.graph().value_info, lowered.graph().value_info, "{}", stem(&path));
        assert_eq!(document.graph().output, lowered.graph().output);
        let sorted = |document: &Document| {
            let mut inputs: Vec<String> = document.graph().input.iter().map(|i| format!("{i:?}")).collect();
            inputs.sort();
            inputs
        };
        assert_eq!(sorted(&document), sorted(&lowered));
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn runs_are_equal_in_both_semantics() {
    for path in all() {
        let (document, lowered) = lowered(&path);
        // Through bytes: what is compared is what would be downloaded.
        let lowered = Document::decode(lowered.encode().into()).unwrap();
        assert_eq!(lowered.issues(), &[], "{}", stem(&path));
        let feed = feed(&path, &document);
        for semantics in [Semantics::Simulate, Semantics::Integer] {
            let (before, after) = (run(&document, semantics, &feed), run(&lowered, semantics, &feed));
            let (found, expected) = (integers(&lowered, &after), integers(&document, &before));
            let mut compared = 0;
            for (name, expected) in &expected {
                if let Some(found) = found.get(name) {
                    assert_eq!(found, expected, "{} '{name}' {semantics:?}", stem(&path));
                    compared += 1;
                }
            }
            let renamed = ["integers_moved", "raw_readers", "static_dedicated_pairs"].contains(&stem(&path).as_str());
            assert!(renamed || compared == expected.len(), "{}: {compared} of {}", stem(&path), expected.len());
            for output in document.graph().output.iter().map(|output| output.name()) {
                assert_eq!(after.value(output), before.value(output), "{} '{output}'", stem(&path));
            }
        }
    }
}

/// Float outputs of the engine and of ONNX Runtime: f32 sums in another order, behind a last rounding at most.
const FLOAT_TOLERANCE: f64 = 2e-6;
/// Values that another order of summation moves over a rounding edge: one step of the output's own grid, at most.
const STEP: f64 = 1.0 / 128.0;

#[test]
fn lowered_models_give_what_onnx_runtime_recorded() {
    for path in own_models() {
        let (_, lowered) = lowered(&path);
        let recorded = npz(&path.with_extension("npz"));
        let semantics = match stem(&path).contains("qoperator") {
            true => Semantics::Integer,
            false => Semantics::Simulate,
        };
        let plan = run(&lowered, semantics, &feed(&path, &lowered));
        for (name, expected) in &recorded {
            let Some(name) = name.strip_prefix("out/") else { continue };
            let found = plan.value(name).unwrap();
            let pairs = found.to_f64().unwrap().into_iter().zip(expected.to_f64().unwrap());
            let worst = pairs.map(|(found, expected)| (found - expected).abs()).fold(0.0, f64::max);
            let whole_network = stem(&path).starts_with("static") || stem(&path) == "dynamic";
            let tolerance = match (expected.dtype(), whole_network) {
                (DType::Float32, true) => STEP,
                (DType::Float32, false) => FLOAT_TOLERANCE * 10.0,
                _ => 0.0,
            };
            assert!(worst <= tolerance, "{} '{name}': {worst}", stem(&path));
        }
    }
}

/// In integer semantics both forms compute with the same integers, but where only one of them has an integer kernel: an
/// operator that the other form leaves float rounds to a neighbouring code now and then, and that spreads. This share of
/// all codes of a model is equal at least.
const CODES_EQUAL: f64 = 0.98;

/// Equal and all codes of the rows in two forms of one model.
fn equal_codes(forms: &[(Lowered, Plan); 2], rows: &[Row], about: &str) -> (usize, usize) {
    let (mut equal, mut all) = (0, 0);
    for row in rows.iter().filter(|row| row.constant.is_none()) {
        let codes = forms.each_ref().map(|(lowered, plan)| {
            let names = lowered.names.get(&row.tensor).unwrap_or_else(|| panic!("{about}: no '{}'", row.tensor));
            let codes = plan.value(&names.quantized).unwrap_or_else(|| panic!("{about}: no codes of '{}'", row.tensor));
            codes.to_i64().unwrap()
        });
        let [one, other] = codes;
        assert_eq!(one.len(), other.len(), "{about} '{}'", row.tensor);
        equal += one.iter().zip(&other).filter(|(one, other)| one == other).count();
        all += one.len();
    }
    (equal, all)
}

#[test]
fn one_form_becomes_the_other() {
    let mut sums = (0, 0);
    for path in all() {
        let (document, lifted) = lifted(&path);
        if lifted.table.rows.is_empty() {
            continue;
        }
        let feed = feed(&path, &document);
        for semantics in [Semantics::Simulate, Semantics::Integer] {
            let about = format!("{} {semantics:?}", stem(&path));
            let forms = [TableFormat::Qdq, TableFormat::QOperator].map(|format| {
                let lowered = lower_named(&lifted.float, &lifted.table, format).unwrap();
                assert_eq!(lowered.document.issues(), &[], "{about} {format:?}");
                let plan = run(&lowered.document, semantics, &feed);
                (lowered, plan)
            });
            let (equal, all) = equal_codes(&forms, &lifted.table.rows, &about);
            let [(_, qdq), (_, operators)] = &forms;
            let outputs = document.graph().output.iter().map(|output| output.name());
            let differ: Vec<&str> = outputs.filter(|output| qdq.value(output) != operators.value(output)).collect();
            match semantics {
                // f32 between the same roundings: the same bits.
                Semantics::Simulate => {
                    assert!(equal == all && differ.is_empty(), "{about}: {equal} of {all} {differ:?}")
                }
                Semantics::Integer => {
                    println!("{about}: {equal} of {all} {differ:?}");
                    assert!(equal as f64 >= all as f64 * CODES_EQUAL, "{about}: {equal} of {all}");
                    sums = (sums.0 + equal, sums.1 + all);
                }
            }
        }
    }
    println!("{} of {} codes equal", sums.0, sums.1);
}

#[test]
fn the_quantizer_s_own_forms_turn_into_each_other() {
    let Some(path) = reference_models().into_iter().find(|path| stem(path) == "resnet8_uint8") else { return };
    let (_, from_qdq) = lifted(&path);
    let made = lower(&from_qdq.float, &from_qdq.table, TableFormat::QOperator).unwrap();
    let written = crate::support::document(&path.with_file_name("resnet8_uint8_qoperator.onnx"));
    for op in ["QLinearConv", "QLinearMatMul", "QLinearAdd", "QLinearMul", "QLinearAveragePool", "QLinearSoftmax"] {
        assert_eq!(count(&made, op), count(&written, op), "{op}");
    }
    assert_eq!(made.graph().node.len(), written.graph().node.len());
    let path = path.with_file_name("resnet8_uint8_qoperator.onnx");
    let (_, from_operators) = lifted(&path);
    let made = lower(&from_operators.float, &from_operators.table, TableFormat::Qdq).unwrap();
    // The Reshape has no pair of its own there: 130 nodes but 2.
    assert_eq!((made.graph().node.len(), count(&made, "QuantizeLinear")), (128, 31));
}

#[test]
fn hostile_and_odd_files_are_lifted_or_refused() {
    for folder in ["bad", "odd", "node"] {
        let mut entries: Vec<_> = std::fs::read_dir(fixtures(folder)).unwrap().map(|e| e.unwrap().path()).collect();
        entries.sort();
        for path in entries.iter().filter(|path| path.extension().is_some_and(|ending| ending == "onnx")) {
            let Ok(document) = Document::decode(std::fs::read(path).unwrap().into()) else { continue };
            let Ok(lifted) = lift(&document, None) else { continue };
            for format in [TableFormat::Qdq, TableFormat::QOperator] {
                let lowered =
                    lower(&lifted.float, &lifted.table, format).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                assert_eq!(lowered.issues(), &[], "{}", path.display());
                if format == lifted.table.format {
                    let (before, after) = (document.graph().node.len(), lowered.graph().node.len());
                    assert!(before >= after, "{}: {before} {after}", path.display());
                }
            }
        }
    }
}
