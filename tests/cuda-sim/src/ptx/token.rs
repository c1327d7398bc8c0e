//! Tokens of PTX text.

use logos::Logos;

/// One token. Text is borrowed from the source.
#[derive(Logos, Debug, Clone, Copy, PartialEq, Eq)]
#[logos(skip r"[ \t\r\n\f]+")]
#[logos(skip(r"//[^\n]*", allow_greedy = true))]
#[logos(skip r"/\*([^*]|\*+[^*/])*\*+/")]
pub enum Token<'s> {
    /// A name: a register, a label, a variable, or the first part of an opcode.
    #[regex(r"[a-zA-Z_$%][a-zA-Z0-9_$]*")]
    Word(&'s str),
    /// A directive or a modifier, without its leading dot: `reg`, `global`, `L2::128B`.
    #[regex(r"\.[a-zA-Z0-9_]+(::[a-zA-Z0-9_]+)*", |l| &l.slice()[1..])]
    Dot(&'s str),
    /// An integer: decimal, hexadecimal or octal, optionally with a trailing `U`.
    #[regex(r"[0-9]+U?")]
    #[regex(r"0[xX][0-9a-fA-F]+U?")]
    Int(&'s str),
    /// The bits of an f32 in hexadecimal: `0f3F800000`.
    #[regex(r"0[fF][0-9a-fA-F]{8}")]
    F32(&'s str),
    /// The bits of an f64 in hexadecimal: `0d3FF0000000000000`.
    #[regex(r"0[dD][0-9a-fA-F]{16}")]
    F64(&'s str),
    /// A decimal fraction: `1.5`, and the version `9.5`.
    #[regex(r"[0-9]+\.[0-9]+([eE][+-]?[0-9]+)?")]
    Decimal(&'s str),
    /// A string, with its quotes.
    #[regex(r#""[^"]*""#)]
    Text(&'s str),
    /// `,`
    #[token(",")]
    Comma,
    /// `;`
    #[token(";")]
    Semicolon,
    /// `:`
    #[token(":")]
    Colon,
    /// `{`
    #[token("{")]
    OpenBrace,
    /// `}`
    #[token("}")]
    CloseBrace,
    /// `(`
    #[token("(")]
    OpenParen,
    /// `)`
    #[token(")")]
    CloseParen,
    /// `[`
    #[token("[")]
    OpenBracket,
    /// `]`
    #[token("]")]
    CloseBracket,
    /// `<`
    #[token("<")]
    Less,
    /// `>`
    #[token(">")]
    Greater,
    /// `+`
    #[token("+")]
    Plus,
    /// `-`
    #[token("-")]
    Minus,
    /// `@`
    #[token("@")]
    At,
    /// `!`
    #[token("!")]
    Not,
    /// `|`
    #[token("|")]
    Bar,
    /// `=`
    #[token("=")]
    Equals,
}

/// A token and the byte range of the source that it covers.
#[derive(Debug, Clone, Copy)]
pub struct Spanned<'s> {
    /// The token.
    pub token: Token<'s>,
    /// First byte.
    pub start: usize,
    /// End, exclusive.
    pub end: usize,
}

/// Splits PTX text into tokens. The error is the byte offset of text that is not a token.
pub fn tokens(source: &str) -> Result<Vec<Spanned<'_>>, usize> {
    Token::lexer(source)
        .spanned()
        .map(|(token, span)| match token {
            Ok(token) => Ok(Spanned { token, start: span.start, end: span.end }),
            Err(()) => Err(span.start),
        })
        .collect()
}
