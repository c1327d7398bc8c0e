//! Reads PTX text.
//!
//! [`parse`] gives a [`Module`] in which the names of registers and labels are resolved, also those that an inline assembly block `{ ... }` declares for itself.
//! What an instruction does is not looked at here: `exec::decode` does that.

mod ast;
mod body;
mod cursor;
mod parse;
mod token;

pub use ast::*;
pub use cursor::ParseError;
pub use parse::{parse, signatures};

#[cfg(test)]
mod tests;
