//! Reading values back from the device.

use burn::tensor::{Tensor, Transaction};

use crate::device_failure::DeviceFailure;

/// Reads back the values of several tensors, in order, with one request, so that the device is
/// waited for once.
///
/// # Errors
/// [`DeviceFailure`] if the device fails to compute the tensors or to return their values.
pub fn read_together(tensors: Vec<Tensor<1>>) -> Result<Vec<Vec<f32>>, DeviceFailure> {
    if tensors.is_empty() {
        // burn takes the device from the first tensor.
        return Ok(Vec::new());
    }
    let transaction = tensors.into_iter().fold(Transaction::default(), Transaction::register);
    let failed = |error: String| DeviceFailure::from_message(&error);
    let read = transaction.try_execute().map_err(|error| failed(format!("{error:?}")))?;
    read.into_iter()
        .map(|data| data.try_into_vec().map_err(|error| failed(format!("{error:?}"))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn values_come_back_in_order() {
        let tensor = |values: &[f32]| Tensor::<1>::from_floats(values, &Device::flex());
        let read = read_together(vec![tensor(&[1.0, 2.0]), tensor(&[]), tensor(&[3.0])]);
        assert_eq!(read, Ok(vec![vec![1.0, 2.0], vec![], vec![3.0]]));
        assert_eq!(read_together(Vec::new()), Ok(Vec::new()));
    }
}
