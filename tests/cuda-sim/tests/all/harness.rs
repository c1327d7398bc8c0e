//! Runs pieces of PTX on the library's own interface.

use cuda::Stats;
use cuda::check::{Action, Findings, Kind};
use cuda::device::{Device, LaunchError, Limits};

/// Makes a device without output.
pub fn device(sm: u32) -> Device {
    Device::new(Limits::of(sm).unwrap(), 1 << 30, Findings::default().quiet()).unwrap()
}

/// Makes a device on which some kinds of finding are only reported.
pub fn lenient(kinds: &[Kind]) -> Device {
    let findings =
        kinds.iter().fold(Findings::default().quiet(), |f, &k| f.with(k, Action::Report));
    Device::new(Limits::of(90).unwrap(), 1 << 30, findings).unwrap()
}

/// Wraps a body in a kernel `k` with two pointers, `in` and `out`, and registers of all kinds.
pub fn kernel(body: &str) -> String {
    format!(".version 8.0\n.target sm_90\n.address_size 64\n{}", entry("k", body))
}

/// Returns a kernel of a module. `%rd0` is the first parameter, `%rd1` the second, `%r0` the
/// thread.
pub fn entry(name: &str, body: &str) -> String {
    format!(
        ".visible .entry {name}(.param .u64 {name}_in, .param .u64 {name}_out) {{
            .reg .pred %p<16>; .reg .b16 %h<32>; .reg .b32 %r<64>; .reg .f32 %f<64>;
            .reg .b64 %rd<64>; .reg .f64 %fd<16>;
            ld.param.u64 %rd0, [{name}_in]; ld.param.u64 %rd1, [{name}_out];
            mov.u32 %r0, %tid.x;
            {body}
            ret;
        }}"
    )
}

/// Runs one block of a kernel and returns the words of `out`.
pub fn run(
    device: &Device,
    ptx: &str,
    threads: u32,
    input: &[u64],
    outputs: usize,
) -> Result<Vec<u64>, LaunchError> {
    run_shared(device, ptx, threads, 0, input, outputs)
}

/// Does the same as [`run`] with dynamic shared memory.
pub fn run_shared(
    device: &Device,
    ptx: &str,
    threads: u32,
    shared: u32,
    input: &[u64],
    outputs: usize,
) -> Result<Vec<u64>, LaunchError> {
    let module = device.load(ptx).map_err(LaunchError::Invalid)?;
    let kernel = module.kernel("k").unwrap();
    kernel.allow_shared(shared);
    let bytes: Vec<u8> = input.iter().flat_map(|x| x.to_le_bytes()).collect();
    let from = device.memory.alloc(bytes.len().max(8) as u64).unwrap();
    let to = device.memory.alloc(8 * outputs.max(1) as u64).unwrap();
    if !bytes.is_empty() {
        device.memory.write(from, &bytes).unwrap();
    }
    device.memory.fill(to, 0, 8 * outputs.max(1) as u64).unwrap();
    let (from, to_bytes) = (from.to_le_bytes(), to.to_le_bytes());
    let _: Stats = device.launch(&kernel, [1; 3], [threads, 1, 1], shared, &[&from, &to_bytes])?;
    let mut result = vec![0; 8 * outputs];
    if outputs > 0 {
        device.memory.read(to, &mut result).unwrap();
    }
    Ok(result.chunks_exact(8).map(|c| u64::from_le_bytes(c.try_into().unwrap())).collect())
}

/// Returns the finding that stops a kernel.
pub fn fault(device: &Device, ptx: &str, threads: u32, shared: u32) -> (Kind, String) {
    match run_shared(device, ptx, threads, shared, &[7; 64], 64) {
        Err(LaunchError::Finding(finding)) => (finding.kind, finding.to_string()),
        other => panic!("no finding but {other:?}"),
    }
}

/// Evaluates code for each triple of values, with one thread for each.
///
/// The values are in `%rd10` to `%rd12`, their lower halves in `%r10` to `%r12`, `%f10` to `%f12`
/// and `%h10` to `%h12`, and as f64 in `%fd10` to `%fd12`. The result is taken from `result`.
pub fn evaluate(code: &str, result: &str, values: &[[u64; 3]]) -> Vec<u64> {
    let mut body = String::from("mul.wide.u32 %rd2, %r0, 24; add.s64 %rd3, %rd0, %rd2;\n");
    for i in 0..3 {
        let n = 10 + i;
        body += &format!(
            "ld.global.u64 %rd{n}, [%rd3+{}]; cvt.u32.u64 %r{n}, %rd{n}; mov.b32 %f{n}, %r{n}; cvt.u16.u32 %h{n}, %r{n}; mov.b64 %fd{n}, %rd{n};\n",
            8 * i
        );
    }
    body += code;
    let class = result.trim_start_matches('%').trim_end_matches(|c: char| c.is_ascii_digit());
    body += &match class {
        "rd" => format!("\nmov.b64 %rd4, {result};"),
        "fd" => format!("\nmov.b64 %rd4, {result};"),
        "r" => format!("\ncvt.u64.u32 %rd4, {result};"),
        "f" => format!("\nmov.b32 %r4, {result}; cvt.u64.u32 %rd4, %r4;"),
        "h" => format!("\ncvt.u32.u16 %r4, {result}; cvt.u64.u32 %rd4, %r4;"),
        _ => format!("\nselp.b64 %rd4, 1, 0, {result};"),
    };
    body += "\nmul.wide.u32 %rd5, %r0, 8; add.s64 %rd6, %rd1, %rd5; st.global.u64 [%rd6], %rd4;";
    let input: Vec<u64> = values.iter().flatten().copied().collect();
    let device = device(90);
    match run(&device, &kernel(&body), values.len() as u32, &input, values.len()) {
        Ok(result) => result,
        Err(error) => panic!("{code}: {error}"),
    }
}

/// Evaluates code for f32 values.
pub fn evaluate_f32(code: &str, values: &[[f32; 3]]) -> Vec<f32> {
    let bits: Vec<_> = values.iter().map(|v| v.map(|x| u64::from(x.to_bits()))).collect();
    evaluate(code, "%f20", &bits).iter().map(|&b| f32::from_bits(b as u32)).collect()
}
