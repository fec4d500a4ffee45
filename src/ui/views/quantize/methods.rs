//! What each calibration method makes of each tensor.

use crate::ui::format::number;
use crate::ui::use_session;
use crate::worker::{CalibratedTensor, QuantizedFile};
use leptos::prelude::*;

/// The table, one row per tensor and one column per method, the chosen one first.
#[component]
pub fn Methods(
    /// The quantized model.
    made: QuantizedFile,
) -> impl IntoView {
    let session = use_session();
    let cell = |range: Option<(f32, f32)>| match range {
        Some((low, high)) => format!("{} … {}", number(f64::from(low)), number(f64::from(high))),
        None => "–".to_owned(),
    };
    let csv = {
        let made = made.clone();
        move |_| {
            let mut text = String::from("tensor,method,low,high\n");
            for row in &made.ranges {
                for (method, range) in made.methods.iter().zip(&row.ranges) {
                    if let Some((low, high)) = range {
                        let tensor = row.tensor.replace('"', "\"\"");
                        text += &format!("\"{tensor}\",{method},{low},{high}\n");
                    }
                }
            }
            session.save_text("calibration.csv", "text/csv", &text);
        }
    };
    let row = move |row: &CalibratedTensor| {
        view! {
            <tr><th scope="row" class="mono tail">{row.tensor.clone()}</th>
                {row.ranges.iter().map(|range| view! { <td class="mono">{cell(*range)}</td> }).collect_view()}
            </tr>
        }
    };
    view! {
        <section class="card" aria-label="Calibration methods">
            <header class="card-head"><h3>"Calibration methods"</h3><small>"ranges of the same pass; the first column is in the model"</small>
                <button type="button" class="small" on:click=csv>"CSV"</button></header>
            <div class="measured" tabindex="0" role="group" aria-label="Ranges by method, to scroll">
                <table class="data" aria-label="Calibration methods">
                    <thead><tr><th scope="col">"tensor"</th>{made.methods.iter().map(|method| view! { <th scope="col">{method.clone()}</th> }).collect_view()}</tr></thead>
                    <tbody>{made.ranges.iter().map(row).collect_view()}</tbody>
                </table>
            </div>
        </section>
    }
}
