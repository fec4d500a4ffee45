//! Arbitrary bytes and damaged files never panic, and archives never exceed their limits.

use crate::support::fixtures;
use flate2::{Compression, write::GzEncoder};
use proptest::{prelude::*, sample::Index};
use quantscope::import::{Kind, Limits, SourceFile, detect, open, pickle, read_npy};
use std::io::Write;

/// Bytes that make pickles: the opcodes, and some small arguments.
const OPCODES: &[u8] = b"(.012FIJKLMNPQRSTUVXab}eghilo]jpqrst)uGBC\x80\x81\x85\x86\x87\x88\x8a\x8c\x8e\x8f\
    \x90\x92\x93\x94\x95\x96\n\x00\x01\x02a";

/// Small limits keep damaged headers from asking for much.
fn limits() -> Limits {
    Limits { unpacked_bytes: 8 << 20, image_pixels: 1 << 20, pickle_values: 1 << 16, ..Limits::default() }
}

/// Opens bytes under a name and uses everything that came out.
fn exercise(name: &str, bytes: Vec<u8>) {
    let _ = detect(name, &bytes[..bytes.len().min(64)], bytes.len() as u64);
    let (opened, problems) = open(vec![SourceFile::new(name, bytes)], &limits());
    for opened in opened {
        if let quantscope::import::Opened::Dataset(set) = opened {
            for index in [0, set.len().saturating_sub(1), set.len()] {
                let _ = (set.image(index), set.tensor(index), set.label_name(index));
            }
            let _ = set.samples_per_class();
        }
    }
    assert!(problems.iter().all(|problem| !problem.advice.is_empty()));
}

/// Small valid files of every kind.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let names = [
        "c_order.npy",
        "fortran_order.npy",
        "deflated.npz",
        "stored.npz",
        "test_batch.bin",
        "cifar-10-binary.tar.gz",
        "cifar-10-python.tar.gz",
        "data_batch_1",
        "data_batch_protocol_4",
        "class_folders.zip",
        "tiny_set.tar.gz",
        "rgb.png",
        "photo.jpg",
        "rgb.bmp",
    ];
    names.iter().map(|name| (name.to_string(), std::fs::read(fixtures("data").join(name)).unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn arbitrary_bytes(
        name in "[a-z]{1,4}\\.(onnx|bin|npy|npz|txt|png|pkl|zip|tar|gz)",
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let shared = bytes::Bytes::from(bytes.clone());
        let _ = read_npy(&shared);
        let _ = pickle::parse(&shared, 10_000);
        exercise(&name, bytes);
    }

    #[test]
    fn arbitrary_pickles(body in prop::collection::vec(prop::sample::select(OPCODES.to_vec()), 0..200)) {
        let shared = bytes::Bytes::from([b"\x80\x04".as_slice(), &body, b"."].concat());
        if let Ok((pickle, length)) = pickle::parse(&shared, 10_000) {
            prop_assert!(length <= shared.len());
            let _ = (pickle.describe(pickle.root()), pickle.foreign_globals(&[]), pickle.bytes(pickle.root()));
            let _ = (pickle::array(&pickle, pickle.root(), "root"), pickle::integer(&pickle, pickle.root()));
        }
        exercise("data_batch_1", shared.to_vec());
    }

    #[test]
    fn damaged_files(
        seed in 0..14usize,
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<Index>()),
    ) {
        let (name, mut bytes) = seeds().swap_remove(seed);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        exercise(&name, bytes);
    }
}

fn gzip(chunk: &[u8], times: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    (0..times).for_each(|_| encoder.write_all(chunk).unwrap());
    encoder.finish().unwrap()
}

#[test]
fn a_gzip_bomb_stops_at_the_limit() {
    // 64 MiB of zeros, 8 MiB allowed.
    let bomb = gzip(&[0; 1 << 20], 64);
    assert_eq!(detect("bomb.gz", &bomb, bomb.len() as u64), Kind::Gzip);
    let (opened, problems) = open(vec![SourceFile::new("bomb.gz", bomb)], &limits());
    assert!(opened.is_empty() && problems.len() == 1);
    assert!(problems[0].expected.contains("8388608"), "{}", problems[0]);
}

#[test]
fn a_tar_bomb_stops_whether_its_member_is_kept_or_skipped() {
    for name in ["data.bin", "._litter"] {
        let mut header = tar::Header::new_ustar();
        header.set_size(64 << 20);
        header.set_path(name).unwrap();
        header.set_cksum();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(header.as_bytes()).unwrap();
        (0..64).for_each(|_| encoder.write_all(&[0; 1 << 20]).unwrap());
        encoder.write_all(&[0; 1024]).unwrap();
        let (opened, problems) = open(vec![SourceFile::new("bomb.tar.gz", encoder.finish().unwrap())], &limits());
        assert!(opened.is_empty() && !problems.is_empty(), "{name}: {opened:?}");
        assert!(
            problems
                .iter()
                .any(|problem| problem.to_string().contains("limit") || problem.expected.contains("8388608")),
            "{problems:?}"
        );
    }
}

#[test]
fn archives_inside_archives_end() {
    let mut bytes = gzip(b"cat\ndog\n", 1);
    for _ in 0..6 {
        bytes = gzip(&bytes, 1);
    }
    let (opened, problems) = open(vec![SourceFile::new("a.gz", bytes)], &limits());
    assert!(opened.is_empty() && problems[0].found.contains("archives inside each other"), "{problems:?}");
}
