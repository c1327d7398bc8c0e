//! Measures the interpreter: thread-instructions per second of processor time for four kinds of
//! kernel, with all checks.
//!
//! `cargo run --release --example speed`

use cuda::check::Findings;
use cuda::device::{Device, Limits};

/// Name, body, and number of instructions of the loop.
const KERNELS: [(&str, &str); 4] = [
    (
        "arithmetic",
        "fma.rn.f32 %f1, %f2, %f3, %f1; mul.f32 %f2, %f2, %f3; add.f32 %f4, %f1, %f2;
        add.s32 %r3, %r3, %r2; xor.b32 %r4, %r3, %r2; shl.b32 %r5, %r4, 2; mad.lo.s32 %r6, %r3, %r4, %r5;
        mul.wide.u32 %rd4, %r2, 4; add.s64 %rd5, %rd4, %rd1; max.f32 %f5, %f1, %f2;",
    ),
    (
        "global memory",
        "ld.global.f32 %f1, [%rd2]; fma.rn.f32 %f1, %f1, %f3, %f1; st.global.f32 [%rd3], %f1;",
    ),
    (
        "shared memory",
        "st.shared.f32 [%r7], %f1; bar.sync 0; ld.shared.f32 %f2, [%r8]; add.f32 %f1, %f1, %f2; bar.sync 0;",
    ),
    (
        "matrix products",
        "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r10, %r11, %r12, %r13}, [%r9];
        mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f10, %f11, %f12, %f13}, {%r10, %r11, %r12, %r13}, {%r10, %r12}, {%f10, %f11, %f12, %f13};
        mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f14, %f15, %f16, %f17}, {%r10, %r11, %r12, %r13}, {%r11, %r13}, {%f14, %f15, %f16, %f17};",
    ),
];

fn kernel(body: &str) -> String {
    format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 k_in, .param .u64 k_out) {{
        .reg .pred %p<4>; .reg .b32 %r<32>; .reg .f32 %f<32>; .reg .b64 %rd<16>;
        .shared .align 16 .b8 s[4096];
        ld.param.u64 %rd0, [k_in]; ld.param.u64 %rd1, [k_out];
        mov.u32 %r1, %tid.x; mov.u32 %r2, 0; mov.u32 %r3, 1; mov.f32 %f1, 0f3F800000; mov.f32 %f2, %f1; mov.f32 %f3, %f1;
        mov.u32 %r20, %ctaid.x; mad.lo.u32 %r20, %r20, 256, %r1; mul.wide.u32 %rd6, %r20, 4;
        add.s64 %rd2, %rd0, %rd6; add.s64 %rd3, %rd1, %rd6;
        shl.b32 %r21, %r1, 2; mov.u32 %r22, s; add.u32 %r7, %r22, %r21; xor.b32 %r8, %r21, 128; add.u32 %r8, %r8, %r22;
        and.b32 %r9, %r1, 31; mad.lo.u32 %r9, %r9, 16, %r22; mov.u64 %rd7, 0;
        mad.lo.u32 %r23, %r1, 16, %r22; st.shared.v2.u64 [%r23], {{%rd7, %rd7}}; bar.sync 0;
        mov.f32 %f10, 0f00000000; mov.f32 %f11, %f10; mov.f32 %f12, %f10; mov.f32 %f13, %f10;
        mov.f32 %f14, %f10; mov.f32 %f15, %f10; mov.f32 %f16, %f10; mov.f32 %f17, %f10;
        again: {body}
        add.s32 %r2, %r2, 1; setp.lt.s32 %p1, %r2, 2000; @%p1 bra again;
        ret; }}"
    )
}

/// Returns the processor time of all threads in seconds, which is independent of other programs on
/// the machine.
fn processor_time() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let limits = Limits::of(80).ok_or("a known device")?;
    let device = Device::new(limits, 1 << 30, Findings::default())?;
    for (name, body) in KERNELS {
        let module = device.load(&kernel(body))?;
        let kernel = module.kernel("k").ok_or("the kernel")?;
        let (from, to) = (device.memory.alloc(1 << 20)?, device.memory.alloc(1 << 20)?);
        device.memory.fill(from, 0, 1 << 20)?;
        let (from, to) = (from.to_le_bytes(), to.to_le_bytes());
        let start = processor_time();
        let stats = device.launch(&kernel, [16, 1, 1], [256, 1, 1], 0, &[&from, &to])?;
        let seconds = processor_time() - start;
        println!(
            "{name:16} {:7.0} M thread-instructions a second of one core, {:5.0} ns a warp instruction",
            stats.thread_instructions as f64 / seconds / 1e6,
            seconds * 1e9 / stats.warp_instructions as f64
        );
    }
    Ok(())
}
