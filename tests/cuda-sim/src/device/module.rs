//! Loaded modules and their kernels.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Device;
use crate::exec::Program;
use crate::ptx;

/// A loaded module.
#[derive(Debug)]
pub struct Module {
    kernels: HashMap<String, Arc<Kernel>>,
    globals: HashMap<String, (u64, u64)>,
}

/// A kernel of a module.
#[derive(Debug)]
pub struct Kernel {
    program: Program,
    shared_allowed: AtomicU32,
}

impl Module {
    pub(super) fn load(device: &Device, text: &str) -> Result<Self, String> {
        let parsed = ptx::parse(text).map_err(|error| error.to_string())?;
        let mut globals = HashMap::new();
        for variable in &parsed.variables {
            if !matches!(variable.space, ptx::Space::Global | ptx::Space::Const) {
                continue;
            }
            let bytes = variable.size.max(1) as u64;
            let address = device.memory.alloc(bytes).map_err(|error| error.to_string())?;
            let mut init = variable.init.clone();
            init.resize(variable.size.max(1), 0);
            device.memory.write(address, &init).map_err(|finding| finding.to_string())?;
            globals.insert(variable.name.clone(), (address, bytes));
        }
        let addresses = globals.iter().map(|(name, &(at, _))| (name.clone(), at)).collect();
        let mut kernels = HashMap::new();
        for function in parsed.functions.iter().filter(|f| f.entry && f.has_body) {
            let program = Program::decode(&parsed, function, &addresses);
            let kernel = Kernel { program, shared_allowed: AtomicU32::new(0) };
            kernels.insert(function.name.clone(), Arc::new(kernel));
        }
        Ok(Self { kernels, globals })
    }

    /// Returns a kernel by name.
    pub fn kernel(&self, name: &str) -> Option<Arc<Kernel>> {
        self.kernels.get(name).cloned()
    }

    /// Iterates over all kernels.
    pub fn kernels(&self) -> impl Iterator<Item = &Arc<Kernel>> {
        self.kernels.values()
    }

    /// Returns address and size of a variable.
    pub fn global(&self, name: &str) -> Option<(u64, u64)> {
        self.globals.get(name).copied()
    }
}

impl Kernel {
    /// Returns the kernel's name.
    pub fn name(&self) -> &str {
        &self.program.name
    }

    /// Returns its decoded instructions.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Returns the number of threads that the text allows in a block; 0 if not stated.
    pub fn max_threads(&self) -> u32 {
        self.program.max_threads
    }

    /// Returns the number of bytes of shared memory that the text declares.
    pub fn static_shared(&self) -> u32 {
        self.program.static_shared as u32
    }

    /// Returns the number of bytes of dynamic shared memory that the host has requested.
    pub fn shared_allowed(&self) -> u32 {
        self.shared_allowed.load(Ordering::Relaxed)
    }

    /// Requests more shared memory than every kernel has by default.
    pub fn allow_shared(&self, bytes: u32) {
        self.shared_allowed.store(bytes, Ordering::Relaxed);
    }

    /// Iterates over the sizes of the parameters in bytes.
    pub fn param_sizes(&self) -> impl ExactSizeIterator<Item = usize> {
        self.program.params.iter().map(|p| p.1)
    }

    /// Places the bytes of the parameters where the kernel expects them.
    pub(super) fn pack(&self, args: &[&[u8]]) -> Result<Vec<u8>, String> {
        let params = &self.program.params;
        if args.len() != params.len() {
            return Err(format!("{} parameters given, {} expected", args.len(), params.len()));
        }
        let mut block = vec![0; self.program.param_bytes];
        for (arg, &(offset, size)) in args.iter().zip(params) {
            if arg.len() != size {
                return Err(format!("a parameter of {} bytes given, {size} expected", arg.len()));
            }
            block[offset..offset + size].copy_from_slice(arg);
        }
        Ok(block)
    }
}
