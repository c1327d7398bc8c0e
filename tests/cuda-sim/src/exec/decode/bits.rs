//! Bit operations: logic, shifts, fields, and operations on bytes.

use super::integer::s16;
use super::*;

impl Scope<'_, '_> {
    pub(super) fn bits(&mut self, base: &str, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        match base {
            "and" | "or" | "xor" | "not" | "cnot" => self.logic(base, m, s),
            "shl" | "shr" => self.shift(base, m, s),
            "shf" => self.funnel(m, s),
            "bfe" | "bfi" => self.field(base, m, s),
            "lop3" => {
                m.ty()?;
                let Some(Operand::Imm(Imm::Int(table))) = s.operands.get(4) else {
                    return Err("lop3 without a table".to_owned());
                };
                let table = *table as u8;
                let d = self.d32(s, 0)?;
                let sources = [1, 2, 3].map(|at| self.s32(s, at, Ty::B32));
                let [a, b, c] = sources;
                Ok(Op::Lop3(d, [a?, b?, c?], table))
            }
            "prmt" => {
                m.ty()?;
                let f = lanewise!(Tri32, |a, b, c| {
                    let bytes = u64::from(a) | u64::from(b) << 32;
                    let mut result = 0;
                    for i in 0..4 {
                        let selector = c >> (4 * i);
                        let byte = (bytes >> (8 * (selector & 7))) as u8;
                        let sign = ((byte as i8) >> 7) as u8;
                        let byte = if selector & 8 != 0 { sign } else { byte };
                        result |= u32::from(byte) << (8 * i);
                    }
                    result
                });
                self.tri32(s, Ty::B32, f)
            }
            "popc" => match m.ty()? {
                Ty::B32 => self.un32(s, Ty::B32, lanewise!(Un32, |a| a.count_ones())),
                _ => self.narrowing(s, lanewise!(Narrow, |a| a.count_ones())),
            },
            "clz" => match m.ty()? {
                Ty::B32 => self.un32(s, Ty::B32, lanewise!(Un32, |a| a.leading_zeros())),
                _ => self.narrowing(s, lanewise!(Narrow, |a| a.leading_zeros())),
            },
            "brev" => match m.ty()? {
                Ty::B32 => self.un32(s, Ty::B32, lanewise!(Un32, |a| a.reverse_bits())),
                ty => self.un64(s, ty, lanewise!(Un64, |a| a.reverse_bits())),
            },
            "bfind" => match (m.has("shiftamt"), m.ty()?) {
                (false, Ty::U32) => {
                    let f = lanewise!(Un32, |a| 31u32.wrapping_sub(a.leading_zeros()));
                    self.un32(s, Ty::U32, f)
                }
                (true, Ty::U32) => {
                    let f = lanewise!(Un32, |a| if a == 0 { u32::MAX } else { a.leading_zeros() });
                    self.un32(s, Ty::U32, f)
                }
                (false, Ty::U64) => {
                    self.narrowing(s, lanewise!(Narrow, |a| 63u32.wrapping_sub(a.leading_zeros())))
                }
                _ => Err("bfind of this type".to_owned()),
            },
            "dp4a" => {
                let (ta, tb) = (m.ty()?, m.ty()?);
                macro_rules! dot {
                    ($a:ty, $b:ty) => {
                        lanewise!(Tri32, |a, b, c| {
                            let mut sum = c as i32;
                            for i in 0..4 {
                                let x = i32::from((a >> (8 * i)) as $a);
                                let y = i32::from((b >> (8 * i)) as $b);
                                sum = sum.wrapping_add(x * y);
                            }
                            sum as u32
                        })
                    };
                }
                let f: Tri32 = match (ta.signed(), tb.signed()) {
                    (true, true) => dot!(i8, i8),
                    (true, false) => dot!(i8, u8),
                    (false, true) => dot!(u8, i8),
                    (false, false) => dot!(u8, u8),
                };
                self.tri32(s, Ty::B32, f)
            }
            "mul24" | "mad24" => {
                if !m.has("lo") {
                    return Err("a 24-bit product without .lo".to_owned());
                }
                let ty = m.ty()?;
                if base == "mul24" {
                    let f = lanewise!(Bin32, |a, b| (a & 0xff_ffff).wrapping_mul(b & 0xff_ffff));
                    return self.bin32(s, ty, f);
                }
                let f = lanewise!(Tri32, |a, b, c| {
                    (a & 0xff_ffff).wrapping_mul(b & 0xff_ffff).wrapping_add(c)
                });
                self.tri32(s, ty, f)
            }
            _ => match m.ty()? {
                Ty::U32 => {
                    let f = lanewise!(Tri32, |a, b, c| a.abs_diff(b).wrapping_add(c));
                    self.tri32(s, Ty::U32, f)
                }
                Ty::S32 => {
                    let f = lanewise!(Tri32, |a, b, c| {
                        (a as i32).abs_diff(b as i32).wrapping_add(c)
                    });
                    self.tri32(s, Ty::S32, f)
                }
                _ => Err("sad of this type".to_owned()),
            },
        }
    }

    fn narrowing(&mut self, s: &Statement, f: Narrow) -> Decoded<Op> {
        Ok(Op::Narrow(f, self.d32(s, 0)?, self.s64(s, 1, Ty::B64)?))
    }

    fn logic(&mut self, base: &str, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        let ty = m.ty()?;
        if ty == Ty::Pred {
            let d = self.operand(s, 0)?.clone();
            let d = self.target_pred(&d)?;
            let (a, negate_a) = self.pred(&self.operand(s, 1)?.clone())?;
            if base == "not" {
                return Ok(match negate_a {
                    0 => Op::Pred(|a, _| !a, d, a, a),
                    _ => Op::MovPred(d, a),
                });
            }
            let (b, negate_b) = self.pred(&self.operand(s, 2)?.clone())?;
            let f: fn(u32, u32) -> u32 = match (base, negate_a != 0, negate_b != 0) {
                ("and", false, false) => |a, b| a & b,
                ("or", false, false) => |a, b| a | b,
                ("xor", false, false) => |a, b| a ^ b,
                ("and", true, false) => |a, b| !a & b,
                ("or", true, false) => |a, b| !a | b,
                ("and", false, true) => |a, b| a & !b,
                ("or", false, true) => |a, b| a | !b,
                ("xor", true, false) | ("xor", false, true) => |a, b| !(a ^ b),
                _ => return Err("two negated predicates".to_owned()),
            };
            return Ok(Op::Pred(f, d, a, b));
        }
        match (base, ty.wide()) {
            ("and", false) => self.bin32(s, ty, lanewise!(Bin32, |a, b| a & b)),
            ("or", false) => self.bin32(s, ty, lanewise!(Bin32, |a, b| a | b)),
            ("xor", false) => self.bin32(s, ty, lanewise!(Bin32, |a, b| a ^ b)),
            ("and", true) => self.bin64(s, ty, lanewise!(Bin64, |a, b| a & b)),
            ("or", true) => self.bin64(s, ty, lanewise!(Bin64, |a, b| a | b)),
            ("xor", true) => self.bin64(s, ty, lanewise!(Bin64, |a, b| a ^ b)),
            ("not", true) => self.un64(s, ty, lanewise!(Un64, |a| !a)),
            ("not", false) if ty == Ty::B16 => self.un32(s, ty, lanewise!(Un32, |a| !a & 0xffff)),
            ("not", false) => self.un32(s, ty, lanewise!(Un32, |a| !a)),
            ("cnot", false) => self.un32(s, ty, lanewise!(Un32, |a| u32::from(a == 0))),
            _ => Err("this instruction is not known for this type".to_owned()),
        }
    }

    fn shift(&mut self, base: &str, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        let ty = m.ty()?;
        if ty.wide() {
            let f = match (base, ty) {
                ("shl", _) => {
                    lanewise!(Mixed64, |a, n| if n > 63 { 0 } else { a << n })
                }
                (_, Ty::S64) => lanewise!(Mixed64, |a, n| ((a as i64) >> n.min(63)) as u64),
                _ => lanewise!(Mixed64, |a, n| if n > 63 { 0 } else { a >> n }),
            };
            return Ok(Op::Mixed64(
                f,
                self.d64(s, 0)?,
                self.s64(s, 1, ty)?,
                self.s32(s, 2, Ty::U32)?,
            ));
        }
        match (base, ty) {
            ("shl", Ty::B16) => {
                let f = lanewise!(Bin32, |a, n| if n > 15 { 0 } else { a << n & 0xffff });
                self.bin32(s, ty, f)
            }
            ("shl", _) => {
                self.bin32(s, ty, lanewise!(Bin32, |a, n| if n > 31 { 0 } else { a << n }))
            }
            (_, Ty::S32) => {
                self.bin32(s, ty, lanewise!(Bin32, |a, n| ((a as i32) >> n.min(31)) as u32))
            }
            (_, Ty::S16) => {
                self.bin32(s, ty, lanewise!(Bin32, |a, n| (s16!(a) >> n.min(15)) as u32 & 0xffff))
            }
            (_, Ty::U16 | Ty::B16) => {
                let f = lanewise!(Bin32, |a, n| if n > 15 { 0 } else { (a & 0xffff) >> n });
                self.bin32(s, ty, f)
            }
            _ => self.bin32(s, ty, lanewise!(Bin32, |a, n| if n > 31 { 0 } else { a >> n })),
        }
    }

    fn funnel(&mut self, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        let left = m.has("l");
        if !left && !m.has("r") {
            return Err("shf without .l or .r".to_owned());
        }
        let clamp = m.has("clamp");
        if !clamp && !m.has("wrap") {
            return Err("shf without .clamp or .wrap".to_owned());
        }
        m.ty()?;
        let f: Tri32 = match (left, clamp) {
            (true, false) => lanewise!(Tri32, |a, b, n| {
                ((u64::from(b) << 32 | u64::from(a)) << (n & 31) >> 32) as u32
            }),
            (true, true) => lanewise!(Tri32, |a, b, n| {
                ((u64::from(b) << 32 | u64::from(a)) << n.min(32) >> 32) as u32
            }),
            (false, false) => lanewise!(Tri32, |a, b, n| {
                ((u64::from(b) << 32 | u64::from(a)) >> (n & 31)) as u32
            }),
            (false, true) => lanewise!(Tri32, |a, b, n| {
                ((u64::from(b) << 32 | u64::from(a)) >> n.min(32)) as u32
            }),
        };
        self.tri32(s, Ty::B32, f)
    }

    fn field(&mut self, base: &str, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        let ty = m.ty()?;
        if base == "bfi" {
            let (position, length) = (self.s32(s, 3, Ty::U32)?, self.s32(s, 4, Ty::U32)?);
            if ty.wide() {
                let (d, a, b) = (self.d64(s, 0)?, self.s64(s, 1, ty)?, self.s64(s, 2, ty)?);
                return Ok(Op::Bfi64(d, [a, b], [position, length]));
            }
            let (d, a, b) = (self.d32(s, 0)?, self.s32(s, 1, ty)?, self.s32(s, 2, ty)?);
            return Ok(Op::Bfi32(d, [a, b, position, length]));
        }
        let (position, length) = (self.s32(s, 2, Ty::U32)?, self.s32(s, 3, Ty::U32)?);
        if ty.wide() {
            let (d, a) = (self.d64(s, 0)?, self.s64(s, 1, ty)?);
            return Ok(Op::Bfe64(d, a, [position, length], ty.signed()));
        }
        let f: Tri32 = if ty.signed() {
            lanewise!(Tri32, |a, p, n| extract(u64::from(a), p, n, 32, true) as u32)
        } else {
            lanewise!(Tri32, |a, p, n| extract(u64::from(a), p, n, 32, false) as u32)
        };
        Ok(Op::Tri32(f, self.d32(s, 0)?, self.s32(s, 1, ty)?, position, length))
    }
}

/// Extracts `n` bits from position `p`, as `bfe` defines it: bits beyond the value are zero, or the
/// sign bit of the field.
pub(crate) fn extract(a: u64, p: u32, n: u32, width: u32, signed: bool) -> u64 {
    let (p, n) = (p & 0xff, n & 0xff);
    let top = (p + n).min(width);
    let sign = signed && n > 0 && a >> (top - 1).min(width - 1) & 1 == 1;
    let shifted = if p >= 64 { 0 } else { a >> p };
    let kept = if p >= width { 0 } else { (width - p).min(n) };
    let mask = if kept >= 64 { u64::MAX } else { (1 << kept) - 1 };
    let field = shifted & mask;
    if sign && kept < 64 { field | !mask } else { field }
}
