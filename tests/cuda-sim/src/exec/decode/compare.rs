//! Comparisons and selections.

use super::*;

impl Scope<'_, '_> {
    pub(super) fn comparison(
        &mut self,
        base: &str,
        m: &mut Mods<'_>,
        s: &Statement,
    ) -> Decoded<Op> {
        match base {
            "selp" => {
                let ty = m.ty()?;
                let (p, negate) = self.pred(&self.operand(s, 3)?.clone())?;
                let (first, second) = if negate == 0 { (1, 2) } else { (2, 1) };
                if ty.wide() {
                    let (a, b) = (self.s64(s, first, ty)?, self.s64(s, second, ty)?);
                    return Ok(Op::Select64(self.d64(s, 0)?, a, b, p));
                }
                let (a, b) = (self.s32(s, first, ty)?, self.s32(s, second, ty)?);
                Ok(Op::Select32(self.d32(s, 0)?, a, b, p))
            }
            "slct" => {
                let ftz = m.has("ftz");
                let (ty, on) = (m.ty()?, m.ty()?);
                let f: Tri32 = match (on, ftz) {
                    (Ty::S32, _) => lanewise!(Tri32, |a, b, c| if (c as i32) >= 0 { a } else { b }),
                    (Ty::F32, false) => {
                        lanewise!(Tri32, |a, b, c| if f32::from_bits(c) >= 0.0 { a } else { b })
                    }
                    _ => return Err("slct of this type".to_owned()),
                };
                self.tri32(s, ty, f)
            }
            "set" => self.set(m, s),
            _ => self.setp(m, s),
        }
    }

    fn setp(&mut self, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        let name = m.next().ok_or("a comparison is missing")?;
        let with = m.one_of::<fn(u32, u32) -> u32>(&[
            ("and", |a, c| a & c),
            ("or", |a, c| a | c),
            ("xor", |a, c| a ^ c),
        ]);
        let ftz = m.has("ftz");
        let ty = m.ty()?;
        let (p, q) = match self.operand(s, 0)?.clone() {
            Operand::Pair(p, q) => (self.target_pred(&p)?, Some(self.target_pred(&q)?)),
            p => (self.target_pred(&p)?, None),
        };
        let with = match with {
            Some(f) => {
                let (slot, negate) = self.pred(&self.operand(s, 3)?.clone())?;
                Some((f, slot, negate))
            }
            None => None,
        };
        let to = SetTo { p, q, with };
        if ty.wide() {
            let f = test64(name, ty).ok_or("this comparison is not known")?;
            return Ok(Op::Set64(f, to, self.s64(s, 1, ty)?, self.s64(s, 2, ty)?));
        }
        let f = test32(name, ty, ftz).ok_or("this comparison is not known")?;
        Ok(Op::Set32(f, to, self.s32(s, 1, ty)?, self.s32(s, 2, ty)?))
    }

    /// Decodes `set`: the result of a comparison as a value.
    fn set(&mut self, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        let name = m.next().ok_or("a comparison is missing")?;
        let ftz = m.has("ftz");
        let (to, ty) = (m.ty()?, m.ty()?);
        if ty.wide() || to.wide() || ty == Ty::F16x2 || ty == Ty::Bf16x2 {
            return self.set_halves(name, to, ty, s);
        }
        let test = test32(name, ty, ftz).ok_or("this comparison is not known")?;
        let truth = match to {
            Ty::U32 | Ty::S32 => u32::MAX,
            Ty::F32 => 1f32.to_bits(),
            Ty::F16 => 0x3c00,
            Ty::Bf16 => 0x3f80,
            Ty::U16 | Ty::S16 => 0xffff,
            _ => return Err("set to this type".to_owned()),
        };
        let d = self.d32(s, 0)?;
        let (a, b) = (self.s32(s, 1, ty)?, self.s32(s, 2, ty)?);
        Ok(Op::SetValue { tests: [Some(test), None], d, a, b, truth })
    }

    fn set_halves(&mut self, name: &str, to: Ty, ty: Ty, s: &Statement) -> Decoded<Op> {
        let (low, truth) = match (ty, to) {
            (Ty::F16x2, Ty::F16x2) => (Ty::F16, 0x3c00),
            (Ty::Bf16x2, Ty::Bf16x2) => (Ty::Bf16, 0x3f80),
            (Ty::F16x2, Ty::U32 | Ty::S32) => (Ty::F16, 0xffff),
            (Ty::Bf16x2, Ty::U32 | Ty::S32) => (Ty::Bf16, 0xffff),
            _ => return Err("set of these types".to_owned()),
        };
        let test = test32(name, low, false).ok_or("this comparison is not known")?;
        let d = self.d32(s, 0)?;
        let (a, b) = (self.s32(s, 1, ty)?, self.s32(s, 2, ty)?);
        Ok(Op::SetValue { tests: [Some(test), Some(test)], d, a, b, truth })
    }
}

/// Returns the comparison with this name for numbers with a total order. `$conv` converts the
/// contents of a register to a number.
macro_rules! ordered {
    ($name:expr, $kind:ident, |$x:ident| $conv:expr) => {{
        macro_rules! by {
            ($op:tt) => {
                compare!($kind, |x, y| {
                    let a = {
                        let $x = x;
                        $conv
                    };
                    let b = {
                        let $x = y;
                        $conv
                    };
                    a $op b
                })
            };
        }
        Some(match $name {
            "eq" => by!(==),
            "ne" => by!(!=),
            "lt" | "lo" => by!(<),
            "le" | "ls" => by!(<=),
            "gt" | "hi" => by!(>),
            "ge" | "hs" => by!(>=),
            _ => return None,
        })
    }};
}

/// Does the same for floats, where NaN is unordered: `not less` includes it, and `less or greater`
/// does not.
macro_rules! unordered {
    ($name:expr, $kind:ident, |$x:ident| $conv:expr) => {{
        macro_rules! by {
            (|$a:ident, $b:ident| $e:expr) => {
                compare!($kind, |x, y| {
                    let $a = {
                        let $x = x;
                        $conv
                    };
                    let $b = {
                        let $x = y;
                        $conv
                    };
                    $e
                })
            };
        }
        Some(match $name {
            "eq" => by!(|a, b| a == b),
            "ne" => by!(|a, b| a < b || a > b),
            "lt" => by!(|a, b| a < b),
            "le" => by!(|a, b| a <= b),
            "gt" => by!(|a, b| a > b),
            "ge" => by!(|a, b| a >= b),
            "equ" => by!(|a, b| !(a < b || a > b)),
            "neu" => by!(|a, b| a != b),
            "ltu" => by!(|a, b| !(a >= b)),
            "leu" => by!(|a, b| !(a > b)),
            "gtu" => by!(|a, b| !(a <= b)),
            "geu" => by!(|a, b| !(a < b)),
            "num" => by!(|a, b| !a.is_nan() && !b.is_nan()),
            "nan" => by!(|a, b| a.is_nan() || b.is_nan()),
            _ => return None,
        })
    }};
}

// The comparisons `not less` and `less or greater` treat NaN as PTX requires.
#[allow(clippy::neg_cmp_op_on_partial_ord, clippy::double_comparisons)]
fn test64(name: &str, ty: Ty) -> Option<Test64> {
    match ty {
        Ty::U64 | Ty::B64 => ordered!(name, Test64, |x| x),
        Ty::S64 => ordered!(name, Test64, |x| x as i64),
        Ty::F64 => unordered!(name, Test64, |x| f64::from_bits(x)),
        _ => None,
    }
}

// As in `test64`.
#[allow(clippy::neg_cmp_op_on_partial_ord, clippy::double_comparisons)]
fn test32(name: &str, ty: Ty, ftz: bool) -> Option<Test32> {
    use crate::exec::float::{bf16_to_f32, f16_to_f32, flush};
    match (ty, ftz) {
        (Ty::U32 | Ty::B32, _) => ordered!(name, Test32, |x| x),
        (Ty::S32, _) => ordered!(name, Test32, |x| x as i32),
        (Ty::U16 | Ty::B16, _) => ordered!(name, Test32, |x| x as u16),
        (Ty::S16, _) => ordered!(name, Test32, |x| x as i16),
        (Ty::F32, false) => unordered!(name, Test32, |x| f32::from_bits(x)),
        (Ty::F32, true) => unordered!(name, Test32, |x| f32::from_bits(flush(x))),
        (Ty::F16, _) => unordered!(name, Test32, |x| f16_to_f32(x & 0xffff)),
        (Ty::Bf16, _) => unordered!(name, Test32, |x| bf16_to_f32(x & 0xffff)),
        _ => None,
    }
}
