//! `cargo run --example convert -- IN.pt OUT.safetensors`
use sam2_weights_convert::{StoredPrecision, convert};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(input), Some(output)) = (args.next(), args.next()) else {
        return Err("usage: convert IN.pt OUT.safetensors".into());
    };
    let report =
        convert(Path::new(&input), Path::new(&output), StoredPrecision::Keep, None, false)?;
    println!("{}: {} tensors, {} parameters", report.config, report.tensors, report.parameters);
    Ok(())
}
