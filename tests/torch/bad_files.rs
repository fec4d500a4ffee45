//! Damaged and hostile files: a clear message each, nothing executed, memory bounded.

use crate::support::{bytes, fixtures, reference};
use bytes::Bytes;
use quantscope::import::{ImportError, Limits, TorchOptions, read_pytorch, read_safetensors};
use std::io::Write;

fn read(content: impl Into<Bytes>) -> Result<quantscope::import::TorchFile, ImportError> {
    read_pytorch(&content.into(), "file.pt", &Limits::default(), &TorchOptions::default())
}

fn assert_clear(error: ImportError) {
    let problem = error.into_problem("file.pt");
    for text in [&problem.place, &problem.found, &problem.expected, &problem.advice] {
        assert!(!text.is_empty(), "{problem:?}");
    }
}

/// A linear congruential generator: the same damage in every run.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    *state >> 33
}

/// Cuts a file at every step and flips bytes in it.
fn damage(content: &[u8], step: usize, flips: usize, read: &dyn Fn(Bytes) -> Result<(), ImportError>) {
    for length in (0..content.len()).step_by(step) {
        match read(Bytes::copy_from_slice(&content[..length])) {
            Err(error) => assert_clear(error),
            Ok(()) => panic!("a file cut at {length} of {} is read", content.len()),
        }
    }
    let mut state = 1;
    for _ in 0..flips {
        let mut flipped = content.to_vec();
        for _ in 0..1 + random(&mut state) % 4 {
            let at = random(&mut state) as usize % flipped.len();
            flipped[at] ^= 1 << (random(&mut state) % 8);
        }
        // Some damage does not matter; none of it may panic or run away.
        if let Err(error) = read(flipped.into()) {
            assert_clear(error);
        }
    }
}

#[test]
fn cut_and_flipped_files() {
    for name in ["tensors.pt", "tensors_legacy.pt", "quant_fbgemm_script.pt", "net_trace.pt", "graph_module.pt"] {
        damage(&bytes(&fixtures().join(name)), 1024, 150, &|content| read(content).map(|_| ()));
    }
    let content = bytes(&fixtures().join("tensors.safetensors"));
    damage(&content, 64, 300, &|content| read_safetensors(&content, "file.safetensors", 17).map(|_| ()));
}

#[test]
fn the_reference_files_cut_at_every_kilobyte() {
    let Some(folder) = reference() else { return };
    for name in ["resnet8.pt", "resnet8_int8.pt"] {
        damage(&bytes(&folder.join("models").join(name)), 1024, 20, &|content| read(content).map(|_| ()));
    }
    let content = bytes(&folder.join("models/resnet8.safetensors"));
    damage(&content, 1024, 20, &|content| read_safetensors(&content, "file.safetensors", 17).map(|_| ()));
}

#[test]
fn an_attack_is_named_and_not_run() {
    let mark = std::path::Path::new("/tmp/quantscope_was_here");
    assert!(!mark.exists());
    for name in ["attack.pt", "attack_legacy.pt"] {
        let error = read(bytes(&fixtures().join(name))).unwrap_err();
        let problem = error.into_problem(name);
        assert!(problem.found.contains("posix.system"), "{problem:?}");
        assert!(problem.advice.contains("Nothing of it was executed"), "{problem:?}");
    }
    assert!(!mark.exists());
}

/// An archive of these members, deflated or not.
fn archive(members: &[(&str, &[u8])], deflated: bool) -> Bytes {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let method = if deflated { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, content) in members {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner().into()
}

/// A pickle of one float tensor under the key "w": sizes and strides as protocol 2 writes them.
fn one_tensor(sizes: &[u64], strides: &[u64], offset: u64) -> Vec<u8> {
    let mut out = b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ".to_vec();
    let long = |out: &mut Vec<u8>, value: u64| {
        out.push(0x8a);
        out.push(9);
        out.extend(value.to_le_bytes());
        out.push(0);
    };
    // LONG1 of 9 bytes is more than 64 bits: shorter where it fits.
    let int = |out: &mut Vec<u8>, value: u64| match i64::try_from(value) {
        Ok(value) => {
            out.push(0x8a);
            out.push(8);
            out.extend(value.to_le_bytes());
        }
        Err(_) => long(out, value),
    };
    int(&mut out, offset);
    for list in [sizes, strides] {
        out.push(b'(');
        list.iter().for_each(|&value| int(&mut out, value));
        out.push(b't');
    }
    out.extend(b"\x89ccollections\nOrderedDict\n)RtRs.");
    out
}

fn with_tensor(sizes: &[u64], strides: &[u64], offset: u64) -> Result<quantscope::import::TorchFile, ImportError> {
    read(archive(&[("a/data.pkl", &one_tensor(sizes, strides, offset)), ("a/data/0", &[0; 16])], false))
}

#[test]
fn gigantic_sizes_are_refused_before_they_are_taken() {
    let fine = with_tensor(&[2, 2], &[2, 1], 0).unwrap();
    assert_eq!((fine.tensors[0].name.as_str(), fine.tensors[0].tensor.shape()), ("w", [2, 2].as_slice()));
    let large = i64::MAX as u64;
    for (sizes, strides, offset) in [
        (vec![large, large], vec![1, 1], 0),
        (vec![large], vec![0], 0),
        (vec![1 << 40], vec![0], 0),
        (vec![1 << 33, 1 << 33], vec![0, 0], 0),
        (vec![2], vec![large], 0),
        (vec![2, 2], vec![2, 1], 1),
        (vec![1], vec![1], large),
        (vec![u64::MAX], vec![1], 0),
        (vec![2, 2], vec![1], 0),
        (vec![1; 200], vec![1; 200], 0),
    ] {
        let error = with_tensor(&sizes, &strides, offset).unwrap_err();
        assert_clear(error);
    }
}

#[test]
fn bombs_stop_at_the_limits() {
    let limits = Limits { unpacked_bytes: 1 << 22, ratio_floor_bytes: 1 << 20, ..Limits::default() };
    let bomb = vec![0u8; 64 << 20];
    let content = archive(&[("a/data.pkl", &one_tensor(&[4], &[1], 0)), ("a/data/0", &bomb)], true);
    assert!(content.len() < 1 << 20);
    let error = read_pytorch(&content, "bomb.pt", &limits, &TorchOptions::default()).unwrap_err();
    assert!(matches!(error, ImportError::LimitExceeded { .. }), "{error:?}");
    // Lists inside of lists: deep, and wide by sharing.
    let deep = [b"\x80\x02".to_vec(), vec![b']'; 100_000], vec![b'a'; 99_999], b".".to_vec()].concat();
    assert_clear(read(archive(&[("a/data.pkl", &deep)], false)).unwrap_err());
    let mut wide = b"\x80\x02]q\x00".to_vec();
    for level in 0..100u8 {
        wide.extend([b']', b'(', b'h', level, b'h', level, b'e', b'q', level + 1]);
    }
    wide.push(b'.');
    assert_clear(read(archive(&[("a/data.pkl", &wide)], false)).unwrap_err());
    // A tuple that holds itself through the memo.
    let cycle = b"\x80\x02]q\x00(h\x00h\x00tq\x01ah\x00.".to_vec();
    assert_clear(read(archive(&[("a/data.pkl", &cycle)], false)).unwrap_err());
}

#[test]
fn other_archives_are_told() {
    for (members, word) in [
        (vec![("a/model.json", b"{}".as_slice())], "1.4"),
        (vec![("a/archive_format", b"pt2".as_slice())], "pt2"),
        (vec![("a/data/0", b"".as_slice())], "data.pkl"),
    ] {
        let error = read(archive(&members, false)).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert_clear(error);
    }
    assert_clear(read(archive(&[("a/data.pkl", b"\x80\x02}.")], false)).unwrap_err());
    assert_clear(read(&b""[..]).unwrap_err());
    let options = TorchOptions { opset: 7, input_shape: None };
    let content = bytes(&fixtures().join("net_trace.pt"));
    assert_clear(read_pytorch(&content, "net.pt", &Limits::default(), &options).unwrap_err());
}

/// A TorchScript archive of one class with this body of `forward`, and one weight.
fn script(body: &str) -> Bytes {
    let pickle = b"\x80\x02c__torch__.net\nNet\n)\x81}(X\x08\x00\x00\x00trainingK\x00X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQK\x00(K\x04t(K\x01t\x89ccollections\nOrderedDict\n)RtRub.";
    let body = body.replace('\n', "\n    ");
    let code =
        format!("class Net(Module):\n  def forward(self: __torch__.net.Net, x: Tensor) -> Tensor:\n    {body}\n");
    let members: Vec<(&str, &[u8])> = vec![
        ("n/data.pkl", pickle),
        ("n/data/0", &[0; 16]),
        ("n/constants.pkl", b"\x80\x02)."),
        ("n/code/__torch__/net.py", code.as_bytes()),
    ];
    archive(&members, true)
}

/// Reads a script whose graph must be refused with these words; its weight stays.
fn refused(body: &str, words: &str) {
    let shown: String = body.chars().take(80).collect();
    let file = read(script(body)).unwrap_or_else(|error| panic!("{shown}: {error}"));
    assert!(!file.has_graph, "{shown}");
    assert_eq!(file.tensors.len(), 1);
    let notes = file.converted.notes.join(" ");
    assert!(notes.contains(words), "{shown}: {notes}");
}

/// TorchScript whose loop never ends, whose calls never end, and whose text is no code.
#[test]
fn code_that_runs_away_is_stopped() {
    for (body, words) in [
        ("while True:\n  x = x", "steps"),
        ("return (self).forward(x, )", "calls inside"),
        ("with x:\n  pass", "line"),
        ("for i in range(100000000):\n  pass\nreturn x", "range"),
        ("for i in range(0, 9223372036854775807, 4611686018427387905):\n  while True:\n    x = x\nreturn x", "steps"),
        ("return torch.view(x, [2, 2", "line"),
        ("return ops.other.thing(1)", "not known"),
        ("if torch.gt(torch.sum(x), 1):\n  x = torch.relu(x)\nreturn x", "branch"),
    ] {
        refused(body, words);
    }
}

/// A few kilobytes that would be a tree of a million levels: whoever walks it takes a frame for each.
#[test]
fn chains_do_not_end_the_stack() {
    let many = 1_000_000;
    for link in [".T", " + x", " * x", " or x", "[0]", "()"] {
        let body = format!("return x{}", link.repeat(many / link.len()));
        assert!(script(&body).len() < 20_000);
        refused(&body, "nested too deeply");
    }
    refused(&format!("if False:\n  y = x{}\nreturn torch.relu(x)", ".a".repeat(many)), "nested too deeply");
    refused(&format!("f = x.a\nfor i in range(100000):\n  f = f.a\nreturn f{}", ".a".repeat(9)), "attribute");
    refused("f = torch\nfor i in range(100000):\n  f = f.aaaaaaaaaa\nreturn x", "letters");
}

/// A few bytes that would be gigabytes of lists and text.
#[test]
fn lists_and_text_do_not_grow_without_end() {
    let twice = "l = l + l\n".repeat(40);
    for body in [
        format!("l = [1, 2, 3, 4]\n{twice}return torch.relu(x)"),
        format!("l = (1, 2, 3, 4)\n{twice}return torch.relu(x)"),
        format!("l = \"abcdefgh\"\n{twice}return torch.relu(x)"),
        format!("l = [1]\n{}return torch.relu(x)", "l = l * 1000\n".repeat(4)),
        "l = [0]\nfor i in range(2000):\n  l.append(range(1000000))\nreturn torch.relu(x)".to_owned(),
        "l = [x] * 1000\nl = l * 1000\nfor i in range(1000):\n  y = torch.cat(l)\nreturn y".to_owned(),
        // Few lists, each in the next one many times: compared element by element they never end.
        format!("l = [1]\nm = [1]\n{}y = l == m\nreturn torch.relu(x)", "l = [l] * 9\nm = [m] * 9\n".repeat(15)),
        "for i in range(400000):\n  x = torch.relu(x)\nreturn x".to_owned(),
    ] {
        refused(&body, "steps");
    }
    refused(&format!("l = [x]\n{}return l", "l = [l] * 1000\n".repeat(6)), "values");
    // Lists inside of lists are dropped without a frame for each.
    let file = read(script("l = [1]\nfor i in range(200000):\n  l = [l]\nreturn torch.relu(x)")).unwrap();
    assert!(file.has_graph, "{:?}", file.converted.notes);
}
