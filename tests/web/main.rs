//! What only a browser can tell: runs in headless Chromium (`make test`, step "web").
#![cfg(target_arch = "wasm32")]

use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
fn the_engine_is_compiled_with_simd() {
    assert!(cfg!(target_feature = "simd128"));
}
