//! Conversion of device failures into errors.

use sam2_model::{DeviceFailure, DeviceMemory, Sam2, Tensor};

use crate::error::EngineError;

/// Runs `work` with the model. On a GPU, whose memory can be full and whose driver can be reset, a
/// panic in `work` becomes an error, which says how much memory is in use if the device ran out of
/// it. The CPU's kernels do not fail in this way; a panic there is a bug in this program.
pub(crate) fn on_device<R>(
    model: &Sam2,
    work: impl FnOnce() -> Result<R, EngineError>,
) -> Result<R, EngineError> {
    if model.is_on_cpu() {
        return work();
    }
    let result = sam2_model::device_failure::guard(work).map_err(EngineError::from).flatten();
    result.map_err(|error| match error {
        EngineError::DeviceFailure(failure @ DeviceFailure::OutOfMemory { .. }) => {
            let usage = DeviceMemory::of(model.device()).ok().flatten();
            failure.with_usage(usage).into()
        }
        other => other,
    })
}

/// Reads the values of a tensor and waits for them.
pub(crate) fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, EngineError> {
    let read = tensor.try_into_vec_as::<f32>();
    read.map_err(|error| DeviceFailure::from_message(&format!("{error:?}")).into())
}
