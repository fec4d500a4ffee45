//! From a float model to a quantized one.

mod bit_widths;
mod methods;
mod setup;

use crate::ui::use_session;
use bit_widths::BitWidths;
use leptos::prelude::*;
use methods::Methods;
use setup::Setup;

/// The tab.
#[component]
pub fn QuantizeView() -> impl IntoView {
    let session = use_session();
    let made = move || session.quantized.get();
    view! {
        <div class="quantize">
            <section class="card" aria-label="Quantize">
                <header class="card-head"><h3>"Quantize"</h3><small>"static quantization as ONNX Runtime does it, on images that never leave the machine"</small></header>
                <Setup />
                {move || made().map(|made| {
                    let (name, bytes) = (made.made.name.clone(), made.bytes.clone());
                    let text = format!("{name}: {} bytes, calibrated on {} images. It is open beside the others.", made.bytes.len(), made.made.images);
                    view! {
                        <div class="outcome" role="status" aria-label="Quantized">
                            <p>{text}</p>
                            <div class="actions">
                                <button type="button" class="primary" on:click=move |_| session.save_made(&name, &bytes)>"Download ONNX"</button>
                                <button type="button" on:click=move |_| session.show(crate::ui::View::Evaluate)>"Compare accuracy"</button>
                                <button type="button" on:click=move |_| session.show(crate::ui::View::Playground)>"Edit its table"</button>
                            </div>
                            {(!made.made.notes.is_empty()).then(|| view! {
                                <details><summary>{format!("{} notes", made.made.notes.len())}</summary>
                                    <ul>{made.made.notes.into_iter().map(|note| view! { <li>{note}</li> }).collect_view()}</ul>
                                </details>
                            })}
                        </div>
                    }
                })}
            </section>
            {move || made().filter(|made| made.made.methods.len() > 1).map(|made| view! { <Methods made=made.made /> })}
            <BitWidths />
        </div>
    }
}
