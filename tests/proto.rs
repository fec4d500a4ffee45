//! `src/onnx/proto.rs` is generated from `proto/onnx.proto`; this keeps the two together.
//! `UPDATE_PROTO=1 cargo test --test proto` writes it anew.
#![cfg(not(target_arch = "wasm32"))]

use std::path::Path;

fn generate() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile([root.join("proto/onnx.proto")], [root.join("proto")]).expect("schema compiles");
    let mut config = prost_build::Config::new();
    config.bytes(["."]);
    let request = descriptors
        .file
        .into_iter()
        .map(|file| (prost_build::Module::from_protobuf_package_name(file.package()), file))
        .collect();
    let modules = config.generate(request).expect("code is generated");
    let code: String = modules.into_values().collect();
    format!("// Generated from proto/onnx.proto by tests/proto.rs. Do not edit.\n{}", code)
}

#[test]
fn generated_module_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/onnx/proto.rs");
    let fresh = generate();
    if std::env::var_os("UPDATE_PROTO").is_some() {
        std::fs::write(&path, &fresh).expect("the module is written");
    }
    let stored = std::fs::read_to_string(&path).expect("the module is there");
    assert!(stored == fresh, "src/onnx/proto.rs is stale: run `UPDATE_PROTO=1 cargo test --test proto`");
}
