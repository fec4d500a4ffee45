//! The workbench: header, layers, the picture in the middle, inspector, status line.

use super::chart::{provide_appearance, provide_kept_views};
use super::turns::focus_later;
use super::views::{
    ConvertView, Drawer, DropTarget, EvaluateView, GraphView, Header, Inspector, LayerView, Layers, Overview,
    PlaygroundView, Problems, QuantizeView, RunView, Shortcuts, StatusLine,
};
use super::{Session, View, keyboard};
use crate::platform;
use leptos::prelude::*;

/// The whole page.
#[component]
pub fn App() -> impl IntoView {
    provide_appearance();
    provide_kept_views();
    let session = Session::new();
    provide_context(session);
    let help = RwSignal::new(false);
    keyboard::listen(session, help);
    session.start();
    let drawer = RwSignal::new(None::<Drawer>);
    // Choosing a layer on a narrow screen goes on to what was chosen.
    Effect::new(move |_| {
        session.selection.track();
        drawer.set(None);
    });
    platform::on_document_event("keydown", move |event: platform::KeyboardEvent| {
        let open = drawer.get_untracked();
        if let Some(open) = open.filter(|_| event.key() == "Escape") {
            drawer.set(None);
            // What had the focus may have gone with the pane.
            focus_later(open.button_selector());
        }
    });
    let nothing = move || session.workspace.with(|workspace| workspace.models.is_empty());
    view! {
        <a class="skip" href="#stage" on:click=move |event| {
            event.prevent_default();
            platform::focus_element("#stage");
        }>"Skip to the content"</a>
        <div class="workbench" class:no-document=nothing class:playing=move || session.view.get() == View::Playground
            class:show-layers=move || drawer.get() == Some(Drawer::Layers)
            class:show-inspector=move || drawer.get() == Some(Drawer::Inspector)>
            <Header drawer help />
            <Layers />
            <main class="stage" id="stage" tabindex="-1">
                <Tabs />
                <div class="view">
                    <Problems />
                    {move || match session.view.get() {
                        View::Overview => view! { <Overview /> }.into_any(),
                        View::Layer => view! { <LayerView /> }.into_any(),
                        View::Run => view! { <RunView /> }.into_any(),
                        View::Playground => view! { <PlaygroundView /> }.into_any(),
                        View::Quantize => view! { <QuantizeView /> }.into_any(),
                        View::Evaluate => view! { <EvaluateView /> }.into_any(),
                        View::Convert => view! { <ConvertView /> }.into_any(),
                        View::Graph => view! { <GraphView /> }.into_any(),
                    }}
                </div>
            </main>
            <Inspector />
            <button type="button" class="scrim" aria-label="Close the pane" on:click=move |_| drawer.set(None)></button>
            <StatusLine />
        </div>
        <DropTarget />
        <Shortcuts open=help />
    }
}

/// The tabs over the middle.
#[component]
fn Tabs() -> impl IntoView {
    let session = super::use_session();
    // Without a quantized model there is nothing to play with.
    let there = move |view: View| view != View::Playground || session.has_table() || session.view.get() == view;
    let tab = move |view: View| {
        let selected = move || session.view.get() == view;
        let walk = move |event: platform::KeyboardEvent| {
            let tabs: Vec<View> = untrack(|| View::ALL.into_iter().filter(|&view| there(view)).collect());
            let step = match event.key().as_str() {
                "ArrowRight" => 1,
                "ArrowLeft" => tabs.len() - 1,
                _ => return,
            };
            event.prevent_default();
            let here = tabs.iter().position(|&other| other == view).unwrap_or(0);
            session.show(tabs[(here + step) % tabs.len()]);
            focus_later("[role=tab][aria-selected=true]");
        };
        view! {
            <button type="button" role="tab" hidden=move || !there(view) aria-selected=move || selected().to_string()
                tabindex=move || if selected() { "0" } else { "-1" }
                on:click=move |_| session.show(view) on:keydown=walk>{view.label()}</button>
        }
    };
    view! { <div class="tabs" role="tablist" aria-label="Views">{View::ALL.map(tab).into_iter().collect_view()}</div> }
}
