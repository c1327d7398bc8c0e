//! Sharing work out among the cores.

use rayon::prelude::*;
use sam2_model::Sam2;

use crate::error::EngineError;

/// What `work` makes of each item, in order: on the CPU several at a time, on the threads that the model's kernels use. Elsewhere one after the other and
/// from the caller's thread: a GPU works on what it is given as it comes.
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
