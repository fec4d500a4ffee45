//! What could be better, in plain words, each with the button that tries it.

use super::describe;
use super::measure_head::{MeasureHead, state_of};
use super::table::Name;
use crate::export::{Table, TableError};
use crate::ui::session::playground::Measurement;
use crate::ui::use_session;
use crate::worker::{Finding, Fixed};
use leptos::prelude::*;

/// Findings in the page; the exports have all.
const MOST: usize = 12;

/// The region.
#[component]
pub fn Findings() -> impl IntoView {
    let session = use_session();
    let playground = session.playground;
    let answer = playground.measures.findings;
    let findings =
        move || answer.with(|taken| taken.as_ref().map(|taken| taken.answer.rows.clone()).unwrap_or_default());
    let measured = Memo::new(move |_| answer.with(Option::is_some));
    let export = Callback::new(move |()| Some(export_table(&findings())));
    let more = move || findings().len().saturating_sub(MOST);
    view! {
        <section class="card stack" aria-label="Findings">
            <MeasureHead title="Findings" measure="Look for findings" what=Measurement::Findings stem="findings" export
                state=state_of(answer, |answer| answer.count) />
            {move || playground.fixed.get().map(|(finding, fixed)| view! { <Outcome finding fixed /> })}
            <Show when=move || findings().is_empty()>
                <p class="hint">{move || if measured.get() { "Nothing stands out: no range clips, none is mostly empty, no bias is swallowed." } else { "Run an input (R): what could be better stands here, worst first." }}</p>
            </Show>
            <ol class="findings">{move || findings().into_iter().take(MOST).map(|finding| view! { <li><Card finding /></li> }).collect_view()}</ol>
            <Show when=move || { more() > 0 }><p class="hint">{move || format!("{} more in the exports.", more())}</p></Show>
        </section>
    }
}

/// One finding: what, why, and the next step.
#[component]
fn Card(finding: Finding) -> impl IntoView {
    let session = use_session();
    let playground = session.playground;
    let (tried, target) = (finding.clone(), finding.tensor.clone());
    let title = format!("finding-{}", finding.id);
    let evidence = finding.evidence.into_iter().map(|(name, figure)| view! { <dt>{name}</dt><dd>{figure}</dd> });
    let share = format!("{:.0} % of the output error", finding.weight * 100.0);
    view! {
        <div class="finding">
            <b id=title.clone()>{finding.title}</b><p class="value muted"><Name name=finding.tensor.clone() /></p>
            <dl class="facts">{evidence.collect_view()}</dl>
            <div class="finding-foot">
                <span><button type="button" class="ghost small" on:click=move |_| session.edit_tensor(&target)>"Show"</button>{share}</span>
                <button type="button" class="primary small" aria-describedby=title title="Applied, measured, and kept only when it is better"
                    disabled=move || playground.fixing.get() on:click=move |_| session.apply_fix(tried.clone())>{finding.fix}</button>
            </div>
        </div>
    }
}

/// What a fix did.
#[component]
fn Outcome(finding: Finding, fixed: Fixed) -> impl IntoView {
    let kept = if fixed.kept { ("kept", "good") } else { ("not kept: it is no better", "warn") };
    view! {
        <div class="outcome" role="status">
            <b>{finding.fix}</b>" "<span class=format!("badge {}", kept.1)>{kept.0}</span>
            <dl class="facts">
                <dt>"before"</dt><dd>{describe::quality(&fixed.before)}</dd>
                <dt>"after"</dt><dd>{describe::quality(&fixed.after)}</dd>
            </dl>
        </div>
    }
}

fn export_table(findings: &[Finding]) -> Result<Table, TableError> {
    let headers = ["finding", "tensor", "evidence", "fix", "share_of_output_error"];
    let row = |finding: &Finding| {
        let evidence: Vec<String> = finding.evidence.iter().map(|(name, figure)| format!("{name}: {figure}")).collect();
        vec![
            finding.title.as_str().into(),
            finding.tensor.as_str().into(),
            evidence.join("; ").into(),
            finding.fix.as_str().into(),
            finding.weight.into(),
        ]
    };
    Table::new(headers.map(str::to_owned).to_vec(), findings.iter().map(row).collect())
}
