//! What is taken for what.

use super::Shown;
use leptos::prelude::*;

/// Most classes that a matrix is drawn for.
const MOST_CLASSES: usize = 64;

/// How much of the judgement's colour a cell takes, in %: the least where there is anything, and what a whole row adds.
/// Text stands on it, so it stays light on light and dark on dark.
const STRENGTH: (f64, f64) = (8.0, 26.0);

/// The strength of a cell that holds `share` of its row.
fn strength(share: f64) -> f64 {
    STRENGTH.0 + STRENGTH.1 * share.clamp(0.0, 1.0).sqrt()
}

/// The confusion matrix of one model, or its difference from the baseline's.
#[component]
pub fn Confusion(
    /// The evaluation.
    shown: Memo<Option<Shown>>,
) -> impl IntoView {
    let chosen = RwSignal::new(0usize);
    let difference = RwSignal::new(false);
    let names = Memo::new(move |_| {
        let names = |shown: &Shown| shown.state.models.iter().map(|own| own.model.name.clone()).collect::<Vec<_>>();
        shown.with(|shown| shown.as_ref().map(names).unwrap_or_default())
    });
    let option = move |on: bool, label: &'static str| {
        view! { <button type="button" aria-pressed=move || (difference.get() == on).to_string() on:click=move |_| difference.set(on)>{label}</button> }
    };
    let matrix = move || {
        shown.with(|shown| {
            let model = shown.as_ref()?.evaluated.get(chosen.get())?;
            let classes = &model.evaluation.per_class;
            if classes.len() > MOST_CLASSES {
                return Some(view! { <p class="hint">{format!("{} classes are too many to draw; the JSON report has the matrix.", classes.len())}</p> }.into_any());
            }
            let differs = difference.get();
            let values: Vec<i64> = match (differs, model.comparison.as_ref().and_then(|comparison| comparison.confusion.clone())) {
                (true, Some(values)) => values,
                (true, None) => vec![0; model.evaluation.confusion.len()],
                (false, _) => model.evaluation.confusion.iter().map(|&count| count as i64).collect(),
            };
            let head = classes.iter().map(|class| view! { <th scope="col"><span>{class.class_name.clone()}</span></th> }).collect_view();
            let rows = classes.iter().zip(values.chunks(classes.len().max(1))).enumerate().map(|(row, (class, cells))| {
                let total = class.fraction.total.max(1) as f64;
                let cells = cells.iter().enumerate().map(|(column, &count)| {
                    // More on the diagonal is good, more beside it is bad; a difference is read the same way.
                    let good = (row == column) == (count >= 0);
                    let ink = if good { "var(--good)" } else { "var(--bad)" };
                    let strength = if count == 0 { 0.0 } else { strength(count.unsigned_abs() as f64 / total) };
                    let text = match (differs, count) {
                        (true, 0) => String::new(),
                        (true, count) => format!("{count:+}"),
                        (false, count) => count.to_string(),
                    };
                    view! { <td style:background=format!("color-mix(in srgb, {ink} {strength:.0}%, transparent)")>{text}</td> }
                });
                view! { <tr><th scope="row">{class.class_name.clone()}</th>{cells.collect_view()}</tr> }
            });
            Some(view! {
                <div class="scroll-x" tabindex="0">
                    <table class="matrix" aria-label="Confusion matrix">
                        <thead><tr><th scope="col"><small>"true ↓ predicted →"</small></th>{head}</tr></thead>
                        <tbody>{rows.collect_view()}</tbody>
                    </table>
                </div>
            }.into_any())
        })
    };
    view! {
        <section class="card" aria-label="Confusion">
            <header class="card-head"><h3>"Confusion"</h3><small>"rows are true classes, columns what they were taken for"</small></header>
            <div class="tools">
                <label class="inline" for="confusion-model">"model"</label>
                <select id="confusion-model" on:change=move |event| chosen.set(event_target_value(&event).parse().unwrap_or(0))>
                    {move || names.get().into_iter().enumerate().map(|(at, name)| view! { <option value=at.to_string() selected=chosen.get_untracked() == at>{name}</option> }).collect_view()}
                </select>
                <div class="seg" role="group" aria-label="Matrix">{option(false, "counts")}{option(true, "less the baseline")}</div>
            </div>
            {matrix}
        </section>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::Color;

    /// The value of a token in the block that begins with `selector`.
    fn token(selector: &str, name: &str) -> Color {
        let tokens = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/style/tokens.css"));
        let block = &tokens[tokens.find(selector).unwrap()..];
        let at = block.find(&format!("--{name}:")).unwrap() + name.len() + 3;
        Color::parse(block[at..].split(';').next().unwrap().trim()).unwrap()
    }

    #[test]
    fn counts_can_be_read_on_every_cell() {
        for theme in [":root {", "[data-theme=\"dark\"] {"] {
            let (panel, ink) = (token(theme, "panel"), token(theme, "ink"));
            for judgement in ["good", "bad"] {
                for share in 0..=10 {
                    let fill = panel.mix(token(theme, judgement), strength(f64::from(share) / 10.0) / 100.0);
                    assert!(ink.contrast(fill) >= 4.5, "{theme} {judgement} {share}: {}", ink.contrast(fill));
                }
            }
        }
    }
}
