//! Theme and pixel ratio as signals, once for the page.

use crate::chart::{Brightness, Theme};
use crate::platform::theme::{
    ThemeChoice, set_page_theme, store_choice, stored_choice, watch_media, watch_pixel_ratio,
};
use leptos::prelude::*;

/// How the page looks.
#[derive(Clone, Copy)]
pub struct Appearance {
    /// What the user wants; setting it dresses the page and is remembered.
    pub choice: RwSignal<ThemeChoice>,
    /// The painted colours.
    pub theme: Memo<Theme>,
    /// Device pixels per CSS pixel.
    pub pixel_ratio: ReadSignal<f64>,
}

/// Starts watching the system and provides [`Appearance`] as context. Call it once, in the root component.
pub fn provide_appearance() -> Appearance {
    let choice = RwSignal::new(stored_choice());
    let system_dark = RwSignal::new(false);
    let (pixel_ratio, set_pixel_ratio) = signal(1.0);
    // Without media queries or a window the page is light and one pixel is one pixel; the watches live as long as the
    // root, by the stored value.
    let scheme = watch_media("(prefers-color-scheme: dark)", move |dark| system_dark.set(dark)).ok();
    let ratio = watch_pixel_ratio(move |ratio| set_pixel_ratio.set(ratio)).ok();
    StoredValue::new_local((scheme, ratio));
    let theme = Memo::new(move |_| {
        let dark = match choice.get() {
            ThemeChoice::System => system_dark.get(),
            ThemeChoice::Light => false,
            ThemeChoice::Dark => true,
        };
        Theme::of(if dark { Brightness::Dark } else { Brightness::Light })
    });
    Effect::new(move |_| {
        if let Err(error) = set_page_theme(theme.get().brightness == Brightness::Dark) {
            leptos::logging::warn!("{error}");
        }
    });
    Effect::new(move |earlier: Option<ThemeChoice>| {
        let now = choice.get();
        if earlier.is_some_and(|earlier| earlier != now)
            && let Err(error) = store_choice(now)
        {
            leptos::logging::warn!("{error}");
        }
        now
    });
    let appearance = Appearance { choice, theme, pixel_ratio };
    provide_context(appearance);
    appearance
}

/// The page's appearance; a chart outside of the application (a test) starts its own.
pub fn use_appearance() -> Appearance {
    use_context().unwrap_or_else(provide_appearance)
}
