//! Every broken file gives a message with its name and the words that its index asks for; nothing else is lost.

use crate::support::{fixtures, index, open_all, sets, source};
use quantscope::import::Opened;

/// Broken model files reach the ONNX reader, which has the last word on them; only these are stopped before.
const NOT_MODELS: [&str; 5] = ["text.onnx", "page.onnx", "pointer.onnx", "empty.onnx", "image.onnx"];

#[test]
fn broken_files_are_said() {
    let folder = fixtures("bad");
    let mut checked = 0;
    for (name, file) in index("bad").iter() {
        let (opened, problems) = open_all(vec![source(&folder, name)]);
        for problem in &problems {
            assert!(!problem.found.is_empty() && !problem.expected.is_empty(), "{name}: {problem:?}");
            assert!(!problem.place.is_empty() && !problem.advice.is_empty(), "{name}: {problem:?}");
            assert!(problem.file.contains(name.as_str()), "{name}: {problem:?}");
        }
        if name.ends_with(".onnx") && !NOT_MODELS.contains(&name.as_str()) {
            assert!(matches!(&opened[..], [Opened::Model { .. }]), "{name}: {opened:?} {problems:?}");
            continue;
        }
        let words: Vec<&str> = file["mention"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        // A picture with a wrong extension is opened as what it is.
        if file["step"] != "open" || words.is_empty() || name == "image.onnx" {
            continue;
        }
        let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n").to_lowercase();
        for word in words {
            assert!(text.contains(&word.to_lowercase()), "{name} should mention {word}: {problems:?} {opened:?}");
        }
        checked += 1;
    }
    assert!(checked >= 35, "{checked} files");
}

#[test]
fn nothing_is_executed() {
    // The malicious pickles would create this file.
    let pwned = std::path::Path::new("/tmp/pwned");
    let before = pwned.exists();
    let folder = fixtures("bad");
    for name in ["evil_batch", "evil_protocol_4", "evil_inst", "evil_eval", "evil.tar.gz", "evil.pt", "object_evil.npy"]
    {
        let (opened, problems) = open_all(vec![source(&folder, name)]);
        assert!(opened.is_empty() && problems.len() == 1, "{name}: {opened:?} {problems:?}");
    }
    assert_eq!(pwned.exists(), before);
}

#[test]
fn a_bad_file_does_not_take_the_good_ones() {
    let mut files = vec![source(&fixtures("data"), "test_batch.bin")];
    let bad = ["cut.tar.gz", "evil_batch", "cut.png", "truncated.bin", "text.onnx"];
    files.extend(bad.iter().map(|name| source(&fixtures("bad"), name)));
    let (opened, problems) = open_all(files);
    assert!(sets(&opened).iter().any(|set| set.name == "test_batch.bin"));
    for name in bad {
        assert!(problems.iter().any(|problem| problem.file.contains(name)), "{name}: {problems:?}");
    }
    // One of two pictures in this zip is broken: the other one is kept.
    let (opened, _) = open_all(vec![source(&fixtures("bad"), "bad_image.zip")]);
    assert_eq!(opened.len(), 1, "{opened:?}");
}

#[test]
fn claims_are_not_believed() {
    let (opened, problems) = open_all(vec![source(&fixtures("bad"), "claims.npz")]);
    assert!(opened.len() + problems.len() == 1, "{opened:?} {problems:?}");
    let (opened, problems) = open_all(vec![source(&fixtures("bad"), "bomb.npz")]);
    assert!(opened.len() == 1 && problems.is_empty(), "12 MB are within the limits: {problems:?}");
    let (opened, problems) = open_all(vec![source(&fixtures("bad"), "path.zip")]);
    let text = format!("{opened:?}");
    assert!(!text.contains("..") && problems.is_empty(), "{text} {problems:?}");
}
