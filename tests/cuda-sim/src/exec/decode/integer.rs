//! Integer arithmetic, bits, comparisons and moves.

use super::*;

/// The low half of every lane, sign-extended.
macro_rules! s16 {
    ($x:expr) => {
        i32::from($x as i16)
    };
}

impl Scope<'_, '_> {
    pub(super) fn mov(&mut self, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        let ty = m.ty()?;
        let (to, from) = (self.operand(s, 0)?.clone(), self.operand(s, 1)?.clone());
        if ty == Ty::Pred {
            let (slot, negate) = self.pred(&from)?;
            let to = self.target_pred(&to)?;
            return Ok(match negate {
                0 => Op::MovPred(to, slot),
                _ => Op::Pred(|a, _| !a, to, slot, slot),
            });
        }
        match (&to, &from) {
            (Operand::Vector(parts), _) => {
                let bits = (ty.bytes() * 8 / parts.len()) as u32;
                let part = if bits == 64 { Ty::B64 } else { Ty::B32 };
                let mut slots = Vec::new();
                for operand in parts {
                    slots.push(match operand {
                        Operand::Sink => None,
                        _ => Some(self.target_value(operand, part)?),
                    });
                }
                Ok(Op::Unpack(slots, self.source(&from, ty)?, bits))
            }
            (_, Operand::Vector(parts)) => {
                let bits = (ty.bytes() * 8 / parts.len()) as u32;
                let mut slots = Vec::new();
                for operand in parts {
                    slots.push(self.source(operand, Ty::B32)?);
                }
                Ok(Op::Pack(self.target_value(&to, ty)?, slots, bits))
            }
            (_, Operand::Special(name))
                if matches!(name.as_str(), "clock" | "clock64" | "clock_hi" | "globaltimer") =>
            {
                Ok(Op::Clock(self.target_value(&to, ty)?))
            }
            _ => match (self.target_value(&to, ty)?, self.source(&from, ty)?) {
                (Slot::Narrow(to), Slot::Narrow(from)) => Ok(Op::Mov32(to, from)),
                (Slot::Wide(to), Slot::Wide(from)) => Ok(Op::Mov64(to, from)),
                (Slot::Wide(to), Slot::Narrow(from)) => {
                    Ok(Op::Widen(lanewise!(Widen, |a| u64::from(a)), to, from))
                }
                _ => Err("a 64-bit value for a 32-bit register".to_owned()),
            },
        }
    }

    pub(super) fn arithmetic(
        &mut self,
        base: &str,
        m: &mut Mods<'_>,
        s: &Statement,
    ) -> Decoded<Op> {
        let wide = m.has("wide");
        let low = m.has("lo");
        let high = m.has("hi");
        let mut probe = Mods::new(&s.opcode);
        let ty = probe.ty()?;
        if ty.float() {
            return self.float_arithmetic(base, m, s);
        }
        m.ty()?;
        let saturate = m.has("sat");
        if saturate && ty != Ty::S32 {
            return Err("saturation of this type".to_owned());
        }
        match (base, wide, low || high) {
            ("mul" | "mad", true, _) => self.wide_product(base, ty, s),
            ("mul" | "mad", false, true) => self.product(base, ty, high, s),
            ("mul" | "mad", false, false) => Err("a product without .lo, .hi or .wide".to_owned()),
            _ => self.plain(base, ty, saturate, s),
        }
    }

    fn wide_product(&mut self, base: &str, ty: Ty, s: &Statement) -> Decoded<Op> {
        let f = match ty {
            Ty::U32 => lanewise!(Widen2, |a, b| u64::from(a) * u64::from(b)),
            Ty::S32 => {
                lanewise!(Widen2, |a, b| (i64::from(a as i32) * i64::from(b as i32)) as u64)
            }
            Ty::U16 => {
                let f = lanewise!(Bin32, |a, b| (a & 0xffff) * (b & 0xffff));
                return self.wide16(base, f, s);
            }
            Ty::S16 => {
                let f = lanewise!(Bin32, |a, b| (s16!(a) * s16!(b)) as u32);
                return self.wide16(base, f, s);
            }
            _ => return Err("a wide product of this type".to_owned()),
        };
        let (d, a, b) = (self.d64(s, 0)?, self.s32(s, 1, ty)?, self.s32(s, 2, ty)?);
        match base {
            "mul" => Ok(Op::Widen2(f, d, a, b)),
            _ => Ok(Op::WidenAdd(f, d, a, b, self.s64(s, 3, Ty::S64)?)),
        }
    }

    fn wide16(&mut self, base: &str, f: Bin32, s: &Statement) -> Decoded<Op> {
        match base {
            "mul" => self.bin32(s, Ty::B32, f),
            _ => Err("mad.wide of 16 bits".to_owned()),
        }
    }

    fn product(&mut self, base: &str, ty: Ty, high: bool, s: &Statement) -> Decoded<Op> {
        if base == "mul" {
            return match (ty, high) {
                (Ty::U32 | Ty::S32, false) => {
                    self.bin32(s, ty, lanewise!(Bin32, |a, b| a.wrapping_mul(b)))
                }
                (Ty::U32, true) => {
                    let f = lanewise!(Bin32, |a, b| ((u64::from(a) * u64::from(b)) >> 32) as u32);
                    self.bin32(s, ty, f)
                }
                (Ty::S32, true) => {
                    let f = lanewise!(Bin32, |a, b| {
                        ((i64::from(a as i32) * i64::from(b as i32)) >> 32) as u32
                    });
                    self.bin32(s, ty, f)
                }
                (Ty::U16 | Ty::S16, false) => {
                    self.bin32(s, ty, lanewise!(Bin32, |a, b| a.wrapping_mul(b) & 0xffff))
                }
                (Ty::U16, true) => {
                    let f = lanewise!(Bin32, |a, b| ((a & 0xffff) * (b & 0xffff)) >> 16);
                    self.bin32(s, ty, f)
                }
                (Ty::S16, true) => {
                    let f = lanewise!(Bin32, |a, b| ((s16!(a) * s16!(b)) >> 16) as u32 & 0xffff);
                    self.bin32(s, ty, f)
                }
                (Ty::U64 | Ty::S64, false) => {
                    self.bin64(s, ty, lanewise!(Bin64, |a, b| a.wrapping_mul(b)))
                }
                (Ty::U64, true) => {
                    let f = lanewise!(Bin64, |a, b| ((u128::from(a) * u128::from(b)) >> 64) as u64);
                    self.bin64(s, ty, f)
                }
                (Ty::S64, true) => {
                    let f = lanewise!(Bin64, |a, b| {
                        ((i128::from(a as i64) * i128::from(b as i64)) >> 64) as u64
                    });
                    self.bin64(s, ty, f)
                }
                _ => Err("a product of this type".to_owned()),
            };
        }
        match (ty, high) {
            (Ty::U32 | Ty::S32, false) => {
                self.tri32(s, ty, lanewise!(Tri32, |a, b, c| a.wrapping_mul(b).wrapping_add(c)))
            }
            (Ty::U32, true) => {
                let f = lanewise!(Tri32, |a, b, c| {
                    (((u64::from(a) * u64::from(b)) >> 32) as u32).wrapping_add(c)
                });
                self.tri32(s, ty, f)
            }
            (Ty::S32, true) => {
                let f = lanewise!(Tri32, |a, b, c| {
                    (((i64::from(a as i32) * i64::from(b as i32)) >> 32) as u32).wrapping_add(c)
                });
                self.tri32(s, ty, f)
            }
            (Ty::U16 | Ty::S16, false) => {
                let f = lanewise!(Tri32, |a, b, c| a.wrapping_mul(b).wrapping_add(c) & 0xffff);
                self.tri32(s, ty, f)
            }
            (Ty::U64 | Ty::S64, false) => {
                self.tri64(s, ty, lanewise!(Tri64, |a, b, c| a.wrapping_mul(b).wrapping_add(c)))
            }
            _ => Err("a product and sum of this type".to_owned()),
        }
    }

    fn plain(&mut self, base: &str, ty: Ty, saturate: bool, s: &Statement) -> Decoded<Op> {
        macro_rules! op32 {
            (|$a:ident, $b:ident| $e:expr) => {
                self.bin32(s, ty, lanewise!(Bin32, |$a, $b| $e))
            };
        }
        macro_rules! op64 {
            (|$a:ident, $b:ident| $e:expr) => {
                self.bin64(s, ty, lanewise!(Bin64, |$a, $b| $e))
            };
        }
        match (base, ty) {
            ("add", Ty::S32) if saturate => {
                op32!(|a, b| (a as i32).saturating_add(b as i32) as u32)
            }
            ("sub", Ty::S32) if saturate => {
                op32!(|a, b| (a as i32).saturating_sub(b as i32) as u32)
            }
            ("add", Ty::U32 | Ty::S32) => op32!(|a, b| a.wrapping_add(b)),
            ("sub", Ty::U32 | Ty::S32) => op32!(|a, b| a.wrapping_sub(b)),
            ("add", Ty::U16 | Ty::S16) => op32!(|a, b| a.wrapping_add(b) & 0xffff),
            ("sub", Ty::U16 | Ty::S16) => op32!(|a, b| a.wrapping_sub(b) & 0xffff),
            ("add", Ty::U64 | Ty::S64) => op64!(|a, b| a.wrapping_add(b)),
            ("sub", Ty::U64 | Ty::S64) => op64!(|a, b| a.wrapping_sub(b)),
            // A division by zero gives all ones, as the hardware does.
            ("div", Ty::U32) => op32!(|a, b| a.checked_div(b).unwrap_or(u32::MAX)),
            ("div", Ty::S32) => {
                op32!(|a, b| if b == 0 {
                    u32::MAX
                } else {
                    (a as i32).wrapping_div(b as i32) as u32
                })
            }
            ("div", Ty::U16) => {
                op32!(|a, b| (a & 0xffff).checked_div(b & 0xffff).unwrap_or(0xffff))
            }
            ("div", Ty::S16) => {
                op32!(|a, b| s16!(a).checked_div(s16!(b)).unwrap_or(-1) as u32 & 0xffff)
            }
            ("div", Ty::U64) => op64!(|a, b| a.checked_div(b).unwrap_or(u64::MAX)),
            ("div", Ty::S64) => {
                op64!(|a, b| if b == 0 {
                    u64::MAX
                } else {
                    (a as i64).wrapping_div(b as i64) as u64
                })
            }
            ("rem", Ty::U32) => op32!(|a, b| a.checked_rem(b).unwrap_or(a)),
            ("rem", Ty::S32) => {
                op32!(|a, b| if b == 0 { a } else { (a as i32).wrapping_rem(b as i32) as u32 })
            }
            ("rem", Ty::U16) => {
                op32!(|a, b| (a & 0xffff).checked_rem(b & 0xffff).unwrap_or(a & 0xffff))
            }
            ("rem", Ty::S16) => {
                op32!(|a, b| s16!(a).checked_rem(s16!(b)).unwrap_or(s16!(a)) as u32 & 0xffff)
            }
            ("rem", Ty::U64) => op64!(|a, b| a.checked_rem(b).unwrap_or(a)),
            ("rem", Ty::S64) => {
                op64!(|a, b| if b == 0 { a } else { (a as i64).wrapping_rem(b as i64) as u64 })
            }
            ("min", Ty::U32) => op32!(|a, b| a.min(b)),
            ("max", Ty::U32) => op32!(|a, b| a.max(b)),
            ("min", Ty::S32) => op32!(|a, b| (a as i32).min(b as i32) as u32),
            ("max", Ty::S32) => op32!(|a, b| (a as i32).max(b as i32) as u32),
            ("min", Ty::U16) => op32!(|a, b| (a & 0xffff).min(b & 0xffff)),
            ("max", Ty::U16) => op32!(|a, b| (a & 0xffff).max(b & 0xffff)),
            ("min", Ty::S16) => op32!(|a, b| s16!(a).min(s16!(b)) as u32 & 0xffff),
            ("max", Ty::S16) => op32!(|a, b| s16!(a).max(s16!(b)) as u32 & 0xffff),
            ("min", Ty::U64) => op64!(|a, b| a.min(b)),
            ("max", Ty::U64) => op64!(|a, b| a.max(b)),
            ("min", Ty::S64) => op64!(|a, b| (a as i64).min(b as i64) as u64),
            ("max", Ty::S64) => op64!(|a, b| (a as i64).max(b as i64) as u64),
            ("abs", Ty::S32) => {
                self.un32(s, ty, lanewise!(Un32, |a| (a as i32).wrapping_abs() as u32))
            }
            ("abs", Ty::S16) => {
                self.un32(s, ty, lanewise!(Un32, |a| s16!(a).wrapping_abs() as u32 & 0xffff))
            }
            ("abs", Ty::S64) => {
                self.un64(s, ty, lanewise!(Un64, |a| (a as i64).wrapping_abs() as u64))
            }
            ("neg", Ty::S32) => self.un32(s, ty, lanewise!(Un32, |a| a.wrapping_neg())),
            ("neg", Ty::S16) => self.un32(s, ty, lanewise!(Un32, |a| a.wrapping_neg() & 0xffff)),
            ("neg", Ty::S64) => self.un64(s, ty, lanewise!(Un64, |a| a.wrapping_neg())),
            _ => Err("this instruction is not known for this type".to_owned()),
        }
    }

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

    /// `set`: the result of a comparison as a value.
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

/// Extracts `n` bits from position `p`, as `bfe` defines it: bits beyond the value are zero, or the sign bit of the field.
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

fn test64(name: &str, ty: Ty) -> Option<Test64> {
    macro_rules! by {
        (|$x:ident| $conv:expr) => {
            Some(match name {
                "eq" => compare!(Test64, |a, b| {
                    let ($x, y) = (a, b);
                    let a = $conv;
                    let $x = y;
                    a == $conv
                }),
                "ne" => compare!(Test64, |a, b| {
                    let ($x, y) = (a, b);
                    let a = $conv;
                    let $x = y;
                    a != $conv
                }),
                "lt" | "lo" => compare!(Test64, |a, b| {
                    let ($x, y) = (a, b);
                    let a = $conv;
                    let $x = y;
                    a < $conv
                }),
                "le" | "ls" => compare!(Test64, |a, b| {
                    let ($x, y) = (a, b);
                    let a = $conv;
                    let $x = y;
                    a <= $conv
                }),
                "gt" | "hi" => compare!(Test64, |a, b| {
                    let ($x, y) = (a, b);
                    let a = $conv;
                    let $x = y;
                    a > $conv
                }),
                "ge" | "hs" => compare!(Test64, |a, b| {
                    let ($x, y) = (a, b);
                    let a = $conv;
                    let $x = y;
                    a >= $conv
                }),
                _ => return None,
            })
        };
    }
    match ty {
        Ty::U64 | Ty::B64 => by!(|x| x),
        Ty::S64 => by!(|x| x as i64),
        Ty::F64 => unordered64(name),
        _ => None,
    }
}

fn unordered64(name: &str) -> Option<Test64> {
    macro_rules! by {
        (|$a:ident, $b:ident| $e:expr) => {
            compare!(Test64, |x, y| {
                let ($a, $b) = (f64::from_bits(x), f64::from_bits(y));
                $e
            })
        };
    }
    Some(match name {
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
}

fn test32(name: &str, ty: Ty, ftz: bool) -> Option<Test32> {
    use crate::exec::float::{bf16_to_f32, f16_to_f32, flush};
    macro_rules! integers {
        (|$x:ident| $conv:expr) => {
            Some(match name {
                "eq" => compare!(Test32, |a, b| {
                    let ($x, y) = (a, b);
                    let a = $conv;
                    let $x = y;
                    a == $conv
                }),
                "ne" => compare!(Test32, |a, b| {
                    let ($x, y) = (a, b);
                    let a = $conv;
                    let $x = y;
                    a != $conv
                }),
                "lt" | "lo" => compare!(Test32, |a, b| {
                    let ($x, y) = (a, b);
                    let a = $conv;
                    let $x = y;
                    a < $conv
                }),
                "le" | "ls" => compare!(Test32, |a, b| {
                    let ($x, y) = (a, b);
                    let a = $conv;
                    let $x = y;
                    a <= $conv
                }),
                "gt" | "hi" => compare!(Test32, |a, b| {
                    let ($x, y) = (a, b);
                    let a = $conv;
                    let $x = y;
                    a > $conv
                }),
                "ge" | "hs" => compare!(Test32, |a, b| {
                    let ($x, y) = (a, b);
                    let a = $conv;
                    let $x = y;
                    a >= $conv
                }),
                _ => return None,
            })
        };
    }
    macro_rules! floats {
        (|$x:ident| $conv:expr) => {{
            macro_rules! by {
                (|$a:ident, $b:ident| $e:expr) => {
                    compare!(Test32, |x, y| {
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
            Some(match name {
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
    match (ty, ftz) {
        (Ty::U32 | Ty::B32, _) => integers!(|x| x),
        (Ty::S32, _) => integers!(|x| x as i32),
        (Ty::U16 | Ty::B16, _) => integers!(|x| x as u16),
        (Ty::S16, _) => integers!(|x| x as i16),
        (Ty::F32, false) => floats!(|x| f32::from_bits(x)),
        (Ty::F32, true) => floats!(|x| f32::from_bits(flush(x))),
        (Ty::F16, _) => floats!(|x| f16_to_f32(x & 0xffff)),
        (Ty::Bf16, _) => floats!(|x| bf16_to_f32(x & 0xffff)),
        _ => None,
    }
}
