//! How to repeat the reference task, with the numbers to expect.

use leptos::prelude::*;

const STEPS: [&str; 6] = [
    "Get pretrainedResnet.h5 from MLCommons Tiny (benchmark/training/image_classification/trained_models) and CIFAR-10's binary archive (cifar-10-binary.tar.gz). Drop both here.",
    "Convert: opset 15, without folding, gives 39 nodes; with Fold batch norm 25. Check weights finds every kernel and bias with equal bits.",
    "Run one of the three lines under Conversion check where Keras is, and drop recorded.npz: every layer is equal, and probabilities within 2e-6.",
    "Evaluate on the test batch: Keras and the converted model give 87.19 % on all 10,000 images, and 895 of the first 1017.",
    "Quantize (int8 or uint8, QDQ, MinMax, 1000 training images, 100 per class): 130 nodes, 32 QuantizeLinear and 66 DequantizeLinear; above 85 % with less than 5 points of drop. On the first 1017 images 871 for int8 and 874 for uint8, give or take 6.",
    "Drop the .pt and .onnx of the same network: Parity finds every convolution and dense weight with equal bits, and batch normalization within 1e-6.",
];

/// The steps.
#[component]
pub fn ReferenceTask() -> impl IntoView {
    view! {
        <details><summary><b>"Repeat the reference task"</b></summary>
            <p>"MLPerf Tiny's image classification, ResNet8 on CIFAR-10: from the Keras file to int8, with the numbers to expect."</p>
            <ol>{STEPS.map(|step| view! { <li>{step}</li> }).into_iter().collect_view()}</ol>
        </details>
    }
}
