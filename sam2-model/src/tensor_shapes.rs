//! What is known of a set of weights before it is read.

use std::collections::BTreeMap;

/// Names and PyTorch shapes of a set of weights.
pub type TensorShapes = BTreeMap<String, Vec<usize>>;
