//! The thread that reads every frame of the run once, and follows what is added to the file.

use std::sync::Weak;
use std::time::Duration;

use crate::desk::{Desk, Event};
use crate::error::ReviewError;

/// Frames that are read before others get their turn.
const AT_A_TIME: usize = 500;
/// How often the run file is looked at.
const PAUSE: Duration = Duration::from_millis(150);

/// Reads all frames once, and then follows what is added to the run file, until the desk is gone.
pub(crate) fn keep_up(desk: &Weak<Desk>) {
    loop {
        let Some(desk) = desk.upgrade() else { return };
        let before = desk.facts().known;
        if let Err(error) = step(&desk) {
            desk.set_message(Some(error.to_string()));
            std::thread::sleep(Duration::from_secs(2));
        }
        let known = desk.facts().known;
        let all = desk.run().frames_there();
        if known != before && (known == all || known.is_multiple_of(AT_A_TIME * 20)) {
            desk.tell(Event::State);
        }
        drop(desk);
        if known >= all {
            std::thread::sleep(PAUSE);
        }
    }
}

fn step(desk: &Desk) -> Result<(), ReviewError> {
    let first = desk.header.frames.start;
    let known = desk.facts().known;
    let mut changed = desk.refresh()?;
    changed.extend(desk.taken_up(AT_A_TIME));
    note(desk, changed.into_iter().filter(|frame| *frame < first + known))?;
    let all = desk.run().frames_there();
    for at in known..all.min(known + AT_A_TIME) {
        let mut run = desk.run();
        let computed = run.frame_after(first + at, 0)?;
        let now = run.frame(first + at)?;
        drop(run);
        desk.change_facts(|facts| {
            facts.note(at, &now.map(|frame| frame.objects).unwrap_or_default());
            facts.note_first(at, &computed.map(|frame| frame.objects).unwrap_or_default());
        });
    }
    Ok(())
}

/// Reads the facts of some frames again.
pub(crate) fn note(
    desk: &Desk,
    frames: impl IntoIterator<Item = usize>,
) -> Result<(), ReviewError> {
    let first = desk.header.frames.start;
    for frame in frames {
        let Some(at) = frame.checked_sub(first) else { continue };
        let now = desk.run().frame(frame)?;
        desk.change_facts(|facts| facts.note(at, &now.map(|f| f.objects).unwrap_or_default()));
    }
    Ok(())
}
