//! Random sequences of edits: what the table says, what is lowered, and what ONNX Runtime makes of it.

use crate::documents::{Random, feed, integers, lifted, run, stem};
use crate::support::{fixtures, npz};
use quantscope::engine::{Plan, Semantics};
use quantscope::export::{Compression, npz as write_npz};
use quantscope::onnx::proto::{NodeProto, ValueInfoProto};
use quantscope::onnx::{Dim, Document, value_info};
use quantscope::quant::table::{Change, Edit, EditList, Lifted, QuantTable, Row, RowMode, TableFormat, apply, lower};
use quantscope::tensor::{DType, Tensor};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// How many sequences there are in all.
const SEQUENCES: usize = 200;
/// How many of them have ONNX Runtime's answers among the fixtures.
const RECORDED: usize = 12;
/// Integers that are ONNX Runtime's own over all sequences. The rest are values that another order of an f32 sum puts on
/// the other side of a rounding edge, and what follows from them.
const EQUAL_INTEGERS: f64 = 0.999;
/// The same within one sequence, where one flip early in the network moves many values of a small one.
const EQUAL_IN_ONE: f64 = 0.97;

/// The models that are edited.
fn models() -> Vec<PathBuf> {
    let own = ["static_int8", "static_uint8_per_channel", "static_int16_contrib", "static_uint16_opset21"];
    let more = ["static_dedicated_pairs", "static_float_bias", "shared_scale", "quantized_twice", "raw_readers"];
    let whole = ["tiny_int8", "tiny_depthwise_int8_per_channel", "tiny_int4w"];
    let own = own.into_iter().chain(more).map(|name| fixtures("table").join(format!("{name}.onnx")));
    own.chain(whole.into_iter().map(|name| fixtures("models").join(format!("{name}.onnx")))).collect()
}

fn change(random: &mut Random, row: &Row) -> Change {
    let reach = row.grid.reach();
    let channel = (random.below(3) == 0).then(|| random.below(reach.len()));
    let (low, high) = row.grid.codes();
    let (least, most) = reach[channel.unwrap_or(0)];
    let factor = |random: &mut Random| (random.unit() * 2.0 + 0.25) as f32;
    match random.below(9) {
        0 | 1 => {
            let scale = row.grid.params.scale[channel.unwrap_or(0)] * factor(random);
            Change::Scale { channel, scale }
        }
        2 => {
            let codes = i64::from(high) - i64::from(low) + 1;
            let zero_point = i64::from(low) + random.below(codes as usize) as i64;
            Change::ZeroPoint { channel, zero_point: zero_point as i32 }
        }
        3 | 4 => {
            let (low, high) = (least * factor(random), most * factor(random));
            Change::Range { channel, low, high }
        }
        5 => {
            let bits = 2 + random.below(15) as u8;
            Change::Codes { bits, signed: random.below(2) == 0, narrow_range: random.below(3) == 0 }
        }
        6 => Change::Symmetric(random.below(2) == 0),
        7 => Change::PerChannel(random.below(2) == 0),
        _ => Change::Enabled(random.below(3) == 0),
    }
}

/// A table after up to eight random edits; those that are refused leave it as it is.
fn edited(seed: usize, original: &QuantTable) -> QuantTable {
    let mut random = Random::new(seed as u64);
    let mut table = original.clone();
    for _ in 0..1 + random.below(8) {
        let at = random.below(table.rows.len());
        let row = &table.rows[at];
        let edit = Edit { tensor: row.tensor.clone(), change: change(&mut random, row) };
        let _ = apply(&mut table, original, &edit, None);
    }
    table
}

/// What lowering made of a row: the value its readers read, and the value that is rounded.
struct Place {
    read: String,
    raw: String,
}

/// Finds it by following a reader of the float graph in the lowered one, and going back over what lowering writes.
fn place(float: &Document, lowered: &Document, row: &Row) -> Option<Place> {
    let outside = float.graph().output.iter().any(|output| output.name() == row.tensor);
    let read = match outside {
        true => row.tensor.clone(),
        false => {
            let slot = float.index().consumers(&row.tensor).iter().find(|slot| {
                let node = float.node(slot.node).unwrap();
                lowered
                    .graph()
                    .node
                    .iter()
                    .any(|other| other.name() == node.name() && other.op_type() == node.op_type())
            })?;
            let node = float.node(slot.node)?;
            let same = |other: &&NodeProto| other.name() == node.name() && other.op_type() == node.op_type();
            lowered.graph().node.iter().find(same)?.input[slot.position].clone()
        }
    };
    let mut raw = read.clone();
    let written = ["Clip", "Relu", "Max", "Min"].map(|op| format!("{}_{op}", row.tensor));
    // Its own pair once: in front of it may stand another row's.
    let mut quantized = !row.enabled;
    while let Some(node) = lowered.producer_node(&raw) {
        let own = written.iter().any(|name| name == node.name());
        let pair = !quantized && matches!(node.op_type(), "QuantizeLinear" | "DequantizeLinear");
        if !(own || pair) {
            break;
        }
        quantized |= node.op_type() == "QuantizeLinear";
        raw = node.input[0].clone();
    }
    Some(Place { read, raw })
}

/// Every activation row of a lowered run is its own raw value, clamped and rounded as the table says, bit for bit.
fn check_rows(lifted: &Lifted, table: &QuantTable, lowered: &Document, plan: &Plan, about: &str) -> usize {
    let mut checked = 0;
    for row in table.rows.iter().filter(|row| row.mode == RowMode::Fixed) {
        let Some(place) = place(&lifted.float, lowered, row) else { continue };
        let Some(found) = plan.value(&place.read) else { continue };
        let expected = match row.seen_constant() {
            Some(seen) => seen.unwrap().to_f32().unwrap(),
            None => {
                let raw = plan.value(&place.raw).unwrap();
                let clamp = row
                    .absorbed
                    .unwrap_or(quantscope::quant::table::Clamp { low: f32::NEG_INFINITY, high: f32::INFINITY });
                let values: Vec<f32> =
                    raw.to_f32().unwrap().into_iter().map(|value| value.max(clamp.low).min(clamp.high)).collect();
                match row.enabled {
                    false => values,
                    true => {
                        let codes = row.grid.quantize(&values, raw.shape()).unwrap();
                        row.grid.dequantize(&codes).unwrap().to_f32().unwrap()
                    }
                }
            }
        };
        assert_eq!(found.to_f32().unwrap(), expected, "{about} '{}' {place:?}", row.tensor, place = place.raw);
        checked += 1;
    }
    checked
}

#[test]
fn what_is_lowered_is_what_the_table_says() {
    let models = models();
    let (mut checked, mut refused) = (0, 0);
    for seed in 0..SEQUENCES {
        let path = &models[seed % models.len()];
        let (document, lifted) = lifted(path);
        let table = edited(seed, &lifted.table);
        refused += usize::from(table == lifted.table);
        let lowered = lower(&lifted.float, &table, TableFormat::Qdq).unwrap();
        let lowered = Document::decode(lowered.encode().into()).unwrap();
        assert_eq!(lowered.issues(), &[], "{} {seed}", stem(path));
        let plan = run(&lowered, Semantics::Simulate, &feed(path, &document));
        checked += check_rows(&lifted, &table, &lowered, &plan, &format!("{} {seed}", stem(path)));
        // Lifted again it is the same table, but for what the codes' type has no place for.
        let again = quantscope::quant::table::lift(&lowered, None).unwrap();
        assert_eq!(again.as_written, [], "{} {seed}", stem(path));
    }
    assert!(checked > SEQUENCES * 5, "{checked}");
    assert!(refused < SEQUENCES / 4, "{refused}");
}

/// A sequence of edits and what it gives.
struct Sequence {
    name: String,
    list: EditList,
    /// Integers of the QDQ form.
    found: BTreeMap<String, Tensor>,
    /// Those of the QOperator form.
    as_operators: BTreeMap<String, Tensor>,
    /// Whether ONNX Runtime may saturate at 16 bits in it.
    saturates: bool,
}

/// Whether a QLinear product has signed weights: on CPUs without VNNI, ONNX Runtime adds such products in pairs of 16
/// bits.
fn has_signed_products(operators: &Document) -> bool {
    let products = operators.graph().node.iter();
    let mut products = products.filter(|node| matches!(node.op_type(), "QLinearConv" | "QLinearMatMul" | "QGemm"));
    products.any(|node| {
        let weight = node.input.get(3).and_then(|name| operators.constant(name));
        weight.is_some_and(|weight| weight.unwrap().dtype() == DType::Int8)
    })
}

/// Every integer value as an output, so that any runtime gives it.
fn with_all_integers(lowered: &Document, plan: &Plan) -> Document {
    let outputs: Vec<String> = lowered.graph().output.iter().map(|output| output.name().to_owned()).collect();
    let values = integers(lowered, plan).into_iter().filter(|(name, _)| !outputs.contains(name));
    // The outer dims of a batch are open in the file; only the rank is said.
    let open = |tensor: &Tensor| vec![Dim::Unknown; tensor.shape().len()];
    let infos: Vec<ValueInfoProto> =
        values.map(|(name, tensor)| value_info(&name, tensor.dtype(), Some(&open(&tensor)))).collect();
    lowered.edit(|proto| proto.graph.as_mut().unwrap().output.extend(infos)).unwrap()
}

/// Equal and all integers of two runs.
fn agreement(found: &BTreeMap<String, Tensor>, expected: &HashMap<String, Tensor>) -> (usize, usize) {
    let (mut equal, mut all) = (0, 0);
    for (name, expected) in expected {
        let Some(found) = found.get(name) else { panic!("'{name}' is missing") };
        // numpy has no 4-bit integers.
        let pairs = found.to_i64().unwrap().into_iter().zip(expected.to_i64().unwrap());
        assert_eq!(found.shape(), expected.shape(), "'{name}'");
        for (found, expected) in pairs {
            equal += usize::from(found == expected);
            all += 1;
        }
    }
    (equal, all)
}

fn recorded_folder() -> PathBuf {
    fixtures("table").join("edited")
}

#[test]
fn edited_models_give_what_onnx_runtime_recorded() {
    let mut sums = (0, 0);
    for seed in 0..RECORDED {
        let json = std::fs::read_to_string(recorded_folder().join(format!("{seed}.json"))).unwrap();
        let list = EditList::from_json(&json).unwrap();
        let path = models().into_iter().find(|path| stem(path) == list.model_name).unwrap();
        let (document, lifted) = lifted(&path);
        let table = list.apply(&lifted.table, &list.model_sha256).unwrap();
        let lowered = lower(&lifted.float, &table, TableFormat::Qdq).unwrap();
        let plan = run(&lowered, Semantics::Simulate, &feed(&path, &document));
        let expected: HashMap<String, Tensor> =
            npz(&recorded_folder().join(format!("{seed}.npz"))).into_iter().collect();
        let found = integers(&lowered, &plan);
        assert_eq!(found.len(), expected.len(), "{} {seed}", list.model_name);
        let (equal, all) = agreement(&found, &expected);
        assert!(equal as f64 >= all as f64 * EQUAL_IN_ONE, "{} {seed}: {equal} of {all}", list.model_name);
        sums = (sums.0 + equal, sums.1 + all);
    }
    assert!(sums.0 as f64 >= sums.1 as f64 * EQUAL_INTEGERS, "{} of {}", sums.0, sums.1);
}

/// Runs every sequence in ONNX Runtime, where a Python that has it is at hand. With `QUANTSCOPE_RECORD` set, the first
/// answers become the fixtures.
#[test]
fn edited_models_give_the_same_in_onnx_runtime() {
    let Some(python) = std::env::var_os("QUANTSCOPE_PYTHON") else {
        eprintln!("skipped: QUANTSCOPE_PYTHON names no Python with onnxruntime");
        return;
    };
    let folder = std::env::temp_dir().join(format!("quantscope-edits-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let models = models();
    let mut runs = Vec::new();
    for seed in 0..SEQUENCES {
        let path = &models[seed % models.len()];
        let (document, lifted) = lifted(path);
        let table = edited(seed, &lifted.table);
        let lowered = lower(&lifted.float, &table, TableFormat::Qdq).unwrap();
        let feed = feed(path, &document);
        let plan = run(&lowered, Semantics::Simulate, &feed);
        std::fs::write(folder.join(format!("{seed}.onnx")), with_all_integers(&lowered, &plan).encode()).unwrap();
        let arrays: Vec<(&str, &Tensor)> = feed.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        std::fs::write(folder.join(format!("{seed}.in.npz")), write_npz(&arrays, Compression::Stored).unwrap().bytes)
            .unwrap();
        let operators = lower(&lifted.float, &table, TableFormat::QOperator).unwrap();
        let integer_plan = run(&operators, Semantics::Integer, &feed);
        let with_integers = with_all_integers(&operators, &integer_plan);
        std::fs::write(folder.join(format!("{seed}.operators.onnx")), with_integers.encode()).unwrap();
        runs.push(Sequence {
            name: stem(path),
            list: EditList::between(&lifted.table, &table, &stem(path), "recorded"),
            found: integers(&lowered, &plan),
            as_operators: integers(&operators, &integer_plan),
            saturates: has_signed_products(&operators),
        });
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/fixtures/table_answers.py");
    let output = std::process::Command::new(python).arg(script).arg(&folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut sums = (0, 0);
    let mut whole = 0;
    let mut operator_sums = [(0, 0); 2];
    for (seed, Sequence { name, list, found, as_operators, saturates }) in runs.iter().enumerate() {
        let answers = npz(&folder.join(format!("{seed}.operators.npz")));
        let expected: HashMap<String, Tensor> =
            answers.into_iter().filter(|(_, tensor)| tensor.dtype() != DType::Float32).collect();
        assert_eq!(as_operators.len(), expected.len(), "{name} {seed} as operators");
        let (equal, all) = agreement(as_operators, &expected);
        eprintln!("OPS {name} {seed}: {equal} of {all} {saturates}");
        let sum = &mut operator_sums[usize::from(*saturates)];
        *sum = (sum.0 + equal, sum.1 + all);
        let answers = npz(&folder.join(format!("{seed}.npz")));
        let expected: HashMap<String, Tensor> =
            answers.into_iter().filter(|(_, tensor)| tensor.dtype() != DType::Float32).collect();
        assert_eq!(found.len(), expected.len(), "{name} {seed}");
        let (equal, all) = agreement(found, &expected);
        assert!(equal as f64 >= all as f64 * EQUAL_IN_ONE, "{name} {seed}: {equal} of {all}");
        whole += usize::from(equal == all);
        sums = (sums.0 + equal, sums.1 + all);
        if std::env::var_os("QUANTSCOPE_RECORD").is_some() && seed < RECORDED {
            std::fs::create_dir_all(recorded_folder()).unwrap();
            std::fs::write(recorded_folder().join(format!("{seed}.json")), list.to_json() + "\n").unwrap();
            let mut arrays: Vec<(&str, &Tensor)> = expected.iter().map(|(name, it)| (name.as_str(), it)).collect();
            arrays.sort_by_key(|(name, _)| *name);
            let file = write_npz(&arrays, Compression::Deflated).unwrap();
            std::fs::write(recorded_folder().join(format!("{seed}.npz")), file.bytes).unwrap();
        }
    }
    eprintln!("{whole} of {SEQUENCES} sequences equal, {} of {} integers", sums.0, sums.1);
    eprintln!("as operators: {operator_sums:?}");
    assert!(sums.0 as f64 >= sums.1 as f64 * EQUAL_INTEGERS, "{} of {}", sums.0, sums.1);
    std::fs::remove_dir_all(folder).unwrap();
}
