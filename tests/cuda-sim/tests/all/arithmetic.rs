//! Arithmetic, bits and comparisons, each compared with the manual's definition.

use crate::harness::{evaluate, evaluate_f32};

fn check(code: &str, result: &str, values: [u64; 3], expected: u64) {
    let got = evaluate(code, result, &[values])[0];
    assert_eq!(got, expected, "{code} of {values:x?}: {got:#x}, expected {expected:#x}");
}

fn narrow(op: &str, a: u32, b: u32, expected: u32) {
    check(&format!("{op} %r20, %r10, %r11;"), "%r20", [a.into(), b.into(), 0], expected.into());
}

fn wide(op: &str, a: u64, b: u64, expected: u64) {
    check(&format!("{op} %rd20, %rd10, %rd11;"), "%rd20", [a, b, 0], expected);
}

fn half(op: &str, a: u16, b: u16, expected: u16) {
    check(&format!("{op} %h20, %h10, %h11;"), "%h20", [a.into(), b.into(), 0], expected.into());
}

#[test]
fn integers_of_32_bits() {
    let minus = |n: i32| n as u32;
    narrow("add.u32", u32::MAX, 2, 1);
    narrow("add.sat.s32", i32::MAX as u32, 5, i32::MAX as u32);
    narrow("sub.s32", 3, 5, minus(-2));
    narrow("mul.lo.s32", minus(-3), 7, minus(-21));
    narrow("mul.hi.u32", 0x8000_0000, 6, 3);
    narrow("mul.hi.s32", minus(-1), 6, minus(-1));
    narrow("div.s32", minus(-7), 2, minus(-3));
    narrow("div.u32", 7, 0, u32::MAX);
    narrow("rem.s32", minus(-7), 2, minus(-1));
    narrow("rem.u32", 7, 4, 3);
    narrow("min.s32", minus(-7), 2, minus(-7));
    narrow("min.u32", minus(-7), 2, 2);
    narrow("max.s32", minus(-7), 2, 2);
    narrow("and.b32", 0b1100, 0b1010, 0b1000);
    narrow("or.b32", 0b1100, 0b1010, 0b1110);
    narrow("xor.b32", 0b1100, 0b1010, 0b0110);
    narrow("shl.b32", 3, 31, 0x8000_0000);
    narrow("shl.b32", 3, 32, 0);
    narrow("shr.u32", 0x8000_0000, 31, 1);
    narrow("shr.s32", 0x8000_0000, 40, u32::MAX);
    narrow("shr.b32", 0x8000_0000, 32, 0);
}

#[test]
fn integers_of_other_widths() {
    half("add.s16", 0xffff, 3, 2);
    half("sub.u16", 1, 3, 0xfffe);
    half("mul.lo.u16", 0x1234, 0x10, 0x2340);
    half("mul.hi.u16", 0x1234, 0x100, 0x12);
    half("min.s16", 0x8000, 1, 0x8000);
    half("max.u16", 0x8000, 1, 0x8000);
    half("div.s16", (-7i16) as u16, 2, (-3i16) as u16);
    half("shr.s16", 0x8000, 4, 0xf800);
    wide("add.s64", u64::MAX, 2, 1);
    wide("sub.s64", 1, 2, u64::MAX);
    wide("mul.lo.s64", 1 << 40, 3 << 10, 3 << 50);
    wide("mul.hi.u64", 1 << 40, 3 << 30, 3 << 6);
    wide("div.s64", (-9i64) as u64, 2, (-4i64) as u64);
    wide("rem.u64", 1 << 40, 1000, (1 << 40) % 1000);
    wide("min.s64", u64::MAX, 2, u64::MAX);
    wide("max.u64", u64::MAX, 2, u64::MAX);
    check("shl.b64 %rd20, %rd10, %r11;", "%rd20", [3, 62, 0], 3 << 62);
    check("shl.b64 %rd20, %rd10, %r11;", "%rd20", [3, 64, 0], 0);
    check("shr.s64 %rd20, %rd10, %r11;", "%rd20", [1 << 63, 70, 0], u64::MAX);
    check("neg.s32 %r20, %r10;", "%r20", [5, 0, 0], (-5i32) as u32 as u64);
    check("abs.s32 %r20, %r10;", "%r20", [(-5i32) as u32 as u64, 0, 0], 5);
    check("neg.s64 %rd20, %rd10;", "%rd20", [5, 0, 0], (-5i64) as u64);
    check("not.b16 %h20, %h10;", "%h20", [0x0f0f, 0, 0], 0xf0f0);
    check("not.b64 %rd20, %rd10;", "%rd20", [0, 0, 0], u64::MAX);
}

#[test]
fn products_and_sums() {
    let three = [7, (-3i32) as u32 as u64, 5];
    check("mad.lo.s32 %r20, %r10, %r11, %r12;", "%r20", three, (-16i32) as u32 as u64);
    check("mul.wide.s32 %rd20, %r10, %r11;", "%rd20", three, (-21i64) as u64);
    check("mul.wide.u32 %rd20, %r10, %r11;", "%rd20", three, 7 * 0xffff_fffd);
    check("mad.wide.s32 %rd20, %r10, %r11, %rd12;", "%rd20", three, (-16i64) as u64);
    check("mad.lo.s64 %rd20, %rd10, %rd11, %rd12;", "%rd20", [7, 1 << 40, 5], (7 << 40) + 5);
    check("mul.wide.u16 %r20, %h10, %h11;", "%r20", [0xffff, 0xffff, 0], 0xfffe_0001);
    check("mul.wide.s16 %r20, %h10, %h11;", "%r20", [0xffff, 5, 0], (-5i32) as u32 as u64);
    check("sad.u32 %r20, %r10, %r11, %r12;", "%r20", [3, 10, 1], 8);
    check("dp4a.u32.u32 %r20, %r10, %r11, %r12;", "%r20", [0x01020304, 0x02020202, 10], 30);
    check("dp4a.s32.s32 %r20, %r10, %r11, %r12;", "%r20", [0xff, 0x03, 10], 7);
    check("mul24.lo.u32 %r20, %r10, %r11;", "%r20", [0x0100_0003, 5, 0], 15);
}

#[test]
fn bits() {
    check("popc.b32 %r20, %r10;", "%r20", [0xf0f0, 0, 0], 8);
    check("popc.b64 %r20, %rd10;", "%r20", [u64::MAX, 0, 0], 64);
    check("clz.b32 %r20, %r10;", "%r20", [1 << 20, 0, 0], 11);
    check("clz.b64 %r20, %rd10;", "%r20", [0, 0, 0], 64);
    check("brev.b32 %r20, %r10;", "%r20", [1, 0, 0], 1 << 31);
    check("bfind.u32 %r20, %r10;", "%r20", [1 << 20, 0, 0], 20);
    check("bfind.u32 %r20, %r10;", "%r20", [0, 0, 0], 0xffff_ffff);
    check("bfe.u32 %r20, %r10, 4, 8;", "%r20", [0xabcd, 0, 0], 0xbc);
    check("bfe.s32 %r20, %r10, 4, 8;", "%r20", [0xabcd, 0, 0], 0xffff_ffbc);
    check("bfe.s32 %r20, %r10, 28, 8;", "%r20", [0x8000_0000, 0, 0], 0xffff_fff8);
    check("bfe.u32 %r20, %r10, 40, 8;", "%r20", [0x8000_0000, 0, 0], 0);
    check("bfe.u64 %rd20, %rd10, 36, 8;", "%rd20", [0xabc << 36, 0, 0], 0xbc);
    check("bfi.b32 %r20, %r10, %r11, 8, 4;", "%r20", [0xf5, 0xffff_ffff, 0], 0xffff_f5ff);
    check("bfi.b32 %r20, %r10, %r11, 8, 0;", "%r20", [0xf5, 0x1234, 0], 0x1234);
    check("bfi.b64 %rd20, %rd10, %rd11, 32, 32;", "%rd20", [7, 9, 0], 7 << 32 | 9);
    check("lop3.b32 %r20, %r10, %r11, %r12, 0x96;", "%r20", [0b1111, 0b1100, 0b1010], 0b1001);
    check("lop3.b32 %r20, %r10, %r11, %r12, 0xE8;", "%r20", [0b1111, 0b1100, 0b1010], 0b1110);
    check("prmt.b32 %r20, %r10, %r11, 0x5410;", "%r20", [0x3322_1100, 0x7766_5544, 0], 0x5544_1100);
    check("prmt.b32 %r20, %r10, %r11, 0xba98;", "%r20", [0x80ff_7f00, 0, 0], 0xffff_0000);
    check("shf.l.wrap.b32 %r20, %r10, %r11, %r12;", "%r20", [0x8000_0000, 1, 33], 3);
    check("shf.l.clamp.b32 %r20, %r10, %r11, %r12;", "%r20", [0x8000_0000, 1, 40], 0x8000_0000);
    check("shf.r.wrap.b32 %r20, %r10, %r11, %r12;", "%r20", [0, 1, 1], 0x8000_0000);
    check("shf.r.clamp.b32 %r20, %r10, %r11, %r12;", "%r20", [5, 9, 99], 9);
    check("cnot.b32 %r20, %r10;", "%r20", [0, 0, 0], 1);
}

#[test]
fn moves_between_widths() {
    check("mov.b32 %r20, {%h10, %h11};", "%r20", [0x1234, 0x5678, 0], 0x5678_1234);
    check("mov.b32 {%h21, %h20}, %r10;", "%h20", [0x5678_1234, 0, 0], 0x5678);
    check("mov.b64 %rd20, {%r10, %r11};", "%rd20", [1, 2, 0], 2 << 32 | 1);
    check("mov.b64 {%r21, %r20}, %rd10;", "%r20", [2 << 32 | 1, 0, 0], 2);
    check("mov.b64 {_, %r20}, %rd10;", "%r20", [2 << 32 | 1, 0, 0], 2);
    check(
        "mov.b64 {%h20, %h21, %h22, %h23}, %rd10; mov.b64 %rd20, {%h23, %h22, %h21, %h20};",
        "%rd20",
        [0x4444_3333_2222_1111, 0, 0],
        0x1111_2222_3333_4444,
    );
}

#[test]
fn comparisons_and_choices() {
    let minus = (-1i32) as u32 as u64;
    check("setp.lt.s32 %p1, %r10, %r11;", "%p1", [minus, 1, 0], 1);
    check("setp.lt.u32 %p1, %r10, %r11;", "%p1", [minus, 1, 0], 0);
    check("setp.ge.and.s32 %p1, %r10, %r11, %p2;", "%p1", [5, 1, 0], 0);
    check("setp.eq.s32 %p2, %r10, 5; setp.ge.and.s32 %p1, %r10, %r11, %p2;", "%p1", [5, 1, 0], 1);
    check("setp.eq.s32 %p2, %r10, 5; setp.ge.or.s32 %p1, %r11, 9, !%p2;", "%p1", [5, 1, 0], 0);
    check("setp.lt.s32 %p2|%p1, %r10, %r11;", "%p1", [5, 1, 0], 1);
    check("setp.lt.s64 %p1, %rd10, %rd11;", "%p1", [u64::MAX, 1, 0], 1);
    check("setp.hi.u16 %p1, %h10, %h11;", "%p1", [0x1_0002, 1, 0], 1);
    check("selp.b32 %r20, %r10, %r11, %p3;", "%r20", [5, 1, 0], 1);
    check("setp.eq.u32 %p3, 1, 1; selp.b64 %rd20, %rd10, %rd11, %p3;", "%rd20", [5, 1, 0], 5);
    check("slct.b32.s32 %r20, %r10, %r11, %r12;", "%r20", [5, 1, minus], 1);
    check("set.lt.u32.s32 %r20, %r10, %r11;", "%r20", [minus, 1, 0], 0xffff_ffff);
    check("set.lt.f32.s32 %f20, %r10, %r11;", "%f20", [minus, 1, 0], 0x3f80_0000);
    check("set.eq.f16.f16 %h20, %h10, %h11;", "%h20", [0x4000, 0x4000, 0], 0x3c00);
    check(
        "set.gt.f16x2.f16x2 %r20, %r10, %r11;",
        "%r20",
        [0x4000_3c00, 0x3c00_4000, 0],
        0x3c00_0000,
    );
    check("mov.pred %p1, 1; not.pred %p2, %p1; xor.pred %p3, %p1, %p2;", "%p3", [0; 3], 1);
}

#[test]
fn comparisons_with_nan() {
    let nan = u64::from(f32::NAN.to_bits());
    for (name, expected) in [
        ("eq", 0),
        ("ne", 0),
        ("lt", 0),
        ("ge", 0),
        ("equ", 1),
        ("neu", 1),
        ("ltu", 1),
        ("geu", 1),
        ("num", 0),
        ("nan", 1),
    ] {
        check(&format!("setp.{name}.f32 %p1, %f10, %f11;"), "%p1", [nan, 0, 0], expected);
    }
    check("testp.notanumber.f32 %p1, %f10;", "%p1", [nan, 0, 0], 1);
    check("testp.infinite.f32 %p1, %f10;", "%p1", [0x7f80_0000, 0, 0], 1);
    check("setp.gt.f64 %p1, %fd10, %fd11;", "%p1", [2f64.to_bits(), 1f64.to_bits(), 0], 1);
}

fn f32s(code: &str, values: [f32; 3], expected: f32) {
    let got = evaluate_f32(code, &[values])[0];
    assert_eq!(
        got.to_bits(),
        expected.to_bits(),
        "{code} of {values:?}: {got}, expected {expected}"
    );
}

#[test]
fn floats() {
    f32s("add.f32 %f20, %f10, %f11;", [1.5, 2.25, 0.0], 3.75);
    f32s("add.rz.f32 %f20, %f10, %f11;", [1.0, f32::EPSILON * 0.75, 0.0], 1.0);
    f32s("add.rp.f32 %f20, %f10, %f11;", [1.0, 1e-30, 0.0], 1.0 + f32::EPSILON);
    f32s("sub.rm.f32 %f20, %f10, %f11;", [1.0, 1e-30, 0.0], 1.0 - f32::EPSILON / 2.0);
    f32s("mul.rz.f32 %f20, %f10, %f11;", [1.1, 1.1, 0.0], 1.21);
    f32s("fma.rn.f32 %f20, %f10, %f11, %f12;", [1.1, 3.3, -3.63], 1.1f32.mul_add(3.3, -3.63));
    f32s("fma.rm.f32 %f20, %f10, %f11, %f12;", [0.7, 252.0, 12_582_913.0], 12_583_089.0);
    f32s("mad.rn.f32 %f20, %f10, %f11, %f12;", [2.0, 3.0, 4.0], 10.0);
    f32s("div.rn.f32 %f20, %f10, %f11;", [1.0, 3.0, 0.0], 1.0 / 3.0);
    f32s("div.full.f32 %f20, %f10, %f11;", [1.0, 4.0, 0.0], 0.25);
    f32s("min.f32 %f20, %f10, %f11;", [f32::NAN, 3.0, 0.0], 3.0);
    f32s("max.f32 %f20, %f10, %f11;", [-0.0, 0.0, 0.0], 0.0);
    f32s("abs.f32 %f20, %f10;", [-2.0, 0.0, 0.0], 2.0);
    f32s("neg.f32 %f20, %f10;", [0.0, 0.0, 0.0], -0.0);
    f32s("copysign.f32 %f20, %f10, %f11;", [-0.0, 3.0, 0.0], -3.0);
    f32s("add.sat.f32 %f20, %f10, %f11;", [0.75, 0.75, 0.0], 1.0);
    f32s("add.ftz.f32 %f20, %f10, %f11;", [1e-40, 0.0, 0.0], 0.0);
    f32s("add.f32 %f20, %f10, %f11;", [1e-40, 0.0, 0.0], 1e-40);
    f32s("mul.ftz.f32 %f20, %f10, %f11;", [1e-30, -1e-10, 0.0], -0.0);
    f32s("mov.f32 %f1, 0f40000000; mul.f32 %f20, %f10, %f1;", [3.0, 0.0, 0.0], 6.0);
    f32s("selp.f32 %f20, %f10, %f11, %p1;", [3.0, 4.0, 0.0], 4.0);
}

#[test]
fn functions_of_floats() {
    f32s("rcp.rn.f32 %f20, %f10;", [3.0, 0.0, 0.0], 1.0 / 3.0);
    f32s("sqrt.rn.f32 %f20, %f10;", [2.0, 0.0, 0.0], 2f32.sqrt());
    f32s("rsqrt.approx.f32 %f20, %f10;", [4.0, 0.0, 0.0], 0.5);
    f32s("ex2.approx.f32 %f20, %f10;", [-1.0, 0.0, 0.0], 0.5);
    f32s("ex2.approx.ftz.f32 %f20, %f10;", [-130.0, 0.0, 0.0], 0.0);
    f32s("lg2.approx.f32 %f20, %f10;", [8.0, 0.0, 0.0], 3.0);
    f32s("lg2.approx.f32 %f20, %f10;", [0.0, 0.0, 0.0], f32::NEG_INFINITY);
    f32s("sin.approx.f32 %f20, %f10;", [0.0, 0.0, 0.0], 0.0);
    f32s("cos.approx.f32 %f20, %f10;", [0.0, 0.0, 0.0], 1.0);
    f32s("tanh.approx.f32 %f20, %f10;", [40.0, 0.0, 0.0], 1.0);
    let bits = |x: f64| x.to_bits();
    check(
        "fma.rn.f64 %fd4, %fd10, %fd11, %fd12;",
        "%fd4",
        [bits(2.0), bits(3.0), bits(1.0)],
        bits(7.0),
    );
    check("div.rn.f64 %fd4, %fd10, %fd11;", "%fd4", [bits(1.0), bits(3.0), 0], bits(1.0 / 3.0));
    check("sqrt.rn.f64 %fd4, %fd10;", "%fd4", [bits(2.0), 0, 0], bits(2f64.sqrt()));
}

#[test]
fn narrow_floats() {
    // 1 = 0x3c00, 2 = 0x4000, 3 = 0x4200, 0.5 = 0x3800 in f16; 1 = 0x3f80, 2 = 0x4000 in bf16.
    half("add.f16", 0x3c00, 0x4000, 0x4200);
    half("sub.f16", 0x3c00, 0x4000, 0xbc00);
    half("mul.f16", 0x3800, 0x4000, 0x3c00);
    half("min.f16", 0x3c00, 0x4000, 0x3c00);
    half("max.f16", 0x7e00, 0x4000, 0x4000);
    half("max.NaN.f16", 0x7e00, 0x4000, 0x7fff);
    half("add.bf16", 0x3f80, 0x3f80, 0x4000);
    half("mul.bf16", 0x4000, 0x4000, 0x4080);
    narrow("add.f16x2", 0x3c00_4000, 0x3c00_3c00, 0x4000_4200);
    narrow("mul.f16x2", 0x3c00_4000, 0x4000_3800, 0x4000_3c00);
    narrow("max.bf16x2", 0x3f80_4000, 0x4000_3f80, 0x4000_4000);
    check("neg.f16 %h20, %h10;", "%h20", [0x3c00, 0, 0], 0xbc00);
    check("abs.bf16x2 %r20, %r10;", "%r20", [0xbf80_c000, 0, 0], 0x3f80_4000);
    check("fma.rn.f16 %h20, %h10, %h11, %h12;", "%h20", [0x4000, 0x4200, 0x3c00], 0x4700);
    check(
        "fma.rn.f16x2 %r20, %r10, %r11, %r12;",
        "%r20",
        [0x4000_3c00, 0x4200_3c00, 0x3c00_3c00],
        0x4700_4000,
    );
    check(
        "fma.rn.bf16x2 %r20, %r10, %r11, %r12;",
        "%r20",
        [0x4000_3f80, 0x4000_3f80, 0x3f80_3f80],
        0x40a0_4000,
    );
    check("ex2.approx.f16 %h20, %h10;", "%h20", [0x4000, 0, 0], 0x4400);
    check("ex2.approx.ftz.bf16x2 %r20, %r10;", "%r20", [0x4000_3f80, 0, 0], 0x4080_4000);
    check("tanh.approx.f16x2 %r20, %r10;", "%r20", [0x0000_5c00, 0, 0], 0x3c00);
}
