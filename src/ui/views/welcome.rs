//! What a tab says while nothing is open: what it is for, and how to begin.

use crate::ui::{View, use_session};
use leptos::prelude::*;

/// Stands in for a view that has nothing to show yet.
#[component]
pub fn Welcome(
    /// The view.
    view: View,
) -> impl IntoView {
    let (title, text) = lesson(view);
    let steps = (view == View::Overview).then(|| {
        view! {
            <ol>
                <li><b>"Look"</b>" at every scale, zero point and weight distribution, float and integer on one grid."</li>
                <li><b>"Run"</b>" an input through all variants at once and see every intermediate tensor."</li>
                <li><b>"Change"</b>" a scale and watch the answer move; quantize, evaluate and convert on your own data."</li>
                <li><b>"Take it home"</b>" as ONNX, PyTorch, .npz and JSON."</li>
            </ol>
        }
    });
    view! {
        <section class="card empty" aria-label="Welcome">
            <h2>{title}</h2>
            <p>{text}</p>
            {steps}
            <SampleOffer />
            <p class="hint">"Nothing is installed and no byte leaves this machine."</p>
        </section>
    }
}

/// The sample, one click away.
#[component]
pub fn SampleOffer() -> impl IntoView {
    let session = use_session();
    view! {
        <div class="actions">
            <button type="button" class="primary" disabled=move || session.opening.with(|names| !names.is_empty())
                on:click=move |_| session.try_sample()>"Try the sample"</button>
            <span class="hint">"a small network on street digits: float, int8 and uint8, 3.6 MB, works offline"</span>
        </div>
    }
}

/// A view's question, and what to drop to have it answered.
fn lesson(view: View) -> (&'static str, &'static str) {
    match view {
        View::Overview => (
            "Where does the accuracy go?",
            "Drop a float ONNX model and its quantized versions anywhere on this page, with a CIFAR-10 file, images or arrays beside them.",
        ),
        View::Layer => (
            "One layer in every variant",
            "Its weights as float and as integers on one grid, the scale of every channel and, after a run, what it puts out. Drop a float model and its quantized versions, then choose a layer on the left.",
        ),
        View::Run => (
            "One input through all variants",
            "Predictions side by side, and every intermediate tensor to look at and to take home. Drop models, and an image, an array or a data set; random values of a seed do too.",
        ),
        View::Playground => (
            "Change a scale and watch the answer move",
            "The quantization table of a model in your hands: scales, zero points, bits and clip handles on the histogram. Drop a quantized model, best together with its float original.",
        ),
        View::Quantize => (
            "From float to int8, on your own images",
            "Static quantization as ONNX Runtime does it, a grid of bit widths, and an autopilot that searches for the best model under a target. Drop a float model and some calibration images.",
        ),
        View::Evaluate => (
            "How much accuracy is lost?",
            "Every open model on a labelled data set, on all cores: overall and per class, with intervals, confusion, and the images that flip. Drop models and a data set such as a CIFAR-10 batch.",
        ),
        View::Convert => (
            "From Keras, PyTorch and TensorFlow Lite to ONNX, and back to PyTorch",
            "Drop a .h5, .keras, .pt, .safetensors, .tflite or .onnx file anywhere on this page. Pickles and code are read as data: nothing of a file is ever executed.",
        ),
        View::Graph => (
            "The network, drawn",
            "Every operation and what flows between them, coloured by the error of each layer. Drop a model.",
        ),
    }
}
