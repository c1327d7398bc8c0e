//! The module level of PTX: directives, variables, kernels and functions.

use super::ast::{Class, Function, Module, Param, Space, Variable};
use super::body;
use super::cursor::{Cursor, ParseError, Result};
use super::token::Token;

/// Reads a module with the bodies of its functions.
pub fn parse(source: &str) -> std::result::Result<Module, ParseError> {
    module(source, true)
}

/// Reads a module without the bodies: only names and parameters of its kernels, which suffice for
/// counting launches.
pub fn signatures(source: &str) -> std::result::Result<Module, ParseError> {
    module(source, false)
}

fn module(source: &str, bodies: bool) -> Result<Module> {
    let mut cursor = Cursor::new(source)?;
    let mut module = Module::default();
    while let Some(token) = cursor.peek() {
        match token {
            Token::Dot("version") => {
                cursor.next()?;
                let Token::Decimal(version) = cursor.next()? else {
                    return Err(cursor.error("expected a version"));
                };
                let (major, minor) = version.split_once('.').unwrap_or_default();
                module.version =
                    (major.parse().unwrap_or_default(), minor.parse().unwrap_or_default());
            }
            Token::Dot("target") => {
                cursor.next()?;
                cursor.word()?;
                while cursor.take(Token::Comma) {
                    cursor.word()?;
                }
            }
            Token::Dot("address_size") => {
                cursor.next()?;
                if cursor.unsigned()? != 64 {
                    return Err(cursor.error("only 64-bit addresses are supported"));
                }
            }
            Token::Dot("file" | "loc" | "pragma") => debug_line(&mut cursor)?,
            Token::Dot("section") => {
                cursor.next()?;
                cursor.next()?;
                cursor.expect(Token::OpenBrace)?;
                cursor.skip_braces()?;
            }
            Token::Dot("extern" | "visible" | "weak" | "common") => {
                cursor.next()?;
            }
            Token::Dot("entry" | "func") => {
                module.functions.push(function(&mut cursor, bodies)?);
            }
            Token::Dot("global" | "const" | "shared") => {
                module.variables.push(variable(&mut cursor)?);
            }
            Token::Semicolon => {
                cursor.next()?;
            }
            other => {
                cursor.next()?;
                return Err(cursor.error(&format!("{other:?} is not known at module level")));
            }
        }
    }
    Ok(module)
}

/// Skips `.file`, `.loc` and `.pragma`. The first two have no semicolon, so their form determines
/// where they end.
pub(super) fn debug_line(cursor: &mut Cursor<'_>) -> Result<()> {
    match cursor.next()? {
        Token::Dot("file") => {
            cursor.next()?;
            cursor.next()?;
            while cursor.take(Token::Comma) {
                cursor.next()?;
            }
        }
        Token::Dot("loc") => {
            for _ in 0..3 {
                cursor.next()?;
            }
            while cursor.take(Token::Comma) {
                match cursor.word()? {
                    "function_name" => {
                        cursor.next()?;
                        if cursor.take(Token::Plus) {
                            cursor.next()?;
                        }
                    }
                    "inlined_at" => {
                        for _ in 0..3 {
                            cursor.next()?;
                        }
                    }
                    other => {
                        return Err(cursor.error(&format!("'{other}' is not known after .loc")));
                    }
                }
            }
        }
        _ => while cursor.next()? != Token::Semicolon {},
    }
    Ok(())
}

/// Returns the number of bytes of a type that can be stored.
pub(super) fn type_size(name: &str) -> Option<usize> {
    Some(match name {
        "b8" | "u8" | "s8" | "e4m3" | "e5m2" => 1,
        "b16" | "u16" | "s16" | "f16" | "bf16" => 2,
        "b32" | "u32" | "s32" | "f32" | "f16x2" | "bf16x2" | "tf32" => 4,
        "b64" | "u64" | "s64" | "f64" => 8,
        "b128" => 16,
        _ => return None,
    })
}

pub(super) fn type_class(name: &str) -> Option<Class> {
    match name {
        "pred" => Some(Class::Pred),
        _ => match type_size(name)? {
            1..=4 => Some(Class::B32),
            8 => Some(Class::B64),
            _ => None,
        },
    }
}

/// Reads `.param .align 8 .b8 name[24]`, `.param .u64 .ptr .align 1 name` and the like.
fn param(cursor: &mut Cursor<'_>) -> Result<Param> {
    let (mut size, mut align) = (0, 0);
    loop {
        match cursor.next()? {
            Token::Dot("param" | "ptr" | "global" | "const" | "shared" | "local" | "generic")
            | Token::Dot("reg") => {}
            Token::Dot("align") => {
                let n = cursor.unsigned()? as usize;
                // After `.ptr` it is the alignment of the target.
                if size == 0 {
                    align = n;
                }
            }
            Token::Dot(ty) => {
                size = type_size(ty)
                    .ok_or_else(|| cursor.error(&format!(".{ty} is not a parameter's type")))?;
            }
            Token::Word(name) => {
                let unit = size;
                if cursor.take(Token::OpenBracket) {
                    size *= cursor.unsigned()? as usize;
                    cursor.expect(Token::CloseBracket)?;
                }
                return Ok(Param { name: name.to_owned(), size, align: align.max(unit).max(1) });
            }
            other => return Err(cursor.error(&format!("{other:?} is not known in a parameter"))),
        }
    }
}

fn params(cursor: &mut Cursor<'_>) -> Result<Vec<Param>> {
    let mut list = Vec::new();
    if !cursor.take(Token::OpenParen) {
        return Ok(list);
    }
    while !cursor.take(Token::CloseParen) {
        list.push(param(cursor)?);
        cursor.take(Token::Comma);
    }
    Ok(list)
}

fn function(cursor: &mut Cursor<'_>, bodies: bool) -> Result<Function> {
    let entry = cursor.next()? == Token::Dot("entry");
    let returns = if entry { Vec::new() } else { params(cursor)? };
    let name = cursor.word()?.to_owned();
    let params = params(cursor)?;
    let mut function = Function { name, entry, params, returns, ..Function::default() };
    loop {
        match cursor.next()? {
            Token::Semicolon => return Ok(function),
            Token::OpenBrace if bodies => {
                function.has_body = true;
                body::read(cursor, &mut function)?;
                return Ok(function);
            }
            Token::OpenBrace => {
                function.has_body = true;
                cursor.skip_braces()?;
                return Ok(function);
            }
            Token::Dot("maxntid" | "reqntid") => {
                let mut threads = cursor.unsigned()?;
                while cursor.take(Token::Comma) {
                    threads *= cursor.unsigned()?;
                }
                function.max_threads = threads as u32;
            }
            Token::Dot("minnctapersm" | "maxnreg" | "maxnctapersm") => {
                cursor.unsigned()?;
            }
            Token::Dot("reqnctapercluster") => {
                let mut blocks = cursor.unsigned()?;
                while cursor.take(Token::Comma) {
                    blocks *= cursor.unsigned()?;
                }
                if blocks > 1 {
                    return Err(cursor.error("clusters of several blocks are not supported"));
                }
            }
            Token::Dot("noreturn" | "explicitcluster") => {}
            Token::Dot("pragma") => while cursor.next()? != Token::Semicolon {},
            other => {
                return Err(cursor.error(&format!("{other:?} is not known before a function body")));
            }
        }
    }
}

/// Reads a variable including its semicolon: `.shared .align 16 .b8 name[1024];`, `.global .u32
/// name = 1;`.
pub(super) fn variable(cursor: &mut Cursor<'_>) -> Result<Variable> {
    let space = match cursor.next()? {
        Token::Dot("global") => Space::Global,
        Token::Dot("const") => Space::Const,
        Token::Dot("shared") => Space::Shared,
        Token::Dot("local") => Space::Local,
        Token::Dot("param") => Space::Param,
        other => return Err(cursor.error(&format!("{other:?} is not a state space"))),
    };
    let (mut align, mut unit, mut vector) = (0, 0, 1);
    let name = loop {
        match cursor.next()? {
            Token::Dot("align") => align = cursor.unsigned()? as usize,
            Token::Dot("v2") => vector = 2,
            Token::Dot("v4") => vector = 4,
            Token::Dot("attribute") => {
                cursor.expect(Token::OpenParen)?;
                while cursor.next()? != Token::CloseParen {}
            }
            Token::Dot(ty) => {
                unit = type_size(ty)
                    .ok_or_else(|| cursor.error(&format!(".{ty} is not a variable's type")))?;
            }
            Token::Word(name) => break name.to_owned(),
            other => return Err(cursor.error(&format!("{other:?} is not known in a variable"))),
        }
    };
    let (element, mut size) = (unit, unit * vector);
    while cursor.take(Token::OpenBracket) {
        if cursor.take(Token::CloseBracket) {
            size = 0;
            continue;
        }
        size *= cursor.unsigned()? as usize;
        cursor.expect(Token::CloseBracket)?;
    }
    let mut init = Vec::new();
    let initialised = cursor.take(Token::Equals);
    if initialised {
        initial(cursor, element, &mut init)?;
        size = size.max(init.len());
    }
    cursor.expect(Token::Semicolon)?;
    let align = align.max(unit * vector);
    Ok(Variable { name, space, align, size, init, initialised })
}

fn initial(cursor: &mut Cursor<'_>, unit: usize, bytes: &mut Vec<u8>) -> Result<()> {
    if cursor.take(Token::OpenBrace) {
        while !cursor.take(Token::CloseBrace) {
            initial(cursor, unit, bytes)?;
            cursor.take(Token::Comma);
        }
        return Ok(());
    }
    let value = match super::body::immediate(cursor)? {
        Some(super::ast::Imm::Int(value)) => value,
        Some(super::ast::Imm::F32(bits)) => u64::from(bits),
        Some(super::ast::Imm::F64(bits)) => bits,
        None => return Err(cursor.error("an initial value must be a number")),
    };
    bytes.extend_from_slice(&value.to_le_bytes()[..unit.min(8)]);
    Ok(())
}
