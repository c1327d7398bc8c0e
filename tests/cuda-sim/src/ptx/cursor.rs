//! A position in the token stream, with errors that name the line.

use super::token::{Spanned, Token, tokens};

/// PTX text that could not be read.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("PTX line {line}: {message}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: u32,
    /// The problem.
    pub message: String,
}

pub(super) type Result<T> = std::result::Result<T, ParseError>;

pub(super) struct Cursor<'s> {
    source: &'s str,
    tokens: Vec<Spanned<'s>>,
    line_starts: Vec<usize>,
    at: usize,
}

impl<'s> Cursor<'s> {
    pub(super) fn new(source: &'s str) -> Result<Self> {
        let line_starts =
            std::iter::once(0).chain(source.match_indices('\n').map(|(i, _)| i + 1)).collect();
        let mut cursor = Cursor { source, tokens: Vec::new(), line_starts, at: 0 };
        match tokens(source) {
            Ok(tokens) => cursor.tokens = tokens,
            Err(byte) => {
                let rest: String = source[byte..].chars().take(20).collect();
                return Err(ParseError {
                    line: cursor.line_of(byte),
                    message: format!("'{rest}' is not a token of PTX"),
                });
            }
        }
        Ok(cursor)
    }

    fn line_of(&self, byte: usize) -> u32 {
        self.line_starts.partition_point(|&start| start <= byte) as u32
    }

    pub(super) fn line(&self) -> u32 {
        let last = self.tokens.last().map_or(0, |t| t.start);
        self.line_of(self.tokens.get(self.at).map_or(last, |t| t.start))
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Returns the source from the token at `from` up to the last one consumed, with single spaces.
    pub(super) fn text_since(&self, from: usize) -> String {
        let (start, end) = (self.tokens[from].start, self.tokens[self.at.max(1) - 1].end);
        self.source[start..end].split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub(super) fn peek(&self) -> Option<Token<'s>> {
        self.tokens.get(self.at).map(|t| t.token)
    }

    pub(super) fn peek_after(&self, n: usize) -> Option<Token<'s>> {
        self.tokens.get(self.at + n).map(|t| t.token)
    }

    /// Returns whether there is no space between the last token consumed and the next one.
    pub(super) fn adjacent(&self) -> bool {
        self.at > 0
            && self.at < self.tokens.len()
            && self.tokens[self.at - 1].end == self.tokens[self.at].start
    }

    pub(super) fn next(&mut self) -> Result<Token<'s>> {
        match self.peek() {
            Some(token) => {
                self.at += 1;
                Ok(token)
            }
            None => Err(self.error("the text ends in the middle of a statement")),
        }
    }

    pub(super) fn take(&mut self, wanted: Token<'_>) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, wanted: Token<'_>) -> Result<()> {
        if self.take(wanted) {
            return Ok(());
        }
        Err(self.error(&format!("expected {wanted:?}, found {:?}", self.peek())))
    }

    pub(super) fn word(&mut self) -> Result<&'s str> {
        match self.next()? {
            Token::Word(word) => Ok(word),
            other => Err(self.error(&format!("expected a name, found {other:?}"))),
        }
    }

    pub(super) fn unsigned(&mut self) -> Result<u64> {
        match self.next()? {
            Token::Int(text) => integer(text).ok_or_else(|| self.error("number too large")),
            other => Err(self.error(&format!("expected a number, found {other:?}"))),
        }
    }

    /// Skips to the end of a `{ ... }` whose opening brace has been consumed.
    pub(super) fn skip_braces(&mut self) -> Result<()> {
        let mut depth = 1;
        while depth > 0 {
            match self.next()? {
                Token::OpenBrace => depth += 1,
                Token::CloseBrace => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn error(&self, message: &str) -> ParseError {
        let at = self.at.min(self.tokens.len()).saturating_sub(1);
        let line = self.tokens.get(at).map_or(1, |t| self.line_of(t.start));
        ParseError { line, message: message.to_owned() }
    }
}

/// Reads an integer literal of PTX.
pub(super) fn integer(text: &str) -> Option<u64> {
    let text = text.trim_end_matches('U');
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(hex, 16).ok();
    }
    if text.len() > 1 && text.starts_with('0') {
        return u64::from_str_radix(&text[1..], 8).ok();
    }
    text.parse().ok()
}
