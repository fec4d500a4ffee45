//! The real CIFAR-10 files of the reference data.

use crate::support::{images, open_all, reference, sets, source};
use quantscope::import::{Kind, Opened, SourceFile, detect};

const CLASSES: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

#[test]
fn the_test_batch() {
    let Some(folder) = reference() else { return };
    let folder = folder.join("cifar10");
    let (opened, problems) =
        open_all(vec![source(&folder, "test_batch_head.bin"), source(&folder, "batches.meta.txt")]);
    assert!(problems.is_empty(), "{problems:?}");
    let [set] = sets(&opened)[..] else { panic!("{opened:?}") };
    assert_eq!((set.len(), set.label(0), set.label_name(0)), (1017, Some(3), Some("cat")));
    // Counts of the reference README.
    assert_eq!(set.samples_per_class(), [105, 93, 100, 104, 92, 87, 114, 102, 110, 110]);
    assert_eq!(set.class_names.as_deref().unwrap(), CLASSES);
    assert!(!set.class_names_assumed);
    let official = std::fs::read_to_string(folder.join("test_labels_all_10000.txt")).unwrap();
    let official: Vec<u32> = official.lines().take(1017).map(|line| line.parse().unwrap()).collect();
    assert_eq!(set.labels, Some(official));
}

#[test]
fn pngs_equal_the_batch_byte_for_byte() {
    let Some(folder) = reference() else { return };
    let folder = folder.join("cifar10");
    let (opened, _) = open_all(vec![source(&folder, "test_batch_head.bin")]);
    let batch = sets(&opened)[0].clone();
    assert!(batch.class_names_assumed && batch.class_names.as_deref().unwrap() == CLASSES);
    let names =
        std::fs::read_dir(folder.join("png")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: Vec<SourceFile> =
        names.map(|name| SourceFile { path: name.clone(), ..source(&folder.join("png"), &name) }).collect();
    let (opened, problems) = open_all(files);
    assert!(problems.is_empty(), "{problems:?}");
    let [set] = sets(&opened)[..] else { panic!("{opened:?}") };
    assert_eq!(set.len(), 20);
    for (image, name) in images(set).into_iter().zip(set.sample_names.as_ref().unwrap()) {
        // test_<index>_<class>.png
        let mut parts = name.trim_end_matches(".png").split('_').skip(1);
        let index: usize = parts.next().unwrap().parse().unwrap();
        assert_eq!(image, batch.image(index).unwrap(), "{name}");
        assert_eq!(batch.label_name(index), parts.next(), "{name}");
    }
}

#[test]
fn the_other_batches() {
    let Some(folder) = reference() else { return };
    let folder = folder.join("cifar10");
    let (opened, problems) = open_all(vec![source(&folder, "data_batch_head.bin"), source(&folder, "test_jpeg.bin")]);
    assert!(problems.is_empty(), "{problems:?}");
    let sets = sets(&opened);
    assert_eq!(sets.iter().map(|set| set.len()).collect::<Vec<_>>(), [1000, 10_000]);
    assert_eq!(sets[0].samples_per_class(), [100; 10]);
    assert_eq!(sets[1].samples_per_class(), [1000; 10]);
}

#[test]
fn every_reference_model_is_told_by_its_content() {
    let Some(folder) = reference() else { return };
    let mut checked = 0;
    for entry in std::fs::read_dir(folder.join("models")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let expected = match path.extension().and_then(|e| e.to_str()) {
            Some("onnx") => Kind::Onnx,
            Some("h5") => Kind::Hdf5,
            Some("tflite") => Kind::Tflite,
            Some("pt") => Kind::TorchZip,
            Some("safetensors") => Kind::Safetensors,
            _ => continue,
        };
        assert_eq!(detect("no_extension", &bytes, bytes.len() as u64), expected, "{}", path.display());
        let (opened, problems) = open_all(vec![SourceFile::new("no_extension", bytes)]);
        assert!(matches!(&opened[..], [Opened::Model { .. }]) && problems.is_empty(), "{expected:?}: {problems:?}");
        checked += 1;
    }
    assert!(checked >= 15, "{checked} models");
}

#[test]
fn recorded_arrays_are_arrays() {
    let Some(folder) = reference() else { return };
    let (opened, problems) = open_all(vec![source(&folder.join("expected/activations"), "resnet8.npz")]);
    assert!(problems.is_empty(), "{problems:?}");
    let [Opened::Arrays { arrays, .. }] = &opened[..] else { panic!("activations are no data set") };
    assert!(arrays.len() > 30, "{}", arrays.len());
}
