//! Planted faults, all of which must be found, and similar correct programs, which must pass.

use cuda::check::Kind;
use cuda::device::{Device, LaunchError};

use crate::harness::{device, entry, fault, kernel, lenient, run, run_shared};

/// Returns code in which each thread stores to its place in shared memory, then runs `between`,
/// then loads from its neighbour.
fn neighbours(between: &str) -> String {
    kernel(&format!(
        ".shared .align 4 .b8 s[512];
        shl.b32 %r1, %r0, 2; mov.u32 %r2, s; add.u32 %r3, %r2, %r1;
        st.shared.u32 [%r3], %r0;
        {between}
        xor.b32 %r4, %r1, 128; add.u32 %r4, %r2, %r4; ld.shared.u32 %r5, [%r4];"
    ))
}

#[test]
fn a_missing_barrier() {
    run(&device(90), &neighbours("bar.sync 0;"), 128, &[], 0).unwrap();
    let (kind, text) = fault(&device(90), &neighbours("bar.warp.sync -1;"), 128, 0);
    // The neighbour is in another warp, which may or may not have written already.
    assert!(matches!(kind, Kind::Race | Kind::Unwritten), "{text}");
    let text = neighbours("bar.sync 0;")
        .replace("bar.sync 0;\n", "bar.sync 0; st.shared.u32 [%r3], %r1;\n");
    let (kind, text) = fault(&device(90), &text, 128, 0);
    assert_eq!(kind, Kind::Race);
    // Found at the load or at the store, whichever comes second.
    assert!(text.contains("kernel k") && text.contains(".shared.u32"), "{text}");
}

#[test]
fn a_write_over_what_others_still_read() {
    let text = |between: &str| {
        neighbours("bar.sync 0;").replace(
            "ld.shared.u32 %r5, [%r4];",
            &format!("ld.shared.u32 %r5, [%r4]; {between} st.shared.u32 [%r3], %r5;"),
        )
    };
    run(&device(90), &text("bar.sync 0;"), 128, &[], 0).unwrap();
    assert_eq!(fault(&device(90), &text(""), 128, 0).0, Kind::Race);
}

#[test]
fn lanes_of_a_warp_need_an_order_too() {
    let text = |between: &str| neighbours(between).replace("128;", "4;");
    run(&device(90), &text("bar.warp.sync -1;"), 32, &[], 0).unwrap();
    let (kind, text) = fault(&device(90), &text(""), 32, 0);
    assert_eq!(kind, Kind::Race);
    assert!(text.contains("no barrier between"), "{text}");
}

#[test]
fn two_values_for_one_place() {
    let text = kernel(".shared .align 4 .b8 s[4]; st.shared.u32 [s], %r0;");
    assert_eq!(fault(&device(90), &text, 32, 0).0, Kind::Race);
    // The same value from all threads does no harm, nor do atomic operations.
    let text = kernel(".shared .align 4 .b8 s[4]; mov.u32 %r1, 5; st.shared.u32 [s], %r1;");
    run(&device(90), &text, 64, &[], 0).unwrap();
}

#[test]
fn a_race_can_be_reported_only() {
    let device = lenient(&[Kind::Race]);
    let text = kernel(".shared .align 4 .b8 s[4]; st.shared.u32 [s], %r0;");
    run(&device, &text, 32, &[], 0).unwrap();
    assert_eq!(device.findings.counts(), [(Kind::Race, 31)]);
    assert_eq!(device.findings.list().len(), 1);
}

#[test]
fn one_past_the_end() {
    let text = |offset: u32| {
        kernel(&format!(
            "mul.wide.u32 %rd2, %r0, 8; add.s64 %rd3, %rd0, %rd2; ld.global.u64 %rd4, [%rd3+{offset}];"
        ))
    };
    run(&device(90), &text(0), 64, &[1; 64], 0).unwrap();
    let (kind, message) = fault(&device(90), &text(8), 64, 0);
    assert_eq!(kind, Kind::OutOfBounds);
    assert!(message.contains("thread (63, 0, 0)"), "{message}");
    assert!(
        message.contains("512 bytes from the beginning of an allocation of 512 bytes"),
        "{message}"
    );
    let store = text(8).replace("ld.global.u64 %rd4, [%rd3+8]", "st.global.u64 [%rd3+8], %rd2");
    assert_eq!(fault(&device(90), &store, 64, 0).0, Kind::OutOfBounds);
    let shared = kernel(".shared .align 4 .b8 s[8]; mov.u32 %r1, 1; st.shared.u32 [s+8], %r1;");
    assert_eq!(fault(&device(90), &shared, 1, 0).0, Kind::OutOfBounds);
    let null = kernel("mov.u64 %rd2, 0; ld.global.u32 %r1, [%rd2];");
    assert_eq!(fault(&device(90), &null, 1, 0).0, Kind::OutOfBounds);
}

#[test]
fn memory_that_was_never_written() {
    let text = kernel("ld.global.u32 %r1, [%rd0];");
    let error = run(&device(90), &text, 1, &[], 0).unwrap_err();
    assert!(error.to_string().contains("never written"), "{error}");
    let shared = kernel(".shared .align 4 .b8 s[8]; ld.shared.u32 %r1, [s];");
    assert_eq!(fault(&device(90), &shared, 1, 0).0, Kind::Unwritten);
    let local = kernel(".local .align 4 .b8 l[8]; ld.local.u32 %r1, [l];");
    assert_eq!(fault(&device(90), &local, 1, 0).0, Kind::Unwritten);
    // The value that is then read is recognisable.
    let device = lenient(&[Kind::Unwritten]);
    let text =
        kernel("ld.global.u32 %r1, [%rd0]; cvt.u64.u32 %rd4, %r1; st.global.u64 [%rd1], %rd4;");
    assert_eq!(run(&device, &text, 1, &[], 1).unwrap(), [0xEEEE_EEEE]);
}

/// Writes 12 of 16 bytes in shared and in global memory, and reads all 16 with a mask of the used
/// bytes.
fn partly_used(mask: &str) -> String {
    kernel(&format!(
        ".shared .align 16 .b8 s[16]; mov.u32 %r1, 5;
        st.shared.u32 [s], %r1; st.shared.u32 [s+4], %r1; st.shared.u32 [s+8], %r1;
        bar.sync 0;
        .pragma \"used_bytes_mask {mask}\";
        ld.shared.v4.u32 {{%r2, %r3, %r4, %r5}}, [s];
        .pragma \"nounroll\";
        add.u32 %r2, %r2, %r4; cvt.u64.u32 %rd4, %r2; st.global.u64 [%rd1], %rd4;"
    ))
}

#[test]
fn bytes_that_a_load_does_not_use_may_be_unwritten() {
    assert_eq!(run(&device(90), &partly_used("4095"), 1, &[], 1).unwrap(), [10]);
    assert_eq!(run(&device(90), &partly_used("0x0f0f"), 1, &[], 1).unwrap(), [10]);
    assert_eq!(fault(&device(90), &partly_used("0xffff"), 1, 0).0, Kind::Unwritten);
    assert_eq!(fault(&device(90), &partly_used("0xf000"), 1, 0).0, Kind::Unwritten);
    // The mask applies to the next instruction only.
    let text = partly_used("4095");
    let text = text.replace("add.u32 %r2", "ld.shared.v2.u32 {%r6, %r7}, [s+8]; add.u32 %r2");
    assert_eq!(fault(&device(90), &text, 1, 0).0, Kind::Unwritten);
    let (kind, message) = fault(&device(90), &partly_used("0x10000"), 1, 0);
    assert_eq!(kind, Kind::UnknownInstruction);
    assert!(message.contains("a mask of used bytes, 0x10000, for a load of 16"), "{message}");
}

#[test]
fn bytes_that_a_load_does_not_use_do_not_race() {
    // Thread 0 of the second warp writes the last word while the first warp reads the others.
    let text = |mask: &str| {
        kernel(&format!(
            ".shared .align 16 .b8 s[16]; mov.u32 %r1, 0; setp.eq.u32 %p1, %r0, 0; setp.eq.u32 %p2, %r0, 32;
            @%p1 st.shared.v4.u32 [s], {{%r1, %r1, %r1, %r1}};
            bar.sync 0; mov.u32 %r1, 7; @%p2 st.shared.u32 [s+12], %r1;
            .pragma \"used_bytes_mask {mask}\";
            @%p1 ld.shared.v4.u32 {{%r2, %r3, %r4, %r5}}, [s];"
        ))
    };
    run(&device(90), &text("4095"), 64, &[], 0).unwrap();
    assert_eq!(fault(&device(90), &text("0xffff"), 64, 0).0, Kind::Race);
}

#[test]
fn an_address_that_is_not_aligned() {
    let text = kernel("ld.global.u32 %r1, [%rd0+2];");
    assert_eq!(fault(&device(90), &text, 1, 0).0, Kind::Misaligned);
    let text = kernel("ld.global.v2.u32 {%r1, %r2}, [%rd0+4];");
    assert_eq!(fault(&device(90), &text, 1, 0).0, Kind::Misaligned);
    let text = kernel(
        ".shared .align 16 .b8 s[512]; mov.u32 %r1, s; mad.lo.u32 %r1, %r0, 8, %r1;
        mov.u64 %rd2, 0; st.shared.u64 [%r1], %rd2; bar.warp.sync -1;
        ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r2}, [%r1];",
    );
    assert_eq!(fault(&device(90), &text, 32, 0).0, Kind::Misaligned);
}

#[test]
fn a_barrier_not_reached_by_all() {
    // Only half of a warp.
    let text = kernel(
        "setp.lt.u32 %p1, %r0, 16; @%p1 bra over; bar.sync 0; bra over2; over: bar.sync 0; over2:",
    );
    assert_eq!(fault(&device(90), &text, 32, 0).0, Kind::Barrier);
    // Warps at different barriers.
    let text = kernel(
        "setp.lt.u32 %p1, %r0, 32; @%p1 bra over; bar.sync 1; bra over2; over: bar.sync 0; over2:",
    );
    let (kind, text) = fault(&device(90), &text, 64, 0);
    assert_eq!(kind, Kind::Barrier);
    assert!(text.contains("wait at this barrier"), "{text}");
    // A count that is never completed.
    let text = kernel("setp.lt.u32 %p1, %r0, 32; @%p1 bar.sync 1, 64;");
    assert_eq!(fault(&device(90), &text, 64, 0).0, Kind::Barrier);
}

#[test]
fn threads_that_end_before_a_barrier_are_reported() {
    let device = device(90);
    let text = kernel("setp.ge.u32 %p1, %r0, 32; @%p1 exit; bar.sync 0;");
    run(&device, &text, 64, &[], 0).unwrap();
    assert_eq!(device.findings.counts(), [(Kind::ExitBeforeBarrier, 1)]);
}

#[test]
fn masks_that_name_the_wrong_threads() {
    // The other half waits at a different instruction.
    let text = kernel(
        "setp.lt.u32 %p1, %r0, 16; @%p1 bra low; shfl.sync.bfly.b32 %r1, %r0, 1, 31, -1; bra end;
        low: shfl.sync.bfly.b32 %r1, %r0, 2, 31, -1; end:",
    );
    assert_eq!(fault(&device(90), &text, 32, 0).0, Kind::WarpMask);
    let text = kernel("shfl.sync.bfly.b32 %r1, %r0, 1, 31, 0xffff;");
    assert_eq!(fault(&device(90), &text, 32, 0).0, Kind::WarpMask);
    // A matrix product needs a whole warp.
    let product = "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%f1, %f2, %f3, %f4}, {%r1, %r2}, {%r3}, {%f1, %f2, %f3, %f4};";
    assert_eq!(fault(&device(90), &kernel(product), 16, 0).0, Kind::WarpMask);
    // A small block may shuffle with the full mask.
    let text = kernel("shfl.sync.bfly.b32 %r1, %r0, 1, 31, -1;");
    run(&device(90), &text, 8, &[], 0).unwrap();
}

#[test]
fn instructions_that_are_not_known_stop_where_they_are_reached() {
    let text =
        |guard: &str| kernel(&format!("setp.gt.u32 %p1, %r0, 5; {guard} frobnicate.u32 %r1, %r0;"));
    let (kind, message) = fault(&device(90), &text(""), 1, 0);
    assert_eq!(kind, Kind::UnknownInstruction);
    assert!(
        message.contains("kernel k") && message.contains("frobnicate.u32 %r1, %r0;"),
        "{message}"
    );
    run(&device(90), &text("@%p1"), 1, &[], 0).unwrap();
    // An unknown modifier is not ignored.
    let text = kernel("add.frob.u32 %r1, %r0, %r0;");
    let (kind, message) = fault(&device(90), &text, 1, 0);
    assert_eq!(kind, Kind::UnknownInstruction);
    assert!(message.contains(".frob"), "{message}");
}

#[test]
fn endless_loops_and_assertions() {
    let mut device = device(90);
    device.instruction_limit = 1 << 20;
    assert_eq!(fault(&device, &kernel("again: bra again;"), 1, 0).0, Kind::Timeout);
    assert_eq!(fault(&device, &kernel("trap;"), 1, 0).0, Kind::Assertion);
}

/// Launches four blocks of one thread.
fn blocks(body: &str) -> Result<(), LaunchError> {
    let device = device(90);
    let module = device.load(&kernel(&format!("mov.u32 %r1, %ctaid.x; {body}"))).unwrap();
    let at = device.memory.alloc(64).unwrap();
    device.memory.fill(at, 0, 64).unwrap();
    let (k, at) = (module.kernel("k").unwrap(), at.to_le_bytes());
    device.launch(&k, [4, 1, 1], [1; 3], 0, &[&at, &at]).map(|_| ())
}

#[test]
fn blocks_that_touch_the_same_memory() {
    let own = "mul.wide.u32 %rd2, %r1, 4; add.s64 %rd3, %rd0, %rd2;";
    blocks(&format!("{own} st.global.u32 [%rd3], %r1; ld.global.u32 %r2, [%rd3];")).unwrap();
    blocks("atom.global.add.u32 %r2, [%rd0], %r1;").unwrap();
    // All blocks write the same value.
    blocks("mov.u32 %r2, 5; st.global.u32 [%rd0], %r2;").unwrap();
    let race = |body: &str| match blocks(body) {
        Err(LaunchError::Finding(finding)) => {
            assert_eq!(finding.kind, Kind::BlockRace, "{finding}");
            finding.message
        }
        other => panic!("{other:?}"),
    };
    let text = race("add.u32 %r1, %r1, 1; st.global.u32 [%rd0], %r1;");
    assert!(text.contains("of the same launch wrote"), "{text}");
    race(&format!(
        "{own} add.u32 %r1, %r1, 1; st.global.u32 [%rd3], %r1; ld.global.v4.u32 {{%r2, %r3, %r4, %r5}}, [%rd0];"
    ));
}

fn free(device: &Device, address: u64) -> Kind {
    device.memory.free(address).unwrap_err().kind
}

#[test]
fn memory_freed_twice_or_used_afterwards() {
    let device = device(90);
    let at = device.memory.alloc(100).unwrap();
    device.memory.free(at).unwrap();
    assert_eq!(free(&device, at), Kind::BadFree);
    assert_eq!(free(&device, at + 64), Kind::BadFree);
    let error = device.memory.write(at, &[0; 4]).unwrap_err();
    assert_eq!(error.kind, Kind::UseAfterFree);
    let module = device.load(&kernel("ld.global.u32 %r1, [%rd0];")).unwrap();
    let (k, at) = (module.kernel("k").unwrap(), at.to_le_bytes());
    match device.launch(&k, [1; 3], [1; 3], 0, &[&at, &at]) {
        Err(LaunchError::Finding(finding)) => assert_eq!(finding.kind, Kind::UseAfterFree),
        other => panic!("{other:?}"),
    }
}

#[test]
fn memory_that_runs_out() {
    let device = device(90);
    let half = device.memory.alloc(600 << 20).unwrap();
    let error = device.memory.alloc(600 << 20).unwrap_err();
    assert!(error.to_string().contains("629145600 bytes were asked for, 444596224 of 1073741824"));
    device.memory.free(half).unwrap();
    device.memory.alloc(600 << 20).unwrap();
    assert_eq!(device.memory.info().peak, 600 << 20);
}

#[test]
fn limits_of_the_devices() {
    let text = kernel("");
    let limit = |sm: u32, threads: u32, shared: u32| match run_shared(
        &device(sm),
        &text,
        threads,
        shared,
        &[],
        0,
    ) {
        Ok(_) => true,
        Err(LaunchError::Finding(finding)) => {
            assert_eq!(finding.kind, Kind::Limit);
            false
        }
        Err(other) => panic!("{other}"),
    };
    assert!(limit(75, 1024, 64 << 10) && !limit(75, 1025, 0));
    assert!(!limit(75, 32, (64 << 10) + 1) && limit(80, 32, (64 << 10) + 1));
    assert!(limit(80, 32, 163 << 10) && !limit(80, 32, 164 << 10) && limit(90, 32, 227 << 10));
    let narrow = format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n{}",
        entry("k", "").replacen('{', ".maxntid 64, 1, 1 {", 1)
    );
    assert!(run(&device(90), &narrow, 64, &[], 0).is_ok());
    assert_eq!(fault(&device(90), &narrow, 65, 0).0, Kind::Limit);
}
