//! `src/onnx/proto.rs` is generated from `proto/onnx.proto`; this keeps the two together.
//! `UPDATE_PROTO=1 cargo test --test proto` writes it anew.
#![cfg(not(target_arch = "wasm32"))]
// A test that cannot go on fails; the lints against that are for what a user runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use quantscope::onnx::schema::{Kind, MESSAGES};
use std::collections::BTreeMap;
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

/// Field number to name, kind and whether it is repeated, by message name without the package.
type Schema = BTreeMap<String, BTreeMap<u32, (String, String, bool)>>;

fn message_fields(message: &protox::prost_reflect::MessageDescriptor) -> BTreeMap<u32, (String, String, bool)> {
    use protox::prost_reflect::Kind as Declared;
    let field = |field: protox::prost_reflect::FieldDescriptor| {
        let kind = match field.kind() {
            Declared::Int32 | Declared::Int64 | Declared::Uint64 | Declared::Enum(_) => "varint".to_owned(),
            Declared::Float => "fixed32".to_owned(),
            Declared::Double => "fixed64".to_owned(),
            Declared::String => "text".to_owned(),
            Declared::Bytes => "bytes".to_owned(),
            Declared::Message(inner) => inner.full_name().trim_start_matches("onnx.").to_owned(),
            other => panic!("{other:?} is not in the table's kinds"),
        };
        (field.number(), (field.name().to_owned(), kind, field.is_list()))
    };
    message.fields().map(field).collect()
}

#[test]
fn schema_table_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile([root.join("proto/onnx.proto")], [root.join("proto")]).expect("schema compiles");
    let pool = protox::prost_reflect::DescriptorPool::from_file_descriptor_set(descriptors).expect("schema links");
    let short = |name: &str| name.trim_start_matches("onnx.").to_owned();
    let schema: Schema =
        pool.all_messages().map(|message| (short(message.full_name()), message_fields(&message))).collect();
    let name = |message| MESSAGES.iter().find(|row| row.0 == message).map(|row| row.1.to_owned()).unwrap();
    let row = |field: &quantscope::onnx::schema::Field| {
        let kind = match field.kind {
            Kind::Varint => "varint".to_owned(),
            Kind::Fixed32 => "fixed32".to_owned(),
            Kind::Fixed64 => "fixed64".to_owned(),
            Kind::Text => "text".to_owned(),
            Kind::Bytes => "bytes".to_owned(),
            Kind::Message(message) => name(message),
        };
        (field.number, (field.name.to_owned(), kind, field.repeated))
    };
    let table: Schema =
        MESSAGES.iter().map(|(_, name, fields)| ((*name).to_owned(), fields.iter().map(row).collect())).collect();
    assert_eq!(table, schema);
}
