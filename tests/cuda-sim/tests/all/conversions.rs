//! `cvt` with every rounding that is used.

use crate::harness::evaluate;

fn check(code: &str, result: &str, value: u64, expected: u64) {
    let got = evaluate(code, result, &[[value, 0, 0]])[0];
    assert_eq!(got, expected, "{code} of {value:#x}: {got:#x}, expected {expected:#x}");
}

fn bits(x: f32) -> u64 {
    x.to_bits().into()
}

#[test]
fn between_integers() {
    check("cvt.s64.s32 %rd20, %r10;", "%rd20", 0xffff_fffe, (-2i64) as u64);
    check("cvt.u64.u32 %rd20, %r10;", "%rd20", 0xffff_fffe, 0xffff_fffe);
    check("cvt.u32.u64 %r20, %rd10;", "%r20", 0x5_0000_0007, 7);
    check("cvt.u32.u16 %r20, %h10;", "%r20", 0xffff, 0xffff);
    check("cvt.s32.s16 %r20, %h10;", "%r20", 0xffff, 0xffff_ffff);
    check("cvt.s32.s8 %r20, %r10;", "%r20", 0x1ff, 0xffff_ffff);
    check("cvt.u32.u8 %r20, %r10;", "%r20", 0x1ff, 0xff);
    check("cvt.u8.u32 %r20, %r10;", "%r20", 0x1ff, 0xff);
    check("cvt.s16.s8 %h20, %h10;", "%h20", 0xff, 0xffff);
    check("cvt.sat.u8.s32 %r20, %r10;", "%r20", (-5i32) as u32 as u64, 0);
    check("cvt.sat.u8.s32 %r20, %r10;", "%r20", 300, 255);
    check("cvt.sat.s8.s32 %r20, %r10;", "%r20", 300, 127);
}

#[test]
fn integers_to_floats() {
    check("cvt.rn.f32.s32 %f20, %r10;", "%f20", 0xffff_fffe, bits(-2.0));
    check("cvt.rn.f32.u32 %f20, %r10;", "%f20", 0xffff_ffff, bits(4_294_967_296.0));
    check("cvt.rz.f32.u32 %f20, %r10;", "%f20", 0xffff_ffff, bits(4_294_967_040.0));
    check("cvt.rn.f32.u8 %f20, %r10;", "%f20", 0x1fe, bits(254.0));
    check("cvt.rn.f32.u16 %f20, %h10;", "%f20", 0xffff, bits(65535.0));
    check("cvt.rn.f32.s64 %f20, %rd10;", "%f20", u64::MAX, bits(-1.0));
    check("cvt.rn.f64.s64 %fd4, %rd10;", "%fd4", u64::MAX, (-1f64).to_bits());
    check("cvt.rn.f16.s32 %h20, %r10;", "%h20", 3, 0x4200);
    check("cvt.rn.f16.u16 %h20, %h10;", "%h20", 2049, 0x6800);
}

#[test]
fn floats_to_integers() {
    check("cvt.rzi.s32.f32 %r20, %f10;", "%r20", bits(-2.7), (-2i32) as u32 as u64);
    check("cvt.rni.s32.f32 %r20, %f10;", "%r20", bits(2.5), 2);
    check("cvt.rni.s32.f32 %r20, %f10;", "%r20", bits(3.5), 4);
    check("cvt.rmi.s32.f32 %r20, %f10;", "%r20", bits(-2.1), (-3i32) as u32 as u64);
    check("cvt.rpi.s32.f32 %r20, %f10;", "%r20", bits(2.1), 3);
    check("cvt.rzi.s32.f32 %r20, %f10;", "%r20", bits(f32::NAN), 0);
    check("cvt.rzi.s32.f32 %r20, %f10;", "%r20", bits(1e20), i32::MAX as u64);
    check("cvt.rzi.u32.f32 %r20, %f10;", "%r20", bits(-1.0), 0);
    check("cvt.rzi.u8.f32 %r20, %f10;", "%r20", bits(300.0), 255);
    check("cvt.rni.u64.f32 %rd20, %f10;", "%rd20", bits(f32::NAN), 1 << 63);
    check("cvt.rzi.s32.f16 %r20, %h10;", "%r20", 0xc200, (-3i32) as u32 as u64);
    check("cvt.rzi.s64.f64 %rd20, %fd10;", "%rd20", (-2.5f64).to_bits(), (-2i64) as u64);
}

#[test]
fn between_floats() {
    check("cvt.rn.f16.f32 %h20, %f10;", "%h20", bits(2049.0), 0x6800);
    check("cvt.rz.f16.f32 %h20, %f10;", "%h20", bits(65530.0), 0x7bff);
    check("cvt.f32.f16 %f20, %h10;", "%f20", 0x0001, bits(2f32.powi(-24)));
    check("cvt.rn.bf16.f32 %h20, %f10;", "%h20", bits(1.0 + 3.0 / 256.0), 0x3f82);
    check("cvt.f32.bf16 %f20, %h10;", "%f20", 0x4000, bits(2.0));
    check("cvt.rn.f32.f64 %f20, %fd10;", "%f20", (1.0f64 / 3.0).to_bits(), bits(1.0 / 3.0));
    check("cvt.f64.f32 %fd4, %f10;", "%fd4", bits(1.5), 1.5f64.to_bits());
    check("cvt.rni.f32.f32 %f20, %f10;", "%f20", bits(2.5), bits(2.0));
    check("cvt.rmi.f32.f32 %f20, %f10;", "%f20", bits(-2.5), bits(-3.0));
    check("cvt.rzi.f32.f32 %f20, %f10;", "%f20", bits(-2.5), bits(-2.0));
    check("cvt.sat.f32.f32 %f20, %f10;", "%f20", bits(f32::NAN), 0);
    check("cvt.sat.f32.f32 %f20, %f10;", "%f20", bits(7.0), bits(1.0));
    check("cvt.ftz.sat.f32.f32 %f20, %f10;", "%f20", bits(1e-40), 0);
    check("cvt.rna.tf32.f32 %f20, %f10;", "%f20", 0x3f80_1000, 0x3f80_2000);
    check("cvt.rn.tf32.f32 %f20, %f10;", "%f20", 0x3f80_1000, 0x3f80_0000);
    check("cvt.rn.relu.f16.f32 %h20, %f10;", "%h20", bits(-3.0), 0);
}

#[test]
fn two_at_once() {
    let get = |code: &str| evaluate(code, "%r20", &[[bits(1.0), bits(-2.0), 0]])[0];
    // The first operand goes to the upper half.
    assert_eq!(get("cvt.rn.f16x2.f32 %r20, %f10, %f11;"), 0x3c00_c000);
    assert_eq!(get("cvt.rn.bf16x2.f32 %r20, %f10, %f11;"), 0x3f80_c000);
    assert_eq!(get("cvt.rn.relu.bf16x2.f32 %r20, %f10, %f11;"), 0x3f80_0000);
}
