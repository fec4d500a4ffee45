//! Zoom, hidden series and axes of the page's charts, kept while another tab is looked at.

use crate::chart::View;
use leptos::prelude::*;
use std::collections::HashMap;

/// A chart's view, and what it was the view of.
struct Kept {
    view: ArcRwSignal<View>,
    subject: Option<String>,
}

#[derive(Clone, Copy)]
struct KeptViews(StoredValue<HashMap<&'static str, Kept>>);

/// Provides the memory as context. Call it once, in the root component.
pub fn provide_kept_views() {
    provide_context(KeptViews(StoredValue::new(HashMap::new())));
}

/// The view of the chart called `name`. It outlives the component, so that a re-run and a look at another tab keep it.
/// Its zoom belongs to a subject, such as a layer: with another one everything is shown again, while hidden series, axis
/// and layout stay. `None` is no subject yet, and changes nothing.
pub fn kept_view(name: &'static str, subject: impl Fn() -> Option<String> + 'static) -> RwSignal<View> {
    // A chart outside of the application (a test) keeps its own.
    let kept = use_context().unwrap_or_else(|| KeptViews(StoredValue::new(HashMap::new())));
    let new = || Kept { view: ArcRwSignal::new(View::default()), subject: None };
    let view = kept.0.try_update_value(|all| all.entry(name).or_insert_with(new).view.clone());
    let view = view.unwrap_or_else(|| ArcRwSignal::new(View::default()));
    let shown = view.clone();
    Effect::new(move |_| {
        let Some(now) = subject() else { return };
        let other = kept.0.try_update_value(|all| {
            all.get_mut(name).is_some_and(|kept| {
                let before = kept.subject.replace(now.clone());
                before.is_some_and(|before| before != now)
            })
        });
        if other == Some(true) {
            shown.update(View::reset_zoom);
        }
    });
    view.into()
}
