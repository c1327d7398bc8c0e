//! `sam2 convert`.

use anyhow::{Context, Result, bail};
use sam2_model::Sam2Config;
use sam2_weights_convert::{StoredPrecision, convert};

use crate::args::ConvertArgs;
use crate::exit::ExitStatus;

/// Converts a checkpoint and says what it was.
pub fn run(args: &ConvertArgs) -> Result<ExitStatus> {
    let precision = match args.dtype.as_str() {
        "keep" => StoredPrecision::Keep,
        "f32" => StoredPrecision::F32,
        "f16" => StoredPrecision::F16,
        "bf16" => StoredPrecision::Bf16,
        other => bail!("'{other}' is no number format: use keep, f32, f16 or bf16"),
    };
    let config = args.config.as_deref().map(parse_config).transpose()?;
    let report = convert(&args.input, &args.output, precision, config, args.overwrite)?;
    println!(
        "{}: {}, {} tensors, {:.1} M parameters, {:.1} MB",
        args.output.display(),
        report.config,
        report.tensors,
        report.parameters as f64 / 1e6,
        report.bytes as f64 / 1e6
    );
    Ok(ExitStatus::Done)
}

/// A configuration by name, or from a JSON file.
pub fn parse_config(text: &str) -> Result<Sam2Config> {
    if !text.ends_with(".json") {
        return Ok(text.parse()?);
    }
    let json = std::fs::read_to_string(text)
        .with_context(|| format!("cannot read the configuration '{text}'"))?;
    serde_json::from_str(&json).with_context(|| format!("'{text}' is no configuration"))
}
