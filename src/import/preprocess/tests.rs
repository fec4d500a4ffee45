use super::*;

fn image() -> Image {
    // 1 x 2 pixels: red-ish, blue-ish.
    Image { height: 1, width: 2, channels: 3, data: vec![255, 10, 0, 0, 20, 255] }
}

fn read_off(shape: &[usize], dtype: DType) -> ReadOff {
    // 0 stands for a free dim.
    let shape: Vec<_> = shape.iter().map(|&dim| (dim > 0).then_some(dim)).collect();
    Preprocess::read_off(&shape, dtype, [])
}

#[test]
fn layouts_orders_and_ranges() {
    let raw = Preprocess::default().apply(&image()).unwrap();
    assert_eq!(
        (raw.shape(), raw.to_f32().unwrap()),
        ([1, 1, 2, 3].as_slice(), vec![255.0, 10.0, 0.0, 0.0, 20.0, 255.0])
    );
    let nchw =
        Preprocess { layout: Layout::Nchw, colour: Colour::Bgr, range: PixelRange::Unit, ..Preprocess::default() };
    let nchw = nchw.apply(&image()).unwrap();
    assert_eq!(nchw.shape(), [1, 3, 1, 2]);
    assert_eq!(nchw.to_f32().unwrap(), [0.0, 1.0, 10.0 / 255.0, 20.0 / 255.0, 1.0, 0.0]);
    let signed =
        Preprocess { range: PixelRange::SignedUnit, batch: false, ..Preprocess::default() }.apply(&image()).unwrap();
    assert_eq!((signed.shape().len(), signed.to_f32().unwrap()[0], signed.to_f32().unwrap()[2]), (3, 1.0, -1.0));
}

#[test]
fn mean_and_std_follow_the_channels() {
    let normal = Preprocess { mean: vec![5.0, 0.0, 1.0], std: vec![2.0], ..Preprocess::default() };
    assert_eq!(normal.apply(&image()).unwrap().to_f32().unwrap(), [125.0, 5.0, -0.5, -2.5, 10.0, 127.0]);
    let wrong = Preprocess { mean: vec![1.0, 2.0], ..Preprocess::default() };
    assert!(matches!(wrong.apply(&image()), Err(PreprocessError::Statistics { found: 2, .. })));
}

#[test]
fn integers_are_rounded_half_to_even_and_saturated() {
    let half = PixelRange::Custom { scale: 0.5, offset: -1.0 };
    let int8 = Preprocess { range: half, dtype: DType::Int8, ..Preprocess::default() };
    let pixels = Image { height: 1, width: 1, channels: 3, data: vec![1, 3, 255] };
    // -0.5 -> 0, 0.5 -> 0, 126.5 -> 126
    assert_eq!(int8.apply(&pixels).unwrap().to_i64().unwrap(), [0, 0, 126]);
    let raw = Preprocess { dtype: DType::Int8, ..Preprocess::default() };
    assert_eq!(raw.apply(&pixels).unwrap().to_i64().unwrap(), [1, 3, 127]);
    assert!(Preprocess { dtype: DType::Bool, ..Preprocess::default() }.apply(&pixels).is_err());
}

#[test]
fn grey_and_colour_convert() {
    let grey = Preprocess { channels: 1, colour: Colour::Gray, ..Preprocess::default() };
    // PIL: Image.new("RGB", (1, 1), (255, 10, 0)).convert("L") is 82; (0, 20, 255) is 41
    assert_eq!(grey.apply(&image()).unwrap().to_f32().unwrap(), [82.0, 41.0]);
    let one = Image { height: 1, width: 1, channels: 1, data: vec![7] };
    assert_eq!(Preprocess::default().apply(&one).unwrap().to_f32().unwrap(), [7.0; 3]);
    let five = Image { height: 1, width: 1, channels: 5, data: vec![7; 5] };
    assert!(matches!(Preprocess::default().apply(&five), Err(PreprocessError::Channels { found: 5, wanted: 3 })));
    let broken = Image { height: 9, width: 1, channels: 3, data: vec![7; 5] };
    assert!(matches!(Preprocess::default().apply(&broken), Err(PreprocessError::BadImage { .. })));
}

#[test]
fn resizing_and_cropping() {
    let grid = Image { height: 2, width: 4, channels: 1, data: vec![0, 0, 100, 100, 0, 0, 100, 100] };
    assert_eq!(resize_bilinear(&grid, 2, 4), grid);
    assert_eq!(resize_bilinear(&grid, 1, 1).data, [50]);
    // Half-pixel centres: the middle two columns of eight lie at 1.25 and 1.75 between columns 1 (0) and 2 (100).
    assert_eq!(resize_bilinear(&grid, 2, 8).data[..8], [0, 0, 0, 25, 75, 100, 100, 100]);
    let to = |resize| Preprocess {
        channels: 1,
        colour: Colour::Gray,
        height: Some(2),
        width: Some(2),
        resize,
        ..Preprocess::default()
    };
    assert_eq!(to(Resize::Crop { shorter_px: None }).apply(&grid).unwrap().to_f32().unwrap(), [0.0, 100.0, 0.0, 100.0]);
    assert_eq!(to(Resize::Stretch).apply(&grid).unwrap().shape(), [1, 2, 2, 1]);
    assert!(matches!(to(Resize::None).apply(&grid), Err(PreprocessError::Size { found_width: 4, width: 2, .. })));
    let tall = Image { height: 5, width: 2, channels: 1, data: (0..10).collect() };
    assert_eq!(to(Resize::Crop { shorter_px: Some(2) }).apply(&tall).unwrap().to_f32().unwrap(), [4.0, 5.0, 6.0, 7.0]);
}

#[test]
fn impossible_sizes_are_refused() {
    let to = |height, width, resize| Preprocess {
        height: Some(height),
        width: Some(width),
        resize,
        ..Preprocess::default()
    };
    let thin = Image { height: 1, width: 60_000, channels: 3, data: vec![0; 180_000] };
    let crop = Resize::Crop { shorter_px: Some(100_000) };
    for preprocess in [to(1 << 40, 1 << 40, Resize::Stretch), to(usize::MAX, 2, crop), to(2, 2, crop)] {
        assert!(matches!(preprocess.apply(&thin), Err(PreprocessError::TooLarge { .. })));
    }
}

#[test]
fn arrays_keep_their_values() {
    let first = Tensor::from_vec(vec![3, 1, 2], vec![1f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    let last = Preprocess { height: Some(1), width: Some(2), ..Preprocess::default() };
    let swapped = last.apply_array(&first).unwrap();
    assert_eq!(
        (swapped.shape(), swapped.to_f32().unwrap()),
        ([1, 1, 2, 3].as_slice(), vec![1.0, 3.0, 5.0, 2.0, 4.0, 6.0])
    );
    let back = Preprocess { layout: Layout::Nchw, ..last.clone() };
    assert_eq!(
        back.apply_array(&swapped.reshaped(vec![1, 2, 3]).unwrap()).unwrap().to_f32().unwrap(),
        first.to_f32().unwrap()
    );
    assert!(matches!(last.apply_array(&first.reshaped(vec![6]).unwrap()), Err(PreprocessError::Shape { .. })));
}

#[test]
fn the_reference_task_is_read_off() {
    let found = read_off(&[0, 32, 32, 3], DType::Float32);
    let expected = Preprocess { height: Some(32), width: Some(32), ..Preprocess::default() };
    assert_eq!(found.preprocess, Some(expected), "{}", found.explanation);
    assert!(found.explanation.contains("channels last"), "{}", found.explanation);
}

#[test]
fn other_inputs_are_read_off() {
    let imagenet = read_off(&[1, 3, 224, 224], DType::Float32).preprocess.unwrap();
    assert_eq!((imagenet.layout, imagenet.range, imagenet.mean.len()), (Layout::Nchw, PixelRange::Unit, 3));
    let small = read_off(&[0, 3, 32, 32], DType::Float32).preprocess.unwrap();
    assert_eq!((small.layout, small.mean.len(), small.height), (Layout::Nchw, 0, Some(32)));
    let mnist = read_off(&[0, 1, 28, 28], DType::Float32).preprocess.unwrap();
    assert_eq!((mnist.channels, mnist.colour), (1, Colour::Gray));
    assert_eq!(read_off(&[1, 96, 96, 3], DType::Uint8).preprocess.unwrap().range, PixelRange::Raw255);
    let int8 = read_off(&[1, 96, 96, 3], DType::Int8).preprocess.unwrap();
    assert_eq!(int8.range.map(0), -128.0);
    assert!(!read_off(&[3, 64, 48], DType::Float32).preprocess.unwrap().batch);
    for (shape, dtype) in [
        (&[0, 640][..], DType::Float32),
        (&[0, 16, 16, 16], DType::Float32),
        (&[1, 8, 8, 3], DType::Bool),
        (&[], DType::Float32),
    ] {
        assert_eq!(read_off(shape, dtype).preprocess, None);
    }
}

#[test]
fn metadata_win() {
    let metadata =
        [("Image.BitmapPixelFormat", "Bgr8"), ("Image.NominalPixelRange", "Normalized_1_1"), ("mean", "[1, 2, 3]")];
    let found = Preprocess::read_off(&[None, Some(3), Some(224), Some(224)], DType::Float32, metadata);
    let preprocess = found.preprocess.unwrap();
    assert_eq!((preprocess.colour, preprocess.range), (Colour::Bgr, PixelRange::SignedUnit));
    assert_eq!((preprocess.mean, preprocess.std.len()), (vec![1.0, 2.0, 3.0], 0));
    assert!(found.explanation.contains("metadata"), "{}", found.explanation);
}
