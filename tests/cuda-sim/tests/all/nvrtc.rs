//! Kernels in CUDA C++, compiled by the real NVRTC for each device, compared with the same results
//! computed here.
//!
//! `CUDA_SIM_NVRTC` names the folder with NVRTC's `lib` and `include`; `make cuda-sim` sets it.
//! Without it, these tests pass without doing anything.

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};

use cuda::check::Kind;
use cuda::device::{Device, LaunchError};
use libloading::Library;

use crate::harness::device;

const ARCHITECTURES: [(u32, &str); 3] = [(75, "sm_75"), (80, "sm_80"), (90, "sm_90a")];

fn toolkit() -> Option<PathBuf> {
    let folder = std::env::var_os("CUDA_SIM_NVRTC");
    if folder.is_none() {
        println!("left out: CUDA_SIM_NVRTC is not set");
    }
    folder.map(PathBuf::from)
}

/// Returns the newest `libnvrtc.so` of a folder, rather than the other files next to it.
fn nvrtc(toolkit: &Path) -> PathBuf {
    let mut found: Vec<_> = std::fs::read_dir(toolkit.join("lib"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|p| p.file_name().unwrap().to_string_lossy().starts_with("libnvrtc.so"))
        .collect();
    found.sort();
    found.pop().expect("libnvrtc.so in the folder of CUDA_SIM_NVRTC")
}

/// Compiles a file of `tests/kernels`.
fn compile(toolkit: &Path, name: &str, options: &[&str]) -> String {
    type Create = unsafe extern "C" fn(
        *mut *mut c_void,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> c_int;
    type Compile = unsafe extern "C" fn(*mut c_void, c_int, *const *const c_char) -> c_int;
    type Size = unsafe extern "C" fn(*mut c_void, *mut usize) -> c_int;
    type Text = unsafe extern "C" fn(*mut c_void, *mut c_char) -> c_int;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernels").join(name);
    let source = CString::new(std::fs::read_to_string(path).unwrap()).unwrap();
    let mut list: Vec<CString> = options.iter().map(|o| CString::new(*o).unwrap()).collect();
    for folder in ["include", "include/cccl"] {
        list.push(
            CString::new(format!("--include-path={}", toolkit.join(folder).display())).unwrap(),
        );
    }
    list.push(c"-lineinfo".into());
    let pointers: Vec<_> = list.iter().map(|o| o.as_ptr()).collect();
    // SAFETY: NVRTC's functions with the types of `nvrtc.h`; all texts have a terminating zero and
    // outlive the calls.
    unsafe {
        let library = Library::new(nvrtc(toolkit)).unwrap();
        let create = library.get::<Create>(b"nvrtcCreateProgram").unwrap();
        let mut program = null_mut();
        assert_eq!(create(&mut program, source.as_ptr(), null(), 0, null(), null()), 0);
        let compile = library.get::<Compile>(b"nvrtcCompileProgram").unwrap();
        let result = compile(program, pointers.len() as c_int, pointers.as_ptr());
        let text = |size: &[u8], get: &[u8]| {
            let mut bytes = 0;
            library.get::<Size>(size).unwrap()(program, &mut bytes);
            let mut buffer = vec![0u8; bytes];
            library.get::<Text>(get).unwrap()(program, buffer.as_mut_ptr().cast());
            buffer.pop();
            String::from_utf8(buffer).unwrap()
        };
        assert_eq!(result, 0, "{}", text(b"nvrtcGetProgramLogSize", b"nvrtcGetProgramLog"));
        text(b"nvrtcGetPTXSize", b"nvrtcGetPTX")
    }
}

/// Runs a test on each device with the PTX of a file.
fn each(name: &str, test: impl Fn(u32, &Device, &str)) {
    let Some(toolkit) = toolkit() else { return };
    for (sm, architecture) in ARCHITECTURES {
        let ptx = compile(&toolkit, name, &[&format!("--gpu-architecture={architecture}")]);
        test(sm, &device(sm), &ptx);
    }
}

fn up<T: Copy, const N: usize>(device: &Device, values: &[T], bytes: fn(T) -> [u8; N]) -> [u8; 8] {
    let data: Vec<u8> = values.iter().flat_map(|&x| bytes(x)).collect();
    let at = device.memory.alloc(data.len() as u64).unwrap();
    device.memory.write(at, &data).unwrap();
    at.to_le_bytes()
}

fn down(device: &Device, at: [u8; 8], count: usize) -> Vec<u32> {
    let mut data = vec![0; 4 * count];
    device.memory.read(u64::from_le_bytes(at), &mut data).unwrap();
    data.chunks_exact(4).map(|c| u32::from_le_bytes(c.try_into().unwrap())).collect()
}

fn room(device: &Device, words: usize) -> [u8; 8] {
    let at = device.memory.alloc(4 * words as u64).unwrap();
    device.memory.fill(at, 0, 4 * words as u64).unwrap();
    at.to_le_bytes()
}

/// Returns numbers of all magnitudes up to `most`.
fn noise(count: usize, seed: u32, most: f32) -> Vec<f32> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * most
    };
    (0..count).map(next).collect()
}

fn launch(
    device: &Device,
    ptx: &str,
    name: &str,
    [grid, block]: [[u32; 3]; 2],
    shared: u32,
    args: &[&[u8]],
) -> Result<(), LaunchError> {
    let module = device.load(ptx).map_err(LaunchError::Invalid)?;
    let kernel = module.kernel(name).unwrap();
    device.launch(&kernel, grid, block, shared, args).map(|_| ())
}

/// Compares the 32 results of each value.
fn compare(
    name: &str,
    tolerance: f64,
    got: &[u32],
    x: &[f32],
    expected: impl Fn(f64, f64) -> Vec<f64>,
) {
    for (i, got) in got.chunks_exact(32).enumerate() {
        let want = expected(x[i].into(), x[(i + 1) % x.len()].into());
        for (j, want) in want.iter().enumerate() {
            let got = f64::from(f32::from_bits(got[j]));
            let close = (got - want).abs() <= tolerance * want.abs().max(1e-2) || got == *want;
            assert!(close, "{name}, result {j} of {}: {got}, expected {want}", x[i]);
        }
    }
}

#[test]
fn functions_of_floats() {
    each("math.cu", |_, device, ptx| {
        let x = noise(200, 1, 5.0);
        let (input, out) = (up(device, &x, f32::to_le_bytes), room(device, 32 * 200));
        let count = 200u32.to_le_bytes();
        launch(device, ptx, "floats", [[4, 1, 1], [64, 1, 1]], 0, &[&input, &out, &count]).unwrap();
        compare("floats", 4e-6, &down(device, out, 32 * 200), &x, |x, y| {
            let single = |v: f64| f64::from(v as f32);
            let offset = single(f64::from(x.abs() as f32 + 1e-3f32));
            vec![
                x.exp(),
                offset.ln(),
                x.abs().powf(y),
                x.tanh(),
                single(x * 100.0).sin(),
                single(x * 1e6).cos(),
                erf(x),
                x.abs().sqrt(),
                1.0 / single(x.abs() + 0.5).sqrt(),
                x.floor(),
                x.ceil(),
                x.round(),
                x.trunc(),
                x % f64::from(0.7f32),
                x / y,
                1.0 / x,
                x.max(y),
                x.min(y),
                x.abs().ln_1p(),
                x.round_ties_even(),
                x.abs().sqrt(),
                x / y,
                0.0,
                x.trunc(),
                x.abs().trunc(),
                x * y + 1.0,
                x.hypot(y),
                x.atan2(y),
                x.exp(),
                x.exp2(),
                x.tan(),
                2f64.copysign(x),
            ]
        });
    });
}

/// Computes the error function by its series, which is exact enough for |x| <= 5.
fn erf(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

#[test]
fn functions_of_halves() {
    each("math.cu", |_, device, ptx| {
        // Multiples of 1/16, which both formats represent exactly.
        let x: Vec<f32> = noise(200, 2, 4.0).iter().map(|x| (x * 16.0).round() / 16.0).collect();
        let (input, out) = (up(device, &x, f32::to_le_bytes), room(device, 32 * 200));
        let count = 200u32.to_le_bytes();
        launch(device, ptx, "halves", [[4, 1, 1], [64, 1, 1]], 0, &[&input, &out, &count]).unwrap();
        let got = down(device, out, 32 * 200);
        compare("halves", 1e-2, &got, &x, |x, y| {
            vec![
                x + y,
                x * y,
                x - y,
                x.exp(),
                x.max(y),
                x.min(y),
                x.abs().sqrt(),
                x * y + x,
                x + y,
                x * y,
                x - y,
                x.exp(),
                x * x,
                y + y,
                f64::from(u8::from(x < y)),
                // Close to the pole the quotient is as exact as its divisor, which is exact.
                if y == -3.0 { x / 0.0 } else { x / (y + 3.0) },
                x.round_ties_even(),
            ]
        });
        assert!((0..200).all(|i| f32::from_bits(got[32 * i + 17]) == i as f32));
    });
}

#[test]
fn functions_of_integers() {
    each("math.cu", |_, device, ptx| {
        let x: Vec<u32> =
            noise(200, 3, 1.0).iter().map(|x| x.to_bits().wrapping_mul(2_654_435_761)).collect();
        let (input, out) = (up(device, &x, u32::to_le_bytes), room(device, 32 * 200));
        let count = 200u32.to_le_bytes();
        launch(device, ptx, "integers", [[4, 1, 1], [64, 1, 1]], 0, &[&input, &out, &count])
            .unwrap();
        for (i, got) in down(device, out, 32 * 200).chunks_exact(32).enumerate() {
            let (x, y) = (x[i], x[(i + 1) % 200]);
            let (a, b) = (x as i32, y as i32);
            let (long, short) = (u64::from(x), u64::from(y));
            let bytes = [x.to_le_bytes(), y.to_le_bytes()].concat();
            let dot: i32 = (0..4)
                .map(|j| i32::from(x.to_le_bytes()[j] as i8) * i32::from(y.to_le_bytes()[j] as i8))
                .sum();
            let expected = [
                x / (y | 1),
                x % (y | 1),
                a.wrapping_div(b | 1) as u32,
                a.wrapping_rem(b | 1) as u32,
                ((long * short) >> 32) as u32,
                ((i64::from(a) * i64::from(b)) >> 32) as u32,
                x.leading_zeros(),
                if x == 0 { 0 } else { x.trailing_zeros() + 1 },
                x.count_ones(),
                x.reverse_bits(),
                (dot + 7) as u32,
                ((long * short) >> 17) as u32,
                ((long << 20 | short) / 1_000_003) as u32,
                ((i64::from(a) * i64::from(b)) % 1_000_003) as u32,
                ((long | short << 32) << 9 >> 32) as u32,
                u32::from_le_bytes([bytes[6], bytes[7], bytes[1], bytes[4]]),
                x >> (y & 31),
                (a >> (y & 31)) as u32,
                x as i8 as u32,
                y as i16 as u32,
                a.max(b) as u32,
                x.min(y),
                a.unsigned_abs(),
                x & !y ^ 0x55,
                (long << 13 | short).leading_zeros(),
                x,
                match x % 6 {
                    0 => 11,
                    1 => y.wrapping_mul(3),
                    2 => x ^ y,
                    3 => 77,
                    4 => x.wrapping_add(y),
                    _ => 5,
                },
                x.wrapping_mul(y % 8 + 1),
                [u32::from(x as u8), u32::from(y as u8), 3, 4][(y % 4) as usize],
            ];
            for (j, want) in expected.iter().enumerate() {
                assert_eq!(got[j], *want, "result {j} of {x:#x}, {y:#x}");
            }
        }
    });
}

#[test]
fn reductions_and_transposition() {
    each("threads.cu", |_, device, ptx| {
        let (rows, columns) = (50, 333);
        let x = noise(rows * columns, 4, 1.0);
        let input = up(device, &x, f32::to_le_bytes);
        let out = room(device, rows * columns);
        let count = (columns as u32).to_le_bytes();
        launch(device, ptx, "row_sums", [[50, 1, 1], [96, 1, 1]], 12, &[&input, &out, &count])
            .unwrap();
        for (row, got) in down(device, out, rows).iter().enumerate() {
            let want: f32 = x[row * columns..(row + 1) * columns].iter().sum();
            assert!((f32::from_bits(*got) - want).abs() < 1e-4);
        }
        let mut shape = Vec::new();
        [rows as u64, columns as u64]
            .iter()
            .for_each(|n| shape.extend_from_slice(&n.to_le_bytes()));
        (0..6).for_each(|_| shape.extend_from_slice(&1u32.to_le_bytes()));
        launch(device, ptx, "transpose", [[11, 2, 1], [32, 8, 1]], 0, &[&input, &out, &shape])
            .unwrap();
        for (i, got) in down(device, out, rows * columns).iter().enumerate() {
            assert_eq!(f32::from_bits(*got), x[i % rows * columns + i / rows]);
        }
    });
}

#[test]
fn loads_that_are_wider_than_what_they_use() {
    each("threads.cu", |_, device, ptx| {
        assert!(ptx.contains("used_bytes_mask 4095"), "NVRTC has changed: find another case");
        let x = noise(1024, 8, 1.0);
        let (input, out) = (up(device, &x, f32::to_le_bytes), room(device, 64));
        launch(device, ptx, "three_of_four", [[1; 3], [64, 1, 1]], 0, &[&input, &out]).unwrap();
        for (thread, got) in down(device, out, 64).iter().enumerate() {
            let four = |i: usize| &x[(thread * 4 + i) * 4..];
            let want: f32 = (0..4).map(|i| four(i)[0] + four(i)[1] * four(i)[2]).sum();
            assert!((f32::from_bits(*got) - want).abs() < 1e-5);
        }
    });
}

#[test]
fn histograms() {
    each("threads.cu", |_, device, ptx| {
        let x: Vec<u32> = (0..5000).map(|i| i * i % 97).collect();
        let (input, out, sum) =
            (up(device, &x, u32::to_le_bytes), room(device, 16), room(device, 1));
        let count = 5000u32.to_le_bytes();
        let args: [&[u8]; 4] = [&input, &out, &sum, &count];
        launch(device, ptx, "histogram", [[6, 1, 1], [128, 1, 1]], 0, &args).unwrap();
        let got = down(device, out, 16);
        for (value, &count) in got.iter().enumerate() {
            assert_eq!(count as usize, x.iter().filter(|&&x| x as usize % 16 == value).count());
        }
        let total: u32 = x.iter().map(|x| x % 4).sum();
        assert_eq!(f32::from_bits(down(device, sum, 1)[0]), total as f32);
    });
}

/// Returns multiples of 1/8 that all formats represent, so that products are exact.
fn eighths(count: usize, seed: u32) -> Vec<f32> {
    noise(count, seed, 2.0).iter().map(|x| (x * 8.0).round() / 8.0).collect()
}

fn expected(a: &[f32], b: impl Fn(usize, usize) -> f32, [m, n, k]: [usize; 3]) -> Vec<f32> {
    let at = |i: usize| (0..k).map(|j| a[i / n * k + j] * b(j, i % n)).sum();
    (0..m * n).map(at).collect()
}

/// Returns the bits of an f16 for a multiple of 1/8 below 2048.
fn f16(x: f32) -> [u8; 2] {
    let bits = x.to_bits();
    let half = if x == 0.0 { 0 } else { ((bits >> 13) - (112 << 10)) & 0x7fff };
    ((half | bits >> 16 & 0x8000) as u16).to_le_bytes()
}

fn bf16(x: f32) -> [u8; 2] {
    ((x.to_bits() >> 16) as u16).to_le_bytes()
}

#[test]
fn products_of_matrices() {
    each("matmul.cu", |sm, device, ptx| {
        let [m, n, k] = [64usize, 128, 96];
        let (a, b) = (eighths(m * k, 5), eighths(k * n, 6));
        let by_rows = expected(&a, |j, column| b[j * n + column], [m, n, k]);
        let (width, depth) = ((n as u32).to_le_bytes(), (k as u32).to_le_bytes());
        let same = |got: Vec<u32>, want: &[f32], times: f32| {
            got.iter().zip(want).all(|(g, w)| f32::from_bits(*g) == w * times)
        };
        let out = room(device, m * n);
        let (left, right) = (up(device, &a, f16), up(device, &b, f16));
        let args: [&[u8]; 5] = [&left, &right, &out, &width, &depth];
        launch(device, ptx, "through_wmma", [[8, 4, 1], [32, 1, 1]], 0, &args).unwrap();
        assert!(same(down(device, out, m * n), &by_rows, 2.0));
        if sm < 80 {
            return;
        }
        let out = room(device, m * n);
        let (left, right) = (up(device, &a, f32::to_le_bytes), up(device, &b, f32::to_le_bytes));
        let args: [&[u8]; 5] = [&left, &right, &out, &width, &depth];
        launch(device, ptx, "through_tf32", [[8, 4, 1], [32, 1, 1]], 0, &args).unwrap();
        assert!(same(down(device, out, m * n), &by_rows, 1.0));
        let by_columns = expected(&a, |j, column| b[column * k + j], [m, n, k]);
        let out = room(device, m * n);
        let (left, right) = (up(device, &a, bf16), up(device, &b, bf16));
        let args: [&[u8]; 5] = [&left, &right, &out, &width, &depth];
        launch(device, ptx, "through_mma", [[2, 1, 1], [128, 1, 1]], 0, &args).unwrap();
        assert!(same(down(device, out, m * n), &by_columns, 1.0));
    });
}

/// Runs `through_mma` after a change to its PTX and returns the kind of the finding.
fn broken(options: &[&str], change: impl Fn(&str) -> String) -> Option<Kind> {
    let toolkit = toolkit()?;
    let list = [&["--gpu-architecture=sm_80"], options].concat();
    let ptx = change(&compile(&toolkit, "matmul.cu", &list));
    let device = device(80);
    let [m, n, k] = [64usize, 64, 96];
    let (left, right) =
        (up(&device, &eighths(m * k, 5), bf16), up(&device, &eighths(k * n, 6), bf16));
    let out = room(&device, m * n);
    let (width, depth) = ((n as u32).to_le_bytes(), (k as u32).to_le_bytes());
    let args: [&[u8]; 5] = [&left, &right, &out, &width, &depth];
    match launch(&device, &ptx, "through_mma", [[1; 3], [128, 1, 1]], 0, &args) {
        Err(LaunchError::Finding(finding)) => Some(finding.kind),
        other => panic!("no finding but {other:?}"),
    }
}

#[test]
fn faults_planted_in_a_compiled_kernel_are_found() {
    if toolkit().is_none() {
        return;
    }
    // Waits for one group fewer than needed.
    let kind = broken(&[], |ptx| ptx.replace("cp.async.wait_group 1", "cp.async.wait_group 2"));
    assert_eq!(kind, Some(Kind::Unwritten));
    // The next copy begins while other warps are still reading.
    assert_eq!(broken(&["-DNO_LAST_BARRIER"], str::to_owned), Some(Kind::Race));
    // No barrier between the arrival of the copies and the loads.
    let kind = broken(&[], |ptx| ptx.replace("bar.sync", "// bar.sync"));
    assert!(matches!(kind, Some(Kind::Race | Kind::Unwritten)), "{kind:?}");
}

#[test]
fn copies_that_a_barrier_counts() {
    each("barrier.cu", |sm, device, ptx| {
        if sm < 80 {
            // On that device the barrier is made of atomic operations, whose order the race check
            // does not know.
            return;
        }
        let x = noise(1024, 7, 1.0);
        let (input, out) = (up(device, &x, f32::to_le_bytes), room(device, 256));
        launch(device, ptx, "stages", [[1; 3], [64, 1, 1]], 0, &[&input, &out]).unwrap();
        for (i, got) in down(device, out, 256).iter().enumerate() {
            let want: f32 = (0..4).map(|stage| x[stage * 256 + (i + 5) % 256]).sum();
            assert_eq!(f32::from_bits(*got), want);
        }
    });
}
