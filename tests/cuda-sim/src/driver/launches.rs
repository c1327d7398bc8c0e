//! Modules, functions and launches.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::error::put;
use super::recorder::{Request, Shape};
use super::{CudaError, Driver, Mode, Status, call};
use crate::device::{Kernel, LaunchError, Module};
use crate::ptx;

/// The target of a module handle.
struct Loaded {
    /// The module; `None` when launches are only counted.
    module: Option<Arc<Module>>,
    /// Names of its kernels and the sizes of their parameters.
    kernels: Vec<(String, Vec<usize>)>,
}

/// The target of a function handle.
struct Function {
    kernel: Option<Arc<Kernel>>,
    params: Vec<usize>,
    number: usize,
}

fn load(driver: &Driver, text: &str) -> Result<Loaded, CudaError> {
    let refuse = |message: String| {
        eprintln!("cuda-sim: a module is not loaded: {message}");
        CudaError::ERROR_INVALID_PTX
    };
    let signatures = ptx::signatures(text).map_err(|error| refuse(error.to_string()))?;
    // PTX 8.x corresponds to CUDA 12.x, 9.x to 13.x.
    let (major, minor) = signatures.version;
    let needed = ((major + 4) * 1000 + minor * 10) as i32;
    if major >= 8 && needed > driver.config.driver {
        eprintln!(
            "cuda-sim: PTX {major}.{minor} needs a driver for CUDA {}.{minor}, this one plays {}",
            major + 4,
            driver.config.driver
        );
        return Err(CudaError::ERROR_UNSUPPORTED_PTX_VERSION);
    }
    let kernels = signatures
        .functions
        .iter()
        .filter(|f| f.entry)
        .map(|f| (f.name.clone(), f.params.iter().map(|p| p.size).collect()))
        .collect();
    let module = match driver.config.mode {
        Mode::Count => None,
        Mode::Interpret => Some(driver.device.load(text).map_err(refuse)?),
    };
    Ok(Loaded { module, kernels })
}

/// Writes the PTX of a module into the configured folder.
fn dump(driver: &Driver, text: &str) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let Some(folder) = &driver.config.dump else { return };
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("{number:05}.ptx"));
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, text));
    if let Err(error) = written {
        eprintln!("cuda-sim: {}: {error}", path.display());
    }
}

/// Loads a module from PTX text.
///
/// # Safety
/// `module` must be null or writable; `image` must be null or text with a terminating zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleLoadData(
    module: *mut *mut c_void,
    image: *const c_char,
) -> Status {
    call(|driver| {
        if image.is_null() {
            return Err(CudaError::ERROR_INVALID_VALUE);
        }
        // SAFETY: not null, and the caller guarantees a terminating zero.
        let text = unsafe { CStr::from_ptr(image) }.to_string_lossy();
        driver.recorder.request(Request::LoadModule, text.len() as u64);
        dump(driver, &text);
        let loaded = Box::new(load(driver, &text)?);
        // SAFETY: guaranteed by this function's safety requirements.
        unsafe { put(module, Box::into_raw(loaded).cast()) }
    })
}

/// Loads a module from PTX text. The options are for a compiler that is not used here.
///
/// # Safety
/// As for [`cuModuleLoadData`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleLoadDataEx(
    module: *mut *mut c_void,
    image: *const c_char,
    _: c_uint,
    _: *mut c_int,
    _: *mut *mut c_void,
) -> Status {
    // SAFETY: guaranteed by this function's safety requirements.
    unsafe { cuModuleLoadData(module, image) }
}

/// Unloads a module. The handles of its functions keep what they need.
///
/// # Safety
/// `module` must come from [`cuModuleLoadData`] and not have been unloaded since.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleUnload(module: *mut c_void) -> Status {
    call(|_| {
        if module.is_null() {
            return Err(CudaError::ERROR_INVALID_HANDLE);
        }
        // SAFETY: the pointer comes from `Box::into_raw` and is not used afterwards.
        drop(unsafe { Box::from_raw(module.cast::<Loaded>()) });
        Ok(())
    })
}

/// Returns a kernel of a module.
///
/// # Safety
/// `function` must be null or writable, `module` must be a module's handle, and `name` must have a
/// terminating zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleGetFunction(
    function: *mut *mut c_void,
    module: *mut c_void,
    name: *const c_char,
) -> Status {
    call(|driver| {
        // SAFETY: guaranteed by this function's safety requirements.
        let loaded = unsafe { module.cast::<Loaded>().as_ref() };
        let loaded = loaded.ok_or(CudaError::ERROR_INVALID_HANDLE)?;
        // SAFETY: guaranteed by this function's safety requirements.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
        let found = loaded.kernels.iter().find(|(known, _)| *known == name);
        let (_, params) = found.ok_or(CudaError::ERROR_NOT_FOUND)?;
        let made = Function {
            kernel: loaded.module.as_ref().and_then(|m| m.kernel(&name)),
            params: params.clone(),
            number: driver.recorder.function(&name, params.clone()),
        };
        // Functions live as long as the process, as cubecl never unloads them.
        // SAFETY: guaranteed by this function's safety requirements.
        unsafe { put(function, Box::into_raw(Box::new(made)).cast()) }
    })
}

/// # Safety
/// `function` must be null or come from [`cuModuleGetFunction`].
unsafe fn function<'a>(function: *mut c_void) -> Result<&'a Function, CudaError> {
    // SAFETY: guaranteed by this function's safety requirements; functions are never freed.
    unsafe { function.cast::<Function>().as_ref() }.ok_or(CudaError::ERROR_INVALID_HANDLE)
}

/// Attribute: the largest dynamic shared memory that a kernel may be given.
const MAX_DYNAMIC_SHARED: c_int = 8;
/// Attribute: a hint on how to split the first-level cache.
const SHARED_CARVEOUT: c_int = 9;

/// Sets an attribute of a kernel.
///
/// # Safety
/// `of` must be null or a function's handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuFuncSetAttribute(
    of: *mut c_void,
    attribute: c_int,
    value: c_int,
) -> Status {
    call(|driver| {
        // SAFETY: guaranteed by this function's safety requirements.
        let function = unsafe { function(of) }?;
        match attribute {
            MAX_DYNAMIC_SHARED => {
                if value < 0 || value as u32 > driver.device.limits.shared_opt_in {
                    return Err(CudaError::ERROR_INVALID_VALUE);
                }
                if let Some(kernel) = &function.kernel {
                    kernel.allow_shared(kernel.static_shared() + value as u32);
                }
                Ok(())
            }
            SHARED_CARVEOUT => Ok(()),
            _ => Err(CudaError::ERROR_NOT_SUPPORTED),
        }
    })
}

/// Launches a kernel and runs it to its end.
///
/// # Safety
/// `of` must be null or a function's handle. `params` must point to as many pointers as the kernel
/// has parameters, each to as many bytes as the parameter has.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn cuLaunchKernel(
    of: *mut c_void,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    shared: c_uint,
    _: *mut c_void,
    params: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> Status {
    call(|driver| {
        // SAFETY: guaranteed by this function's safety requirements.
        let function = unsafe { function(of) }?;
        if !extra.is_null() || (params.is_null() && !function.params.is_empty()) {
            return Err(CudaError::ERROR_NOT_SUPPORTED);
        }
        let (grid, block) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
        let shape = Shape { function: function.number, grid, block, shared };
        let launched = driver.recorder.launch(shape);
        if driver.config.lose_after.is_some_and(|after| launched > after) {
            return Err(CudaError::ERROR_LAUNCH_FAILED);
        }
        let Some(kernel) = &function.kernel else { return Ok(()) };
        let mut args: Vec<&[u8]> = Vec::with_capacity(function.params.len());
        for (i, &size) in function.params.iter().enumerate() {
            // SAFETY: the caller provides a pointer for each parameter, to all its bytes.
            args.push(unsafe { slice::from_raw_parts((*params.add(i)).cast::<u8>(), size) });
        }
        let start = Instant::now();
        match driver.device.launch(kernel, grid, block, shared, &args) {
            Ok(stats) => {
                let seconds = start.elapsed().as_secs_f64();
                driver.recorder.ran(function.number, stats, seconds);
                Ok(())
            }
            Err(LaunchError::Finding(finding)) => Err(CudaError::of(finding.kind)),
            Err(LaunchError::Invalid(message)) => {
                eprintln!("cuda-sim: {}: {message}", kernel.name());
                Err(CudaError::ERROR_INVALID_VALUE)
            }
        }
    })
}
