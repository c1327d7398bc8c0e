#[path = "../../../../sam2-model/src/kernels/cpu/mod.rs"]
pub(crate) mod cpu;
