//! The files of the page, which are part of the program.

/// Returns a file of the page and its type.
pub(crate) fn asset(name: &str) -> Option<(&'static [u8], &'static str)> {
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    macro_rules! files {
        ($($name:literal $kind:expr),* $(,)?) => {
            match name {
                $($name => Some((include_bytes!(concat!("../page/", $name)), $kind)),)*
                _ => None,
            }
        };
    }
    files! {
        "index.html" "text/html; charset=utf-8",
        "page.css" "text/css; charset=utf-8",
        "actions.js" SCRIPT,
        "api.js" SCRIPT,
        "candidates.js" SCRIPT,
        "canvas.js" SCRIPT,
        "dialogs.js" SCRIPT,
        "dom.js" SCRIPT,
        "events.js" SCRIPT,
        "flags.js" SCRIPT,
        "frames.js" SCRIPT,
        "history.js" SCRIPT,
        "icons.js" SCRIPT,
        "keys.js" SCRIPT,
        "list.js" SCRIPT,
        "masks.js" SCRIPT,
        "objects.js" SCRIPT,
        "page.js" SCRIPT,
        "place.js" SCRIPT,
        "player.js" SCRIPT,
        "prompts.js" SCRIPT,
        "queue.js" SCRIPT,
        "spans.js" SCRIPT,
        "status.js" SCRIPT,
        "store.js" SCRIPT,
        "thumbnails.js" SCRIPT,
        "timeline.js" SCRIPT,
        "tone.js" SCRIPT,
        "tools.js" SCRIPT,
        "tracking.js" SCRIPT,
        "travel.js" SCRIPT,
        "types.js" SCRIPT,
    }
}
