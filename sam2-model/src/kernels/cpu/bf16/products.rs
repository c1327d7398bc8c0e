//! The bfloat16 instructions that the kernels need from a processor.

use super::super::simd::Simd;

/// Number of rows and columns of a block of products, and the step of its depth.
pub(super) const BLOCK: usize = 32;

/// Computes blocks of bfloat16 products.
///
/// # Safety
/// The methods may use the tier's instructions. Call them only if
/// [`CpuTier::is_available`](super::super::simd::CpuTier::is_available) has returned true, inside a
/// function that enables the instructions, and between [`Products::begin`] and [`Products::end`].
/// Pointers need no alignment.
pub(super) unsafe trait Products: Copy + 'static {
    /// The vectors for everything that is not a product.
    type Vectors: Simd;

    /// Prepares this thread for [`Products::multiply`].
    unsafe fn begin();

    /// Releases the resources that [`Products::begin`] took.
    unsafe fn end();

    /// Computes `c[i][j] (+)= sum over k < depth of a[i][k] * b[k][j]` for `i`, `j` below
    /// [`BLOCK`]. `depth` is a multiple of [`BLOCK`].
    ///
    /// `a` has rows of `a_by_row` values, of which `depth` are read. `b` is a panel
    /// `[depth / 2, BLOCK, 2]`. `c` has rows of `c_by_row` values. Without `add`, `c` is only
    /// written.
    unsafe fn multiply(
        depth: usize,
        a: *const u16,
        a_by_row: usize,
        b: *const u16,
        c: *mut f32,
        c_by_row: usize,
        add: bool,
    );

    /// Rounds `count` values to the nearest bfloat16.
    unsafe fn round(from: *const f32, to: *mut u16, count: usize);

    /// Rounds two rows of 16 values and writes them pair by pair: `[16, 2]`.
    unsafe fn round_pairs(first: *const f32, second: *const f32, to: *mut u16);

    /// Writes 16 rows of 16 pairs, `[16, 16, 2]`, as columns: pair `i` of all rows to
    /// `to + i * by_pair`.
    unsafe fn transpose_pairs(rows: *const u16, to: *mut u16, by_pair: usize);
}

/// Compiles `$body::<Products>(args)` once per tier, each inside a function with the tier's
/// instructions and its registers prepared. Defines `$name(tier, args)`, which calls the version
/// for `tier`. Tiers without such instructions use plain Rust.
macro_rules! per_bf16_tier {
    ($(#[$doc:meta])* fn $name:ident = $body:ident($($arg:ident: $type:ty),* $(,)?)) => {
        $(#[$doc])*
        #[inline]
        fn $name(tier: $crate::kernels::cpu::simd::CpuTier, $($arg: $type),*) {
            use $crate::kernels::cpu::bf16;
            use $crate::kernels::cpu::bf16::products::Products;
            #[cfg(target_arch = "x86_64")]
            use $crate::kernels::cpu::simd::CpuTier;
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,avx2,fma")]
            unsafe fn amx($($arg: $type),*) {
                // SAFETY: this function has the tier's instructions, and its registers are
                // prepared.
                unsafe {
                    bf16::amx::Amx::begin();
                    $body::<bf16::amx::Amx>($($arg),*);
                    bf16::amx::Amx::end();
                }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,avx2,fma")]
            unsafe fn dot($($arg: $type),*) {
                // SAFETY: this function has the tier's instructions.
                unsafe {
                    bf16::dot::Dot::begin();
                    $body::<bf16::dot::Dot>($($arg),*);
                    bf16::dot::Dot::end();
                }
            }
            // The instructions are checked here. What else a body requires concerns its arguments
            // (sizes, and who writes where), and is up to the code that calls this function.
            match tier {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the guard has found AMX, the system's permission to use it, and, but for
                // DQ, the AVX-512 of the arm below. The calling code has made the arguments as the
                // body requires.
                CpuTier::Amx if tier.is_available() => unsafe { amx($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the guard has found what `dot` enables, except for AVX-512 DQ, which all
                // processors with AVX-512 BF16 have. The calling code has made the arguments as the
                // body requires.
                CpuTier::Avx512Bf16 if tier.is_available() => unsafe { dot($($arg),*) },
                // SAFETY: `Portable` is plain Rust, which every processor runs, and prepares
                // nothing. The calling code has made the arguments as the body requires.
                _ => unsafe {
                    bf16::portable::Portable::begin();
                    $body::<bf16::portable::Portable>($($arg),*);
                    bf16::portable::Portable::end();
                },
            }
        }
    };
}
pub(super) use per_bf16_tier;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::kernels::cpu::CpuTier;
    use crate::kernels::cpu::testing::{noise, tiers};
    use half::bf16;

    /// The data of one block's product.
    #[derive(Clone, Copy)]
    struct Case<'a> {
        depth: usize,
        a: &'a [u16],
        by_row: usize,
        b: &'a [u16],
        add: bool,
    }

    unsafe fn product_on<P: Products>(case: Case<'_>, c: &mut [f32], c_by_row: usize) {
        let Case { depth, a, by_row, b, add } = case;
        // SAFETY: the tests size the slices.
        unsafe {
            P::multiply(depth, a.as_ptr(), by_row, b.as_ptr(), c.as_mut_ptr(), c_by_row, add);
        }
    }
    per_bf16_tier!(fn product = product_on(case: Case<'_>, c: &mut [f32], c_by_row: usize));

    unsafe fn round_on<P: Products>(from: &[f32], to: &mut [u16]) {
        // SAFETY: both have the same length.
        unsafe { P::round(from.as_ptr(), to.as_mut_ptr(), from.len()) };
    }
    per_bf16_tier!(fn round = round_on(from: &[f32], to: &mut [u16]));

    unsafe fn pairs_on<P: Products>(first: &[f32; 16], second: &[f32; 16], to: &mut [u16; 32]) {
        // SAFETY: the arrays have the required lengths.
        unsafe { P::round_pairs(first.as_ptr(), second.as_ptr(), to.as_mut_ptr()) };
    }
    per_bf16_tier!(fn pairs = pairs_on(first: &[f32; 16], second: &[f32; 16], to: &mut [u16; 32]));

    unsafe fn transposed_on<P: Products>(rows: &[u16], to: &mut [u16], by_pair: usize) {
        // SAFETY: the test sizes the slices.
        unsafe { P::transpose_pairs(rows.as_ptr(), to.as_mut_ptr(), by_pair) };
    }
    per_bf16_tier!(fn transposed = transposed_on(rows: &[u16], to: &mut [u16], by_pair: usize));

    fn rounded(values: &[f32]) -> Vec<u16> {
        values.iter().map(|&x| bf16::from_f32(x).to_bits()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn blocks_multiply_on_every_tier(steps in 1_usize..12, gap in 0_usize..40, add: bool, seed in 1_u64..1000) {
            let (depth, by_row, c_by_row) = (steps * BLOCK, steps * BLOCK + gap, BLOCK + gap);
            let a = rounded(&noise(BLOCK * by_row, seed));
            let b = rounded(&noise(depth * BLOCK, seed + 1));
            let before = noise(BLOCK * c_by_row, seed + 2);
            let wide = |bits: u16| f64::from(bf16::from_bits(bits).to_f32());
            for tier in tiers() {
                let mut c = before.clone();
                product(tier, Case { depth, a: &a, by_row, b: &b, add }, &mut c, c_by_row);
                for (i, j) in (0..BLOCK).flat_map(|i| (0..BLOCK).map(move |j| (i, j))) {
                    let mut sum: f64 = (0..depth)
                        .map(|k| wide(a[i * by_row + k]) * wide(b[(k / 2 * BLOCK + j) * 2 + k % 2]))
                        .sum();
                    sum += if add { f64::from(before[i * c_by_row + j]) } else { 0.0 };
                    let off = (f64::from(c[i * c_by_row + j]) - sum).abs();
                    prop_assert!(off < 2e-6 * (depth as f64).sqrt() * 3.0, "{tier}: off by {off} at {i}, {j}");
                }
                // Values outside the block are not touched.
                for (row, was) in c.chunks(c_by_row).zip(before.chunks(c_by_row)) {
                    prop_assert_eq!(&row[BLOCK..], &was[BLOCK..]);
                }
            }
        }

        #[test]
        fn numbers_round_to_the_nearest_on_every_tier(values in prop::collection::vec(any::<f32>(), 0..70)) {
            for tier in tiers() {
                let mut bits = vec![0; values.len()];
                round(tier, &values, &mut bits);
                for (x, bits) in values.iter().zip(bits) {
                    let (ours, expected) = (bf16::from_bits(bits), bf16::from_f32(*x));
                    // The instruction treats values below 1.2e-38 as zero.
                    let alike = ours.to_bits() == expected.to_bits()
                        || (ours.is_nan() && expected.is_nan())
                        || (x.is_subnormal() && ours.to_f32() == 0.0);
                    prop_assert!(alike, "{tier}: {x:e} became {ours:e}, not {expected:e}");
                }
            }
        }
    }

    #[test]
    fn pairs_and_columns_on_every_tier() {
        let values = noise(32, 5);
        let (first, second) = values.split_at(16);
        let expected: Vec<u16> =
            rounded(first).into_iter().zip(rounded(second)).flat_map(|(a, b)| [a, b]).collect();
        let rows: Vec<u16> = (0..16 * 32).collect();
        for tier in tiers() {
            let mut to = [0; 32];
            pairs(tier, first.try_into().unwrap(), second.try_into().unwrap(), &mut to);
            assert_eq!(to.to_vec(), expected, "{tier}");
            let mut columns = vec![9999; 16 * 40];
            transposed(tier, &rows, &mut columns, 40);
            for (pair, row) in (0..16).flat_map(|pair| (0..16).map(move |row| (pair, row))) {
                let at = pair * 40 + row * 2;
                assert_eq!(columns[at..at + 2], rows[row * 32 + pair * 2..][..2], "{tier}");
            }
            assert_eq!(columns[32..40], [9999; 8], "{tier}");
        }
    }

    #[test]
    fn which_tier_runs_here() {
        // This asserts nothing about the machine. It logs the tiers on which the tests above have
        // run.
        let names: Vec<&str> = tiers().map(CpuTier::name).collect();
        assert!(names.contains(&"generic"));
        println!("tiers of this processor: {}", names.join(", "));
    }
}
