//! Results as bits, for exact comparison.

use sam2_engine::ObjectMask;

use crate::fixture::to_values;

/// Returns everything about some objects that a caller can see.
pub fn bits(objects: &[ObjectMask]) -> Vec<u32> {
    let mut bits = Vec::new();
    for object in objects {
        bits.extend([object.object.0, u32::from(object.prompted)]);
        bits.extend(object.flags.iter().map(|flag| flag as u32));
        bits.extend(to_values(object.low_res_logits.clone()).into_iter().map(f32::to_bits));
        bits.extend([object.object_score, object.predicted_iou].map(f32::to_bits));
        bits.extend_from_slice(object.mask.runs());
    }
    bits
}
