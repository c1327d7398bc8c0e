//! Loads, stores, atomic operations and asynchronous copies.

use crate::harness::{device, evaluate, kernel, run, run_shared};

#[test]
fn loads_extend_and_vectors_keep_their_order() {
    let get =
        |code: &str, result: &str| evaluate(code, result, &[[0x8182_8384_8586_8788, 2, 3]])[0];
    assert_eq!(get("ld.global.u8 %r20, [%rd3];", "%r20"), 0x88);
    assert_eq!(get("ld.global.s8 %r20, [%rd3];", "%r20"), 0xffff_ff88);
    assert_eq!(get("ld.global.s16 %r20, [%rd3+2];", "%r20"), 0xffff_8586);
    assert_eq!(get("ld.global.s32 %rd20, [%rd3];", "%rd20"), 0xffff_ffff_8586_8788);
    assert_eq!(get("ld.global.nc.b32 %r20, [%rd3+4];", "%r20"), 0x8182_8384);
    assert_eq!(get("ld.global.v2.u32 {%r21, %r20}, [%rd3];", "%r20"), 0x8182_8384);
    assert_eq!(get("ld.global.v4.u16 {%h21, %h22, %h20, _}, [%rd3];", "%h20"), 0x8384);
    assert_eq!(get("ld.global.L1::no_allocate.L2::128B.u64 %rd20, [%rd3+8];", "%rd20"), 2);
    assert_eq!(get("ld.volatile.global.u64 %rd20, [%rd3+8];", "%rd20"), 2);
}

#[test]
fn generic_addresses_reach_every_memory() {
    let text = kernel(
        ".shared .align 8 .b8 s[64]; .local .align 8 .b8 l[16];
        mov.u64 %rd10, s; cvta.shared.u64 %rd10, %rd10;
        mov.u64 %rd11, l; cvta.local.u64 %rd11, %rd11;
        mov.b64 %rd12, k_in; cvta.param.u64 %rd12, %rd12;
        mov.u64 %rd20, 5; st.u64 [%rd10+8], %rd20;
        mov.u64 %rd20, 6; st.u64 [%rd11+8], %rd20;
        ld.shared.u64 %rd21, [s+8]; ld.local.u64 %rd22, [l+8];
        ld.u64 %rd23, [%rd12]; sub.u64 %rd23, %rd23, %rd0;
        st.u64 [%rd1], %rd21; st.u64 [%rd1+8], %rd22; st.u64 [%rd1+16], %rd23;
        isspacep.shared %p1, %rd10; isspacep.local %p2, %rd10; not.pred %p2, %p2; and.pred %p1, %p1, %p2;
        @!%p1 trap;
        cvta.to.shared.u64 %rd24, %rd10; st.u64 [%rd1+24], %rd24;",
    );
    assert_eq!(run(&device(80), &text, 1, &[9], 4).unwrap(), [5, 6, 0, 0]);
}

#[test]
fn constants_and_initialised_variables() {
    let text = kernel(
        "mul.wide.u32 %rd2, %r0, 4; mov.u64 %rd3, table; add.s64 %rd3, %rd3, %rd2;
        ld.const.u32 %r1, [%rd3]; ld.global.u32 %r2, [counter];
        add.u32 %r1, %r1, %r2; cvt.u64.u32 %rd4, %r1;
        mul.wide.u32 %rd2, %r0, 8; add.s64 %rd5, %rd1, %rd2; st.global.u64 [%rd5], %rd4;",
    );
    let text = text.replace(
        ".visible",
        ".const .align 4 .u32 table[3] = {10, 20, 30};\n.global .u32 counter = 5;\n.visible",
    );
    assert_eq!(run(&device(80), &text, 3, &[], 3).unwrap(), [15, 25, 35]);
}

#[test]
fn atomic_operations_add_up() {
    let text = kernel(
        ".shared .align 8 .b8 s[16];
        setp.ne.u32 %p1, %r0, 0; mov.u64 %rd20, 0; @!%p1 st.shared.u64 [s], %rd20;
        bar.sync 0;
        atom.shared.add.u32 %r2, [s], 1;
        atom.global.add.u64 %rd3, [%rd1], 2;
        mov.f32 %f1, 0f3F000000; red.global.add.f32 [%rd1+8], %f1;
        atom.global.max.s32 %r3, [%rd1+16], %r0;
        atom.global.or.b32 %r3, [%rd1+24], %r0;
        atom.global.inc.u32 %r3, [%rd1+32], 9;
        atom.global.cas.b32 %r3, [%rd1+40], 0, 77;
        mov.b32 %r5, 0x3c004000; red.global.add.noftz.f16x2 [%rd1+48], %r5;
        bar.sync 0;
        ld.shared.u32 %r4, [s]; cvt.u64.u32 %rd4, %r4; @!%p1 st.global.u64 [%rd1+56], %rd4;",
    );
    let out = run(&device(80), &text, 64, &[], 8).unwrap();
    assert_eq!(out[0], 128);
    assert_eq!(f32::from_bits(out[1] as u32), 32.0);
    assert_eq!(out[2..6], [63, 63, 4, 77]);
    // 64 times (1, 2) in f16.
    assert_eq!(out[6], 0x5400_5800);
    assert_eq!(out[7], 64);
}

/// Returns code in which each thread copies 8 bytes with `cp.async`; `wait` is inserted before the
/// barrier.
fn copy(wait: &str) -> String {
    kernel(&format!(
        ".shared .align 16 .b8 s[1024];
        mul.wide.u32 %rd2, %r0, 8; add.s64 %rd3, %rd0, %rd2;
        mov.u32 %r1, s; shl.b32 %r2, %r0, 3; add.u32 %r1, %r1, %r2;
        cp.async.ca.shared.global [%r1], [%rd3], 8;
        cp.async.commit_group;
        cp.async.ca.shared.global [%r1+512], [%rd3], 8, 4;
        cp.async.commit_group;
        {wait}
        bar.sync 0;
        xor.b32 %r3, %r2, 8; mov.u32 %r4, s; add.u32 %r4, %r4, %r3;
        ld.shared.u64 %rd4, [%r4]; ld.shared.u64 %rd5, [%r4+512];
        add.s64 %rd6, %rd1, %rd2; add.u64 %rd4, %rd4, %rd5; st.global.u64 [%rd6], %rd4;"
    ))
}

#[test]
fn asynchronous_copies_arrive_at_their_wait() {
    let input: Vec<u64> = (0..64).map(|i| i << 40 | i).collect();
    for wait in ["cp.async.wait_group 0;", "cp.async.wait_all;"] {
        let out = run(&device(80), &copy(wait), 64, &input, 64).unwrap();
        for (i, value) in out.iter().enumerate() {
            let other = i as u64 ^ 1;
            // The second copy reads 4 bytes and fills the rest with zeros.
            assert_eq!(*value, (other << 40 | other) + other);
        }
    }
}

#[test]
fn a_wait_that_is_too_weak_is_found() {
    let input = [1; 64];
    let error = run(&device(80), &copy("cp.async.wait_group 1;"), 64, &input, 64).unwrap_err();
    assert!(error.to_string().contains("cp.async"), "{error}");
}

#[test]
fn dynamic_shared_memory_follows_the_static_one() {
    let text = kernel(
        ".shared .align 4 .b8 s[20]; mov.u32 %r1, dynamic; cvt.u64.u32 %rd4, %r1;
        mov.u32 %r2, %dynamic_smem_size; st.shared.u32 [dynamic+96], %r2;
        st.global.u64 [%rd1], %rd4; ld.shared.u32 %r3, [dynamic+96]; cvt.u64.u32 %rd5, %r3;
        st.global.u64 [%rd1+8], %rd5;",
    );
    let text = text.replace(".visible", ".extern .shared .align 16 .b8 dynamic[];\n.visible");
    assert_eq!(run_shared(&device(75), &text, 1, 100, &[], 2).unwrap(), [32, 100]);
}
