//! Distribution of work over the CPU cores.

use rayon::prelude::*;
use sam2_model::Sam2;

use crate::error::EngineError;

/// Applies `work` to each item and returns the results in order. On the CPU several items run at a
/// time, on the threads that the model's kernels use. On a GPU they run one by one on the caller's
/// thread, because a GPU works through its queue in order anyway.
pub(super) fn on_cores<T: Send, R: Send>(
    model: &Sam2,
    items: Vec<T>,
    work: impl Fn(T) -> Result<R, EngineError> + Sync + Send,
) -> Result<Vec<R>, EngineError> {
    if items.len() > 1 && model.parallel_batches() > 1 {
        items.into_par_iter().map(work).collect()
    } else {
        items.into_iter().map(work).collect()
    }
}
