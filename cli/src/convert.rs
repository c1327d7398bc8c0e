//! `sam2 convert`.

use anyhow::{Context, Result, anyhow};
use sam2_model::Sam2Config;
use sam2_weights_convert::{StoredPrecision, convert};

use crate::alike::suggestion;
use crate::args::{ConvertArgs, DtypeArg, MODELS};
use crate::exit::ExitStatus;
use crate::plain_text::plain;
use crate::standard_output::print;
use crate::weights_file;

/// Converts a checkpoint and prints which model it holds.
pub fn run(args: &ConvertArgs) -> Result<ExitStatus> {
    let precision = match args.dtype {
        DtypeArg::Keep => StoredPrecision::Keep,
        DtypeArg::F32 => StoredPrecision::F32,
        DtypeArg::F16 => StoredPrecision::F16,
        DtypeArg::Bf16 => StoredPrecision::Bf16,
    };
    let input = weights_file::find("the checkpoint", &args.input)?;
    let config = args.config.as_deref().map(parse_config).transpose()?;
    let report = convert(&input, &args.output, precision, config, args.overwrite)?;
    print(format!(
        "{}: {}, {} tensors, {:.1} M parameters, {:.1} MB\n",
        plain(&args.output.display().to_string()),
        report.config,
        report.tensors,
        report.parameters as f64 / 1e6,
        report.bytes as f64 / 1e6
    ))?;
    Ok(ExitStatus::Done)
}

/// Parses a configuration: a name, or the path of a JSON file.
pub fn parse_config(text: &str) -> Result<Sam2Config> {
    if !text.ends_with(".json") {
        return text
            .parse()
            .map_err(|unknown| anyhow!("{unknown}{}", suggestion(text, MODELS.iter().copied())));
    }
    let json = std::fs::read_to_string(text).with_context(|| {
        format!("cannot read the configuration '{text}': give a JSON file or a name like tiny-2.1")
    })?;
    serde_json::from_str(&json)
        .with_context(|| format!("'{text}' is not a valid configuration: check its fields"))
}
