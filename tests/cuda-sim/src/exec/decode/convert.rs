//! `cvt` and `cvta`.

use super::*;
use crate::device::{BASE, LOCAL_WINDOW, PARAM_WINDOW, SHARED_WINDOW, WINDOW};
use crate::exec::float::{
    Round, bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16, to_bf16, to_f16,
};

impl Scope<'_, '_> {
    pub(super) fn convert(&mut self, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        let rounding = m.rounding();
        let (flush, saturate, relu) = (m.has("ftz"), m.has("sat"), m.has("relu"));
        let (to, from) = (m.ty()?, m.ty()?);
        let round = rounding.map_or(Round::Near, |r| r.0);
        if matches!(to, Ty::F16x2 | Ty::Bf16x2) && from == Ty::F32 {
            return self.convert_two(to, round, relu, s);
        }
        let plain = !flush && !saturate && !relu;
        if let (true, Some(op)) = (plain, self.short_conversion(to, from, rounding, s)?) {
            return Ok(op);
        }
        if [to, from].iter().any(|ty| matches!(ty, Ty::F16x2 | Ty::Bf16x2 | Ty::Pred)) {
            return Err("a conversion of these types".to_owned());
        }
        let source = self.source(&self.operand(s, 1)?.clone(), from)?;
        let result = self.target_value(&self.operand(s, 0)?.clone(), to)?;
        let integral = rounding.is_some_and(|r| r.1);
        Ok(Op::Convert(Box::new(Conversion {
            from,
            to,
            round,
            integral,
            saturate,
            relu,
            flush,
            source,
            result,
        })))
    }

    /// Decodes the most frequent conversions, as one function each.
    fn short_conversion(
        &mut self,
        to: Ty,
        from: Ty,
        rounding: Option<(Round, bool)>,
        s: &Statement,
    ) -> Decoded<Option<Op>> {
        let narrow32 = |ty: Ty| matches!(ty, Ty::U32 | Ty::S32 | Ty::B32);
        if from.integer() && to.wide() && to.integer() && narrow32(from) {
            let f: Widen = if from.signed() {
                lanewise!(Widen, |a| i64::from(a as i32) as u64)
            } else {
                lanewise!(Widen, |a| u64::from(a))
            };
            let Slot::Wide(d) = self.target_value(&self.operand(s, 0)?.clone(), to)? else {
                return Ok(None);
            };
            return Ok(Some(Op::Widen(f, d, self.s32(s, 1, from)?)));
        }
        if from.integer() && from.wide() && to.integer() && to.bytes() == 4 {
            if let Slot::Narrow(d) = self.target_value(&self.operand(s, 0)?.clone(), to)? {
                let f = lanewise!(Narrow, |a| a as u32);
                return Ok(Some(Op::Narrow(f, d, self.s64(s, 1, from)?)));
            }
            return Ok(None);
        }
        let near = rounding == Some((Round::Near, false));
        let zero = rounding == Some((Round::Zero, true));
        let f: Un32 = match (to, from) {
            (Ty::F32, Ty::S32) if near => lanewise!(Un32, |a| (a as i32 as f32).to_bits()),
            (Ty::F32, Ty::U32) if near => lanewise!(Un32, |a| (a as f32).to_bits()),
            (Ty::S32, Ty::F32) if zero => lanewise!(Un32, |a| f32::from_bits(a) as i32 as u32),
            (Ty::U32, Ty::F32) if zero => lanewise!(Un32, |a| f32::from_bits(a) as u32),
            (Ty::F16, Ty::F32) if near => lanewise!(Un32, |a| f32_to_f16(f32::from_bits(a))),
            (Ty::Bf16, Ty::F32) if near => lanewise!(Un32, |a| f32_to_bf16(f32::from_bits(a))),
            (Ty::F32, Ty::F16) => |a, d| {
                let mut wide = [0.0; LANES];
                crate::exec::float::widen_f16(a, &mut wide);
                for (to, from) in d.0.iter_mut().zip(wide) {
                    *to = from.to_bits();
                }
            },
            (Ty::F32, Ty::Bf16) => lanewise!(Un32, |a| a << 16),
            (Ty::U32 | Ty::S32, Ty::U16) => lanewise!(Un32, |a| a & 0xffff),
            (Ty::U32 | Ty::S32, Ty::S16) => lanewise!(Un32, |a| a as i16 as u32),
            (Ty::U16 | Ty::S16, Ty::U32 | Ty::S32) => lanewise!(Un32, |a| a & 0xffff),
            _ => return Ok(None),
        };
        match self.target_value(&self.operand(s, 0)?.clone(), to)? {
            Slot::Narrow(d) => Ok(Some(Op::Un32(f, d, self.s32(s, 1, from)?))),
            Slot::Wide(_) => Ok(None),
        }
    }

    /// Converts two f32 into one register; the first operand goes to the upper half.
    fn convert_two(&mut self, to: Ty, round: Round, relu: bool, s: &Statement) -> Decoded<Op> {
        macro_rules! pair {
            (|$x:ident| $e:expr) => {
                lanewise!(Bin32, |a, b| {
                    let $x = f32::from_bits(a);
                    let high = $e;
                    let $x = f32::from_bits(b);
                    high << 16 | $e
                })
            };
        }
        let f: Bin32 = match (to, round, relu) {
            (Ty::F16x2, Round::Near, false) => pair!(|x| f32_to_f16(x)),
            (Ty::Bf16x2, Round::Near, false) => pair!(|x| f32_to_bf16(x)),
            (Ty::F16x2, Round::Near, true) => pair!(|x| f32_to_f16(at_least_zero(x))),
            (Ty::Bf16x2, Round::Near, true) => pair!(|x| f32_to_bf16(at_least_zero(x))),
            (Ty::F16x2, Round::Zero, false) => pair!(|x| to_f16(f64::from(x), Round::Zero)),
            (Ty::Bf16x2, Round::Zero, false) => pair!(|x| to_bf16(f64::from(x), Round::Zero)),
            _ => return Err("this rounding of this conversion".to_owned()),
        };
        self.bin32(s, Ty::F32, f)
    }

    /// Decodes `cvta`: conversion between an address in one memory and a generic address.
    pub(super) fn convert_address(&mut self, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        let back = m.has("to");
        let window = m.one_of(&[
            ("global", 0),
            ("const", 0),
            ("shared", SHARED_WINDOW),
            ("shared::cta", SHARED_WINDOW),
            ("local", LOCAL_WINDOW),
            ("param", PARAM_WINDOW),
        ]);
        let window = window.ok_or("a state space is missing or not known")?;
        let ty = m.ty()?;
        if !ty.wide() {
            return Err("a conversion of 32-bit addresses".to_owned());
        }
        let (d, a) = (self.d64(s, 0)?, self.s64(s, 1, ty)?);
        if window == 0 {
            return Ok(Op::Mov64(d, a));
        }
        let step = if back { 0u64.wrapping_sub(window) } else { window };
        let step = self.decoder.constant64(step);
        Ok(Op::Bin64(lanewise!(Bin64, |a, b| a.wrapping_add(b)), d, a, step))
    }
}

impl Scope<'_, '_> {
    /// Decodes `isspacep`: whether a generic address lies in a memory.
    pub(super) fn is_space(&mut self, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        let f = m.one_of::<Test64>(&[
            ("global", compare!(Test64, |a, _b| a >= BASE)),
            ("shared", compare!(Test64, |a, _b| a / WINDOW * WINDOW == SHARED_WINDOW)),
            ("shared::cta", compare!(Test64, |a, _b| a / WINDOW * WINDOW == SHARED_WINDOW)),
            ("local", compare!(Test64, |a, _b| a / WINDOW * WINDOW == LOCAL_WINDOW)),
            ("param", compare!(Test64, |a, _b| a / WINDOW * WINDOW == PARAM_WINDOW)),
        ]);
        let f = f.ok_or("a state space is missing or not known")?;
        let p = self.target_pred(&self.operand(s, 0)?.clone())?;
        let a = self.s64(s, 1, Ty::B64)?;
        Ok(Op::Set64(f, SetTo { p, q: None, with: None }, a, a))
    }
}

fn at_least_zero(x: f32) -> f32 {
    if x.is_nan() { x } else { x.max(0.0) }
}

/// The value of a source, as an integer or as a float.
enum Value {
    Whole(i128),
    Float(f64),
}

fn value_of(bits: u64, ty: Ty, flush: bool) -> Value {
    match ty {
        Ty::U8 | Ty::B8 => Value::Whole((bits & 0xff).into()),
        Ty::S8 => Value::Whole((bits as i8).into()),
        Ty::U16 | Ty::B16 => Value::Whole((bits & 0xffff).into()),
        Ty::S16 => Value::Whole((bits as i16).into()),
        Ty::S32 => Value::Whole((bits as i32).into()),
        Ty::U64 | Ty::B64 => Value::Whole(bits.into()),
        Ty::S64 => Value::Whole((bits as i64).into()),
        Ty::F16 => Value::Float(f16_to_f32(bits as u32 & 0xffff).into()),
        Ty::Bf16 => Value::Float(bf16_to_f32(bits as u32 & 0xffff).into()),
        Ty::F32 | Ty::Tf32 => {
            let bits = bits as u32;
            let bits = if flush { crate::exec::float::flush(bits) } else { bits };
            Value::Float(f32::from_bits(bits).into())
        }
        Ty::F64 => Value::Float(f64::from_bits(bits)),
        _ => Value::Whole((bits as u32).into()),
    }
}

fn range(ty: Ty) -> (i128, i128) {
    let bits = ty.bytes() as u32 * 8;
    if ty.signed() { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

/// Converts one value, as the manual defines `cvt`.
pub(crate) fn convert_one(c: &Conversion, bits: u64) -> u64 {
    use crate::exec::float::{F32, TF32, integral, narrow};
    match (value_of(bits, c.from, c.flush), c.to.float()) {
        (Value::Whole(value), false) => {
            let (least, most) = range(c.to);
            let value = if c.saturate { value.clamp(least, most) } else { value };
            // Truncated to the type; the upper bits of a wider register then hold its sign or
            // zeros.
            let spare = 128 - c.to.bytes() as u32 * 8;
            match c.to.signed() {
                true => (value << spare >> spare) as u64,
                false => ((value as u128) << spare >> spare) as u64,
            }
        }
        (Value::Float(value), false) => {
            if value.is_nan() {
                let zero = c.from != Ty::F64 && !c.to.wide();
                return if zero { 0 } else { 1 << (c.to.bytes() * 8 - 1) };
            }
            let (least, most) = range(c.to);
            (integral(value, c.round) as i128).clamp(least, most) as u64
        }
        (value, true) => {
            let mut x = match value {
                // Below 2^53 the detour over f64 is exact. Above it, the two roundings equal a
                // single one in the formats that matter.
                Value::Whole(value) if c.to == Ty::F32 && c.round == Round::Near => {
                    return u64::from((value as f32).to_bits());
                }
                Value::Whole(value) => value as f64,
                Value::Float(value) => value,
            };
            if c.integral {
                x = integral(x, c.round);
            }
            if c.saturate {
                x = if x > 0.0 { x.min(1.0) } else { 0.0 };
            }
            if c.relu && !x.is_nan() {
                x = x.max(0.0);
            }
            match c.to {
                Ty::F16 => u64::from(to_f16(x, c.round)),
                Ty::Bf16 => u64::from(to_bf16(x, c.round)),
                Ty::Tf32 => u64::from((narrow(x, TF32, c.round) as f32).to_bits()),
                Ty::F64 => x.to_bits(),
                _ => {
                    let bits = (narrow(x, F32, c.round) as f32).to_bits();
                    u64::from(if c.flush { crate::exec::float::flush(bits) } else { bits })
                }
            }
        }
    }
}
