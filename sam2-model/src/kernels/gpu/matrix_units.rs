//! NVIDIA's matrix units: products of 16-bit values, eight of them in four 32-bit registers, with
//! sums in f32.
//!
//! CubeCL's own interface to them converts through vectors of f16, which costs 40 % of a loop's
//! instructions. So values stay packed, and the few instructions are written as PTX. The layouts of
//! fragments are those of the PTX manual, "Matrix Fragments for mma.m16n8k16".

use cubecl::cmma::{MatrixIdent, MmaDefinition};
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::*;
use half::f16;

/// Eight 16-bit values: 16 bytes, which one access takes and `ldmatrix` calls a row.
pub(super) type Eight = Vector<u32, Const<4>>;
/// Four sums: of two adjacent columns in one row, then of the same columns eight rows below.
pub(super) type Sums = Vector<f32, Const<4>>;
type One = Vector<u32, Const<1>>;

/// Number of 16-bit values in an [`Eight`].
pub(super) const EIGHT: usize = 8;

/// A format of 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Half {
    /// 5 bits of exponent and 10 of fraction.
    F16,
    /// 8 bits of exponent and 7 of fraction.
    Bf16,
}

impl Half {
    /// Returns the format of `element`, if it is one of these.
    pub(super) fn of(element: ElemType) -> Option<Self> {
        match element {
            ElemType::Float(FloatKind::F16) => Some(Self::F16),
            ElemType::Float(FloatKind::BF16) => Some(Self::Bf16),
            _ => None,
        }
    }
}

/// Properties of a device's matrix units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Units {
    /// True if a product takes eight inputs at a time instead of sixteen (Turing).
    pub by_eight: bool,
}

/// Returns the device's matrix units, if it has NVIDIA's and they multiply this format.
pub(super) fn matrix_units(client: &Client, format: Half) -> Option<Units> {
    let features = &client.properties().features.matmul;
    if features.ldmatrix.is_empty() {
        return None;
    }
    let kind = match format {
        Half::F16 => FloatKind::F16,
        Half::Bf16 => FloatKind::BF16,
    };
    let has = |k: u32| {
        features.mma.iter().any(|shape| {
            shape.a_type == ElemType::Float(kind)
                && shape.cd_type == ElemType::Float(FloatKind::F32)
                && (shape.m, shape.n, shape.k) == (16, 8, k)
        })
    };
    match (has(16), has(8) && format == Half::F16) {
        (true, _) => Some(Units { by_eight: false }),
        (false, true) => Some(Units { by_eight: true }),
        _ => None,
    }
}

/// Returns true if the device's matrix units multiply f16 but not bfloat16.
pub fn only_f16_has_matrix_units(client: &Client) -> bool {
    matrix_units(client, Half::F16).is_some() && matrix_units(client, Half::Bf16).is_none()
}

/// Loads four matrices of 8 x 8 from shared memory. Each lane gives the location of a row of eight
/// values. With `transposed`, each lane gets values of columns instead.
#[cube]
pub(super) fn load_four(row: &[Eight], #[comptime] transposed: bool) -> Eight {
    let definition = MmaDefinition::<f16, f16, f32>::new(16usize, 8usize, 16usize);
    let parts = definition.load_matrix::<Eight, Const<1>>(row, MatrixIdent::A, 4usize, transposed);
    let mut four = Eight::empty();
    #[unroll]
    for i in 0..4usize {
        let part: One = parts[i];
        four.insert(i, part.extract(0usize));
    }
    four
}

/// Adds the product of 16 x 16 and 16 x 8 values to the sums. Of `b`, registers `first` and
/// `first + 1` are used.
#[cube]
pub(super) fn multiply(
    a: Eight,
    b: Eight,
    #[comptime] first: usize,
    sums: Sums,
    #[comptime] format: Half,
    #[comptime] units: Units,
) -> Sums {
    let out: Sums;
    // Taken one by one: a vector made here would be passed by its address.
    let a0 = a.extract(0usize);
    let a1 = a.extract(1usize);
    let a2 = a.extract(2usize);
    let a3 = a.extract(3usize);
    let b0 = b.extract(first);
    let b1 = b.extract(comptime!(first + 1));
    if comptime!(units.by_eight) {
        let half: Sums;
        gpu_asm!("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {d}, {{{a0}, {a1}}}, {{{b0}}}, {c};", a0 = in(_) a0, a1 = in(_) a1, b0 = in(_) b0, c = in(_) sums, d = out(_) half, options(pure, nomem));
        let c0 = half.extract(0usize);
        let c1 = half.extract(1usize);
        let c2 = half.extract(2usize);
        let c3 = half.extract(3usize);
        gpu_asm!("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {d}, {{{a0}, {a1}}}, {{{b0}}}, {{{c0}, {c1}, {c2}, {c3}}};", a0 = in(_) a2, a1 = in(_) a3, b0 = in(_) b1, c0 = in(_) c0, c1 = in(_) c1, c2 = in(_) c2, c3 = in(_) c3, d = out(_) out, options(pure, nomem));
    } else if comptime!(format == Half::F16) {
        gpu_asm!("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {d}, {{{a0}, {a1}, {a2}, {a3}}}, {{{b0}, {b1}}}, {c};", a0 = in(_) a0, a1 = in(_) a1, a2 = in(_) a2, a3 = in(_) a3, b0 = in(_) b0, b1 = in(_) b1, c = in(_) sums, d = out(_) out, options(pure, nomem));
    } else {
        gpu_asm!("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {d}, {{{a0}, {a1}, {a2}, {a3}}}, {{{b0}, {b1}}}, {c};", a0 = in(_) a0, a1 = in(_) a1, a2 = in(_) a2, a3 = in(_) a3, b0 = in(_) b0, b1 = in(_) b1, c = in(_) sums, d = out(_) out, options(pure, nomem));
    }
    out
}

/// Packs two values into one register, rounded to the nearest. Values beyond the format's range
/// become its largest value.
#[cube]
pub(super) fn pack(low: f32, high: f32, #[comptime] format: Half, #[comptime] units: Units) -> u32 {
    if comptime!(format == Half::F16) {
        let low = clamp(low, -65_504.0f32, 65_504.0f32);
        let high = clamp(high, -65_504.0f32, 65_504.0f32);
        pack_weights(low, high, units)
    } else {
        // Clamped to bfloat16's range. These must be results of an operation, because a variable
        // would be passed by its address.
        let low = clamp(low, -3.389_531_4e38f32, 3.389_531_4e38f32);
        let high = clamp(high, -3.389_531_4e38f32, 3.389_531_4e38f32);
        let packed: u32;
        gpu_asm!("cvt.rn.bf16x2.f32 {d}, {high}, {low};", high = in(_) high, low = in(_) low, d = out(_) packed, options(pure, nomem));
        packed
    }
}

/// Packs two values as f16 that are known to be in its range, such as the weights of a softmax.
#[cube]
pub(super) fn pack_weights(low: f32, high: f32, #[comptime] units: Units) -> u32 {
    let packed: u32;
    if comptime!(units.by_eight) {
        // Turing rounds one value at a time.
        gpu_asm!("{{ .reg .b16 l, h; cvt.rn.f16.f32 l, {low}; cvt.rn.f16.f32 h, {high}; mov.b32 {d}, {{l, h}}; }}", high = in(_) high, low = in(_) low, d = out(_) packed, options(pure, nomem));
    } else {
        gpu_asm!("cvt.rn.f16x2.f32 {d}, {high}, {low};", high = in(_) high, low = in(_) low, d = out(_) packed, options(pure, nomem));
    }
    packed
}

/// Computes 2 to the power of x, within 2^-22 of it.
#[cube]
pub(super) fn power_of_two(x: f32) -> f32 {
    let y: f32;
    gpu_asm!("ex2.approx.ftz.f32 {d}, {x};", x = in(_) x, d = out(_) y, options(pure, nomem));
    y
}

/// Converts eight values of another format to f16. All bits of bfloat16's fraction are kept; values
/// beyond f16's range become its largest value.
#[cube]
pub(super) fn as_f16(eight: Eight, #[comptime] format: Half, #[comptime] units: Units) -> Eight {
    if comptime!(format == Half::F16) {
        eight
    } else {
        let mut out = Eight::empty();
        #[unroll]
        for i in 0..4usize {
            let two = eight.extract(i);
            let low = f32::reinterpret(two << 16u32);
            let high = f32::reinterpret(two & 0xFFFF_0000u32);
            out.insert(i, pack(low, high, Half::F16, units));
        }
        out
    }
}
