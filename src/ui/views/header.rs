//! Brand, open models, search, theme.

use super::Dot;
use crate::platform;
use crate::platform::HtmlInputElement;
use crate::platform::install::{InstallOffer, watch_install_offer};
use crate::platform::theme::ThemeChoice;
use crate::ui::chart::use_appearance;
use crate::ui::{format, use_session};
use crate::worker::ModelSummary;
use leptos::prelude::*;
use leptos::task::spawn_local;

/// A pane that a narrow screen shows as a drawer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawer {
    /// The layers.
    Layers,
    /// The inspector.
    Inspector,
}

impl Drawer {
    /// The button that opens it.
    pub fn button_selector(self) -> &'static str {
        match self {
            Drawer::Layers => "#open-layers",
            Drawer::Inspector => "#open-inspector",
        }
    }
}

/// The line at the top.
#[component]
pub fn Header(
    /// The open drawer.
    drawer: RwSignal<Option<Drawer>>,
    /// Whether the list of shortcuts is open.
    help: RwSignal<bool>,
) -> impl IntoView {
    let session = use_session();
    let models = move || session.workspace.with(|workspace| workspace.models.clone());
    // At least one open model can run.
    let can_run =
        move || session.workspace.with(|workspace| workspace.models.iter().any(|model| model.unsupported.is_empty()));
    let pane = move |name: Drawer, label: &'static str| {
        view! {
            <button type="button" class="small" id=name.button_selector().trim_start_matches('#') aria-expanded=move || (drawer.get() == Some(name)).to_string()
                on:click=move |_| drawer.update(|open| *open = if *open == Some(name) { None } else { Some(name) })>{label}</button>
        }
    };
    view! {
        <header class="top">
            <h1 class="brand"><Brand /><span class="brand-name">"Quantscope"</span></h1>
            <ul class="chips" aria-label="Open models" tabindex="0" hidden=move || models().is_empty()>
                <For each=models key=|model| model.id let:model><ModelChip model /></For>
            </ul>
            <OpenFiles />
            <div class="grow"></div>
            <div class="drawers">{pane(Drawer::Layers, "Layers")}{pane(Drawer::Inspector, "Inspector")}</div>
            <More>
                <InstallButton />
                <ThemeSwitch />
                <button type="button" class="ghost icon" aria-label="Keyboard shortcuts" on:click=move |_| help.set(true)>"?"</button>
                <button type="button" disabled=move || models().is_empty() on:click=move |_| session.export_report()>"Export report"</button>
            </More>
            <button type="button" class="primary" disabled=move || !can_run() on:click=move |_| session.run()>"Run"</button>
        </header>
    }
}

/// What a narrow screen has behind a button, so that the header stays one line; elsewhere it stands in the header itself.
#[component]
fn More(
    /// The buttons.
    children: Children,
) -> impl IntoView {
    let open = RwSignal::new(false);
    let close = move || {
        if open.get_untracked() {
            open.set(false);
            // The focus goes with the pane otherwise.
            platform::focus_element("#open-more");
        }
    };
    let on_key = move |event: platform::KeyboardEvent| {
        if event.key() == "Escape" {
            close();
        }
    };
    view! {
        <div class="more" class:open=move || open.get() on:keydown=on_key>
            <button type="button" class="ghost icon narrow-only" id="open-more" aria-label="More" aria-expanded=move || open.get().to_string()
                aria-controls="more-items" on:click=move |_| open.update(|open| *open = !*open)>"⋯"</button>
            <div class="more-items" id="more-items" on:click=move |_| close()>{children()}</div>
        </div>
    }
}

/// The mark: a histogram in the colours of the three identities and the accent.
#[component]
fn Brand() -> impl IntoView {
    view! {
        <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
            <rect x="1" y="11" width="4" height="8" rx="1" fill="var(--float)" />
            <rect x="6" y="6" width="4" height="13" rx="1" fill="var(--accent)" />
            <rect x="11" y="2" width="4" height="17" rx="1" fill="var(--int8)" />
            <rect x="16" y="9" width="3" height="10" rx="1" fill="var(--uint8)" />
        </svg>
    }
}

/// An open model; its colour is its identity everywhere.
#[component]
fn ModelChip(
    /// The model.
    model: ModelSummary,
) -> impl IntoView {
    let session = use_session();
    let id = model.id;
    let edits = move || {
        let edits = session.playground.edits.with(|all| all.get(&id).copied())?;
        Some(if edits == 1 { "1 edit".to_owned() } else { format!("{edits} edits") })
    };
    view! {
        <li class="chip">
            <Dot model=id />
            <b>{model.name.clone()}</b>
            <span>{model.format.clone()} " · " {format::bytes(model.size_bytes)}</span>
            {move || edits().map(|edits| view! { <span class="badge edit">{edits}</span> })}
            <button type="button" class="ghost icon small" aria-label=format!("Close {}", model.name)
                on:click=move |_| session.close_model(id)>"×"</button>
        </li>
    }
}

/// The picker. The input is a real one, so that a person's or a test's tools find it; the button opens it.
#[component]
fn OpenFiles() -> impl IntoView {
    let session = use_session();
    let input = NodeRef::<leptos::html::Input>::new();
    // The one next step on an empty page; later that is Run.
    let nothing = move || session.workspace.with(|workspace| workspace.models.is_empty());
    view! {
        <button type="button" class:primary=nothing id="open-files" on:click=move |_| {
            if let Some(input) = input.get() {
                input.click();
            }
        }>"Open files"</button>
        <input type="file" multiple hidden node_ref=input aria-label="Files to open" tabindex="-1" on:change=move |event| {
            let input: HtmlInputElement = event_target(&event);
            session.open(platform::files_of_input(&input));
        } />
    }
}

/// Installs the page as an application; there only while the browser offers it.
#[component]
fn InstallButton() -> impl IntoView {
    let session = use_session();
    let offer = RwSignal::new_local(None::<InstallOffer>);
    watch_install_offer(move |offered| {
        offer.try_set(offered);
    });
    let install = move |_| {
        // An offer can be taken once; after a no the browser makes another one when it thinks fit.
        let Some(taken) = offer.try_update(Option::take).flatten() else { return };
        spawn_local(async move {
            if let Err(error) = taken.ask().await {
                session.say(
                    "installing",
                    &error.to_string(),
                    "the browser's question",
                    "The browser's own menu can install the page too.",
                );
            }
        });
    };
    view! {
        <Show when=move || offer.with(Option::is_some)>
            <button type="button" title="Keep Quantscope as an application: it works without a network" on:click=install>"Install"</button>
        </Show>
    }
}

/// Light, dark, or as the system has it.
#[component]
fn ThemeSwitch() -> impl IntoView {
    let choice = use_appearance().choice;
    let words = |choice: ThemeChoice| match choice {
        ThemeChoice::System => ("system", "◐"),
        ThemeChoice::Light => ("light", "☀"),
        ThemeChoice::Dark => ("dark", "☾"),
    };
    let next = move || match choice.get() {
        ThemeChoice::System => ThemeChoice::Light,
        ThemeChoice::Light => ThemeChoice::Dark,
        ThemeChoice::Dark => ThemeChoice::System,
    };
    view! {
        <button type="button" class="ghost icon"
            aria-label=move || format!("Theme: {}. Switch to {}", words(choice.get()).0, words(next()).0)
            on:click=move |_| choice.set(next())>{move || words(choice.get()).1}</button>
    }
}
