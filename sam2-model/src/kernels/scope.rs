//! The number format in which the kernels of the current thread multiply.
//!
//! A precision belongs to a model, but the layers that call kernels know nothing of it. Passing it
//! through each of them would repeat one decision in fifty places. So the model's entry points open
//! a scope around the layers' work.

use std::cell::Cell;

use sam2_cpu_kernels::CpuTier;

use crate::precision::Precision;

thread_local! {
    static BF16: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with products in `precision`. bfloat16 is used if it is chosen and the processor is
/// faster in it, otherwise `f32`. Scopes nest, because a thread that waits for its other threads
/// may run another model's work meanwhile.
pub fn with_products_in<R>(precision: Precision, work: impl FnOnce() -> R) -> R {
    /// Restores the previous setting, also after a panic.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            BF16.set(self.0);
        }
    }
    let _before = Before(BF16.replace(precision == Precision::Bf16));
    work()
}

/// Returns true if this thread's products are to be made in bfloat16 and `tier` is faster in it.
pub(super) fn bf16_wins(tier: CpuTier) -> bool {
    BF16.get() && tier.multiplies_bf16()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_nest_and_end() {
        let is_on = || BF16.get();
        with_products_in(Precision::Bf16, || {
            assert!(is_on());
            with_products_in(Precision::F32, || assert!(!is_on()));
            assert!(is_on());
            assert!(
                std::panic::catch_unwind(|| with_products_in(Precision::F32, || panic!(
                    "on purpose"
                )))
                .is_err()
            );
            assert!(is_on());
        });
        assert!(!is_on());
        assert!(!with_products_in(Precision::Bf16, || bf16_wins(CpuTier::Avx2)));
    }
}
