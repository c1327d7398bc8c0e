//! Matrix instructions, with fragments laid out as in the manual, compared with products computed
//! here.

use crate::harness::{device, kernel, run};

/// Returns small integers, which every format represents and whose products and sums are exact.
fn whole(seed: usize, n: usize) -> Vec<i32> {
    (0..n).map(|i| ((i * 7 + seed * 13 + i * i % 11) % 9) as i32 - 4).collect()
}

fn f16(x: i32) -> u64 {
    let x = f64::from(x);
    if x == 0.0 {
        return 0;
    }
    let exponent = x.abs().log2().floor();
    let fraction = ((x.abs() / exponent.exp2() - 1.0) * 1024.0) as u64;
    (u64::from(x < 0.0) << 15) | (((exponent as i64 + 15) as u64) << 10) | fraction
}

fn bf16(x: i32) -> u64 {
    u64::from((x as f32).to_bits() >> 16)
}

fn product(a: &[i32], b: &[i32], c: &[i32], [m, n, k]: [usize; 3]) -> Vec<i32> {
    let sum = |row: usize, column: usize| {
        (0..k).map(|at| a[row * k + at] * b[at * n + column]).sum::<i32>() + c[row * n + column]
    };
    (0..m * n).map(|i| sum(i / n, i % n)).collect()
}

/// Runs `mma.sync` with `k` columns. The values are in the format that `encode` produces, with
/// `per` in a register.
fn mma(k: usize, ty: &str, per: usize, encode: fn(i32) -> u64) {
    let (a, b, c) = (whole(1, 16 * k), whole(2, k * 8), whole(3, 16 * 8));
    let pack = |get: &dyn Fn(usize) -> i32| {
        (0..per).fold(0, |bits, h| bits | encode(get(h)) << (32 / per * h))
    };
    let (registers_a, registers_b) = (16 * k / 32 / per, 8 * k / 32 / per);
    let mut input = Vec::new();
    for lane in 0..32 {
        let (group, within) = (lane / 4, lane % 4);
        for r in 0..registers_a {
            let (row, column) = (group + 8 * (r % 2), within * per + r / 2 * 4 * per);
            input.push(pack(&|h| a[row * k + column + h]));
        }
        for r in 0..registers_b {
            let row = within * per + r * 4 * per;
            input.push(pack(&|h| b[(row + h) * 8 + group]));
        }
        for i in 0..4 {
            let (row, column) = (group + 8 * (i / 2), within * 2 + i % 2);
            input.push(u64::from((c[row * 8 + column] as f32).to_bits()));
        }
    }
    let count = registers_a + registers_b + 4;
    let mut body = format!("mul.wide.u32 %rd2, %r0, {}; add.s64 %rd3, %rd0, %rd2;\n", 8 * count);
    for r in 0..registers_a + registers_b {
        body += &format!("ld.global.u32 %r{}, [%rd3+{}];\n", 10 + r, 8 * r);
    }
    for i in 0..4 {
        let at = 8 * (registers_a + registers_b + i);
        body += &format!("ld.global.f32 %f{i}, [%rd3+{at}];\n");
    }
    let list = |from: usize, n: usize| {
        (from..from + n).map(|r| format!("%r{r}")).collect::<Vec<_>>().join(", ")
    };
    body += &format!(
        "mma.sync.aligned.m16n8k{k}.row.col.f32.{ty}.{ty}.f32 {{%f4, %f5, %f6, %f7}}, {{{}}}, {{{}}}, {{%f0, %f1, %f2, %f3}};
        mul.wide.u32 %rd4, %r0, 32; add.s64 %rd5, %rd1, %rd4;\n",
        list(10, registers_a),
        list(10 + registers_a, registers_b)
    );
    for i in 0..4 {
        body +=
            &format!("cvt.rzi.s64.f32 %rd6, %f{}; st.global.u64 [%rd5+{}], %rd6;\n", 4 + i, 8 * i);
    }
    let out = run(&device(90), &kernel(&body), 32, &input, 128).unwrap();
    let expected = product(&a, &b, &c, [16, 8, k]);
    for lane in 0..32 {
        for i in 0..4 {
            let (row, column) = (lane / 4 + 8 * (i / 2), lane % 4 * 2 + i % 2);
            assert_eq!(out[4 * lane + i] as i64, i64::from(expected[row * 8 + column]), "{ty} {k}");
        }
    }
}

#[test]
fn products_of_16_by_8() {
    mma(8, "f16", 2, f16);
    mma(16, "f16", 2, f16);
    mma(8, "bf16", 2, bf16);
    mma(16, "bf16", 2, bf16);
    mma(4, "tf32", 1, |x| u64::from((x as f32).to_bits()));
    mma(8, "tf32", 1, |x| u64::from((x as f32).to_bits()));
}

#[test]
fn tf32_ignores_the_lower_bits() {
    let body = "mov.b32 %r1, 0x3f801fff; mov.b32 %r2, 0x3f800000; mov.f32 %f1, 0f00000000;
        mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {%f4, %f5, %f6, %f7}, {%r1, %r1}, {%r2}, {%f1, %f1, %f1, %f1};
        mov.b32 %r3, %f4; cvt.u64.u32 %rd4, %r3; st.global.u64 [%rd1], %rd4;";
    let out = run(&device(90), &kernel(body), 32, &[], 1).unwrap();
    assert_eq!(f32::from_bits(out[0] as u32), 4.0);
}

#[test]
fn sums_in_f16() {
    let body = "mov.b32 %r1, 0x3c003c00; mov.b32 %r2, 0x40004000;
        mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%r4, %r5}, {%r1, %r1, %r1, %r1}, {%r1, %r1}, {%r2, %r2};
        cvt.u64.u32 %rd4, %r5; st.global.u64 [%rd1], %rd4;";
    // 16 * 1 * 1 + 2 = 18.
    assert_eq!(run(&device(90), &kernel(body), 32, &[], 1).unwrap(), [0x4c80_4c80]);
}

/// Loads matrices whose elements are their own positions.
fn load_matrix(count: usize, transposed: &str) -> Vec<u64> {
    let list = (0..count).map(|i| format!("%r{}", 20 + i)).collect::<Vec<_>>().join(", ");
    let mut body = format!(
        ".shared .align 16 .b8 s[512]; mov.u32 %r1, s; shl.b32 %r2, %r0, 4; add.u32 %r1, %r1, %r2;
        mov.u32 %r3, 0; mov.u32 %r4, %r1; shl.b32 %r5, %r0, 3;
        again: add.u32 %r6, %r5, %r3; cvt.u16.u32 %h1, %r6; st.shared.u16 [%r4], %h1;
        add.u32 %r4, %r4, 2; add.u32 %r3, %r3, 1; setp.lt.u32 %p1, %r3, 8; @%p1 bra again;
        bar.warp.sync -1;
        ldmatrix.sync.aligned.m8n8.x{count}{transposed}.shared.b16 {{{list}}}, [%r1];
        mul.wide.u32 %rd2, %r0, {}; add.s64 %rd3, %rd1, %rd2;\n",
        8 * count
    );
    for i in 0..count {
        body += &format!("cvt.u64.u32 %rd4, %r{}; st.global.u64 [%rd3+{}], %rd4;\n", 20 + i, 8 * i);
    }
    run(&device(75), &kernel(&body), 32, &[], 32 * count).unwrap()
}

#[test]
fn matrices_from_shared_memory() {
    for count in [1, 2, 4] {
        let (plain, transposed) = (load_matrix(count, ""), load_matrix(count, ".trans"));
        for lane in 0..32u64 {
            for matrix in 0..count as u64 {
                let at = |row: u64, column: u64| matrix * 64 + row * 8 + column;
                let (a, b) = (lane / 4, lane % 4 * 2);
                let index = (lane * count as u64 + matrix) as usize;
                assert_eq!(plain[index], at(a, b) | at(a, b + 1) << 16);
                assert_eq!(transposed[index], at(b, a) | at(b + 1, a) << 16);
            }
        }
    }
}

#[test]
fn stored_and_moved_matrices() {
    let body = ".shared .align 16 .b8 s[128]; mov.u32 %r1, s; and.b32 %r2, %r0, 7; shl.b32 %r2, %r2, 4; add.u32 %r1, %r1, %r2;
        mad.lo.u32 %r3, %r0, 0x20002, 0x10000;
        stmatrix.sync.aligned.m8n8.x1.shared.b16 [%r1], {%r3};
        bar.warp.sync -1;
        ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%r4}, [%r1];
        movmatrix.sync.aligned.m8n8.trans.b16 %r5, %r3; xor.b32 %r6, %r4, %r5;
        mul.wide.u32 %rd2, %r0, 8; add.s64 %rd3, %rd1, %rd2; cvt.u64.u32 %rd4, %r6; st.global.u64 [%rd3], %rd4;
        setp.eq.u32 %p1, %r0, 1; cvt.u64.u32 %rd4, %r4; @%p1 st.global.u64 [%rd1+256], %rd4;";
    let out = run(&device(90), &kernel(body), 32, &[], 33).unwrap();
    assert_eq!(out[..32], [0; 32]);
    // Lane 1 has column 0, rows 2 and 3 of the stored matrix: elements 16 and 24.
    assert_eq!(out[32], 16 | 24 << 16);
}

/// Runs `wmma` of one shape, from and to global memory, with both layouts.
fn wmma(
    [m, n, k]: [usize; 3],
    ty: &str,
    bytes: usize,
    registers: [usize; 3],
    encode: fn(i32) -> u64,
) {
    let (a, b, c) = (whole(1, m * k), whole(2, k * n), whole(3, m * n));
    let mut words: Vec<u8> = Vec::new();
    let mut put = |value: u64, bytes: usize| words.extend_from_slice(&value.to_le_bytes()[..bytes]);
    a.iter().for_each(|&x| put(encode(x), bytes));
    // The second factor, column by column.
    for column in 0..n {
        (0..k).for_each(|row| put(encode(b[row * n + column]), bytes));
    }
    c.iter().for_each(|&x| put((x as f32).to_bits().into(), 4));
    let input: Vec<u64> =
        words.chunks(8).map(|c| u64::from_le_bytes(c.try_into().unwrap())).collect();
    let list = |name: &str, from: usize, count: usize| {
        (from..from + count).map(|i| format!("%{name}{i}")).collect::<Vec<_>>().join(", ")
    };
    let [ra, rb, rc] = registers;
    let (la, lb) = (list("r", 10, ra), list("r", 20, rb));
    let (lc, ld) = (list("f", 10, rc), list("f", 20, rc));
    let shape = format!("m{m}n{n}k{k}");
    let types = if ty == "f16" { "f32.f32".to_owned() } else { format!("f32.{ty}.{ty}.f32") };
    let (at_b, at_c) = (m * k * bytes, (m * k + k * n) * bytes);
    let body = format!(
        "mov.u32 %r1, {k}; mov.u32 %r2, {n};
        wmma.load.a.sync.aligned.row.{shape}.global.{ty} {{{la}}}, [%rd0], %r1;
        wmma.load.b.sync.aligned.col.{shape}.global.{ty} {{{lb}}}, [%rd0+{at_b}], %r1;
        wmma.load.c.sync.aligned.row.{shape}.global.f32 {{{lc}}}, [%rd0+{at_c}], %r2;
        wmma.mma.sync.aligned.row.col.{shape}.{types} {{{ld}}}, {{{la}}}, {{{lb}}}, {{{lc}}};
        wmma.store.d.sync.aligned.row.{shape}.global.f32 [%rd1], {{{ld}}}, %r2;"
    );
    let out = run(&device(90), &kernel(&body), 32, &input, m * n / 2).unwrap();
    let got: Vec<i32> = out
        .iter()
        .flat_map(|w| [*w as u32, (*w >> 32) as u32].map(|bits| f32::from_bits(bits) as i32))
        .collect();
    assert_eq!(got, product(&a, &b, &c, [m, n, k]), "{shape} {ty}");
}

#[test]
fn wmma_products() {
    wmma([16, 16, 16], "f16", 2, [8, 8, 8], f16);
    wmma([32, 8, 16], "f16", 2, [8, 8, 8], f16);
    wmma([8, 32, 16], "f16", 2, [8, 8, 8], f16);
    wmma([16, 16, 16], "bf16", 2, [4, 4, 8], bf16);
    wmma([32, 8, 16], "bf16", 2, [8, 2, 8], bf16);
    wmma([16, 16, 8], "tf32", 4, [4, 4, 8], |x| u64::from((x as f32).to_bits()));
}
