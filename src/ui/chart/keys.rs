//! What the keys do on a focused chart.

/// A verb of the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAction {
    /// Moves the read-out by so many marks.
    Step(i64),
    /// To the first mark.
    First,
    /// To the last mark.
    Last,
    /// Magnifies around the read mark.
    ZoomIn,
    /// Takes the magnification back.
    ZoomOut,
    /// Moves the zoomed window by half its width: -1 left, 1 right.
    Pan(i8),
    /// Shows everything.
    ResetZoom,
    /// Selects the read mark.
    Select,
    /// Ends a drag, then the zoom, then the read-out.
    Escape,
}

/// The verb of a key (`KeyboardEvent.key`); `None` leaves the key to the page.
pub fn key_action(key: &str, shift: bool, command: bool) -> Option<KeyAction> {
    if command {
        return None;
    }
    Some(match (key, shift) {
        ("ArrowLeft", true) => KeyAction::Pan(-1),
        ("ArrowRight", true) => KeyAction::Pan(1),
        ("ArrowLeft" | "ArrowUp", false) => KeyAction::Step(-1),
        ("ArrowRight" | "ArrowDown", false) => KeyAction::Step(1),
        ("PageUp", _) => KeyAction::Step(-10),
        ("PageDown", _) => KeyAction::Step(10),
        ("Home", _) => KeyAction::First,
        ("End", _) => KeyAction::Last,
        ("+" | "=", _) => KeyAction::ZoomIn,
        ("-" | "_", _) => KeyAction::ZoomOut,
        ("0", _) => KeyAction::ResetZoom,
        ("Enter" | " ", _) => KeyAction::Select,
        ("Escape", _) => KeyAction::Escape,
        _ => return None,
    })
}

/// The index `step` marks away from `now` among `count`, clamped; without one, stepping starts at the near end.
pub fn stepped(now: Option<usize>, step: i64, count: usize) -> Option<usize> {
    let last = i64::try_from(count.checked_sub(1)?).ok()?;
    let next = match now.and_then(|now| i64::try_from(now).ok()) {
        Some(now) => now.saturating_add(step).clamp(0, last),
        None if step >= 0 => 0,
        None => last,
    };
    usize::try_from(next).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_page_are_left_alone() {
        assert_eq!(key_action("ArrowRight", false, false), Some(KeyAction::Step(1)));
        assert_eq!(key_action("ArrowRight", true, false), Some(KeyAction::Pan(1)));
        assert_eq!(key_action("0", false, true), None, "Ctrl+0 is the browser's");
        assert_eq!(key_action("Tab", false, false), None);
    }

    #[test]
    fn stepping_stays_inside() {
        assert_eq!(stepped(None, 1, 5), Some(0));
        assert_eq!(stepped(None, -1, 5), Some(4));
        assert_eq!(stepped(Some(4), 10, 5), Some(4));
        assert_eq!(stepped(Some(0), -1, 5), Some(0));
        assert_eq!(stepped(Some(9), 1, 5), Some(4), "the data shrank");
        assert_eq!(stepped(Some(0), 1, 0), None);
    }
}
