//! Edit lists and what ONNX Runtime's quantizer is told.

use crate::documents::{lifted, reference_models, stem};
use crate::support::fixtures;
use quantscope::quant::table::{
    Change, Edit, EditList, QuantTable, Repetition, TableError, apply, python_snippet, tensor_quant_overrides,
};

fn edited() -> (QuantTable, QuantTable) {
    let (_, lifted) = lifted(&fixtures("table").join("static_uint8_per_channel.onnx"));
    let mut table = lifted.table.clone();
    let mut edit = |tensor: &str, change: Change| {
        apply(&mut table, &lifted.table, &Edit { tensor: tensor.to_owned(), change }, None).unwrap();
    };
    edit("pooled", Change::Scale { channel: None, scale: 0.1 });
    edit("conv_a_w", Change::Scale { channel: Some(2), scale: 0.012_345_679 });
    edit("mean", Change::Enabled(false));
    edit("leaky", Change::Codes { bits: 5, signed: true, narrow_range: true });
    (lifted.table, table)
}

#[test]
fn a_list_leads_from_the_file_to_the_edited_table() {
    let (original, table) = edited();
    let list = EditList::between(&original, &table, "a model", "ABC");
    let tensors: Vec<&str> = list.edits.iter().map(|edit| edit.tensor.as_str()).collect();
    // The bias that follows is not listed.
    assert_eq!(tensors, ["conv_a_w", "pooled", "leaky", "mean"]);
    let read = EditList::from_json(&list.to_json()).unwrap();
    assert_eq!(read, list);
    assert!(read.apply(&original, "abc").unwrap() == table);
    let nothing = EditList::between(&original, &original, "a model", "abc");
    assert_eq!(nothing.edits, []);
}

#[test]
fn scales_survive_the_way_through_json() {
    let (original, _) = edited();
    let mut table = original.clone();
    let mut random = crate::documents::Random::new(3);
    for _ in 0..2000 {
        let scale = f32::from_bits((random.next() as u32 % 0x7000_0000).max(0x0100_0000));
        let grid = &mut table.row_mut("scaled").unwrap().grid;
        grid.params.scale = vec![scale];
        let list = EditList::between(&original, &table, "", "x");
        let read = EditList::from_json(&list.to_json()).unwrap();
        assert_eq!(read.edits[0].grid.as_ref().unwrap().params.scale[0].to_bits(), scale.to_bits());
    }
}

#[test]
fn lists_for_other_models_and_other_files_are_refused() {
    let (original, table) = edited();
    let list = EditList::between(&original, &table, "a model", "abc");
    assert!(matches!(list.apply(&original, "abd"), Err(TableError::EditList(why)) if why.contains("a model")));
    for json in ["", "{}", "[1]", "{\"schema_version\": 1}"] {
        assert!(matches!(EditList::from_json(json), Err(TableError::EditList(_))), "{json}");
    }
    let newer = list.to_json().replace("\"schema_version\": 1", "\"schema_version\": 2");
    assert!(matches!(EditList::from_json(&newer), Err(TableError::EditList(why)) if why.contains("form 2")));
    let mut broken = list.clone();
    broken.edits[0].grid.as_mut().unwrap().params.scale[0] = -1.0;
    assert!(matches!(broken.apply(&original, "abc"), Err(TableError::Row { .. })));
    broken.edits[0].tensor = "nothing".to_owned();
    assert!(matches!(broken.apply(&original, "abc"), Err(TableError::Row { .. })));
}

#[test]
fn overrides_say_every_scale_and_zero_point() {
    let (_, table) = edited();
    let how = Repetition::plain(&table);
    let overrides = tensor_quant_overrides(&table, &how);
    let pooled = &overrides["pooled"][0];
    assert_eq!((pooled["quant_type"].as_str(), pooled["scale"].as_f64()), (Some("QUInt8"), Some(f64::from(0.1f32))));
    let weight = overrides["conv_a_w"].as_array().unwrap();
    assert_eq!((weight.len(), weight[0]["axis"].as_u64()), (6, Some(0)));
    assert_eq!(weight[2]["scale"].as_f64(), Some(f64::from(0.012_345_679f32)));
    // What overrides cannot say is left out, and said in the snippet.
    assert!(overrides.get("mean").is_none() && overrides.get("leaky").is_none() && overrides.get("conv_a_b").is_none());
    let snippet = python_snippet(&table, &how, "float.onnx", "quantized.onnx");
    for part in [
        "'mean' is quantized",
        "\"leaky\" uses fewer codes",
        "activation_type=QuantType.QUInt8",
        "weight_type=QuantType.QInt8",
    ] {
        assert!(snippet.contains(part), "{part}\n{snippet}");
    }
}

/// Runs the snippet where Python is at hand, and finds the reference's own numbers in what it makes.
#[test]
fn the_snippet_repeats_the_reference() {
    let Some(python) = std::env::var_os("QUANTSCOPE_PYTHON") else {
        eprintln!("skipped: QUANTSCOPE_PYTHON names no Python with onnxruntime");
        return;
    };
    for path in reference_models().iter().filter(|path| stem(path).starts_with("resnet8_int8")) {
        // The published scales are those of another network's tensors with other names.
        let float = path.with_file_name("resnet8.onnx");
        let (document, lifted) = lifted(path);
        let folder = std::env::temp_dir().join(format!("quantscope-snippet-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = folder.join("made.onnx");
        let how = Repetition::plain(&lifted.table);
        let snippet = python_snippet(&lifted.table, &how, &float.to_string_lossy(), &made.to_string_lossy());
        let script = folder.join("snippet.py");
        std::fs::write(&script, snippet).unwrap();
        let status = std::process::Command::new(&python).arg(&script).output().unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
        let made = crate::support::document(&made);
        let mut compared = 0;
        for row in lifted.table.rows.iter().filter(|row| row.bias_of.is_none()) {
            for name in [&row.names.scale, &row.names.zero_point] {
                let (found, expected) = (made.constant(name), document.constant(name));
                let (found, expected) = (found.unwrap().unwrap(), expected.unwrap().unwrap());
                assert_eq!(found.bytes(), expected.bytes(), "{} '{name}'", stem(path));
                compared += 1;
            }
        }
        eprintln!("{}: {compared} scales and zero points repeated", stem(path));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
