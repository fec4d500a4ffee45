//! Questions that follow the signals they depend on.

use super::Session;
use crate::worker::{Reply, Request};
use leptos::prelude::*;

/// The answer to a question that is asked again whenever what it depends on changes. The last answer stays while the
/// next one is on its way, so that nothing flickers.
pub struct Query<T: Send + Sync + 'static> {
    /// The newest answer; `None` where there is no question or no answer yet.
    pub answer: ReadSignal<Option<T>>,
}

impl<T: Send + Sync + 'static> Clone for Query<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Query<T> {}

impl Session {
    /// Asks `question` whenever its signals change and keeps what `read` takes from the reply and its bytes. Answers
    /// to older questions are dropped; failures become messages.
    pub fn query<T: Send + Sync + 'static>(
        self,
        question: impl Fn() -> Option<Request> + 'static,
        read: impl Fn(Reply, Option<Vec<u8>>) -> Option<T> + Copy + 'static,
    ) -> Query<T> {
        let (answer, set_answer) = signal(None);
        let newest = StoredValue::new(0u32);
        Effect::new(move |_| {
            newest.update_value(|number| *number += 1);
            let number = newest.get_value();
            let Some(request) = question() else { return set_answer.set(None) };
            self.ask(request, &[], move |reply, blob| {
                // The view may be gone by now, and its signals with it.
                if newest.try_get_value() == Some(number) {
                    set_answer.set(read(reply, blob));
                }
            });
        });
        Query { answer }
    }
}
