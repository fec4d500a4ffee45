//! From a float model to a quantized one.

mod autopilot;
mod bit_widths;
mod methods;
mod setup;

use crate::ui::use_session;
use crate::worker::{QuantizedFile, StepEffect};
use autopilot::Autopilot;
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
                            {effects(&made.made)}
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
            <Autopilot />
        </div>
    }
}

/// What each correction has brought, on and off.
fn effects(made: &QuantizedFile) -> Option<impl IntoView + use<>> {
    let percent = |accuracy: Option<f64>| accuracy.map_or(String::new(), |share| format!("{:.2} %", 100.0 * share));
    let sqnr = |sqnr_db: Option<f64>| sqnr_db.map_or("exact".to_owned(), |sqnr_db| format!("{sqnr_db:.2} dB"));
    let row = |effect: &StepEffect| {
        let (without, with) = (&effect.without, &effect.with);
        let cells = [
            effect.layers.to_string(),
            sqnr(without.output_sqnr_db),
            sqnr(with.output_sqnr_db),
            percent(without.accuracy),
            percent(with.accuracy),
        ];
        let name = effect.step.name();
        view! { <tr><td>{name}</td>{cells.into_iter().map(|cell| view! { <td class="mono">{cell}</td> }).collect_view()}</tr> }
    };
    let heads = ["correction", "layers", "output SQNR without", "with", "accuracy without", "with"];
    (!made.effects.is_empty()).then(|| {
        let on = format!("Measured on {}; \"without\" has the corrections above it.", made.measured_on);
        view! {
            <div class="listed"><table class="data" aria-label="Corrections on and off">
                <thead><tr>{heads.into_iter().map(|head| view! { <th scope="col">{head}</th> }).collect_view()}</tr></thead>
                <tbody>{made.effects.iter().map(row).collect_view()}</tbody>
            </table></div>
            <p class="hint">{on}</p>
        }
    })
}
