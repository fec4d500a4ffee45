//! What only a browser can tell: runs in headless Chromium (`make test`, step "web").
#![cfg(target_arch = "wasm32")]
// The lint lets tests expect, but does not know this attribute's tests for tests.
#![allow(clippy::expect_used)]

use quantscope::chart::{Axis, Chart, Histogram, Plot, Role, Series, Theme, View, Viewport, paint, scene};
use quantscope::platform;
use wasm_bindgen::JsCast;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
fn the_engine_is_compiled_with_simd() {
    // Decided when it is compiled: without SIMD this file does not build, and the page would ship several times slower.
    const { assert!(cfg!(target_feature = "simd128")) };
}

#[wasm_bindgen_test]
async fn time_goes_on_and_events_get_in() {
    let began_ms = platform::now_ms();
    platform::yield_to_events().await;
    platform::sleep_ms(20).await;
    let passed_ms = platform::now_ms() - began_ms;
    assert!(passed_ms >= 19.0, "{passed_ms}");
}

#[wasm_bindgen_test]
fn the_address_keeps_names_with_any_letter() {
    let name = "model_1/conv2d 4:0&=#%ü";
    platform::replace_route(&[("view", "layer"), ("layer", name)]);
    let pairs = platform::route();
    assert_eq!(pairs[1], ("layer".to_owned(), name.to_owned()));
    platform::replace_route(&[]);
}

#[wasm_bindgen_test]
fn a_chart_is_painted_sharp() {
    let document = web_sys::window().and_then(|window| window.document()).expect("a document");
    let canvas: HtmlCanvasElement = document.create_element("canvas").expect("a canvas").unchecked_into();
    let chart = Chart {
        title: "Weights".to_owned(),
        note: String::new(),
        file_stem: "weights".to_owned(),
        plot: Plot::Histogram(Histogram {
            x: Axis::new("weight", ""),
            y: Axis::new("values", ""),
            edges: vec![0.0, 1.0, 2.0, 3.0],
            series: vec![Series::new("float", Role::Float, vec![1.0, 5.0, 2.0])],
            ..Histogram::default()
        }),
    };
    let viewport = Viewport { width_px: 300.0, height_px: 150.0, scroll_px: 0.0, view: View::default() };
    let scene = scene::scene(&chart, &viewport, &Theme::LIGHT);
    paint::paint(&canvas, &scene, 2.0).expect("it paints");
    assert_eq!((canvas.width(), canvas.height()), (600, 300), "two device pixels for each CSS pixel");
    let context: CanvasRenderingContext2d =
        canvas.get_context("2d").expect("no error").expect("a context").unchecked_into();
    let pixels = context.get_image_data(0.0, 0.0, 600.0, 300.0).expect("pixels").data();
    let painted = pixels.chunks_exact(4).filter(|pixel| pixel[3] > 0).count();
    assert!(painted > 5000, "{painted} pixels are painted");
}
