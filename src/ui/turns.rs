//! Work that takes a turn of its own.
//!
//! A page answers only between two tasks. Opening a model or choosing a layer changes a dozen things at once, and if
//! one signal made all of them in one task, the page would stand still for a tenth of a second. So what is heavy waits
//! here: one job per task, first come, first served, so that a page fills from its top.

use crate::platform;
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

thread_local! {
    static JOBS: RefCell<VecDeque<Box<dyn FnOnce()>>> = RefCell::default();
    static WORKING: Cell<bool> = const { Cell::new(false) };
    static HURRYING: Cell<bool> = const { Cell::new(false) };
}

/// While something is dragged little changes at a time, and all of it belongs into the next frame: as long as this is
/// on, jobs do not wait for tasks of their own.
pub fn hurry(on: bool) {
    HURRYING.set(on);
}

/// Does `job`, with the effects it causes, in a task of its own, after those that wait already. The component that asked
/// may be gone by then: a job uses signals by their `try_` methods.
pub fn in_own_turn(job: impl FnOnce() + 'static) {
    JOBS.with_borrow_mut(|jobs| jobs.push_back(Box::new(job)));
    if WORKING.replace(true) {
        return;
    }
    spawn_local(async {
        loop {
            if !HURRYING.get() {
                platform::yield_to_events().await;
            }
            let Some(job) = JOBS.with_borrow_mut(VecDeque::pop_front) else { break };
            job();
        }
        WORKING.set(false);
    });
}

/// Calls `act` in a turn of its own after every change of what `track` reads; several changes before that turn are one.
/// What `track` reads must still be there when `act` runs: it is not called after this component has gone.
pub fn after_changes(track: impl Fn() + 'static, act: impl Fn() + Send + Sync + 'static) {
    let waiting = StoredValue::new(false);
    let act = StoredValue::new(act);
    Effect::new(move |_| {
        track();
        if waiting.get_value() {
            return;
        }
        waiting.set_value(true);
        in_own_turn(move || {
            if waiting.try_update_value(|waiting| *waiting = false).is_some() {
                act.try_with_value(|act| act());
            }
        });
    });
}

/// The same value, set in a turn of its own: what draws it is not in the task that changed `source`. The old value stays
/// until then, so that nothing flickers; at first there is none.
pub fn in_turn<T: Clone + Send + Sync + 'static>(source: impl Into<Signal<Option<T>>>) -> ReadSignal<Option<T>> {
    let source = source.into();
    let (value, set_value) = signal(None);
    after_changes(
        move || source.track(),
        move || {
            set_value.try_set(source.get_untracked());
        },
    );
    value
}

/// Turns that the focus waits for its element.
const FOCUS_PATIENCE_TURNS: usize = 20;

/// Moves the keyboard focus to the first element that matches as soon as it is there: what a key has chosen is marked as
/// chosen, and may even be drawn, in a later turn.
pub fn focus_later(selector: &'static str) {
    fn attempt(selector: &'static str, left: usize) {
        in_own_turn(move || {
            if !platform::focus_element(selector) && left > 0 {
                attempt(selector, left - 1);
            }
        });
    }
    attempt(selector, FOCUS_PATIENCE_TURNS);
}

/// Its children are made in a turn of their own.
#[component]
pub fn Later(
    /// What is made then.
    children: ChildrenFn,
) -> impl IntoView {
    let ready = RwSignal::new(false);
    in_own_turn(move || {
        ready.try_set(true);
    });
    move || ready.get().then(|| children())
}
