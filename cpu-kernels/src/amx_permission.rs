//! The system's permission to use AMX.

#![allow(unsafe_code)]

/// Returns true if the processor has AMX with bfloat16 and the system lets this process use it.
/// Asks once, for all threads.
#[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
pub(crate) fn amx_is_permitted() -> bool {
    use std::sync::OnceLock;
    /// From arch/x86/include/uapi/asm/prctl.h.
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    /// The state component of the tiles' data.
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    *PERMITTED.get_or_init(|| {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        // Leaf 7, EDX: bit 22 = AMX-BF16, bit 24 = AMX-TILE.
        let has_leaf = __cpuid(0).eax >= 7;
        let has_tiles = has_leaf && (__cpuid_count(7, 0).edx >> 22) & 0b101 == 0b101;
        // SAFETY: the call takes two numbers and changes only this process's permissions.
        has_tiles
            && unsafe {
                libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)
            } == 0
    })
}

/// Returns false: only Linux on x86 is known to give the permission, and Miri has no AMX.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux", not(miri))))]
pub(crate) fn amx_is_permitted() -> bool {
    false
}
