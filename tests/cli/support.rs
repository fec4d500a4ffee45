//! Starting the command, and what it works on.

use quantscope::import::{Limits, NamedArray, Opened, SourceFile, open};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How the command ended.
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub error: String,
}

impl Ended {
    /// The JSON on standard output of a command that ended well.
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.error);
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// A failure with a message in five lines, all of these in it.
    pub fn refused(&self, parts: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (1, ""), "{}", self.error);
        for part in ["error: ", "  place:    ", "  found:    ", "  expected: ", "  to do:    "].iter().chain(parts) {
            assert!(self.error.contains(part), "'{part}' is not in {}", self.error);
        }
        assert!(!self.error.contains("panicked"), "{}", self.error);
    }
}

/// Runs the command.
pub fn quantscope(arguments: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_quantscope")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap(), out: text(output.stdout), error: text(output.stderr) }
}

fn inside(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

/// A shipped file.
pub fn sample(name: &str) -> String {
    inside("public/sample").join(name).display().to_string()
}

/// The shipped images, and which of the two sets.
pub fn test_images() -> [String; 4] {
    ["--data".to_owned(), sample("street-digits.tar.gz"), "--set".to_owned(), "test".to_owned()]
}

/// A committed fixture.
pub fn fixture(name: &str) -> String {
    inside("tests/fixtures").join(name).display().to_string()
}

/// What ONNX Runtime answered on the sample.
pub fn expected() -> Value {
    serde_json::from_slice(&std::fs::read(fixture("sample/expected.json")).unwrap()).unwrap()
}

/// A file to be written; each test has names of its own.
pub fn scratch(name: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name).display().to_string()
}

/// A file of the reference data, or `None` with a line that says so.
pub fn reference(file: &str) -> Option<String> {
    let default = inside("../shared/reference");
    let folder = std::env::var_os("QUANTSCOPE_REFERENCE").map_or(default, PathBuf::from);
    if !folder.join("models").is_dir() {
        eprintln!("skipped: the reference data is not at {}", folder.display());
        return None;
    }
    Some(folder.join(file).display().to_string())
}

/// A recorded JSON file.
pub fn json_of(path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The arrays of an .npz.
pub fn arrays(path: &str) -> Vec<NamedArray> {
    let source = SourceFile::new(path, std::fs::read(path).unwrap());
    let (opened, problems) = open(vec![source], &Limits::default());
    assert!(problems.is_empty(), "{problems:?}");
    let arrays = |opened| if let Opened::Arrays { arrays, .. } = opened { arrays } else { Vec::new() };
    opened.into_iter().flat_map(arrays).collect()
}
