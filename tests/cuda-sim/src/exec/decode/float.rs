//! Floating-point arithmetic.

use super::*;
use crate::exec::float::{
    self, BF16, F16, F32, Format, Round, bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16, flush,
};

/// A function of one or two f32, with and without flushing of subnormal numbers.
macro_rules! f32_op {
    ($ftz:expr, |$x:ident| $e:expr) => {
        if $ftz {
            lanewise!(Un32, |a| {
                let $x = f32::from_bits(flush(a));
                flush(f32::to_bits($e))
            })
        } else {
            lanewise!(Un32, |a| {
                let $x = f32::from_bits(a);
                f32::to_bits($e)
            })
        }
    };
    ($ftz:expr, |$x:ident, $y:ident| $e:expr) => {
        if $ftz {
            lanewise!(Bin32, |a, b| {
                let ($x, $y) = (f32::from_bits(flush(a)), f32::from_bits(flush(b)));
                flush(f32::to_bits($e))
            })
        } else {
            lanewise!(Bin32, |a, b| {
                let ($x, $y) = (f32::from_bits(a), f32::from_bits(b));
                f32::to_bits($e)
            })
        }
    };
    ($ftz:expr, |$x:ident, $y:ident, $z:ident| $e:expr) => {
        if $ftz {
            lanewise!(Tri32, |a, b, c| {
                let ($x, $y) = (f32::from_bits(flush(a)), f32::from_bits(flush(b)));
                let $z = f32::from_bits(flush(c));
                flush(f32::to_bits($e))
            })
        } else {
            lanewise!(Tri32, |a, b, c| {
                let ($x, $y, $z) = (f32::from_bits(a), f32::from_bits(b), f32::from_bits(c));
                f32::to_bits($e)
            })
        }
    };
}

/// Does the same in f16, bf16, or two of either. Computed in f32, which rounds a single operation
/// correctly.
macro_rules! half_op {
    ($fn_ty:ty, $ty:expr, |$($x:ident),+| $e:expr) => {
        match $ty {
            Ty::F16 => Some(lanewise!($fn_ty, |$($x),+| {
                $(let $x = f16_to_f32($x & 0xffff);)+
                f32_to_f16($e)
            })),
            Ty::Bf16 => Some(lanewise!($fn_ty, |$($x),+| {
                $(let $x = bf16_to_f32($x & 0xffff);)+
                f32_to_bf16($e)
            })),
            Ty::F16x2 => Some(lanewise!($fn_ty, |$($x),+| {
                let high = { $(let $x = f16_to_f32($x >> 16);)+ f32_to_f16($e) };
                $(let $x = f16_to_f32($x & 0xffff);)+
                f32_to_f16($e) | high << 16
            })),
            Ty::Bf16x2 => Some(lanewise!($fn_ty, |$($x),+| {
                let high = { $(let $x = bf16_to_f32($x >> 16);)+ f32_to_bf16($e) };
                $(let $x = bf16_to_f32($x & 0xffff);)+
                f32_to_bf16($e) | high << 16
            })),
            _ => None,
        }
    };
}

macro_rules! f64_op {
    ($ty:ty, |$($x:ident),+| $e:expr) => {
        lanewise!($ty, |$($x),+| {
            $(let $x = f64::from_bits($x);)+
            f64::to_bits($e)
        })
    };
}

fn fused_half(x: f32, y: f32, z: f32, format: Format) -> f64 {
    float::fma(f64::from(x), f64::from(y), f64::from(z), format, Round::Near)
}

fn fused_f16(x: u32, y: u32, z: u32) -> u32 {
    let exact = fused_half(f16_to_f32(x), f16_to_f32(y), f16_to_f32(z), F16);
    float::to_f16(exact, Round::Near)
}

fn fused_bf16(x: u32, y: u32, z: u32) -> u32 {
    float::to_bf16(fused_half(bf16_to_f32(x), bf16_to_f32(y), bf16_to_f32(z), BF16), Round::Near)
}

/// Returns NaN if either number is NaN.
fn min_nan(x: f32, y: f32) -> f32 {
    if x.is_nan() || y.is_nan() { f32::NAN } else { float::min(x, y) }
}

fn max_nan(x: f32, y: f32) -> f32 {
    if x.is_nan() || y.is_nan() { f32::NAN } else { float::max(x, y) }
}

fn saturate(x: f32) -> f32 {
    if x > 0.0 { x.min(1.0) } else { 0.0 }
}

impl Scope<'_, '_> {
    pub(super) fn float_arithmetic(
        &mut self,
        base: &str,
        m: &mut Mods<'_>,
        s: &Statement,
    ) -> Decoded<Op> {
        let ty = m.ty()?;
        let ftz = m.has("ftz");
        let sat = m.has("sat");
        let nan = m.has("NaN");
        let relu = m.has("relu");
        let approximate = m.has("approx") | m.has("full");
        let round = m.rounding().map_or(Round::Near, |r| r.0);
        if approximate && base != "div" {
            return Err("an approximate form that is not known".to_owned());
        }
        let unknown = || Err("this instruction is not known for this type".to_owned());
        match ty {
            Ty::F32 if relu => unknown(),
            Ty::F32 if sat || round != Round::Near => self.f32_rounded(base, ftz, sat, round, s),
            Ty::F32 => self.f32_plain(base, ftz, nan, s),
            Ty::F64 if round == Round::Near && !sat => self.f64_plain(base, s),
            Ty::F16 | Ty::F16x2 | Ty::Bf16 | Ty::Bf16x2 if round == Round::Near => {
                self.half_plain(base, ty, nan, relu, sat, s)
            }
            _ => unknown(),
        }
    }

    fn f32_plain(&mut self, base: &str, ftz: bool, nan: bool, s: &Statement) -> Decoded<Op> {
        let ty = Ty::F32;
        match base {
            "add" => self.bin32(s, ty, f32_op!(ftz, |x, y| x + y)),
            "sub" => self.bin32(s, ty, f32_op!(ftz, |x, y| x - y)),
            "mul" => self.bin32(s, ty, f32_op!(ftz, |x, y| x * y)),
            "div" => self.bin32(s, ty, f32_op!(ftz, |x, y| x / y)),
            "fma" | "mad" => self.tri32(s, ty, f32_op!(ftz, |x, y, z| x.mul_add(y, z))),
            "min" if nan => self.bin32(s, ty, f32_op!(ftz, |x, y| min_nan(x, y))),
            "max" if nan => self.bin32(s, ty, f32_op!(ftz, |x, y| max_nan(x, y))),
            "min" => self.bin32(s, ty, f32_op!(ftz, |x, y| float::min(x, y))),
            "max" => self.bin32(s, ty, f32_op!(ftz, |x, y| float::max(x, y))),
            "abs" => self.un32(s, ty, f32_op!(ftz, |x| x.abs())),
            "neg" => self.un32(s, ty, f32_op!(ftz, |x| -x)),
            _ => Err("this instruction is not known for f32".to_owned()),
        }
    }

    /// Variants with a directed rounding or with saturation.
    fn f32_rounded(
        &mut self,
        base: &str,
        ftz: bool,
        sat: bool,
        round: Round,
        s: &Statement,
    ) -> Decoded<Op> {
        macro_rules! sum {
            ($f:ident, $round:expr) => {
                f32_op!(ftz, |x, y| float::$f(f64::from(x), f64::from(y), F32, $round) as f32)
            };
        }
        macro_rules! fused {
            ($round:expr) => {
                f32_op!(ftz, |x, y, z| {
                    float::fma(f64::from(x), f64::from(y), f64::from(z), F32, $round) as f32
                })
            };
        }
        macro_rules! product {
            ($round:expr) => {
                f32_op!(ftz, |x, y| float::narrow(f64::from(x) * f64::from(y), F32, $round) as f32)
            };
        }
        let ty = Ty::F32;
        if sat {
            if round != Round::Near {
                return Err("saturation with a directed rounding".to_owned());
            }
            return match base {
                "add" => self.bin32(s, ty, f32_op!(ftz, |x, y| saturate(x + y))),
                "sub" => self.bin32(s, ty, f32_op!(ftz, |x, y| saturate(x - y))),
                "mul" => self.bin32(s, ty, f32_op!(ftz, |x, y| saturate(x * y))),
                "fma" | "mad" => {
                    self.tri32(s, ty, f32_op!(ftz, |x, y, z| saturate(x.mul_add(y, z))))
                }
                _ => Err("saturation of this instruction".to_owned()),
            };
        }
        match (base, round) {
            ("add", Round::Zero) => self.bin32(s, ty, sum!(add, Round::Zero)),
            ("add", Round::Down) => self.bin32(s, ty, sum!(add, Round::Down)),
            ("add", Round::Up) => self.bin32(s, ty, sum!(add, Round::Up)),
            ("sub", Round::Zero) => self.bin32(s, ty, sum!(sub, Round::Zero)),
            ("sub", Round::Down) => self.bin32(s, ty, sum!(sub, Round::Down)),
            ("sub", Round::Up) => self.bin32(s, ty, sum!(sub, Round::Up)),
            ("mul", Round::Zero) => self.bin32(s, ty, product!(Round::Zero)),
            ("mul", Round::Down) => self.bin32(s, ty, product!(Round::Down)),
            ("mul", Round::Up) => self.bin32(s, ty, product!(Round::Up)),
            ("fma" | "mad", Round::Zero) => self.tri32(s, ty, fused!(Round::Zero)),
            ("fma" | "mad", Round::Down) => self.tri32(s, ty, fused!(Round::Down)),
            ("fma" | "mad", Round::Up) => self.tri32(s, ty, fused!(Round::Up)),
            _ => Err("this rounding of this instruction".to_owned()),
        }
    }

    fn f64_plain(&mut self, base: &str, s: &Statement) -> Decoded<Op> {
        let ty = Ty::F64;
        match base {
            "add" => self.bin64(s, ty, f64_op!(Bin64, |x, y| x + y)),
            "sub" => self.bin64(s, ty, f64_op!(Bin64, |x, y| x - y)),
            "mul" => self.bin64(s, ty, f64_op!(Bin64, |x, y| x * y)),
            "div" => self.bin64(s, ty, f64_op!(Bin64, |x, y| x / y)),
            "fma" | "mad" => self.tri64(s, ty, f64_op!(Tri64, |x, y, z| x.mul_add(y, z))),
            "min" => self.bin64(s, ty, f64_op!(Bin64, |x, y| x.min(y))),
            "max" => self.bin64(s, ty, f64_op!(Bin64, |x, y| x.max(y))),
            "abs" => self.un64(s, ty, f64_op!(Un64, |x| x.abs())),
            "neg" => self.un64(s, ty, f64_op!(Un64, |x| -x)),
            _ => Err("this instruction is not known for f64".to_owned()),
        }
    }

    fn half_plain(
        &mut self,
        base: &str,
        ty: Ty,
        nan: bool,
        relu: bool,
        sat: bool,
        s: &Statement,
    ) -> Decoded<Op> {
        // Sign operations work on bits: a NaN keeps its other bits.
        let two = matches!(ty, Ty::F16x2 | Ty::Bf16x2);
        match (base, two) {
            ("neg", false) => return self.un32(s, ty, lanewise!(Un32, |a| (a ^ 0x8000) & 0xffff)),
            ("neg", true) => return self.un32(s, ty, lanewise!(Un32, |a| a ^ 0x8000_8000)),
            ("abs", false) => return self.un32(s, ty, lanewise!(Un32, |a| a & 0x7fff)),
            ("abs", true) => return self.un32(s, ty, lanewise!(Un32, |a| a & 0x7fff_7fff)),
            _ => {}
        }
        if base == "fma" {
            return self.half_fused(ty, relu, sat, s);
        }
        if relu {
            return Err("relu of this instruction".to_owned());
        }
        let f = match (base, sat, nan) {
            ("add", false, _) => half_op!(Bin32, ty, |x, y| x + y),
            ("sub", false, _) => half_op!(Bin32, ty, |x, y| x - y),
            ("mul", false, _) => half_op!(Bin32, ty, |x, y| x * y),
            ("add", true, _) => half_op!(Bin32, ty, |x, y| saturate(x + y)),
            ("sub", true, _) => half_op!(Bin32, ty, |x, y| saturate(x - y)),
            ("mul", true, _) => half_op!(Bin32, ty, |x, y| saturate(x * y)),
            ("min", false, false) => half_op!(Bin32, ty, |x, y| float::min(x, y)),
            ("max", false, false) => half_op!(Bin32, ty, |x, y| float::max(x, y)),
            ("min", false, true) => half_op!(Bin32, ty, |x, y| min_nan(x, y)),
            ("max", false, true) => half_op!(Bin32, ty, |x, y| max_nan(x, y)),
            _ => None,
        };
        let f = f.ok_or("this instruction is not known for this type")?;
        self.bin32(s, ty, f)
    }

    fn half_fused(&mut self, ty: Ty, relu: bool, sat: bool, s: &Statement) -> Decoded<Op> {
        if sat {
            return Err("a saturating fma of halves".to_owned());
        }
        let f: Tri32 = match (ty, relu) {
            (Ty::F16, false) => {
                lanewise!(Tri32, |a, b, c| fused_f16(a & 0xffff, b & 0xffff, c & 0xffff))
            }
            (Ty::Bf16, false) => {
                lanewise!(Tri32, |a, b, c| fused_bf16(a & 0xffff, b & 0xffff, c & 0xffff))
            }
            (Ty::F16x2, false) => lanewise!(Tri32, |a, b, c| {
                fused_f16(a & 0xffff, b & 0xffff, c & 0xffff)
                    | fused_f16(a >> 16, b >> 16, c >> 16) << 16
            }),
            (Ty::Bf16x2, false) => lanewise!(Tri32, |a, b, c| {
                fused_bf16(a & 0xffff, b & 0xffff, c & 0xffff)
                    | fused_bf16(a >> 16, b >> 16, c >> 16) << 16
            }),
            _ => return Err("fma with relu".to_owned()),
        };
        self.tri32(s, ty, f)
    }

    pub(super) fn special_function(
        &mut self,
        base: &str,
        m: &mut Mods<'_>,
        s: &Statement,
    ) -> Decoded<Op> {
        if base == "testp" {
            return self.test_property(m, s);
        }
        let ftz = m.has("ftz");
        let ty = m.ty()?;
        let round = m.rounding().map_or(Round::Near, |r| r.0);
        m.has("approx");
        if round != Round::Near {
            return Err("this rounding of this instruction".to_owned());
        }
        match ty {
            Ty::F32 => {
                let f = match base {
                    "rcp" => f32_op!(ftz, |x| 1.0 / x),
                    "sqrt" => f32_op!(ftz, |x| x.sqrt()),
                    "rsqrt" => f32_op!(ftz, |x| (1.0 / f64::from(x).sqrt()) as f32),
                    "ex2" => f32_op!(ftz, |x| x.exp2()),
                    "lg2" => f32_op!(ftz, |x| x.log2()),
                    "sin" => f32_op!(ftz, |x| x.sin()),
                    "cos" => f32_op!(ftz, |x| x.cos()),
                    "tanh" => f32_op!(ftz, |x| x.tanh()),
                    "copysign" => {
                        let f = lanewise!(Bin32, |a, b| a & 0x8000_0000 | b & 0x7fff_ffff);
                        return self.bin32(s, ty, f);
                    }
                    _ => return Err("this instruction is not known for f32".to_owned()),
                };
                self.un32(s, ty, f)
            }
            Ty::F64 => {
                let f = match base {
                    "rcp" => f64_op!(Un64, |x| 1.0 / x),
                    "sqrt" => f64_op!(Un64, |x| x.sqrt()),
                    "rsqrt" => f64_op!(Un64, |x| 1.0 / x.sqrt()),
                    "copysign" => {
                        let f = lanewise!(Bin64, |a, b| a & 1 << 63 | b & !(1 << 63));
                        return self.bin64(s, ty, f);
                    }
                    _ => return Err("this instruction is not known for f64".to_owned()),
                };
                self.un64(s, ty, f)
            }
            _ => {
                let f = match base {
                    "ex2" => half_op!(Un32, ty, |x| x.exp2()),
                    "tanh" => half_op!(Un32, ty, |x| x.tanh()),
                    _ => None,
                };
                let f = f.ok_or("this instruction is not known for this type")?;
                self.un32(s, ty, f)
            }
        }
    }

    fn test_property(&mut self, m: &mut Mods<'_>, s: &Statement) -> Decoded<Op> {
        let property = m.next().ok_or("a property is missing")?;
        let ty = m.ty()?;
        let p = self.target_pred(&self.operand(s, 0)?.clone())?;
        let to = SetTo { p, q: None, with: None };
        macro_rules! test {
            ($fn_ty:ty, $float:ty) => {
                match property {
                    "finite" => compare!($fn_ty, |a, _b| <$float>::from_bits(a).is_finite()),
                    "infinite" => compare!($fn_ty, |a, _b| <$float>::from_bits(a).is_infinite()),
                    "number" => compare!($fn_ty, |a, _b| !<$float>::from_bits(a).is_nan()),
                    "notanumber" => compare!($fn_ty, |a, _b| <$float>::from_bits(a).is_nan()),
                    "normal" => compare!($fn_ty, |a, _b| <$float>::from_bits(a).is_normal()),
                    "subnormal" => compare!($fn_ty, |a, _b| <$float>::from_bits(a).is_subnormal()),
                    _ => return Err("this property is not known".to_owned()),
                }
            };
        }
        if ty == Ty::F64 {
            let a = self.s64(s, 1, ty)?;
            return Ok(Op::Set64(test!(Test64, f64), to, a, a));
        }
        let a = self.s32(s, 1, ty)?;
        Ok(Op::Set32(test!(Test32, f32), to, a, a))
    }
}
