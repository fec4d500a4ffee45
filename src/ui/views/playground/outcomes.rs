//! What the three versions make of the input.

use super::describe;
use super::table::Exports;
use crate::export::{self, Table, TableError};
use crate::ui::views::activations::Pager;
use crate::ui::{roles, use_session};
use crate::worker::{Version, VersionOutcome};
use leptos::prelude::*;

/// Classes shown.
const TOP: usize = 8;
/// Logits on a page.
const LOGITS_PER_PAGE: usize = 10;

/// Name and colour of a version.
fn named(version: Version) -> (&'static str, Signal<String>) {
    let session = use_session();
    let colour = move || {
        session.workspace.with(|workspace| {
            session.playground.model.get().map(|model| roles::role_of(workspace, model).css_variable())
        })
    };
    match version {
        Version::Float => ("float", Signal::stored("var(--float)".to_owned())),
        Version::Original => ("original", Signal::derive(move || colour().unwrap_or_default())),
        Version::Edited => ("edited", Signal::stored("var(--edit)".to_owned())),
    }
}

/// A version's heading.
#[component]
pub fn VersionName(
    /// Which.
    version: Version,
) -> impl IntoView {
    let (name, colour) = named(version);
    view! { <span class="version"><span class="dot" style:background=colour aria-hidden="true"></span>" "{name}</span> }
}

/// The versions that there are.
fn shown_versions(outcomes: RwSignal<Vec<VersionOutcome>>) -> Memo<Vec<Version>> {
    Memo::new(move |_| outcomes.with(|outcomes| outcomes.iter().map(|outcome| outcome.version).collect()))
}

/// The class of a label.
fn label_of(truth: &Option<(usize, String)>) -> Option<usize> {
    truth.as_ref().map(|(label, _)| *label)
}

/// The best classes, a column per version.
#[component]
pub fn VersionPredictions() -> impl IntoView {
    let session = use_session();
    let outcomes = session.playground.outcomes;
    let truth = Memo::new(move |_| {
        session.result.with(|result| {
            let result = result.as_ref()?;
            let label = result.label?;
            let name = result.class_names.as_ref().and_then(|names| names.get(label as usize).cloned());
            Some((label as usize, name.unwrap_or_else(|| format!("class {label}"))))
        })
    });
    let cell = move |rank: usize, version: Version| {
        let shown = Memo::new(move |_| {
            outcomes.with(|outcomes| outcome_of(outcomes, version)?.predictions.as_ref()?.top.get(rank).cloned())
        });
        let (_, colour) = named(version);
        let right = move || shown.with(|shown| shown.as_ref().map(|shown| shown.index)) == truth.with(label_of);
        let share = move || shown.with(|shown| shown.as_ref().map_or(0.0, |shown| shown.probability * 100.0));
        view! {
            <td class:right=move || shown.with(Option::is_some) && right()>
                <Show when=move || shown.with(Option::is_some)>
                    <div class="pred">
                        <span>{move || shown.with(|shown| shown.as_ref().map(|shown| shown.class.clone()))}</span>
                        <span class="bar" aria-hidden="true"><u style:width=move || format!("{:.1}%", share().clamp(0.0, 100.0)) style:background=colour></u></span>
                        <span class="mono">{move || format!("{:.2} %", share())}</span>
                    </div>
                </Show>
            </td>
        }
    };
    let depth = Memo::new(move |_| {
        outcomes.with(|outcomes| {
            let depths = outcomes.iter().filter_map(|outcome| Some(outcome.predictions.as_ref()?.top.len()));
            depths.max().unwrap_or(0).min(TOP)
        })
    });
    let versions = shown_versions(outcomes);
    // The frame is made once; while a handle is dragged only the figures in it change.
    let body = move || {
        let row = |rank: usize| {
            let cells = versions.get().into_iter().map(|version| cell(rank, version));
            view! { <tr><th scope="row">{rank + 1}</th>{cells.collect_view()}</tr> }
        };
        (0..depth.get()).map(row).collect_view()
    };
    let head = move || {
        let heads = versions.get().into_iter().map(|version| view! { <th scope="col"><VersionName version /></th> });
        heads.collect_view()
    };
    let export = Callback::new(move |()| outcomes.with_untracked(|outcomes| Some(predictions_table(outcomes))));
    let no_classes = move || outcomes.with(|outcomes| outcomes.iter().all(|outcome| outcome.predictions.is_none()));
    view! {
        <section class="card" aria-label="Predictions before and after">
            <header class="card-head"><h3>"Predictions"</h3>
                <span class="head-tools"><small>{move || truth.get().map(|(_, name)| format!("label: {name}"))}</small>
                    <Exports title="Before and after predictions" stem="predictions" export /></span></header>
            <Verdict />
            <Show when=move || !no_classes() fallback=|| view! { <p class="hint">"The output is not a vector of class scores; its values stand beside."</p> }>
                <div class="scroll-x" tabindex="0">
                    <table class="data predictions" aria-label="Before and after predictions">
                        <thead><tr><th scope="col"><span class="visually-hidden">"rank"</span></th>{head}</tr></thead>
                        <tbody>{body}</tbody>
                    </table>
                </div>
            </Show>
        </section>
    }
}

/// One sentence: whether the answer moved.
#[component]
fn Verdict() -> impl IntoView {
    let outcomes = use_session().playground.outcomes;
    let words = move || {
        outcomes.with(|outcomes| {
            let best = |version: Version| {
                let outcome = outcomes.iter().find(|outcome| outcome.version == version)?;
                outcome.predictions.as_ref()?.top.first().cloned()
            };
            let (original, edited) = (best(Version::Original)?, best(Version::Edited)?);
            let points = (edited.probability - original.probability) * 100.0;
            Some(if original.index == edited.index {
                format!("Still {}: {} points.", edited.class, describe::signed(points, 2))
            } else {
                format!("The edit turns {} into {}.", original.class, edited.class)
            })
        })
    };
    view! { <p class="verdict" role="status">{words}</p> }
}

/// What goes into the last Softmax, class by class.
#[component]
pub fn Logits() -> impl IntoView {
    let session = use_session();
    let outcomes = session.playground.outcomes;
    let first = RwSignal::new(0);
    let count = Signal::derive(move || {
        outcomes.with(|outcomes| outcomes.iter().map(|outcome| outcome.logits.len()).max().unwrap_or(0))
    });
    let names =
        Memo::new(move |_| session.result.with(|result| result.as_ref().and_then(|result| result.class_names.clone())));
    let versions = shown_versions(outcomes);
    let shown = Memo::new(move |_| first.get()..(first.get() + LOGITS_PER_PAGE).min(count.get()));
    let value = move |version: Version, place: usize| {
        outcomes.with(|outcomes| outcome_of(outcomes, version)?.logits.get(place).copied())
    };
    // The frame is made once; while a handle is dragged only the figures in it change.
    let rows = move || {
        let row = |place: usize| {
            let name = names.with(|names| names.as_ref().and_then(|names| names.get(place).cloned()));
            let cells = versions.get().into_iter().map(|version| {
                view! { <td class="num mono">{move || value(version, place).map(|logit| format!("{logit:.4}"))}</td> }
            });
            let moved = move || {
                let moved = value(Version::Edited, place).zip(value(Version::Original, place));
                moved.map(|(edited, original)| describe::signed(edited - original, 4))
            };
            view! { <tr><th scope="row">{name.unwrap_or_else(|| place.to_string())}</th>{cells.collect_view()}<td class="num mono">{moved}</td></tr> }
        };
        shown.get().map(row).collect_view()
    };
    let export = Callback::new(move |()| {
        let names = names.get_untracked().unwrap_or_default();
        outcomes.with_untracked(|outcomes| Some(logits_table(outcomes, &names)))
    });
    view! {
        <section class="card" aria-label="Logits before and after">
            <header class="card-head"><h3>"Logits"</h3>
                <span class="head-tools"><small>"what goes into the last Softmax, else the output"</small><Exports title="Logits" stem="logits" export /></span></header>
            <div class="scroll-x" tabindex="0">
                <table class="data" aria-label="Logits">
                    <thead><tr><th scope="col">"class"</th>
                        {move || versions.get().into_iter().map(|version| view! { <th scope="col" class="num"><VersionName version /></th> }).collect_view()}
                        <th scope="col" class="num">"edited − original"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            <Show when=move || { count.get() > LOGITS_PER_PAGE }><Pager label="Logits" first per_page=LOGITS_PER_PAGE count /></Show>
        </section>
    }
}

const VERSIONS: [(Version, &str); 3] =
    [(Version::Float, "float"), (Version::Original, "original"), (Version::Edited, "edited")];

fn outcome_of(outcomes: &[VersionOutcome], version: Version) -> Option<&VersionOutcome> {
    outcomes.iter().find(|outcome| outcome.version == version)
}

/// Every class by rank, in the three versions.
fn predictions_table(outcomes: &[VersionOutcome]) -> Result<Table, TableError> {
    let mut headers = vec!["rank".to_owned()];
    headers.extend(VERSIONS.iter().flat_map(|(_, name)| ["class", "probability"].map(|what| format!("{name}_{what}"))));
    let top = |version| outcome_of(outcomes, version).and_then(|outcome| Some(&outcome.predictions.as_ref()?.top));
    let depth = VERSIONS.iter().filter_map(|(version, _)| Some(top(*version)?.len())).max().unwrap_or(0);
    let line = |rank: usize| {
        let mut cells: Vec<export::Cell> = vec![(rank + 1).into()];
        for (version, _) in VERSIONS {
            let prediction = top(version).and_then(|top| top.get(rank));
            cells.push(prediction.map(|prediction| prediction.class.clone()).into());
            cells.push(prediction.map(|prediction| prediction.probability).into());
        }
        cells
    };
    Table::new(headers, (0..depth).map(line).collect())
}

/// Every logit in the three versions.
fn logits_table(outcomes: &[VersionOutcome], names: &[String]) -> Result<Table, TableError> {
    let headers = ["class", "name", "float", "original", "edited", "edited_minus_original"];
    let logit = |version, place: usize| outcome_of(outcomes, version)?.logits.get(place).copied();
    let count = outcomes.iter().map(|outcome| outcome.logits.len()).max().unwrap_or(0);
    let line = |place: usize| {
        let mut cells: Vec<export::Cell> = vec![place.into(), names.get(place).cloned().into()];
        cells.extend(VERSIONS.map(|(version, _)| export::Cell::from(logit(version, place))));
        let moved = logit(Version::Edited, place).zip(logit(Version::Original, place));
        cells.push(moved.map(|(edited, original)| edited - original).into());
        cells
    };
    Table::new(headers.map(str::to_owned).to_vec(), (0..count).map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_have_every_version() {
        let outcome = |version, logits: &[f64]| VersionOutcome { version, predictions: None, logits: logits.to_vec() };
        let outcomes = [outcome(Version::Original, &[1.0, 2.0]), outcome(Version::Edited, &[1.5, 2.0])];
        let csv = logits_table(&outcomes, &["zero".to_owned()]).unwrap().to_csv().unwrap();
        assert_eq!(
            csv,
            "class,name,float,original,edited,edited_minus_original\n0,zero,,1.0,1.5,0.5\n1,,,2.0,2.0,0.0\n"
        );
        let csv = predictions_table(&outcomes).unwrap().to_csv().unwrap();
        assert_eq!(csv.lines().count(), 1, "{csv}");
    }
}
