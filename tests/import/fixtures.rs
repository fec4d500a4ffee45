//! Every file of `fixtures/data` gives what numpy and Pillow read from it.

use crate::support::{fixtures, images, index, open_all, sets, sha256, source};
use quantscope::import::{Dataset, Opened, SourceFile, read_npy};
use serde_json::Value;

/// Decoders of JPEG round their transforms differently; the fixtures say "a step or two".
const JPEG_STEPS: u8 = 3;
/// 16-bit grey: the high byte, or one more by rounding.
const GREY16_STEPS: u8 = 1;

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array().map(|names| names.iter().map(|name| name.as_str().unwrap().to_owned()).collect())
}

fn labels(value: &Value) -> Option<Vec<u32>> {
    value.as_array().map(|labels| labels.iter().map(|label| label.as_u64().unwrap() as u32).collect())
}

fn shape(value: &Value) -> Vec<usize> {
    value["shape"].as_array().unwrap().iter().map(|dim| dim.as_u64().unwrap() as usize).collect()
}

fn check_images(name: &str, set: &Dataset, expected: &Value) {
    let found = images(set);
    let first = &found[0];
    assert_eq!([found.len(), first.height, first.width, first.channels].to_vec(), shape(expected), "{name}");
    let pixels: Vec<u8> = found.into_iter().flat_map(|image| image.data).collect();
    assert_eq!(sha256(&pixels), expected["sha256"].as_str().unwrap(), "{name}");
}

#[test]
fn arrays_equal_numpys() {
    let folder = fixtures("data");
    let mut checked = 0;
    for (name, expected) in index("data").iter().filter(|(_, file)| file["kind"] == "npy") {
        let tensor = read_npy(&source(&folder, name).bytes).unwrap();
        let expected = &expected["array"];
        assert_eq!(tensor.dtype().name(), expected["dtype"].as_str().unwrap(), "{name}");
        assert_eq!(tensor.shape(), shape(expected), "{name}");
        assert_eq!(sha256(tensor.bytes()), expected["sha256"].as_str().unwrap(), "{name}");
        let (_, problems) = open_all(vec![source(&folder, name)]);
        assert!(problems.is_empty(), "{name}: {problems:?}");
        checked += 1;
    }
    assert!(checked >= 17, "{checked} arrays");
}

#[test]
fn batches_and_class_folders() {
    let folder = fixtures("data");
    let kinds = [
        "cifar10-binary",
        "cifar10-python",
        "cifar10-binary-tar-gz",
        "cifar10-python-tar-gz",
        "image-zip",
        "image-tar-gz",
    ];
    let mut checked = 0;
    for (name, expected) in index("data").iter().filter(|(_, file)| kinds.iter().any(|kind| file["kind"] == *kind)) {
        let (opened, problems) = open_all(vec![source(&folder, name)]);
        assert!(problems.is_empty(), "{name}: {problems:?}");
        let [set] = sets(&opened)[..] else { panic!("{name}: {opened:?}") };
        check_images(name, set, &expected["images"]);
        assert_eq!(set.labels, labels(&expected["labels"]), "{name}");
        if let Some(classes) = strings(&expected["classes"]) {
            assert_eq!(set.class_names.as_ref(), Some(&classes), "{name}");
            assert!(!set.class_names_assumed, "{name}");
        }
        if let Some(names) = strings(&expected["names"]) {
            assert_eq!(set.sample_names.as_ref(), Some(&names), "{name}");
        }
        if name.ends_with(".tar.gz") {
            assert!(set.name.contains(name.as_str()), "{}", set.name);
        }
        checked += 1;
    }
    assert!(checked >= 10, "{checked} sets");
}

#[test]
fn npz_files_find_their_labels() {
    let folder = fixtures("data");
    for (name, expected) in index("data").iter().filter(|(_, file)| file["kind"] == "npz") {
        let (opened, problems) = open_all(vec![source(&folder, name)]);
        assert!(problems.is_empty(), "{name}: {problems:?}");
        let [set] = sets(&opened)[..] else { panic!("{name}: {opened:?}") };
        assert_eq!(set.labels, Some(vec![0, 1, 2, 0, 1, 2]), "{name}");
        let arrays = expected["arrays"].as_object().unwrap();
        let (_, samples) = arrays.iter().find(|(_, array)| shape(array).len() == 4).unwrap();
        if samples["dtype"] == "uint8" {
            check_images(name, set, samples);
        } else {
            let all: Vec<u8> = (0..set.len()).flat_map(|index| set.tensor(index).unwrap().bytes().to_vec()).collect();
            assert_eq!(sha256(&all), samples["sha256"].as_str().unwrap(), "{name}");
            assert_eq!(set.tensor(0).unwrap().shape(), &shape(samples)[1..], "{name}");
        }
    }
}

#[test]
fn pictures_equal_pillows() {
    let folder = fixtures("data");
    let (opened, problems) = open_all(vec![source(&folder, "images_expected.npz")]);
    assert!(problems.is_empty(), "{problems:?}");
    let Some(Opened::Arrays { arrays, .. }) = opened.first() else { panic!("{opened:?}") };
    let mut checked = 0;
    for (name, file) in index("data").iter().filter(|(_, file)| file["kind"] == "image") {
        let (opened, problems) = open_all(vec![source(&folder, name)]);
        assert!(problems.is_empty(), "{name}: {problems:?}");
        let [Opened::Image { image, .. }] = &opened[..] else { panic!("{name}: {opened:?}") };
        let size = (file["size"][0].as_u64().unwrap() as usize, file["size"][1].as_u64().unwrap() as usize);
        assert_eq!((image.width, image.height), size, "{name}");
        let Some(expected) =
            arrays.iter().find(|array| array.name == *name || name.starts_with(&format!("{}.", array.name)))
        else {
            panic!("{name} is not in images_expected.npz: {:?}", arrays.iter().map(|a| &a.name).collect::<Vec<_>>());
        };
        let rgb: Vec<u8> =
            image.data.iter().flat_map(|&value| vec![value; if image.channels == 1 { 3 } else { 1 }]).collect();
        let steps = match name.as_str() {
            "grey16.png" => GREY16_STEPS,
            name if name.ends_with(".jpg") => JPEG_STEPS,
            _ => 0,
        };
        assert_eq!(rgb.len(), expected.tensor.len(), "{name}");
        let worst = rgb.iter().zip(expected.tensor.bytes()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= steps, "{name}: {worst} steps off");
        checked += 1;
    }
    assert!(checked >= 10, "{checked} pictures");
}

#[test]
fn a_drop_is_sorted() {
    let folder = fixtures("data");
    let mut files = vec![source(&folder, "test_batch.bin"), source(&folder, "images_nhwc_uint8.npy")];
    for (path, name) in
        [("val/cat/1.png", "rgb.png"), ("val/cat/2.png", "rectangle.png"), ("val/dog/1.jpg", "photo.jpg")]
    {
        files.push(SourceFile::new(path, source(&folder, name).bytes));
    }
    files.push(SourceFile::new("val/.DS_Store", vec![0, 1, 2]));
    files.push(SourceFile::new("labels.npy", npy_of_labels(&[5, 4, 3, 2, 1, 0])));
    let (opened, problems) = open_all(files);
    assert!(problems.is_empty(), "{problems:?}");
    let sets = sets(&opened);
    assert_eq!(sets.len(), 3, "{opened:?}");
    let val = sets.iter().find(|set| set.name == "val").unwrap();
    assert_eq!((val.labels.clone(), val.label_name(2)), (Some(vec![0, 0, 1]), Some("dog")));
    let sizes: Vec<_> = images(val).iter().map(|image| (image.width, image.height)).collect();
    assert_eq!(sizes, [(8, 8), (12, 5), (16, 16)]);
    let arrays = sets.iter().find(|set| set.source.contains("images_nhwc_uint8")).unwrap();
    assert_eq!(arrays.labels, Some(vec![5, 4, 3, 2, 1, 0]));
}

fn npy_of_labels(labels: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({},), }}\n", labels.len());
    [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes(), labels].concat()
}

#[test]
fn folder_names_follow_the_class_names_beside_them() {
    let rgb = source(&fixtures("data"), "rgb.png").bytes;
    let files = vec![
        SourceFile::new("set/ship/1.png", rgb.clone()),
        SourceFile::new("set/cat/1.png", rgb),
        SourceFile::new("classes.txt", "dog\nship\ncat\n"),
    ];
    let (opened, _) = open_all(files);
    let [set] = sets(&opened)[..] else { panic!("{opened:?}") };
    assert_eq!((set.labels.clone(), set.class_count()), (Some(vec![2, 1]), Some(3)));
    assert_eq!(set.sample_names.as_ref().unwrap()[0], "set/cat/1.png");
}
