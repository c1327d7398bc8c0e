//! `sam2 devices`.

use anyhow::Result;
use clap::Args;
use sam2_engine::DeviceChoice;
use sam2_model::{ListedDevice, list_devices, missing_features};

use crate::exit::ExitStatus;
use crate::standard_output::print;

/// `sam2 devices`.
#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Lists what `--device` can name here, and what this build lacks.
pub fn run(args: &DevicesArgs) -> Result<ExitStatus> {
    let devices = list_devices();
    let missing = missing_features();
    // What `auto` opens; its name is the device's.
    let chosen = DeviceChoice::Auto.open().map(|(_, name)| name).unwrap_or_default();
    let is_chosen = |device: &ListedDevice| device.name == chosen;
    if args.json {
        let listed: Vec<_> = devices
            .iter()
            .map(|device| {
                serde_json::json!({
                    "name": device.choice.to_string(),
                    "description": describe(device),
                    "threads": device.threads,
                    "kernels": device.tier.map(|tier| tier.name()),
                    "processor": device.tier.and(processor_name()),
                    "auto": is_chosen(device),
                })
            })
            .collect();
        let lacking: Vec<_> = missing
            .iter()
            .map(|missing| {
                serde_json::json!({
                    "feature": missing.feature,
                    "for": missing.description,
                    "build": missing.command,
                })
            })
            .collect();
        let all = serde_json::json!({ "devices": listed, "not_in_this_build": lacking });
        print(format!("{all:#}\n"))?;
        return Ok(ExitStatus::Done);
    }
    let mut text = String::new();
    for device in &devices {
        let auto = if is_chosen(device) { "  (auto)" } else { "" };
        text.push_str(&format!("{:<10}{}{auto}\n", device.choice.to_string(), describe(device)));
    }
    for missing in &missing {
        text.push_str(&format!(
            "{:<10}not in this build; for {}: {}\n",
            missing.feature, missing.description, missing.command
        ));
    }
    print(text)?;
    Ok(ExitStatus::Done)
}

/// What a device is, beside its name.
pub fn describe(device: &ListedDevice) -> String {
    let threads = device.threads.map(|threads| match threads {
        1 => "1 thread".to_owned(),
        more => format!("{more} threads"),
    });
    let kernels = device.tier.map(|tier| format!("{tier} kernels"));
    // Of a GPU, what its driver calls it; the CPU's name says nothing new.
    let name = Some(device.name.clone()).filter(|_| device.tier.is_none());
    let processor = device.tier.and(processor_name());
    let parts: Vec<String> = [name, threads, kernels, processor].into_iter().flatten().collect();
    parts.join(", ")
}

/// The processor's own name, where the system tells it.
pub fn processor_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
