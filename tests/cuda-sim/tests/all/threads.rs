//! Branches, barriers, and instructions that involve all threads of a warp.

use crate::harness::{device, kernel, run};

/// Stores `%rd4` of each thread.
const STORE: &str =
    "mul.wide.u32 %rd2, %r0, 8; add.s64 %rd3, %rd1, %rd2; st.global.u64 [%rd3], %rd4;";

fn lanes(body: &str, threads: u32) -> Vec<u64> {
    let text = kernel(&format!("{body}\n{STORE}"));
    run(&device(90), &text, threads, &[], threads as usize)
        .unwrap_or_else(|e| panic!("{body}: {e}"))
}

#[test]
fn threads_diverge_and_meet_again() {
    // Each thread counts to its own number, then all shuffle together.
    let body = "mov.u32 %r1, 0; mov.u32 %r2, 0;
        again: setp.ge.u32 %p1, %r1, %r0; @%p1 bra done;
        add.u32 %r2, %r2, %r1; add.u32 %r1, %r1, 1; bra again;
        done: shfl.sync.bfly.b32 %r3, %r2, 1, 31, -1; cvt.u64.u32 %rd4, %r3;";
    for (i, value) in lanes(body, 64).iter().enumerate() {
        let other = i as u64 ^ 1;
        assert_eq!(*value, other * other.saturating_sub(1) / 2);
    }
}

#[test]
fn both_sides_of_a_branch_run() {
    let body = "and.b32 %r1, %r0, 1; setp.eq.u32 %p1, %r1, 0; mov.u64 %rd4, 0;
        @%p1 bra even; add.u64 %rd4, %rd4, 5; bra.uni end;
        even: activemask.b32 %r2; cvt.u64.u32 %rd4, %r2; end:";
    let out = lanes(body, 32);
    assert_eq!(out[1], 5);
    assert_eq!(out[2], 0x5555_5555);
}

#[test]
fn a_shuffle_waits_for_threads_that_come_another_way() {
    // The two sides reach the same shuffle at different times: a far label, then back.
    let body = "setp.lt.u32 %p1, %r0, 16; @%p1 bra far;
        mov.u32 %r1, 7; bra meet;
        back: meet: shfl.sync.idx.b32 %r2, %r1, 0, 31, -1; cvt.u64.u32 %rd4, %r2; bra out;
        far: mov.u32 %r1, 9; bra back; out:";
    assert_eq!(lanes(body, 32), [9; 32]);
}

#[test]
fn shuffles() {
    let body = |mode: &str| {
        format!(
            "shfl.sync.{mode}, -1; selp.b32 %r3, 1000, 0, %p1; add.u32 %r2, %r2, %r3; cvt.u64.u32 %rd4, %r2;"
        )
    };
    let up = lanes(&body("up.b32 %r2|%p1, %r0, 3, 0"), 32);
    let down = lanes(&body("down.b32 %r2|%p1, %r0, 3, 31"), 32);
    let index = lanes(&body("idx.b32 %r2|%p1, %r0, 5, 31"), 32);
    // Segments of 8 lanes: the mask is 0x1800, with a clamp of 7.
    let part = lanes(&body("down.b32 %r2|%p1, %r0, 3, 0x181f"), 32);
    for i in 0..32 {
        assert_eq!(up[i as usize], if i < 3 { i } else { 1000 + i - 3 });
        assert_eq!(down[i as usize], if i + 3 > 31 { i } else { 1000 + i + 3 });
        assert_eq!(index[i as usize], 1005);
        assert_eq!(part[i as usize], if i % 8 + 3 > 7 { i } else { 1000 + i + 3 });
    }
}

#[test]
fn votes_and_reductions() {
    let one = |code: &str, expected: u64| {
        let body = format!("setp.lt.u32 %p1, %r0, 4; {code} cvt.u64.u32 %rd4, %r2;");
        assert_eq!(lanes(&body, 32)[7], expected, "{code}");
    };
    one("vote.sync.ballot.b32 %r2, %p1, -1;", 0xf);
    one("vote.sync.ballot.b32 %r2, !%p1, -1;", 0xffff_fff0);
    one("vote.sync.any.pred %p2, %p1, -1; selp.u32 %r2, 1, 0, %p2;", 1);
    one("vote.sync.all.pred %p2, %p1, -1; selp.u32 %r2, 1, 0, %p2;", 0);
    one("vote.sync.uni.pred %p2, %p1, -1; selp.u32 %r2, 1, 0, %p2;", 0);
    one("redux.sync.add.u32 %r2, %r0, -1;", 31 * 16);
    one("redux.sync.max.s32 %r2, %r0, -1;", 31);
    one("and.b32 %r3, %r0, 3; match.any.sync.b32 %r2, %r3, -1;", 0x8888_8888);
    one("match.all.sync.b32 %r2|%p2, 5, -1;", 0xffff_ffff);
    one("elect.sync %r2|%p2, -1;", 0);
}

#[test]
fn special_registers() {
    let text = kernel(
        "mov.u32 %r1, %ntid.x; mov.u32 %r2, %tid.y; mad.lo.u32 %r3, %r2, %r1, %r0;
        mov.u32 %r4, %laneid; mov.u32 %r5, %warpid; mov.u32 %r6, %lanemask_lt; popc.b32 %r6, %r6;
        mad.lo.u32 %r7, %r5, 32, %r4; sub.u32 %r7, %r7, %r3; sub.u32 %r6, %r6, %r4;
        or.b32 %r7, %r7, %r6; cvt.u64.u32 %rd4, %r7;
        mul.wide.u32 %rd2, %r3, 8; add.s64 %rd3, %rd1, %rd2; st.global.u64 [%rd3], %rd4;",
    );
    let device = device(90);
    let module = device.load(&text).unwrap();
    let to = device.memory.alloc(8 * 96).unwrap();
    let kernel = module.kernel("k").unwrap();
    device.launch(&kernel, [1; 3], [16, 6, 1], 0, &[&to.to_le_bytes(), &to.to_le_bytes()]).unwrap();
    let mut out = vec![1; 8 * 96];
    device.memory.read(to, &mut out).unwrap();
    assert!(out.iter().all(|&b| b == 0));
}

#[test]
fn barriers_order_warps_and_reduce() {
    let body = ".shared .align 4 .b8 s[512];
        shl.b32 %r1, %r0, 2; mov.u32 %r2, s; add.u32 %r1, %r1, %r2; st.shared.u32 [%r1], %r0;
        setp.lt.u32 %p1, %r0, 5;
        barrier.cta.red.popc.aligned.u32 %r3, 0, %p1;
        sub.u32 %r4, 127, %r0; shl.b32 %r4, %r4, 2; add.u32 %r4, %r4, %r2; ld.shared.u32 %r5, [%r4];
        mad.lo.u32 %r5, %r3, 1000, %r5; cvt.u64.u32 %rd4, %r5;";
    for (i, value) in lanes(body, 128).iter().enumerate() {
        assert_eq!(*value, 5000 + 127 - i as u64);
    }
}

#[test]
fn a_producer_arrives_and_consumers_wait() {
    let body = ".shared .align 4 .b8 s[4]; setp.ge.u32 %p1, %r0, 32; mov.u32 %r1, 42;
        @%p1 bra consume; setp.eq.u32 %p2, %r0, 0; @%p2 st.shared.u32 [s], %r1;
        bar.warp.sync -1; bar.arrive 1, 64; mov.u64 %rd4, 0; bra end;
        consume: bar.sync 1, 64; ld.shared.u32 %r2, [s]; cvt.u64.u32 %rd4, %r2; end:";
    let out = lanes(body, 64);
    assert_eq!((out[0], out[40]), (0, 42));
}

#[test]
fn indexed_branches() {
    let body = "and.b32 %r1, %r0, 3; table: .branchtargets a, b, c, b;
        brx.idx %r1, table;
        a: mov.u64 %rd4, 1; bra end; b: mov.u64 %rd4, 2; bra end; c: mov.u64 %rd4, 3; end:";
    assert_eq!(lanes(body, 32)[..5], [1, 2, 3, 2, 1]);
}

#[test]
fn calls_of_device_functions() {
    let text = kernel(&format!(
        "{{ .param .b32 param0; st.param.b32 [param0+0], %r0; .param .b32 retval0;
        call.uni (retval0), square, (param0); ld.param.b32 %r1, [retval0+0]; }}
        {{ .param .b32 param0; st.param.b32 [param0+0], %r1; .param .b32 retval0;
        call.uni (retval0), square, (param0); ld.param.b32 %r1, [retval0+0]; }}
        cvt.u64.u32 %rd4, %r1; {STORE}"
    ));
    let text = text.replace(
        ".visible",
        ".func (.param .b32 func_retval0) square (.param .b32 square_param_0) {
            .reg .b32 %r<4>; .reg .pred %p<2>; ld.param.u32 %r1, [square_param_0];
            setp.eq.u32 %p1, %r1, 3; @%p1 bra three;
            mul.lo.u32 %r2, %r1, %r1; st.param.b32 [func_retval0+0], %r2; ret;
            three: mov.u32 %r2, 100; st.param.b32 [func_retval0+0], %r2; ret;
        }\n.visible",
    );
    let out = run(&device(90), &text, 32, &[], 32).unwrap();
    assert_eq!(out[2..5], [16, 10_000, 256]);
}

#[test]
fn many_blocks_run() {
    let text = kernel(
        "mov.u32 %r1, %ctaid.x; mov.u32 %r2, %nctaid.x; mov.u32 %r3, %ctaid.y;
        mad.lo.u32 %r1, %r3, %r2, %r1; atom.global.add.u32 %r4, [%rd1], %r1;",
    );
    let device = device(90);
    let module = device.load(&text).unwrap();
    let to = device.memory.alloc(8).unwrap();
    device.memory.fill(to, 0, 8).unwrap();
    let kernel = module.kernel("k").unwrap();
    let to_bytes = to.to_le_bytes();
    let stats = device.launch(&kernel, [50, 3, 1], [32, 1, 1], 0, &[&to_bytes, &to_bytes]).unwrap();
    let mut out = [0; 8];
    device.memory.read(to, &mut out).unwrap();
    assert_eq!(u64::from_le_bytes(out), 32 * 149 * 150 / 2);
    assert_eq!(stats.blocks, 150);
    // 3 of the harness, 5 of this test, and the end.
    assert_eq!(stats.thread_instructions, 150 * 32 * 9);
}

/// Returns code in which warp 0 writes and arrives at an `mbarrier`, and the others wait for its
/// phase.
fn phases(arrive: &str) -> String {
    format!(
        ".shared .align 8 .b8 b[8]; .shared .align 4 .b8 s[4]; setp.ne.u32 %p1, %r0, 0; mov.u32 %r1, 42;
        @!%p1 mbarrier.init.shared.b64 [b], 1; bar.sync 0;
        setp.ge.u32 %p2, %r0, 32; @%p2 bra wait;
        @!%p1 st.shared.u32 [s], %r1; {arrive} mov.u64 %rd4, 0; bra end;
        wait: mbarrier.try_wait.parity.shared::cta.b64 %p3, [b], 0; @!%p3 bra wait;
        ld.shared.u32 %r2, [s]; cvt.u64.u32 %rd4, %r2; end:"
    )
}

#[test]
fn phases_of_barriers_in_memory() {
    let out = lanes(&phases("@!%p1 mbarrier.arrive.shared.b64 %rd5, [b];"), 96);
    assert_eq!((out[0], out[50]), (0, 42));
    // Bytes that never arrive.
    let text = kernel(&phases("@!%p1 mbarrier.arrive.expect_tx.shared.b64 %rd5, [b], 16;"));
    let error = run(&device(90), &text, 96, &[], 0).unwrap_err();
    assert!(error.to_string().contains("at which nobody arrives any more"), "{error}");
    // Read without waiting.
    let text = kernel(&phases("@!%p1 mbarrier.arrive.shared.b64 %rd5, [b];"));
    let text =
        text.replace("mbarrier.try_wait.parity.shared::cta.b64 %p3, [b], 0; @!%p3 bra wait;", "");
    let error = run(&device(90), &text, 96, &[], 0).unwrap_err();
    assert!(error.to_string().contains("race"), "{error}");
}
