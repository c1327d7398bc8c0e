//! Reads PTX text.
//!
//! [`parse`] returns a [`Module`] in which the names of registers and labels are resolved,
//! including those that an inline assembly block `{ ... }` declares for itself. The meaning of
//! instructions is not considered here but in `exec::decode`.

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
