//! `sam2 inspect`.

use anyhow::Result;
use sam2_weights_convert::{
    DigestRecord, Inspection, PretrainedError, Provenance, Release, inspect,
};

use crate::args::InspectArgs;
use crate::exit::ExitStatus;
use crate::plain_text::plain;
use crate::standard_output::print;
use crate::weights_file;

/// Describes a weights file. Fails for a file that is not a SAM 2 model, after printing what is
/// known.
pub fn run(args: &InspectArgs) -> Result<ExitStatus> {
    let file = weights_file::find("the file", &args.file)?;
    let inspection = inspect(&file)?;
    if args.json {
        print(format!("{:#}\n", json(&inspection)))?;
    } else {
        print(table(&file.display().to_string(), &inspection))?;
    }
    if let Some(problem) = DigestRecord::problem(&file) {
        tracing::warn!(
            "the file was not compared with what was downloaded, as {problem}; fetch it again with `sam2 download MODEL`"
        );
    }
    if let Provenance::Damaged { record, reason } = &inspection.provenance {
        return Err(PretrainedError::damaged(&file, record, reason.clone()).into());
    }
    inspection.config?;
    Ok(ExitStatus::Done)
}

fn table(file: &str, inspection: &Inspection) -> String {
    let mut text = String::new();
    let mut line =
        |name: &str, value: String| text.push_str(&format!("{name:<12}{}\n", plain(&value)));
    line("file", file.to_owned());
    match &inspection.config {
        Ok(config) => {
            let variant = config.variant().map_or("custom", |variant| variant.name());
            line("variant", variant.to_owned());
            line("version", config.version.to_string());
            line("image size", format!("{0} x {0}", config.image_size));
        }
        Err(_) => line("variant", "unknown".to_owned()),
    }
    line("layout", inspection.layout.to_string());
    line("dtype", dtypes(inspection));
    line("tensors", inspection.tensors.to_string());
    let millions = inspection.parameters as f64 / 1e6;
    line("parameters", format!("{} ({millions:.1} M)", inspection.parameters));
    line("bytes", inspection.bytes.to_string());
    line("sha256", inspection.sha256.clone());
    line(
        "release",
        match &inspection.release {
            Some(release) => {
                format!("{}, as published: the SHA-256 is that of the release", release.file)
            }
            None => "not a known release by its SHA-256".to_owned(),
        },
    );
    match &inspection.provenance {
        Provenance::Recorded(record) => line(
            "made from",
            format!(
                "{} (SHA-256 {}, verified when it was downloaded; this file's is the one recorded then)",
                record.source, record.source_sha256
            ),
        ),
        Provenance::Claimed { source_sha256 } => line(
            "claims",
            format!(
                "to be made from {} with the SHA-256 {source_sha256}: the file says so of itself, nothing proves it",
                claimed_name(source_sha256)
            ),
        ),
        Provenance::Damaged { reason, .. } => line("damaged", reason.clone()),
        _ => {}
    }
    text
}

/// Returns the name of the release file with this SHA-256, or "a file".
fn claimed_name(source_sha256: &str) -> String {
    Release::by_sha256(source_sha256)
        .map_or("a file".to_owned(), |release| release.file.into_owned())
}

/// Formats the element types: `f32`, or `f16 (390), f32 (5)`.
fn dtypes(inspection: &Inspection) -> String {
    let mut formats = inspection.dtypes.iter();
    match (formats.next(), formats.next()) {
        (Some((only, _)), None) => only.clone(),
        _ => {
            let each: Vec<String> = inspection
                .dtypes
                .iter()
                .map(|(format, tensors)| format!("{format} ({tensors})"))
                .collect();
            each.join(", ")
        }
    }
}

fn json(inspection: &Inspection) -> serde_json::Value {
    let config = inspection.config.as_ref().ok();
    serde_json::json!({
        "variant": config.and_then(|c| c.variant()).map(|variant| variant.name()),
        "version": config.map(|config| config.version.to_string()),
        "image_size": config.map(|config| config.image_size),
        "layout": inspection.layout.to_string(),
        "dtypes": inspection.dtypes,
        "tensors": inspection.tensors,
        "parameters": inspection.parameters,
        "bytes": inspection.bytes,
        "sha256": inspection.sha256,
        "release": inspection.release.as_ref().map(|release| release.file.as_ref()),
        "made_from": match &inspection.provenance {
            Provenance::Recorded(record) => Some(serde_json::json!({
                "file": record.source,
                "sha256": record.source_sha256,
            })),
            _ => None,
        },
        "claimed_source_sha256": match &inspection.provenance {
            Provenance::Claimed { source_sha256 } => Some(source_sha256),
            _ => None,
        },
        "damaged": match &inspection.provenance {
            Provenance::Damaged { reason, .. } => Some(reason),
            _ => None,
        },
        "problem": inspection.config.as_ref().err().map(ToString::to_string),
    })
}
