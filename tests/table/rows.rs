//! What lifting says of the files.

use crate::documents::{feed, lifted, own_models, reference_models, run, stem, whole_models};
use crate::support::{document, fixtures, reference};
use quantscope::engine::{Plan, PlanOptions, Semantics};
use quantscope::onnx::{Document, align, tensor_to_proto};
use quantscope::quant::table::{Clamp, FloatVariant, Lifted, RowMode, lift};
use quantscope::quant::{TensorKind, weight_view};
use quantscope::tensor::Tensor;

fn own(name: &str) -> Lifted {
    lifted(&fixtures("table").join(format!("{name}.onnx"))).1
}

/// The float graph with its constants as readers see them, and its rows live.
fn evaluate(lifted: &Lifted, feed: &[(String, Tensor)]) -> Plan {
    let mut proto = lifted.float.proto().clone();
    let graph = proto.graph.as_mut().unwrap();
    for row in &lifted.table.rows {
        if let Some(seen) = row.seen_constant() {
            let seen = tensor_to_proto(&row.tensor, &seen.unwrap());
            *graph.initializer.iter_mut().find(|tensor| tensor.name() == row.tensor).unwrap() = seen;
        }
    }
    let float = Document::from_proto(proto).unwrap();
    let mut plan = Plan::compile(&float, Semantics::Simulate, &PlanOptions::default()).unwrap();
    for row in lifted.table.rows.iter().filter(|row| row.constant.is_none() && row.mode == RowMode::Fixed) {
        plan.set_fake_quantize(&row.tensor, Some(&row.grid.params)).unwrap();
    }
    plan.run(feed).unwrap();
    plan
}

#[test]
fn the_float_graph_with_its_rows_is_the_file() {
    for path in [own_models(), whole_models(), reference_models()].concat() {
        let (document, lifted) = lifted(&path);
        let dynamic = lifted.table.rows.iter().any(|row| row.mode == RowMode::Dynamic);
        // QLinear operators and integer operators have arithmetic of their own.
        if dynamic || stem(&path).contains("qoperator") || lifted.table.rows.is_empty() {
            continue;
        }
        let feed = feed(&path, &document);
        let (file, plan) = (run(&document, Semantics::Simulate, &feed), evaluate(&lifted, &feed));
        for output in document.graph().output.iter().map(|output| output.name()) {
            let seen = plan.rounded(output).unwrap();
            assert_eq!(Some(seen), file.value(output), "{} '{output}'", stem(&path));
        }
        for row in lifted.table.rows.iter().filter(|row| row.constant.is_none()) {
            let seen = plan.rounded(&row.tensor).unwrap();
            // Integers that were moved first are not dequantized where they were made.
            if row.names.dequantized.is_empty() {
                continue;
            }
            assert_eq!(Some(seen), file.value(&row.names.dequantized), "{} '{}'", stem(&path), row.tensor);
        }
    }
}

#[test]
fn nothing_of_the_reference_is_left_as_written() {
    let expected =
        [("resnet8_int8", 66, 9, 7), ("resnet8_uint8_qoperator", 65, 9, 7), ("resnet8_bn_folded_int8", 38, 9, 7)];
    for path in reference_models() {
        let (_, lifted) = lifted(&path);
        assert_eq!(lifted.as_written, [], "{}", stem(&path));
        let Some((_, rows, biases, absorbed)) = expected.iter().find(|(name, ..)| *name == stem(&path)) else {
            continue;
        };
        let table = &lifted.table.rows;
        assert_eq!(table.len(), *rows, "{}", stem(&path));
        assert_eq!(table.iter().filter(|row| row.bias_of.is_some()).count(), *biases);
        assert_eq!(table.iter().filter(|row| row.absorbed.is_some()).count(), *absorbed);
    }
}

#[test]
fn what_stays_as_written_says_why() {
    let reasons = |name: &str| own(name).as_written.into_iter().map(|w| (w.op, w.reason)).collect::<Vec<_>>();
    let other = reasons("other_scale_behind");
    assert_eq!(other.len(), 2);
    assert!(other[1].1.contains("not the one its integers were made with"), "{other:?}");
    let operator = reasons("qoperator_other_scale");
    assert!(operator[0].1.contains("read with another scale"), "{operator:?}");
    assert_eq!(reasons("integers_in_and_out").len(), 2);
    assert_eq!(reasons("static_int8"), []);
}

#[test]
fn a_node_that_cannot_be_lifted_costs_only_itself() {
    let lifted = own("qoperator_unliftable");
    let written: Vec<&str> = lifted.as_written.iter().map(|written| written.op.as_str()).collect();
    assert_eq!(written, ["Clip", "QLinearAveragePool", "QLinearWhere"], "{:?}", lifted.as_written);
    let activations = lifted.table.rows.iter().filter(|row| row.constant.is_none());
    let activations: Vec<&str> = activations.map(|row| row.tensor.as_str()).collect();
    assert_eq!(activations, ["x", "c", "d", "s", "y"]);
    let constants = lifted.table.rows.iter().filter(|row| row.constant.is_some()).count();
    assert_eq!(constants, 4);
    // Lifted nodes read what the others make through a DequantizeLinear; the MaxPool behind the pool, which only the
    // QLinearWhere reads, stays on integers.
    let foreign: Vec<&str> = lifted
        .float
        .graph()
        .node
        .iter()
        .filter(|node| node.op_type() == "DequantizeLinear")
        .map(|node| node.input[0].as_str())
        .collect();
    assert_eq!(foreign, ["k_quantized", "q_quantized", "other"]);
    let integers = own("integer_readers");
    let reasons: Vec<&str> = integers.as_written.iter().map(|written| written.op.as_str()).collect();
    assert_eq!(reasons, ["ReduceMax", "Clip", "DequantizeLinear"]);
    assert_eq!(integers.table.rows.len(), 2);
}

#[test]
fn rows_on_copies_have_names_of_the_file() {
    let raw = own("raw_readers");
    let names: Vec<&str> = raw.table.rows.iter().map(|row| row.tensor.as_str()).collect();
    assert_eq!(names, ["a_dq", "a2_dq"]);
    let dynamic = own("dynamic");
    assert!(dynamic.table.rows.iter().all(|row| !row.tensor.contains("copy")));
}

#[test]
fn every_row_has_a_value_of_its_own() {
    let twice = own("quantized_twice");
    let sources: Vec<Option<&str>> = twice.table.rows.iter().map(|row| row.source.as_deref()).collect();
    assert_eq!(sources, [None, Some("a")]);
    let raw = own("raw_readers");
    assert!(raw.table.rows.iter().all(|row| row.source.as_deref() == Some("a")), "{:?}", raw.table.rows);
    assert_eq!(raw.table.rows.len(), 2);
    let outputs = own("everything_is_an_output");
    let names: Vec<&str> = outputs.table.rows.iter().map(|row| row.tensor.as_str()).collect();
    assert_eq!(names, ["a_dq", "x_dq"]);
    let constants = own("one_constant_two_scales");
    let axes: Vec<_> = constants.table.rows.iter().map(|row| row.channel_axis).collect();
    assert_eq!((constants.table.rows.len(), axes), (2, vec![Some(0), Some(0)]));
    let copied = own("float_constant_read_twice");
    let data = copied.table.rows[0].constant.as_ref().unwrap();
    assert_eq!((copied.table.rows[0].source.as_deref(), data.quantized_in_graph), (Some("w"), true));
}

#[test]
fn kinds_axes_and_biases() {
    let lifted = own("static_uint8_per_channel");
    let row = |name: &str| lifted.table.row(name).unwrap_or_else(|| panic!("no row {name}"));
    assert_eq!((row("conv_a_w").kind, row("conv_a_w").channel_axis), (TensorKind::Weight, Some(0)));
    assert_eq!((row("gemm_w").kind, row("gemm_w").channel_axis), (TensorKind::Weight, Some(0)));
    assert_eq!((row("product_w").kind, row("product_w").channel_axis), (TensorKind::Weight, Some(1)));
    assert_eq!(row("factor").kind, TensorKind::Constant);
    let bias = row("conv_b_b");
    assert_eq!(bias.kind, TensorKind::Bias);
    let of = bias.bias_of.as_ref().unwrap();
    assert_eq!((of.input.as_str(), of.weight.as_str()), ("pooled", "conv_b_w"));
    // The Gemm reads the mean through a Flatten with a row of its own.
    assert_eq!(row("gemm_b").bias_of.as_ref().unwrap().input, "flat");
    assert_eq!(row("probs").names.dequantized, "probs");
    assert_eq!(row("a_relu").absorbed, Some(Clamp { low: 0.0, high: f32::INFINITY }));
    assert_eq!(row("joined").absorbed, None);
}

#[test]
fn dynamic_files_have_dynamic_rows() {
    let lifted = own("dynamic");
    let dynamic: Vec<&str> =
        lifted.table.rows.iter().filter(|row| row.mode == RowMode::Dynamic).map(|row| row.tensor.as_str()).collect();
    assert_eq!(dynamic.len(), 4, "{dynamic:?}");
    assert!(lifted.table.row("product_w").unwrap().constant.is_some());
    assert_eq!(lifted.as_written, []);
    assert!(lifted.float.graph().node.iter().all(|node| !node.op_type().contains("Integer")));
}

/// A model with some codes of its largest weight one step off, and its clipped ones at the lowest code of all.
fn with_moved_codes(quantized: &Document, count: usize) -> Document {
    quantized
        .edit(|proto| {
            let tensors = proto.graph.as_mut().unwrap().initializer.iter_mut();
            let stored = tensors.filter(|tensor| tensor.data_type() == 3 && !tensor.raw_data().is_empty());
            let largest = stored.max_by_key(|tensor| tensor.raw_data().len()).unwrap();
            let mut codes: Vec<i8> = largest.raw_data().iter().map(|&byte| byte as i8).collect();
            codes.iter_mut().filter(|code| **code == -127).for_each(|code| *code = -128);
            codes.iter_mut().filter(|code| code.abs() < 100).take(count).for_each(|code| *code += 1);
            largest.raw_data = Some(codes.iter().map(|&code| code as u8).collect::<Vec<u8>>().into());
        })
        .unwrap()
}

/// What an alignment of two documents knows.
fn variant(float: &Document, quantized: &Document) -> FloatVariant {
    let weight = |document: &Document, value: &str| weight_view(document, value)?.ok().map(|view| view.real);
    let alignment = align(&[float, quantized], &weight);
    FloatVariant::of(&alignment, (0, float), (1, quantized))
}

#[test]
fn the_float_variant_s_weights_are_used_where_they_give_the_codes() {
    let Some(folder) = reference() else { return };
    let float = document(&folder.join("models/resnet8.onnx"));
    for name in ["resnet8_int8", "resnet8_uint8", "resnet8_int8_per_channel", "resnet8_uint8_qoperator"] {
        let quantized = document(&folder.join(format!("models/{name}.onnx")));
        let lifted = lift(&quantized, Some(&variant(&float, &quantized))).unwrap();
        let constants = || lifted.table.rows.iter().filter(|row| row.constant.is_some());
        let original = constants().filter(|row| row.constant.as_ref().unwrap().float_is_original).count();
        assert_eq!((original, lifted.notes.len()), (constants().count(), 0), "{name}: {:?}", lifted.notes);
        for row in constants() {
            let data = row.constant.as_ref().unwrap();
            let in_float = float.constant(&row.tensor).unwrap().unwrap();
            assert_eq!(data.float.bytes(), in_float.bytes(), "{name} '{}'", row.tensor);
        }
        assert_eq!(lifted.table.rows.iter().filter(|row| row.absorbed.is_some()).count(), 7);
    }
    // A code that was rounded to the other side, and -127 for -128, are the same weights; many other codes are not.
    let quantized = document(&folder.join("models/resnet8_int8.onnx"));
    for (codes, taken) in [(1, true), (400, false)] {
        let moved = with_moved_codes(&quantized, codes);
        let lifted = lift(&moved, Some(&variant(&float, &moved))).unwrap();
        let conv = lifted.table.rows.iter().filter(|row| row.kind == TensorKind::Weight);
        let largest = conv.max_by_key(|row| row.constant.as_ref().unwrap().float.len()).unwrap();
        let data = largest.constant.as_ref().unwrap();
        assert_eq!(data.float_is_original, taken, "{codes}: {:?}", lifted.notes);
        assert_eq!(lifted.notes.len(), usize::from(!taken));
    }
    // Weights of another model are not taken.
    let folded = document(&folder.join("models/resnet8_bn_folded.onnx"));
    let quantized = document(&folder.join("models/resnet8_int8.onnx"));
    let lifted = lift(&quantized, Some(&variant(&folded, &quantized))).unwrap();
    let conv = lifted.table.rows.iter().find(|row| row.kind == TensorKind::Weight).unwrap();
    assert!(!conv.constant.as_ref().unwrap().float_is_original);
    assert!(!lifted.notes.is_empty());
}

#[test]
fn the_float_variant_tells_what_was_absorbed() {
    let folder = fixtures("models");
    let float = document(&folder.join("tiny_depthwise.onnx"));
    let quantized = document(&folder.join("tiny_depthwise_int8.onnx"));
    let with = lift(&quantized, Some(&variant(&float, &quantized))).unwrap();
    let six = Clamp { low: 0.0, high: 6.0 };
    let absorbed = with.table.rows.iter().filter_map(|row| row.absorbed).collect::<Vec<_>>();
    assert_eq!(absorbed, [six; 3]);
    assert!(with.table.rows.iter().all(|row| row.covers_absorbed()));
    // Codes that end at 6 tell it by themselves.
    let alone = lift(&quantized, None).unwrap();
    let absorbed = alone.table.rows.iter().filter_map(|row| row.absorbed).collect::<Vec<_>>();
    assert_eq!(absorbed, [six; 3]);
    assert!(alone.table.rows.iter().all(|row| row.covers_absorbed()));
}
