//! Changing rows.

use crate::documents::{count, feed, lifted, run};
use crate::support::fixtures;
use quantscope::engine::Semantics;
use quantscope::onnx::Document;
use quantscope::quant::Granularity;
use quantscope::quant::table::{Change, Edit, Grid, GridError, Lifted, QuantTable, TableFormat, apply, lower};
use quantscope::tensor::DType;

fn own(name: &str) -> Lifted {
    lifted(&fixtures("table").join(format!("{name}.onnx"))).1
}

struct Session {
    original: QuantTable,
    table: QuantTable,
}

impl Session {
    fn new(lifted: &Lifted) -> Self {
        Session { original: lifted.table.clone(), table: lifted.table.clone() }
    }
    fn edit(&mut self, tensor: &str, change: Change) -> Result<Vec<String>, GridError> {
        apply(&mut self.table, &self.original, &Edit { tensor: tensor.to_owned(), change }, None)
    }
    fn grid(&self, tensor: &str) -> &Grid {
        &self.table.row(tensor).unwrap().grid
    }
}

#[test]
fn what_cannot_be_is_refused_and_nothing_changes() {
    let lifted = own("static_uint8_per_channel");
    let mut session = Session::new(&lifted);
    let scale = |scale| Change::Scale { channel: None, scale };
    let before = session.table.clone();
    for bad in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let refused = session.edit("pooled", scale(bad)).unwrap_err();
        assert!(matches!(refused, GridError::Scale { .. }), "{bad}: {refused}");
    }
    let mut refused = |tensor: &str, change: Change| session.edit(tensor, change).unwrap_err();
    let zero_point = |zero_point| Change::ZeroPoint { channel: None, zero_point };
    assert_eq!(refused("pooled", zero_point(256)), GridError::ZeroPoint { found: 256, low: 0, high: 255 });
    assert!(matches!(refused("pooled", zero_point(-1)), GridError::ZeroPoint { .. }));
    let at = |channel| Change::Scale { channel: Some(channel), scale: 1.0 };
    assert!(matches!(refused("conv_a_w", at(6)), GridError::Row(_)));
    assert!(matches!(refused("nothing", scale(1.0)), GridError::Row(_)));
    // A bias follows.
    assert!(matches!(refused("conv_a_b", scale(1.0)), GridError::Row(_)));
    let bits = |bits| Change::Codes { bits, signed: true, narrow_range: false };
    for bad in [0, 1, 17, 32] {
        assert!(matches!(refused("pooled", bits(bad)), GridError::Bits { .. }));
    }
    for (low, high) in [(1.0, 2.0), (-2.0, -1.0), (0.0, 0.0), (1.0, -1.0), (f32::NAN, 1.0), (0.0, f32::INFINITY)] {
        let change = Change::Range { channel: None, low, high };
        assert!(matches!(refused("pooled", change), GridError::Range { .. }), "{low} {high}");
    }
    assert!(matches!(refused("pooled", Change::PerChannel(true)), GridError::Row(_)));
    let mut grid = before.row("conv_a_w").unwrap().grid.clone();
    grid.params.scale.pop();
    assert!(matches!(refused("conv_a_w", Change::Grid(grid)), GridError::Count { .. }));
    // A scale whose product with the weight's has no place in f32.
    assert!(matches!(refused("pooled", scale(f32::from_bits(1))), GridError::Scale { .. }));
    assert!(session.table == before);
    let dynamic = own("dynamic");
    let mut session = Session::new(&dynamic);
    let row = dynamic.table.rows.iter().find(|row| row.constant.is_none()).unwrap();
    assert!(matches!(session.edit(&row.tensor, scale(1.0)), Err(GridError::Row(_))));
    assert_eq!(session.edit(&row.tensor, Change::Enabled(false)).unwrap(), std::slice::from_ref(&row.tensor));
}

#[test]
fn biases_follow_and_come_back() {
    let lifted = own("static_int8");
    let mut session = Session::new(&lifted);
    let scale = session.grid("pooled").params.scale[0];
    let changed = session.edit("pooled", Change::Scale { channel: None, scale: scale * 2.0 }).unwrap();
    assert_eq!(changed, ["pooled", "conv_b_b"]);
    let weight = session.grid("conv_b_w").params.scale[0];
    let bias = session.table.row("conv_b_b").unwrap();
    assert_eq!(bias.grid.params.scale, [scale * 2.0 * weight]);
    let file = session.original.row("conv_b_b").unwrap();
    let codes = |row: &quantscope::quant::table::Row| row.codes_tensor().unwrap().unwrap().to_i64().unwrap();
    for (now, before) in codes(bias).iter().zip(codes(file)) {
        assert!((now * 2 - before).abs() <= 1, "{now} {before}");
    }
    let changed = session.edit("conv_b_w", Change::PerChannel(true)).unwrap();
    assert_eq!(changed, ["conv_b_w", "conv_b_b"]);
    assert_eq!(session.grid("conv_b_b").params.granularity, Granularity::PerChannel { axis: 0 });
    session.edit("conv_b_w", Change::Reset).unwrap();
    session.edit("pooled", Change::Reset).unwrap();
    assert!(session.table == session.original);
}

#[test]
fn ranges_become_scales_by_the_quantizer_s_rule() {
    let lifted = own("static_int8");
    let mut session = Session::new(&lifted);
    let range = |low, high| Change::Range { channel: None, low, high };
    session.edit("scaled", range(-1.0, 254.0)).unwrap();
    assert_eq!((session.grid("scaled").params.scale[0], session.grid("scaled").params.zero_point[0]), (1.0, -127));
    session.edit("conv_a_w", range(-1.0, 127.0)).unwrap();
    assert_eq!((session.grid("conv_a_w").params.scale[0], session.grid("conv_a_w").params.zero_point[0]), (1.0, 0));
    session.edit("scaled", Change::Symmetric(true)).unwrap();
    assert_eq!(
        (session.grid("scaled").params.scale[0], session.grid("scaled").params.zero_point[0]),
        (254.0 / 127.0, 0)
    );
}

/// One range for all channels cuts those that reach further; no channel loses its own scale to another one's.
#[test]
fn a_range_for_all_channels_keeps_their_own() {
    let lifted = own("static_int8");
    let mut session = Session::new(&lifted);
    session.edit("conv_a_w", Change::PerChannel(true)).unwrap();
    let before = session.grid("conv_a_w").clone();
    let side = |scale: f32| scale * 127.0;
    let mut sides: Vec<f32> = before.params.scale.iter().map(|scale| side(*scale)).collect();
    sides.sort_by(f32::total_cmp);
    let (least, most) = (sides[0], sides[sides.len() - 1]);
    assert!(least < most, "{sides:?}");
    let cut = (least + most) / 2.0;
    session.edit("conv_a_w", Change::Range { channel: None, low: -cut, high: cut }).unwrap();
    let after = session.grid("conv_a_w").clone();
    let (mut whole, mut shorter) = (0, 0);
    for (before, after) in before.params.scale.iter().zip(&after.params.scale) {
        if side(*before) <= cut {
            assert_eq!(before, after);
            whole += 1;
        } else {
            assert_eq!(*after, cut / 127.0);
            shorter += 1;
        }
    }
    assert!(whole > 0 && shorter > 0);
    assert!(after.is_symmetric());
    // Outwards the furthest go along, and nobody else.
    session.edit("conv_a_w", Change::Range { channel: None, low: -most, high: most }).unwrap();
    for (after, wider) in after.params.scale.iter().zip(&session.grid("conv_a_w").params.scale) {
        assert_eq!(*wider, if side(*after) < cut { *after } else { most / 127.0 });
    }
    // One bound of an asymmetric weight: the other one stays as it is, bit for bit.
    session.edit("conv_a_w", Change::Symmetric(false)).unwrap();
    let before = session.grid("conv_a_w").clone();
    let low = before.reach().iter().fold(0f32, |low, reach| low.min(reach.0));
    session.edit("conv_a_w", Change::Range { channel: None, low, high: cut / 2.0 }).unwrap();
    let after = session.grid("conv_a_w").clone();
    for ((before, after), now) in before.reach().into_iter().zip(after.reach()).zip(&after.params.scale) {
        assert!(after.1 <= cut / 2.0 + now && (before.1 > cut / 2.0 || before == after), "{before:?} {after:?}");
    }
    assert_ne!(before, after);
}

/// What is asked to be asymmetric is, even where the range is the same on both sides.
#[test]
fn asymmetric_is_no_symmetric_zero_point() {
    let lifted = own("static_int8");
    let mut session = Session::new(&lifted);
    session.edit("scaled", Change::Symmetric(true)).unwrap();
    let side = session.grid("scaled").params.scale[0] * 127.0;
    session.edit("scaled", Change::Symmetric(false)).unwrap();
    let grid = session.grid("scaled").clone();
    assert_eq!(grid.params.zero_point, [-1]);
    let (low, high) = grid.reach()[0];
    assert!((low + side).abs() < 1e-4 * side && high >= side, "{low} {high}");
    // A bound that is dragged to the other one's mirror image does not make it symmetric either.
    session.edit("scaled", Change::Range { channel: None, low: -8.0, high: 2.0 }).unwrap();
    session.edit("scaled", Change::Range { channel: None, low: -8.0, high: 8.0 }).unwrap();
    assert!(!session.grid("scaled").is_symmetric());
    // A weight's values are known.
    session.edit("conv_a_w", Change::Symmetric(false)).unwrap();
    assert!(!session.grid("conv_a_w").is_symmetric());
    // -1, 0 and 1 have no other middle than 0.
    session.edit("conv_a_w", Change::Codes { bits: 2, signed: true, narrow_range: true }).unwrap();
    session.edit("conv_a_w", Change::Symmetric(true)).unwrap();
    let before = session.table.clone();
    assert!(matches!(session.edit("conv_a_w", Change::Symmetric(false)), Err(GridError::Row(_))));
    assert!(session.table == before);
}

/// A bound of a symmetric range lands where it was put, at any number of bits.
#[test]
fn symmetric_bounds_land_where_they_are_put() {
    let lifted = own("static_int8");
    for (dtype, bits) in [(DType::Int8, 2), (DType::Int8, 8), (DType::Uint8, 3), (DType::Int4, 4), (DType::Uint16, 16)]
    {
        let mut session = Session::new(&lifted);
        session.edit("conv_a_w", Change::Type(dtype)).unwrap();
        if !matches!(dtype, DType::Int4) {
            let signed = session.grid("conv_a_w").signed();
            session.edit("conv_a_w", Change::Codes { bits, signed, narrow_range: false }).unwrap();
        }
        assert!(session.grid("conv_a_w").is_symmetric() && session.grid("conv_a_w").params.dtype == dtype);
        for (bound, upper) in [(-1.0, false), (1.0, true), (-0.37, false), (0.37, true)] {
            let side = session.grid("conv_a_w").symmetric_side(bound, upper) as f32;
            session.edit("conv_a_w", Change::Range { channel: None, low: -side, high: side }).unwrap();
            let (low, high) = session.grid("conv_a_w").reach()[0];
            let found = f64::from(if upper { high } else { low });
            assert!((found - bound).abs() < 1e-6, "{dtype} {bits}: {found} for {bound}");
        }
    }
}

#[test]
fn a_type_is_chosen() {
    let lifted = own("static_int8");
    let mut session = Session::new(&lifted);
    let mut chosen = |dtype| {
        session.edit("scaled", Change::Type(dtype)).unwrap();
        let grid = session.grid("scaled");
        (grid.params.dtype, grid.bits)
    };
    assert_eq!(chosen(DType::Int16), (DType::Int16, 16));
    assert_eq!(chosen(DType::Uint4), (DType::Uint4, 4));
    assert_eq!(chosen(DType::Uint8), (DType::Uint8, 8));
    session.edit("scaled", Change::Codes { bits: 5, signed: false, narrow_range: false }).unwrap();
    session.edit("scaled", Change::Type(DType::Int8)).unwrap();
    assert_eq!((session.grid("scaled").params.dtype, session.grid("scaled").bits), (DType::Int8, 5));
    let before = session.table.clone();
    for other in [DType::Int32, DType::Float32, DType::Int2, DType::Int64] {
        assert!(matches!(session.edit("scaled", Change::Type(other)), Err(GridError::Row(_))), "{other}");
    }
    assert!(session.table == before);
}

#[test]
fn codes_change_without_drift() {
    let lifted = own("static_int8");
    let mut session = Session::new(&lifted);
    let codes = |bits, signed| Change::Codes { bits, signed, narrow_range: false };
    for tensor in ["scaled", "conv_a_w"] {
        let before = session.grid(tensor).clone();
        session.edit(tensor, codes(8, false)).unwrap();
        assert_eq!(session.grid(tensor).params.scale, before.params.scale, "{tensor}");
        assert_eq!(session.grid(tensor).params.zero_point[0], before.params.zero_point[0] + 128);
        session.edit(tensor, codes(12, true)).unwrap();
        assert_eq!(session.grid(tensor).params.dtype, DType::Int16);
        session.edit(tensor, codes(3, true)).unwrap();
        assert_eq!((session.grid(tensor).params.dtype, session.grid(tensor).codes()), (DType::Int8, (-4, 3)));
    }
    let row = session.table.row("conv_a_w").unwrap();
    let codes = row.codes_tensor().unwrap().unwrap().to_i64().unwrap();
    assert!(codes.iter().all(|code| (-4..=3).contains(code)));
}

#[test]
fn a_row_that_is_off_leaves_its_activation_function() {
    let path = fixtures("table").join("static_int8.onnx");
    let (document, lifted) = lifted(&path);
    let mut session = Session::new(&lifted);
    session.edit("a_relu", Change::Enabled(false)).unwrap();
    let lowered = lower(&lifted.float, &session.table, TableFormat::Qdq).unwrap();
    assert_eq!(
        (count(&lowered, "QuantizeLinear"), count(&lowered, "Relu")),
        (count(&document, "QuantizeLinear") - 1, 1)
    );
    let plan = run(&lowered, Semantics::Simulate, &feed(&path, &document));
    let pool = lowered.graph().node.iter().find(|node| node.op_type() == "MaxPool").unwrap();
    let read = plan.value(&pool.input[0]).unwrap().to_f32().unwrap();
    let raw = plan.value("a_relu").unwrap().to_f32().unwrap();
    assert!(raw.iter().any(|value| *value < 0.0));
    assert!(raw.iter().zip(&read).all(|(raw, read)| raw.max(0.0) == *read));
    // A zero point above the lowest code lets negative numbers through: the Relu is needed as well.
    session.edit("a_relu", Change::Enabled(true)).unwrap();
    session.edit("a_relu", Change::ZeroPoint { channel: None, zero_point: -100 }).unwrap();
    let lowered = lower(&lifted.float, &session.table, TableFormat::Qdq).unwrap();
    assert_eq!(count(&lowered, "Relu"), 1);
    let plan = run(&lowered, Semantics::Simulate, &feed(&path, &document));
    let pool = lowered.graph().node.iter().find(|node| node.op_type() == "MaxPool").unwrap();
    let read = plan.value(&pool.input[0]).unwrap().to_f32().unwrap();
    assert!(read.iter().all(|value| *value >= 0.0));
}

#[test]
fn everything_off_is_the_float_network() {
    let path = fixtures("table").join("static_int8.onnx");
    let (document, lifted) = lifted(&path);
    let mut session = Session::new(&lifted);
    for row in &lifted.table.rows {
        session.edit(&row.tensor, Change::Enabled(false)).unwrap();
    }
    for format in [TableFormat::Qdq, TableFormat::QOperator] {
        let lowered = lower(&lifted.float, &session.table, format).unwrap();
        assert_eq!(count(&lowered, "QuantizeLinear") + count(&lowered, "DequantizeLinear"), 0);
        assert_eq!(lowered.issues(), &[]);
        assert_eq!(count(&lowered, "Relu"), lifted.table.rows.iter().filter(|row| row.absorbed.is_some()).count());
        run(&lowered, Semantics::Simulate, &feed(&path, &document));
    }
}

#[test]
fn shared_names_part_when_their_values_do() {
    let lifted = own("shared_scale");
    let mut session = Session::new(&lifted);
    let scales = |document: &Document| {
        let floats = document.graph().initializer.iter().filter(|tensor| tensor.data_type() == 1);
        floats.map(|tensor| tensor.name().to_owned()).collect::<Vec<_>>()
    };
    let lowered = |table: &QuantTable| lower(&lifted.float, table, TableFormat::Qdq).unwrap();
    assert_eq!(scales(&lowered(&session.table)), ["shared_scale"]);
    session.edit("m", Change::Scale { channel: None, scale: 0.5 }).unwrap();
    let parted = scales(&lowered(&session.table));
    assert_eq!((parted.len(), parted.contains(&"shared_scale".to_owned())), (2, true), "{parted:?}");
    for tensor in ["r", "p", "f"] {
        session.edit(tensor, Change::Scale { channel: None, scale: 0.5 }).unwrap();
    }
    assert_eq!(scales(&lowered(&session.table)), ["shared_scale"]);
}

#[test]
fn wider_codes_take_the_operators_that_have_them() {
    let domains = |document: &Document, op: &str| {
        let nodes = document.graph().node.iter().filter(|node| node.op_type() == op);
        nodes.filter(|node| node.domain() == "com.microsoft").count()
    };
    for (name, expected) in [("static_int8", 1), ("static_uint16_opset21", 0)] {
        let lifted = own(name);
        let mut session = Session::new(&lifted);
        session.edit("scaled", Change::Codes { bits: 12, signed: false, narrow_range: false }).unwrap();
        let lowered = lower(&lifted.float, &session.table, TableFormat::Qdq).unwrap();
        assert_eq!(domains(&lowered, "QuantizeLinear"), expected, "{name}");
        assert_eq!(lowered.opset("com.microsoft").is_some(), expected > 0);
        assert_eq!(count(&lowered, "Clip"), 1);
    }
}

#[test]
fn ranges_of_values_are_used_where_they_are_known() {
    let lifted = own("activation_per_channel");
    let mut table = lifted.table.clone();
    let ranges = |tensor: &str| (tensor == "a").then(|| vec![(-1.0, 127.0), (0.0, 254.0), (-0.5, 12.7)]);
    let mut edit = |change: Change, ranges: Option<quantscope::quant::table::ValueRanges<'_>>| {
        apply(&mut table, &lifted.table, &Edit { tensor: "a".to_owned(), change }, ranges).unwrap();
        table.rows[0].grid.clone()
    };
    let symmetric = edit(Change::Symmetric(true), Some(&ranges));
    assert_eq!(symmetric.params.scale, [1.0, 2.0, 0.1]);
    assert_eq!(symmetric.params.granularity, Granularity::PerChannel { axis: 1 });
    let whole = edit(Change::PerChannel(false), Some(&ranges));
    assert_eq!((whole.params.scale, whole.params.granularity), (vec![2.0], Granularity::PerTensor));
    let spread = edit(Change::PerChannel(true), Some(&ranges));
    assert_eq!(spread.params.scale, [1.0, 2.0, 0.1]);
    // Without them the present range is kept.
    let asymmetric = edit(Change::Symmetric(false), None);
    assert!(asymmetric.params.zero_point.iter().all(|zero_point| [-1, 0].contains(zero_point)), "{asymmetric:?}");
}
