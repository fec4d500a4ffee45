//! Files that are cut, changed and made up: an error each, in bounded time and memory, and never a panic.

use crate::keras::layers;
use crate::support::{file, reference, unzip};
use bytes::Bytes;
use quantscope::import::{ImportError, KerasOptions, convert_keras};
use std::io::Write;

fn convert(bytes: Vec<u8>) -> Result<(), ImportError> {
    convert_keras(&Bytes::from(bytes), "damaged.h5", &KerasOptions::default()).map(|_| ())
}

/// A generator of numbers that is the same everywhere (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[test]
fn cut_at_every_kilobyte() {
    let files = layers();
    for name in ["sequential.h5", "sequential.keras", "lstm.k2.h5", "keras1.k1.h5"] {
        let bytes = &files[name];
        for length in (0..bytes.len()).step_by(1024) {
            let error = convert(bytes[..length].to_vec()).expect_err(&format!("{name} cut at {length}"));
            assert!(!error.into_problem(name).found.is_empty());
        }
    }
    if let Some(folder) = reference() {
        let bytes = file(&folder.join("models/pretrainedResnet.h5"));
        for length in (0..bytes.len()).step_by(1024) {
            assert!(convert(bytes[..length].to_vec()).is_err(), "cut at {length}");
        }
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let files = layers();
    let mut numbers = Numbers(7);
    // More of them than a usual run has time for, where someone asks for it.
    let rounds = std::env::var("QUANTSCOPE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(300);
    let (mut refused, mut taken) = (0, 0);
    for name in ["sequential.h5", "sequential.keras", "shared.k2.h5", "bidirectional.keras", "attention.h5"] {
        for _ in 0..rounds {
            let mut bytes = files[name].to_vec();
            for _ in 0..=numbers.next() % 4 {
                let at = numbers.next() as usize % bytes.len();
                bytes[at] = numbers.next() as u8;
            }
            // A changed number of a weight is a valid file.
            match convert(bytes) {
                Ok(()) => taken += 1,
                Err(_) => refused += 1,
            }
        }
    }
    println!("{refused} refused, {taken} read");
    assert!(refused > 50 && taken > 50);
}

/// The file with every occurrence of a text replaced by another one, filled up with spaces to the same length.
fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let to = format!("{to:<width$}", width = from.len());
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    let mut count = 0;
    while let Some(found) = bytes[at..].windows(from.len()).position(|window| window == from.as_bytes()) {
        at += found;
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        count += 1;
    }
    assert!(count > 0, "'{from}' is not in the file");
    bytes
}

#[test]
fn wrong_entries_are_named() {
    let files = layers();
    for (name, from, to, place) in [
        ("sequential.h5", "\"filters\": 4", "\"filters\": 0", "filters"),
        ("sequential.h5", "\"filters\": 4", "\"filters\": 9", "kernel"),
        ("sequential.h5", "\"kernel_size\": [3, 3]", "\"kernel_size\": [0, 3]", "kernel_size"),
        ("sequential.h5", "\"kernel_size\": [3, 3]", "\"kernel_size\": [9, 9]", "kernel"),
        ("sequential.h5", "\"strides\": [2, 2]", "\"strides\": [2, -]", "model_config"),
        ("sequential.h5", "\"strides\": [2, 2]", "\"strides\": [\"\" ]", "strides"),
        ("sequential.h5", "\"padding\": \"same\"", "\"padding\": \"fame\"", "padding"),
        ("sequential.h5", "\"axis\": -1", "\"axis\": 77", "axis"),
        ("sequential.h5", "\"units\": 5", "\"units\": 6", "kernel"),
        ("sequential.h5", "[null, 8, 8, 3]", "[null, 8, 8   ]", "layer"),
        ("sequential.h5", "[null, 8, 8, 3]", "[null, 8, -, 3]", "model_config"),
        ("sequential.h5", "[null, 8, 8, 3]", "{           }  ", "batch"),
        ("lstm.h5", "\"units\": 4", "\"units\": 0", "units"),
        ("shared.k2.h5", "\"twice\", 0, 0", "\"twice\", 9, 9", "model"),
        ("shared.k2.h5", "[\"inner\", 1, 1", "[\"inner\", 1, 7", "inner"),
        ("padding.h5", "\"cropping\": [[1, 0], [2, 1]]", "\"cropping\": [[9, 9], [2, 1]]", "cropping"),
        ("shapes.h5", "\"target_shape\": [6, 4]", "\"target_shape\": [7, 4]", "target_shape"),
        ("shapes.h5", "\"dims\": [3, 1, 2]", "\"dims\": [3, 1, 1]", "dims"),
    ] {
        let error = convert(replaced(&files[name], from, to)).expect_err(&format!("{name}: {to}"));
        let problem = error.into_problem(name);
        assert!(problem.place.contains(place), "{name}, {to}: {problem}");
    }
}

#[test]
fn huge_numbers_take_no_memory() {
    let files = layers();
    // A dim of a data set, as its header has it: 8 bytes each.
    let bytes = &files["dense.h5"];
    let header: Vec<u8> = [5u64, 6].iter().flat_map(|dim| dim.to_le_bytes()).collect();
    // The same dims follow once more as the largest that the data set may grow to.
    let at = bytes.windows(header.len()).position(|window| window == header).unwrap();
    for huge in [1u64 << 33, 1 << 40, u64::MAX, u64::MAX / 6] {
        let mut changed = bytes.to_vec();
        changed[at..at + 8].copy_from_slice(&huge.to_le_bytes());
        assert!(convert(changed).is_err(), "a dim of {huge}");
    }
    let wide = replaced(&files["sequential.h5"], "\"filters\": 4, \"", "\"filters\":9e9,\"");
    assert!(convert(wide).is_err());
}

/// A `.keras` archive with this configuration and the weights of a valid one.
fn archive(config: &str) -> Vec<u8> {
    let valid = unzip(&layers()["dense.keras"]);
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, content) in [("config.json", config.as_bytes()), ("model.weights.h5", &valid["model.weights.h5"][..])] {
        writer.start_file(name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A Sequential of these layers, written without quotes.
fn sequential(layers: &str) -> String {
    quoted(&format!("{{class_name: Sequential, config: {{layers: {layers}}}}}"))
}

/// JSON of bare words.
fn quoted(text: &str) -> String {
    let mut json = String::new();
    let mut word = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        if word == "null" || word.parse::<f64>().is_ok() {
            json.push_str(&word);
        } else if !word.is_empty() {
            json.push_str(&format!("\"{word}\""));
        }
        word.clear();
        json.push(c);
    }
    json
}

#[test]
fn made_up_configurations_are_refused() {
    let config = String::from_utf8(unzip(&layers()["dense.keras"])["config.json"].to_vec()).unwrap();
    convert(archive(&config)).unwrap();
    let nested = |depth: usize| {
        let inner = "{class_name: Sequential, config: {layers: [";
        quoted(&format!("{}{}", inner.repeat(depth), "]}}".repeat(depth)))
    };
    let input = "{class_name: InputLayer, config: {batch_shape: [null, 3, 3]}}";
    let many = vec!["{class_name: Dropout, config: {}}"; 20_000].join(",");
    let node = |name: &str, from: &str| {
        format!("{{class_name: Dropout, config: {{}}, name: {name}, inbound_nodes: [[[{from}, 0, 0, {{}}]]]}}")
    };
    let cycle = format!(
        "{{class_name: Functional, config: {{layers: [{}, {}], input_layers: [], output_layers: [[a, 0, 0]]}}}}",
        node("a", "b"),
        node("b", "a")
    );
    let wide = "{class_name: ZeroPadding1D, config: {padding: 1e18}}";
    for (what, config) in [
        ("brackets", "[".repeat(1_000_000)),
        ("models in models", nested(1000)),
        ("models in models that JSON allows", nested(30)),
        ("a cycle", quoted(&cycle)),
        ("many layers", sequential(&format!("[{input}, {many}]"))),
        ("no layer", sequential("[]")),
        ("a number", "3".to_owned()),
        ("a layer that is none", sequential("[null]")),
        ("wide padding", sequential(&format!("[{input}, {wide}]"))),
        ("an input of no shape", sequential("[{class_name: InputLayer, config: {batch_shape: [[]]}}]")),
        ("a bomb", " ".repeat(100 << 20)),
    ] {
        let error = convert(archive(&config)).expect_err(what);
        assert!(!error.into_problem("m.keras").advice.is_empty(), "{what}");
    }
}

/// Parsed, a byte of JSON can become sixteen: 60 KB of zip 1 GB.
#[test]
fn a_configuration_is_read_up_to_a_size() {
    for bytes in [9 << 20, 62 << 20] {
        let error = convert(archive(&format!("[{}0]", "0,".repeat(bytes / 2)))).unwrap_err();
        assert!(matches!(error, ImportError::LimitExceeded { limit, .. } if limit <= 16 << 20), "{error:?}");
    }
}

#[test]
fn other_files_are_refused() {
    for bytes in [&b""[..], b"PK", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n\x00\x00\x00", b"text"] {
        assert!(convert(bytes.to_vec()).is_err());
    }
}
