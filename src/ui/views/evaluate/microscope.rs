//! The images whose prediction flips.

use crate::analysis::{Flip, Flips, flips};
use crate::ui::{format, use_session};
use leptos::prelude::*;

/// Flips listed at a time.
const PAGE: usize = 25;

/// A list of flips between two models; a click runs the image and opens the first layer where they part.
#[component]
pub fn Microscope() -> impl IntoView {
    let session = use_session();
    let pair = RwSignal::new((0usize, 1usize));
    let page = RwSignal::new(0usize);
    let names = Memo::new(move |_| {
        session.evaluation.with(|state| {
            state
                .as_ref()
                .map(|state| state.models.iter().map(|own| own.model.name.clone()).collect::<Vec<_>>())
                .unwrap_or_default()
        })
    });
    let found = Memo::new(move |_| {
        let (first, second) = pair.get();
        session.evaluation.with(|state| {
            let models = state.as_ref().map(|state| state.models.as_slice()).unwrap_or_default();
            match (models.get(first), models.get(second)) {
                (Some(first), Some(second)) => flips(&first.scores, &second.scores),
                _ => Flips::default(),
            }
        })
    });
    let class_names = move || {
        session
            .evaluation
            .with(|state| state.as_ref().and_then(|state| state.source.class_names.clone()).unwrap_or_default())
    };
    let chooser = move |label: &'static str,
                        read: fn(&(usize, usize)) -> usize,
                        write: fn(&mut (usize, usize), usize)| {
        view! {
            <label class="inline">{label}" "
                <select aria-label=label on:change=move |event| { pair.update(|pair| write(pair, event_target_value(&event).parse().unwrap_or(0))); page.set(0); }>
                    {move || names.get().into_iter().enumerate().map(|(at, name)| view! { <option value=at.to_string() selected=pair.with(read) == at>{name}</option> }).collect_view()}
                </select>
            </label>
        }
    };
    let row = move |flip: &Flip, classes: &[String]| {
        let name = |class: u32| classes.get(class as usize).cloned().unwrap_or_else(|| format!("class {class}"));
        let item = flip.first.item as usize;
        let verdict = match flip.first.label {
            Some(label) if label == flip.first.best => "lost",
            Some(label) if label == flip.second.best => "won",
            Some(_) => "wrong both times",
            None => "",
        };
        view! {
            <tr>
                <th scope="row"><button type="button" class="ghost" aria-label=format!("Look into image {item}") on:click=move |_| session.look_into(item, pair.get_untracked())>{item}</button></th>
                <td>{flip.first.label.map(name)}</td>
                <td>{name(flip.first.best)}</td><td class="num">{format!("{:.4}", flip.first.margin)}</td>
                <td>{name(flip.second.best)}</td><td class="num">{format!("{:.4}", flip.second.margin)}</td>
                <td>{verdict}</td>
            </tr>
        }
    };
    let rows = move || {
        let classes = class_names();
        found.with(|found| {
            found.flips.iter().skip(page.get() * PAGE).take(PAGE).map(|flip| row(flip, &classes)).collect_view()
        })
    };
    let summary = move || {
        found.with(|found| {
            format!(
                "{} of {} images flip: {} lost, {} won",
                format::grouped(found.flips.len() as u64),
                format::grouped(found.compared),
                found.lost,
                found.won
            )
        })
    };
    let pages = move || found.with(|found| found.flips.len().div_ceil(PAGE).max(1));
    view! {
        <section class="card" aria-label="Microscope">
            <header class="card-head"><h3>"Microscope"</h3><small>{summary}</small></header>
            <div class="tools">
                {chooser("First", |pair| pair.0, |pair, at| pair.0 = at)}
                {chooser("Second", |pair| pair.1, |pair, at| pair.1 = at)}
                <button type="button" class="ghost" disabled=move || page.get() == 0 on:click=move |_| page.update(|page| *page -= 1)>"Previous flips"</button>
                <span class="hint">{move || format!("page {} of {}", page.get() + 1, pages())}</span>
                <button type="button" class="ghost" disabled={move || page.get() + 1 >= pages()} on:click=move |_| page.update(|page| *page += 1)>"Next flips"</button>
            </div>
            <div class="scroll-x" tabindex="0">
                <table class="data" aria-label="Flips">
                    <thead><tr>
                        <th scope="col">"image"</th><th scope="col">"label"</th><th scope="col">"first says"</th><th scope="col" class="num">"margin"</th>
                        <th scope="col">"second says"</th><th scope="col" class="num">"margin"</th><th scope="col">"which is"</th>
                    </tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
}
