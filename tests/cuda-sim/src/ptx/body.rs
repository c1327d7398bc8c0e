//! Function bodies: declarations, scopes, instructions and labels.

use std::collections::HashMap;

use super::ast::{Class, Function, Imm, Operand, Reg, Statement, Variable};
use super::cursor::{Cursor, Result, integer};
use super::parse::{debug_line, type_class, variable};
use super::token::Token;

/// One `{ ... }`: its own registers and labels, and the enclosing scope.
#[derive(Default)]
struct Scope {
    parent: Option<usize>,
    registers: HashMap<String, Reg>,
    labels: HashMap<String, u32>,
    tables: HashMap<String, Vec<String>>,
    /// Variables declared in this scope, with the names that make them unique in the function.
    variables: HashMap<String, String>,
}

struct Body<'f> {
    function: &'f mut Function,
    scopes: Vec<Scope>,
    current: usize,
    /// The scope of each instruction.
    scope_of: Vec<usize>,
    /// The used bytes of the next instruction, as stated by a pragma.
    used_bytes: Option<u64>,
}

/// Reads a body up to and including its closing brace. The opening brace has already been consumed.
pub(super) fn read(cursor: &mut Cursor<'_>, function: &mut Function) -> Result<()> {
    let mut body = Body {
        function,
        scopes: vec![Scope::default()],
        current: 0,
        scope_of: Vec::new(),
        used_bytes: None,
    };
    while let Some(current) = body.statement(cursor)? {
        body.current = current;
    }
    body.resolve_labels(cursor)
}

impl Body<'_> {
    /// Reads one statement. Returns the scope that follows it; `None` after the function's closing
    /// brace.
    fn statement(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<usize>> {
        match cursor.peek() {
            Some(Token::OpenBrace) => {
                cursor.next()?;
                self.scopes.push(Scope { parent: Some(self.current), ..Scope::default() });
                return Ok(Some(self.scopes.len() - 1));
            }
            Some(Token::CloseBrace) => {
                cursor.next()?;
                return Ok(self.scopes[self.current].parent);
            }
            Some(Token::Semicolon) => {
                cursor.next()?;
            }
            Some(Token::Dot("reg")) => self.registers(cursor)?,
            Some(Token::Dot("loc" | "file")) => debug_line(cursor)?,
            Some(Token::Dot("pragma")) => self.pragma(cursor)?,
            Some(Token::Dot("shared" | "local" | "param" | "global" | "const")) => {
                let variable = variable(cursor)?;
                self.declare(variable);
            }
            Some(Token::Word(name)) if cursor.peek_after(1) == Some(Token::Colon) => {
                cursor.next()?;
                cursor.next()?;
                self.label(cursor, name)?;
            }
            _ => self.instruction(cursor)?,
        }
        Ok(Some(self.current))
    }

    fn label(&mut self, cursor: &mut Cursor<'_>, name: &str) -> Result<()> {
        if cursor.take(Token::Dot("branchtargets")) {
            let mut targets = Vec::new();
            loop {
                targets.push(cursor.word()?.to_owned());
                if !cursor.take(Token::Comma) {
                    break;
                }
            }
            cursor.expect(Token::Semicolon)?;
            self.scopes[self.current].tables.insert(name.to_owned(), targets);
            return Ok(());
        }
        let at = self.function.code.len() as u32;
        if self.scopes[self.current].labels.insert(name.to_owned(), at).is_some() {
            return Err(cursor.error(&format!("the label {name} is defined twice")));
        }
        Ok(())
    }

    /// Reads a pragma: a list of texts, all but one of which are hints. NVRTC may make a load wider
    /// than the part that is used; this pragma gives a mask of the used bytes.
    fn pragma(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        cursor.next()?;
        loop {
            match cursor.next()? {
                Token::Text(text) => {
                    let mut words = text.trim_matches('"').split_whitespace();
                    if words.next() != Some("used_bytes_mask") {
                        continue;
                    }
                    let mask = words.next().and_then(integer);
                    let mask = mask.ok_or_else(|| cursor.error("a mask of bytes is missing"))?;
                    self.used_bytes = Some(mask);
                }
                Token::Comma => {}
                Token::Semicolon => return Ok(()),
                other => return Err(cursor.error(&format!("{other:?} is not known in a pragma"))),
            }
        }
    }

    /// Reads `.reg .b32 %r<58>;` or `.reg .pred p, q;`.
    fn registers(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        cursor.next()?;
        let Token::Dot(mut ty) = cursor.next()? else {
            return Err(cursor.error("expected a register's type"));
        };
        if matches!(ty, "v2" | "v4") {
            return Err(cursor.error("registers of vectors are not supported"));
        }
        if ty == "b128" {
            ty = "";
        }
        let class = type_class(ty).ok_or_else(|| cursor.error("not a register's type"))?;
        loop {
            let name = cursor.word()?;
            if cursor.take(Token::Less) {
                let count = cursor.unsigned()?;
                cursor.expect(Token::Greater)?;
                for i in 0..count {
                    self.register(format!("{name}{i}"), class);
                }
            } else {
                self.register(name.to_owned(), class);
            }
            if !cursor.take(Token::Comma) {
                return cursor.expect(Token::Semicolon);
            }
        }
    }

    fn register(&mut self, name: String, class: Class) {
        let reg = Reg(self.function.registers.len() as u32);
        self.function.registers.push(class);
        self.scopes[self.current].registers.insert(name, reg);
    }

    /// Adds a variable under a name that is unique in the function, because every call declares its
    /// own `param0`.
    fn declare(&mut self, mut variable: Variable) {
        let known = self.function.variables.iter().any(|v| v.name == variable.name);
        let given = variable.name.clone();
        if known {
            variable.name = format!("{given}#{}", self.function.variables.len());
        }
        self.scopes[self.current].variables.insert(given, variable.name.clone());
        self.function.variables.push(variable);
    }

    fn find_variable<'a>(&'a self, name: &'a str) -> &'a str {
        let mut scope = Some(self.current);
        while let Some(index) = scope {
            if let Some(unique) = self.scopes[index].variables.get(name) {
                return unique;
            }
            scope = self.scopes[index].parent;
        }
        name
    }

    fn find_register(&self, name: &str) -> Option<Reg> {
        let mut scope = Some(self.current);
        while let Some(index) = scope {
            if let Some(&reg) = self.scopes[index].registers.get(name) {
                return Some(reg);
            }
            scope = self.scopes[index].parent;
        }
        None
    }

    fn instruction(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        let (from, line) = (cursor.position(), cursor.line());
        let mut guard = None;
        if cursor.take(Token::At) {
            let negated = cursor.take(Token::Not);
            let name = cursor.word()?;
            let reg = self
                .find_register(name)
                .ok_or_else(|| cursor.error(&format!("the predicate {name} is not declared")))?;
            guard = Some((reg, negated));
        }
        let mut opcode = vec![cursor.word()?.to_owned()];
        while let Some(Token::Dot(part)) = cursor.peek() {
            cursor.next()?;
            opcode.push(part.to_owned());
        }
        let mut operands = Vec::new();
        while !cursor.take(Token::Semicolon) {
            operands.push(self.operand(cursor)?);
            if !cursor.take(Token::Comma) {
                cursor.expect(Token::Semicolon)?;
                break;
            }
        }
        let text = cursor.text_since(from);
        let used_bytes = self.used_bytes.take();
        self.function.code.push(Statement { guard, opcode, operands, used_bytes, line, text });
        self.scope_of.push(self.current);
        Ok(())
    }

    fn operand(&self, cursor: &mut Cursor<'_>) -> Result<Operand> {
        let first = self.single(cursor)?;
        if cursor.take(Token::Bar) {
            let second = self.single(cursor)?;
            return Ok(Operand::Pair(Box::new(first), Box::new(second)));
        }
        Ok(first)
    }

    fn list(&self, cursor: &mut Cursor<'_>, end: Token<'_>) -> Result<Vec<Operand>> {
        let mut items = Vec::new();
        while !cursor.take(end) {
            items.push(self.operand(cursor)?);
            if !cursor.take(Token::Comma) {
                cursor.expect(end)?;
                break;
            }
        }
        Ok(items)
    }

    fn single(&self, cursor: &mut Cursor<'_>) -> Result<Operand> {
        if let Some(number) = immediate(cursor)? {
            return Ok(Operand::Imm(number));
        }
        match cursor.next()? {
            Token::OpenBrace => Ok(Operand::Vector(self.list(cursor, Token::CloseBrace)?)),
            Token::OpenParen => Ok(Operand::Parens(self.list(cursor, Token::CloseParen)?)),
            Token::OpenBracket => self.address(cursor),
            Token::Not => match self.single(cursor)? {
                Operand::Reg(reg) => Ok(Operand::NotReg(reg)),
                _ => Err(cursor.error("'!' must stand before a predicate")),
            },
            Token::Word("_") => Ok(Operand::Sink),
            Token::Word(name) => self.named(cursor, name),
            other => Err(cursor.error(&format!("{other:?} is not an operand"))),
        }
    }

    fn named(&self, cursor: &mut Cursor<'_>, name: &str) -> Result<Operand> {
        if let Some(reg) = self.find_register(name) {
            return Ok(Operand::Reg(reg));
        }
        if name == "WARP_SZ" {
            return Ok(Operand::Imm(Imm::Int(32)));
        }
        if let Some(special) = name.strip_prefix('%') {
            let mut special = special.to_owned();
            if let (Some(Token::Dot(axis)), true) = (cursor.peek(), cursor.adjacent()) {
                cursor.next()?;
                special = format!("{special}.{axis}");
            }
            return Ok(Operand::Special(special));
        }
        let offset = self.offset(cursor)?;
        Ok(Operand::Symbol(self.find_variable(name).to_owned(), offset))
    }

    fn offset(&self, cursor: &mut Cursor<'_>) -> Result<i64> {
        let sign = match cursor.peek() {
            Some(Token::Plus) => 1,
            Some(Token::Minus) => -1,
            _ => return Ok(0),
        };
        cursor.next()?;
        let negative = cursor.take(Token::Minus);
        let value = cursor.unsigned()? as i64;
        Ok(if negative { -sign * value } else { sign * value })
    }

    fn address(&self, cursor: &mut Cursor<'_>) -> Result<Operand> {
        let mut base = self.single(cursor)?;
        let mut offset = self.offset(cursor)?;
        if let Operand::Symbol(name, inner) = base {
            offset += inner;
            base = Operand::Symbol(name, 0);
        }
        let address = Operand::Address(Box::new(base), offset);
        if !cursor.take(Token::Comma) {
            cursor.expect(Token::CloseBracket)?;
            return Ok(address);
        }
        let mut parts = vec![address];
        parts.extend(self.list(cursor, Token::CloseBracket)?);
        Ok(Operand::AddressList(parts))
    }

    /// Replaces the names of branch targets by indices into the code.
    fn resolve_labels(&mut self, cursor: &Cursor<'_>) -> Result<()> {
        for (index, statement) in self.function.code.iter_mut().enumerate() {
            if !matches!(statement.opcode[0].as_str(), "bra" | "brx") {
                continue;
            }
            for operand in &mut statement.operands {
                let Operand::Symbol(name, _) = operand else { continue };
                let mut scope = Some(self.scope_of[index]);
                let mut found = None;
                while let (Some(at), None) = (scope, &found) {
                    let here = &self.scopes[at];
                    found = here.labels.get(name.as_str()).map(|&l| Operand::Label(l));
                    if let Some(names) = here.tables.get(name.as_str()) {
                        let targets = names.iter().map(|n| here.labels.get(n).copied());
                        found = targets.collect::<Option<Vec<_>>>().map(Operand::Labels);
                    }
                    scope = here.parent;
                }
                *operand = found.ok_or_else(|| {
                    let mut error = cursor.error(&format!("the label {name} is not defined"));
                    error.line = statement.line;
                    error
                })?;
            }
        }
        Ok(())
    }
}

/// Reads a number if one comes next.
pub(super) fn immediate(cursor: &mut Cursor<'_>) -> Result<Option<Imm>> {
    let negative = cursor.peek() == Some(Token::Minus);
    let token = if negative { cursor.peek_after(1) } else { cursor.peek() };
    let number = match token {
        Some(Token::Int(text)) => {
            let value = integer(text).ok_or_else(|| cursor.error("number too large"))?;
            Imm::Int(if negative { value.wrapping_neg() } else { value })
        }
        Some(Token::F32(text)) => {
            let bits = u32::from_str_radix(&text[2..], 16).unwrap_or_default();
            Imm::F32(if negative { bits ^ 1 << 31 } else { bits })
        }
        Some(Token::F64(text)) => {
            let bits = u64::from_str_radix(&text[2..], 16).unwrap_or_default();
            Imm::F64(if negative { bits ^ 1 << 63 } else { bits })
        }
        Some(Token::Decimal(text)) => {
            let value: f64 = text.parse().unwrap_or_default();
            Imm::F64(if negative { -value } else { value }.to_bits())
        }
        _ => return Ok(None),
    };
    cursor.next()?;
    if negative {
        cursor.next()?;
    }
    Ok(Some(number))
}
