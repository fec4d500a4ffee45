//! Data are streamed: what is held at once does not depend on how many images there are.
#![cfg(not(target_arch = "wasm32"))]
// The lints allow these in tests only, not in the helpers beside them; counting what is allocated needs an allocator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unsafe_code)]

use futures::executor::block_on;
use quantscope::import::FileParts;
use quantscope::worker::service::{Attachment, Job, STREAMED_FROM_BYTES, Service};
use quantscope::worker::{
    CalibrationImages, CalibrationMethod, Corrections, QuantizeOptions, QuantizeOrder, Reply, Request, Workspace,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

/// Between the peak at few and at many images: what the issue allows.
const MOST_GROWTH: f64 = 0.05;
const FEW: usize = 64;
const MANY: usize = 4096;

/// Counts the bytes in use, and the most there ever were.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// The counts are of the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn grow(bytes: usize) {
    PEAK.fetch_max(USED.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: everything is handed on to the system's allocator; only sizes are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Calm(Instant);

impl Job for Calm {
    fn now_ms(&self) -> f64 {
        self.0.elapsed().as_secs_f64() * 1e3
    }
    async fn checkpoint(&self, _job: &str, _done: usize, _total: usize) -> bool {
        true
    }
}

/// A CIFAR-10 batch of noise.
fn batch(images: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..images)
        .flat_map(|image| std::iter::once((image % 10) as u8).chain((0..3072).map(|_| byte()).collect::<Vec<_>>()))
        .collect()
}

fn opened(service: &mut Service) -> Workspace {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/tiny.onnx");
    let files = [("tiny.onnx", std::fs::read(model).unwrap()), ("noise_batch.bin", batch(MANY))];
    let paths = files.iter().map(|(path, _)| (*path).to_owned()).collect();
    let attachments = files.map(|(_, bytes)| Attachment::new(move || Ok(bytes)));
    match block_on(service.answer(Request::Open { paths }, attachments.into(), &Calm(Instant::now()))).0 {
        Reply::Workspace(workspace) => workspace,
        other => panic!("{other:?}"),
    }
}

/// The most bytes in use while a model is calibrated with every method on so many images.
fn peak(service: &mut Service, workspace: &Workspace, images: usize) -> usize {
    let order = QuantizeOrder {
        model: workspace.models[0].id,
        source: workspace.sources[0].id,
        images: CalibrationImages::First(images),
        preprocess: None,
        calibration: CalibrationMethod::PERCENTILE,
        options: QuantizeOptions::default(),
        preset: None,
        fold: false,
        corrections: Corrections::default(),
        compare: true,
    };
    PEAK.store(USED.load(Relaxed), Relaxed);
    let request = Request::Quantize(Box::new(order));
    match block_on(service.answer(request, Vec::new(), &Calm(Instant::now()))).0 {
        Reply::Quantized(made) => assert_eq!((made.images, made.methods.len()), (images, 6)),
        other => panic!("{other:?}"),
    }
    PEAK.load(Relaxed)
}

#[test]
fn calibration_holds_as_much_for_many_images_as_for_few() {
    let _alone = ALONE.lock().unwrap();
    let mut service = Service::default();
    let workspace = opened(&mut service);
    // Once before, so that what is set up at the first use counts for neither.
    peak(&mut service, &workspace, FEW);
    let (few, many) = (peak(&mut service, &workspace, FEW), peak(&mut service, &workspace, MANY));
    // The file itself lies in memory either way; what comes on top of it is compared.
    let file = batch(MANY).len();
    let growth = (many - file) as f64 / (few - file) as f64 - 1.0;
    println!(
        "{FEW} images: {} KB, {MANY} images: {} KB, without the file's {} KB: {:+.2} %",
        few / 1000,
        many / 1000,
        file / 1000,
        100.0 * growth
    );
    assert!(growth < MOST_GROWTH, "{:.1} % more", 100.0 * growth);
}

/// Records of a batch that exists only as far as it is read.
fn endless(images: u64) -> FileParts {
    FileParts::new(images * 3073, |start, count| {
        let byte = |at: u64| {
            let (image, inside) = (at / 3073, at % 3073);
            if inside == 0 { (image % 10) as u8 } else { (image.wrapping_mul(31) + inside * 7) as u8 }
        };
        Ok((start..start + count as u64).map(byte).collect())
    })
}

/// A data set of 300 MB is opened, drawn from and calibrated on with a few MB.
#[test]
fn a_large_data_set_stays_in_its_file() {
    const IMAGES: u64 = 100_000;
    const MOST_BYTES: usize = 32 << 20;
    let _alone = ALONE.lock().unwrap();
    let mut service = Service::default();
    let model = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/tiny.onnx")).unwrap();
    let paths = vec!["tiny.onnx".to_owned(), "huge_batch.bin".to_owned()];
    let attachments = vec![Attachment::new(move || Ok(model)), Attachment::in_parts(endless(IMAGES))];
    assert!(endless(IMAGES).len() > STREAMED_FROM_BYTES);
    let before = USED.load(Relaxed);
    PEAK.store(before, Relaxed);
    let opened = block_on(service.answer(Request::Open { paths }, attachments, &Calm(Instant::now()))).0;
    let Reply::Workspace(workspace) = opened else { panic!("{opened:?}") };
    assert!(workspace.problems.is_empty(), "{:?}", workspace.problems);
    let source = &workspace.sources[0];
    assert_eq!((source.count, source.labelled), (IMAGES as usize, true));
    let order = QuantizeOrder {
        model: workspace.models[0].id,
        source: source.id,
        images: CalibrationImages::Listed(vec![0, 50_000, 99_999]),
        preprocess: None,
        calibration: CalibrationMethod::MinMax,
        options: QuantizeOptions::default(),
        preset: None,
        fold: false,
        corrections: Corrections::default(),
        compare: false,
    };
    let made = block_on(service.answer(Request::Quantize(Box::new(order)), Vec::new(), &Calm(Instant::now()))).0;
    assert!(matches!(made, Reply::Quantized(made) if made.images == 3));
    let most = PEAK.load(Relaxed) - before;
    println!("{} MB of images, at most {:.1} MB in use", IMAGES * 3073 / 1_000_000, most as f64 / 1e6);
    assert!(most < MOST_BYTES, "{most} bytes");
}
