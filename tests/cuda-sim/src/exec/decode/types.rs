//! Types and modifiers of opcodes.

use crate::exec::float::Round;

/// A type of PTX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Ty {
    Pred,
    B8,
    U8,
    S8,
    B16,
    U16,
    S16,
    F16,
    F16x2,
    Bf16,
    Bf16x2,
    B32,
    U32,
    S32,
    F32,
    Tf32,
    B64,
    U64,
    S64,
    F64,
}

impl Ty {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "pred" => Ty::Pred,
            "b8" => Ty::B8,
            "u8" => Ty::U8,
            "s8" => Ty::S8,
            "b16" => Ty::B16,
            "u16" => Ty::U16,
            "s16" => Ty::S16,
            "f16" => Ty::F16,
            "f16x2" => Ty::F16x2,
            "bf16" => Ty::Bf16,
            "bf16x2" => Ty::Bf16x2,
            "b32" => Ty::B32,
            "u32" => Ty::U32,
            "s32" => Ty::S32,
            "f32" => Ty::F32,
            "tf32" => Ty::Tf32,
            "b64" => Ty::B64,
            "u64" => Ty::U64,
            "s64" => Ty::S64,
            "f64" => Ty::F64,
            _ => return None,
        })
    }

    /// Returns the number of bytes of a value.
    pub fn bytes(self) -> usize {
        match self {
            Ty::Pred | Ty::B8 | Ty::U8 | Ty::S8 => 1,
            Ty::B16 | Ty::U16 | Ty::S16 | Ty::F16 | Ty::Bf16 => 2,
            Ty::F16x2 | Ty::Bf16x2 | Ty::B32 | Ty::U32 | Ty::S32 | Ty::F32 | Ty::Tf32 => 4,
            Ty::B64 | Ty::U64 | Ty::S64 | Ty::F64 => 8,
        }
    }

    /// Returns whether the type needs a 64-bit register.
    pub fn wide(self) -> bool {
        self.bytes() == 8
    }

    /// Returns whether the type is a signed integer.
    pub fn signed(self) -> bool {
        matches!(self, Ty::S8 | Ty::S16 | Ty::S32 | Ty::S64)
    }

    /// Returns whether the type is a signed or unsigned integer, or bits.
    pub fn integer(self) -> bool {
        !self.float() && self != Ty::Pred
    }

    /// Returns whether the type is a floating-point number.
    pub fn float(self) -> bool {
        matches!(self, Ty::F16 | Ty::F16x2 | Ty::Bf16 | Ty::Bf16x2 | Ty::F32 | Ty::Tf32 | Ty::F64)
    }
}

/// The parts of an opcode after its first. Decoders must query each of them, so that none is
/// overlooked.
pub struct Mods<'a> {
    parts: &'a [String],
    used: u32,
}

impl<'a> Mods<'a> {
    /// Takes the parts after the first.
    pub fn new(opcode: &'a [String]) -> Self {
        Self { parts: &opcode[1..], used: 0 }
    }

    /// Returns whether a modifier is present.
    pub fn has(&mut self, name: &str) -> bool {
        match self.parts.iter().position(|part| part == name) {
            Some(at) => {
                self.used |= 1 << at;
                true
            }
            None => false,
        }
    }

    /// Returns whether a modifier that may occur twice is present again.
    pub fn has_unused(&mut self, name: &str) -> bool {
        let at =
            (0..self.parts.len()).find(|&at| self.used >> at & 1 == 0 && self.parts[at] == name);
        if let Some(at) = at {
            self.used |= 1 << at;
        }
        at.is_some()
    }

    /// Returns the first of several modifiers that is present.
    pub fn one_of<T: Copy>(&mut self, names: &[(&str, T)]) -> Option<T> {
        names.iter().find(|(name, _)| self.has(name)).map(|&(_, value)| value)
    }

    /// Returns the next unused part.
    pub fn next(&mut self) -> Option<&'a str> {
        let at = (0..self.parts.len()).find(|at| self.used >> at & 1 == 0)?;
        self.used |= 1 << at;
        Some(&self.parts[at])
    }

    /// Returns the next type.
    pub fn ty(&mut self) -> Result<Ty, String> {
        let found = (0..self.parts.len())
            .filter(|at| self.used >> at & 1 == 0)
            .find_map(|at| Ty::parse(&self.parts[at]).map(|ty| (at, ty)));
        let (at, ty) = found.ok_or("a type is missing or not known")?;
        self.used |= 1 << at;
        Ok(ty)
    }

    /// Returns the rounding mode, and whether it rounds to an integer.
    pub fn rounding(&mut self) -> Option<(Round, bool)> {
        self.one_of(&[
            ("rn", (Round::Near, false)),
            ("rna", (Round::Away, false)),
            ("rz", (Round::Zero, false)),
            ("rm", (Round::Down, false)),
            ("rp", (Round::Up, false)),
            ("rni", (Round::Near, true)),
            ("rzi", (Round::Zero, true)),
            ("rmi", (Round::Down, true)),
            ("rpi", (Round::Up, true)),
        ])
    }

    /// Fails if a modifier was not queried.
    pub fn finish(&self) -> Result<(), String> {
        match (0..self.parts.len()).find(|at| self.used >> at & 1 == 0) {
            Some(at) => Err(format!("the modifier .{} is not known here", self.parts[at])),
            None => Ok(()),
        }
    }
}
