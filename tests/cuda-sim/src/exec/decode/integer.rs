//! Integer arithmetic and moves.

use super::*;

/// Sign-extends the low half of every lane.
macro_rules! s16 {
    ($x:expr) => {
        i32::from($x as i16)
    };
}

pub(super) use s16;

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
            // Division by zero gives all ones, as on the hardware.
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
}
