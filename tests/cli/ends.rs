//! How the command ends: exit codes and messages.

use crate::support::{fixture, quantscope, sample, scratch, test_images};

#[test]
fn a_wrong_command_line_ends_with_2() {
    let model = sample("street-digits.onnx");
    let cases: [&[&str]; 9] = [
        &[],
        &["frobnicate"],
        &["inspect"],
        &["inspect", &model, "--frobnicate"],
        &["run", &model],
        &["run", &model, "--input", "x.npy", "--out", "y.npz", "--semantics", "exact"],
        &["quantize", &model, "--data", "x", "--out", "y", "--activations", "int3"],
        &["sqnr", "--float", &model, "--data", "x"],
        &["evaluate", &model],
    ];
    for case in cases {
        let ended = quantscope(case);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{case:?}");
        let told = ["Usage: quantscope", "For more information, try '--help'"];
        assert!(told.iter().any(|words| ended.error.contains(words)), "{case:?}: {}", ended.error);
    }
    for asked in ["--help", "--version"] {
        let ended = quantscope(&[asked]);
        assert!(ended.code == 0 && ended.out.contains("quantscope"), "{asked}");
    }
    let help = quantscope(&["--help"]).out;
    for command in ["inspect", "extract", "run", "quantize", "sqnr", "convert", "evaluate"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
    }
}

#[test]
fn a_missing_file_is_named_by_every_command() {
    let (gone, model, out) = (scratch("gone.onnx"), sample("street-digits.onnx"), scratch("never.npz"));
    let data = test_images();
    let cases: [&[&str]; 8] = [
        &["inspect", &gone],
        &["extract", &gone],
        &["run", &gone, "--input", "x.npy", "--out", &out],
        &["run", &model, "--input", &gone, "--out", &out],
        &["quantize", &gone, &data[0], &data[1], "--out", &out],
        &["evaluate", &gone, &data[0], &data[1]],
        &["evaluate", &model, "--data", &gone],
        &["sqnr", "--float", &model, "--quantized", &gone, &data[0], &data[1]],
    ];
    for case in cases {
        quantscope(case).refused(&[&gone, "Check the path."]);
    }
}

#[test]
fn a_damaged_model_is_a_message() {
    for name in ["cut_half", "empty", "random", "dims_overflow", "no_graph"] {
        let ended = quantscope(&["inspect", &fixture(&format!("bad/{name}.onnx"))]);
        // A card can be shown of some of them, with what is wrong; none ends in a panic.
        if ended.code == 0 {
            assert!(ended.out.contains("issue"), "{name}: {}", ended.out);
        } else {
            ended.refused(&[&format!("{name}.onnx")]);
        }
    }
    let out = scratch("damaged.npz");
    for name in ["cycle", "missing_initializer", "raw_short"] {
        let model = fixture(&format!("bad/{name}.onnx"));
        quantscope(&["run", &model, "--input", &fixture("bad/data_short.npy"), "--out", &out])
            .refused(&[&format!("{name}.onnx")]);
    }
}

#[test]
fn what_is_no_model_has_nothing_to_show() {
    for command in ["inspect", "extract"] {
        quantscope(&[command, &sample("street-digits.tar.gz")]).refused(&["street-digits.tar.gz", "no model"]);
        quantscope(&[command, &sample("street-digits.tar.gz"), "--json"]).refused(&["no model"]);
    }
}
