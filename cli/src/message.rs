//! Formats an error as one line.

use crate::{disk, remedy};

/// Returns the message with its causes, the name that a misspelt one was meant to be, the option
/// that helps, and the free space if a disk is full.
pub fn of(error: &anyhow::Error) -> String {
    // Causes whose text the message already contains are left out.
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.contains(&cause) {
            message.push_str(": ");
            message.push_str(&cause);
        }
    }
    message.push_str(&remedy::meant(error));
    if let Some(option) = remedy::option(error) {
        message.push_str(&format!(" ({option})"));
    }
    if let Some(room) = disk::room(error) {
        message.push_str(&format!("; {room}"));
    }
    message
}
