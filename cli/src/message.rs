//! An error as one line.

use crate::{disk, remedy};

/// The message with its causes, the option that is the remedy, and how much room a full disk has.
pub fn of(error: &anyhow::Error) -> String {
    // Causes that only repeat what the message says already are left out.
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.contains(&cause) {
            message.push_str(": ");
            message.push_str(&cause);
        }
    }
    if let Some(option) = remedy::option(error) {
        message.push_str(&format!(" ({option})"));
    }
    if let Some(room) = disk::room(error) {
        message.push_str(&format!("; {room}"));
    }
    message
}
