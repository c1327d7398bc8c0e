//! `sam2 devices`.

use anyhow::Result;
use sam2_engine::DeviceChoice;
use sam2_model::{ListedDevice, list_devices, missing_features};

use crate::args::DevicesArgs;
use crate::exit::ExitStatus;
use crate::standard_output::print;

/// Lists the devices that `--device` accepts on this machine, and the features that this build
/// lacks.
pub fn run(args: &DevicesArgs) -> Result<ExitStatus> {
    let devices = list_devices();
    let missing = missing_features();
    // The device that `auto` opens is recognized by its name.
    let chosen = DeviceChoice::Auto.open_named().map(|(_, name)| name).unwrap_or_default();
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

/// Describes a device without its `--device` name.
pub fn describe(device: &ListedDevice) -> String {
    let threads = device.threads.map(|threads| match threads {
        1 => "1 thread".to_owned(),
        more => format!("{more} threads"),
    });
    let kernels = device.tier.map(|tier| format!("{tier} kernels"));
    // For a GPU, the name that its driver reports. The CPU's name would say nothing new.
    let name = Some(device.name.clone()).filter(|_| device.tier.is_none());
    let processor = device.tier.and(processor_name());
    let parts: Vec<String> = [name, threads, kernels, processor].into_iter().flatten().collect();
    parts.join(", ")
}

/// Returns the processor's model name, if the system reports it.
pub fn processor_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
