//! Values of all 32 lanes of a warp, and macros that make lane-wise functions.
//!
//! An instruction operates on whole warps: one dispatch, then a loop over 32 lanes that the
//! compiler vectorises.

/// Number of threads in a warp.
pub const LANES: usize = 32;

/// All lanes of a warp.
pub const FULL: u32 = u32::MAX;

/// A 32-bit register of a warp. Narrower values are zero-extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct V32(pub [u32; LANES]);

/// A 64-bit register of a warp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct V64(pub [u64; LANES]);

impl V32 {
    /// Returns the same value in every lane.
    pub const fn splat(value: u32) -> Self {
        Self([value; LANES])
    }

    /// Returns a register with a value for each lane.
    pub fn from_fn(value: impl FnMut(usize) -> u32) -> Self {
        Self(std::array::from_fn(value))
    }
}

impl V64 {
    /// Returns the same value in every lane.
    pub const fn splat(value: u64) -> Self {
        Self([value; LANES])
    }
}

/// Iterates over the lanes of a mask, lowest first.
pub fn lanes_of(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if mask == 0 {
            return None;
        }
        let lane = mask.trailing_zeros() as usize;
        mask &= mask - 1;
        Some(lane)
    })
}

/// A function of one 32-bit register.
pub type Un32 = fn(&V32, &mut V32);
/// A function of two 32-bit registers.
pub type Bin32 = fn(&V32, &V32, &mut V32);
/// A function of three 32-bit registers.
pub type Tri32 = fn(&V32, &V32, &V32, &mut V32);
/// A function of one 64-bit register.
pub type Un64 = fn(&V64, &mut V64);
/// A function of two 64-bit registers.
pub type Bin64 = fn(&V64, &V64, &mut V64);
/// A function of three 64-bit registers.
pub type Tri64 = fn(&V64, &V64, &V64, &mut V64);
/// A function of a 64-bit and a 32-bit register, such as a shift.
pub type Mixed64 = fn(&V64, &V32, &mut V64);
/// A conversion of 32 bits to 64.
pub type Widen = fn(&V32, &mut V64);
/// A function of two 32-bit registers to 64 bits.
pub type Widen2 = fn(&V32, &V32, &mut V64);
/// A conversion of 64 bits to 32.
pub type Narrow = fn(&V64, &mut V32);
/// A comparison of two 32-bit registers: one bit per lane.
pub type Test32 = fn(&V32, &V32) -> u32;
/// A comparison of two 64-bit registers.
pub type Test64 = fn(&V64, &V64) -> u32;

/// Makes a lane-wise function of one to three registers. The types of result and arguments follow
/// from the macro's name and context.
macro_rules! lanewise {
    ($ty:ty, |$a:ident| $body:expr) => {{
        let f: $ty = |a, d| {
            for i in 0..$crate::exec::lanes::LANES {
                let $a = a.0[i];
                d.0[i] = $body;
            }
        };
        f
    }};
    ($ty:ty, |$a:ident, $b:ident| $body:expr) => {{
        let f: $ty = |a, b, d| {
            for i in 0..$crate::exec::lanes::LANES {
                let ($a, $b) = (a.0[i], b.0[i]);
                d.0[i] = $body;
            }
        };
        f
    }};
    ($ty:ty, |$a:ident, $b:ident, $c:ident| $body:expr) => {{
        let f: $ty = |a, b, c, d| {
            for i in 0..$crate::exec::lanes::LANES {
                let ($a, $b, $c) = (a.0[i], b.0[i], c.0[i]);
                d.0[i] = $body;
            }
        };
        f
    }};
}

/// Makes a lane-wise comparison.
macro_rules! compare {
    ($ty:ty, |$a:ident, $b:ident| $body:expr) => {{
        let f: $ty = |a, b| {
            let mut bits = 0u32;
            for i in 0..$crate::exec::lanes::LANES {
                let ($a, $b) = (a.0[i], b.0[i]);
                bits |= u32::from($body) << i;
            }
            bits
        };
        f
    }};
}

pub(crate) use {compare, lanewise};
