//! Plays a program that opens `libcuda.so`, in a separate process, because there is only one driver
//! per process.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::ptr::{null, null_mut};

use libloading::{Library, Symbol};

use crate::harness::kernel;

/// Returns the path of the library, which cargo builds next to the test's own binary.
fn library() -> PathBuf {
    std::env::current_exe().unwrap().with_file_name("libcuda.so")
}

/// Runs one of the `played_*` tests in a separate process.
fn play(name: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("interface::{name}"), "--ignored", "--nocapture"]);
    for variable in ["CUDA_SIM_MODE", "CUDA_SIM_SM", "CUDA_SIM_MEMORY"] {
        command.env_remove(variable);
    }
    command.envs(variables.iter().copied()).output().unwrap()
}

fn passes(name: &str, variables: &[(&str, &str)]) -> String {
    let output = play(name, variables);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}{text}", String::from_utf8_lossy(&output.stdout));
    text
}

struct Cuda(Library);

impl Cuda {
    fn open() -> Self {
        // SAFETY: this project's own library, which does nothing when loaded.
        Self(unsafe { Library::new(library()) }.unwrap())
    }

    fn function<T>(&self, name: &str) -> Symbol<'_, T> {
        // SAFETY: the callers name the types of `cuda.h`.
        unsafe { self.0.get(name.as_bytes()) }.unwrap()
    }

    fn attribute(&self, attribute: c_int) -> c_int {
        let get: Symbol<'_, unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int> =
            self.function("cuDeviceGetAttribute");
        let mut value = -1;
        // SAFETY: `value` is writable.
        assert_eq!(unsafe { get(&mut value, attribute, 0) }, 0);
        value
    }

    fn alloc(&self, bytes: usize) -> Result<u64, c_int> {
        let alloc: Symbol<'_, unsafe extern "C" fn(*mut u64, usize) -> c_int> =
            self.function("cuMemAlloc_v2");
        let mut address = 0;
        // SAFETY: `address` is writable.
        match unsafe { alloc(&mut address, bytes) } {
            0 => Ok(address),
            error => Err(error),
        }
    }

    fn copy_in(&self, to: u64, bytes: &[u8]) -> c_int {
        let copy: Symbol<
            '_,
            unsafe extern "C" fn(u64, *const c_void, usize, *mut c_void) -> c_int,
        > = self.function("cuMemcpyHtoDAsync_v2");
        // SAFETY: the bytes are readable.
        unsafe { copy(to, bytes.as_ptr().cast(), bytes.len(), null_mut()) }
    }

    fn copy_out(&self, bytes: &mut [u8], from: u64) -> c_int {
        let copy: Symbol<'_, unsafe extern "C" fn(*mut c_void, u64, usize, *mut c_void) -> c_int> =
            self.function("cuMemcpyDtoHAsync_v2");
        // SAFETY: the bytes are writable.
        unsafe { copy(bytes.as_mut_ptr().cast(), from, bytes.len(), null_mut()) }
    }

    fn load(&self, text: &str) -> Result<*mut c_void, c_int> {
        let load: Symbol<'_, unsafe extern "C" fn(*mut *mut c_void, *const c_char) -> c_int> =
            self.function("cuModuleLoadData");
        let (mut module, text) = (null_mut(), format!("{text}\0"));
        // SAFETY: the text has a terminating zero.
        match unsafe { load(&mut module, text.as_ptr().cast()) } {
            0 => Ok(module),
            error => Err(error),
        }
    }

    fn kernel(&self, module: *mut c_void) -> *mut c_void {
        let get: Symbol<
            '_,
            unsafe extern "C" fn(*mut *mut c_void, *mut c_void, *const c_char) -> c_int,
        > = self.function("cuModuleGetFunction");
        let mut function = null_mut();
        // SAFETY: the name has a terminating zero, and the module was loaded.
        assert_eq!(unsafe { get(&mut function, module, c"k".as_ptr()) }, 0);
        // SAFETY: as above.
        assert_eq!(unsafe { get(&mut function, module, c"other".as_ptr()) }, 500);
        function
    }

    fn launch(&self, function: *mut c_void, threads: u32, args: &mut [u64]) -> c_int {
        type Launch = unsafe extern "C" fn(
            *mut c_void,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            *mut c_void,
            *mut *mut c_void,
            *mut *mut c_void,
        ) -> c_int;
        let launch: Symbol<'_, Launch> = self.function("cuLaunchKernel");
        let mut pointers: Vec<*mut c_void> =
            args.iter_mut().map(|arg| (arg as *mut u64).cast()).collect();
        // SAFETY: as many parameters as the kernel has, 8 bytes each.
        unsafe {
            launch(
                function,
                1,
                1,
                1,
                threads,
                1,
                1,
                0,
                null_mut(),
                pointers.as_mut_ptr(),
                null_mut(),
            )
        }
    }
}

/// Returns a kernel that doubles 64 numbers.
fn double() -> String {
    kernel(
        "mul.wide.u32 %rd2, %r0, 8; add.s64 %rd3, %rd0, %rd2; ld.global.u64 %rd4, [%rd3];
        shl.b64 %rd4, %rd4, 1; add.s64 %rd5, %rd1, %rd2; st.global.u64 [%rd5], %rd4;",
    )
}

fn double_numbers(cuda: &Cuda) -> Vec<u64> {
    let function = cuda.kernel(cuda.load(&double()).unwrap());
    let (from, to) = (cuda.alloc(512).unwrap(), cuda.alloc(512).unwrap());
    let input: Vec<u8> = (0..64u64).flat_map(u64::to_le_bytes).collect();
    assert_eq!(cuda.copy_in(from, &input), 0);
    assert_eq!(cuda.launch(function, 64, &mut [from, to]), 0);
    let mut output = vec![0; 512];
    assert_eq!(cuda.copy_out(&mut output, to), 0);
    output.chunks_exact(8).map(|c| u64::from_le_bytes(c.try_into().unwrap())).collect()
}

#[test]
#[ignore = "run by the others, in a process of its own"]
fn played_interpret() {
    let cuda = Cuda::open();
    let init: Symbol<'_, unsafe extern "C" fn(u32) -> c_int> = cuda.function("cuInit");
    // SAFETY: no pointers.
    assert_eq!(unsafe { init(0) }, 0);
    assert_eq!((cuda.attribute(75), cuda.attribute(76), cuda.attribute(97)), (7, 5, 65536));
    let numbers = double_numbers(&cuda);
    assert!(numbers.iter().enumerate().all(|(i, &n)| n == 2 * i as u64));
    // The memory is set to 1 MiB.
    assert_eq!(cuda.alloc(1 << 20), Err(2));
}

#[test]
fn a_program_runs() {
    let text = passes("played_interpret", &[("CUDA_SIM_SM", "75"), ("CUDA_SIM_MEMORY", "1M")]);
    assert!(!text.contains("findings"), "{text}");
}

#[test]
#[ignore = "run by the others, in a process of its own"]
fn played_count() {
    let numbers = double_numbers(&Cuda::open());
    assert_eq!(numbers, [0; 64]);
}

#[test]
fn launches_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (summary, log) = (folder.path().join("summary.json"), folder.path().join("log.tsv"));
    let set = [
        ("CUDA_SIM_MODE", "count"),
        ("CUDA_SIM_SUMMARY", summary.to_str().unwrap()),
        ("CUDA_SIM_LOG", log.to_str().unwrap()),
    ];
    passes("played_count", &set);
    let text = std::fs::read_to_string(summary).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&json["launches"], &json["mode"]), (&1.into(), &"count".into()));
    assert_eq!(json["by_kernel"][0]["name"], "k");
    assert_eq!(json["by_kernel"][0]["parameter_bytes"], serde_json::json!([8, 8]));
    assert_eq!(json["by_kernel"][0]["shapes"][0]["block"], serde_json::json!([64, 1, 1]));
    let event = |name: &str| {
        let all = json["events"].as_array().unwrap();
        all.iter().find(|e| e[0] == name).unwrap()[1].clone()
    };
    assert_eq!(event("copy_in"), serde_json::json!({"calls": 1, "bytes": 512}));
    assert_eq!(event("copy_out"), serde_json::json!({"calls": 1, "bytes": 512}));
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.lines().any(|l| l.contains("\tlaunch\tk\tgrid [1, 1, 1]")), "{log}");
}

#[test]
#[ignore = "run by the others, in a process of its own"]
fn played_fault() {
    let cuda = Cuda::open();
    let function = cuda.kernel(cuda.load(&double()).unwrap());
    let at = cuda.alloc(64).unwrap();
    assert_eq!(cuda.copy_in(at, &[0; 64]), 0);
    assert_eq!(cuda.launch(function, 64, &mut [at, at]), 700);
    // Every later call fails in the same way.
    assert_eq!(cuda.alloc(64), Err(700));
    assert_eq!(cuda.copy_in(at, &[0; 64]), 700);
    let name: Symbol<'_, unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int> =
        cuda.function("cuGetErrorName");
    let mut text = null();
    // SAFETY: `text` is writable, and then points to a constant text.
    let text = unsafe {
        assert_eq!(name(700, &mut text), 0);
        CStr::from_ptr(text)
    };
    assert_eq!(text, c"CUDA_ERROR_ILLEGAL_ADDRESS");
}

#[test]
fn a_fault_poisons_the_device() {
    let text = passes("played_fault", &[]);
    assert!(text.contains("cuda-sim: out-of-bounds: touches 8 bytes"), "{text}");
    assert!(text.contains("findings: out-of-bounds 1"), "{text}");
}

#[test]
#[ignore = "run by the others, in a process of its own"]
fn played_double_free() {
    let cuda = Cuda::open();
    let free: Symbol<'_, unsafe extern "C" fn(u64) -> c_int> = cuda.function("cuMemFree_v2");
    let at = cuda.alloc(64).unwrap();
    // SAFETY: no pointers of the host.
    unsafe {
        assert_eq!(free(at), 0);
        assert_eq!(free(at), 1);
    }
}

#[test]
fn a_double_free_is_said() {
    let text = passes("played_double_free", &[]);
    assert!(text.contains("is freed a second time"), "{text}");
}

#[test]
#[ignore = "run by the others, in a process of its own"]
fn played_old_driver() {
    assert_eq!(Cuda::open().load(&double().replace("8.0", "9.5")), Err(222));
}

#[test]
fn a_driver_that_is_too_old_refuses_new_ptx() {
    let text = passes("played_old_driver", &[("CUDA_SIM_DRIVER", "13000")]);
    assert!(text.contains("PTX 9.5 needs a driver for CUDA 13.5"), "{text}");
}

#[test]
#[ignore = "run by the others, in a process of its own"]
fn played_lost() {
    let cuda = Cuda::open();
    double_numbers(&cuda);
    let function = cuda.kernel(cuda.load(&double()).unwrap());
    let at = cuda.alloc(512).unwrap();
    assert_eq!(cuda.launch(function, 1, &mut [at, at]), 719);
    assert_eq!(cuda.alloc(512), Err(719));
}

#[test]
fn the_device_can_be_lost() {
    passes("played_lost", &[("CUDA_SIM_LOSE_AFTER", "1")]);
}

#[test]
fn a_mistyped_setting_ends_the_process() {
    let output = play("played_interpret", &[("CUDA_SIM_SM", "81")]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("'81' is not a value of CUDA_SIM_SM"), "{text}");
}
