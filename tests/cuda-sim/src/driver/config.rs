//! Environment variables that configure the emulated device.

use std::env::{self, VarError};
use std::path::PathBuf;

use crate::check::{Action, Findings, Kind};
use crate::device::Limits;

/// The treatment of launches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Launches are interpreted and checked.
    Interpret,
    /// Launches are only recorded.
    Count,
}

/// All settings.
#[derive(Debug)]
pub struct Config {
    /// `CUDA_SIM_MODE`: `interpret` (default) or `count`.
    pub mode: Mode,
    /// `CUDA_SIM_SM`: 75, 80 or 90 (default).
    pub limits: Limits,
    /// `CUDA_SIM_MEMORY`: bytes, optionally with K, M or G; by default the usual board's memory.
    pub memory: u64,
    /// `CUDA_SIM_DRIVER`: the driver version in the driver's own format; 13050 by default.
    pub driver: i32,
    /// `CUDA_SIM_SUMMARY`: a file for the summary at exit, `-` for standard error.
    pub summary: Option<PathBuf>,
    /// `CUDA_SIM_LOG`: a file with a line for every launch, copy and wait.
    pub log: Option<PathBuf>,
    /// `CUDA_SIM_DUMP`: a folder for the PTX of every module.
    pub dump: Option<PathBuf>,
    /// `CUDA_SIM_LOSE_AFTER`: number of launches after which the device is lost.
    pub lose_after: Option<u64>,
    /// `CUDA_SIM_LIMIT`: number of instructions of a block's warps that counts as endless.
    pub instruction_limit: u64,
}

/// Reads a variable. An invalid value ends the process, because a test with a mistyped setting
/// would prove something other than it claims.
fn read<T>(name: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
    let text = match env::var(name) {
        Ok(text) => text,
        Err(VarError::NotPresent) => return None,
        Err(VarError::NotUnicode(_)) => refuse(name, "not text"),
    };
    match parse(text.trim()) {
        Some(value) => Some(value),
        None => refuse(name, &text),
    }
}

fn refuse(name: &str, text: &str) -> ! {
    eprintln!("cuda-sim: '{text}' is not a value of {name}; tests/cuda-sim/README.md lists them");
    std::process::exit(70);
}

/// Reads a size: `1024`, `64K`, `512M`, `16G`.
fn size(text: &str) -> Option<u64> {
    let (number, unit) = match text.chars().last()? {
        'K' => (&text[..text.len() - 1], 1 << 10),
        'M' => (&text[..text.len() - 1], 1 << 20),
        'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// Reads a list of kinds of findings; `all` stands for every kind.
fn kinds(text: &str) -> Option<Vec<Kind>> {
    if text == "all" {
        return Some(Kind::ALL.to_vec());
    }
    text.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| Kind::ALL.into_iter().find(|kind| kind.name() == name))
        .collect()
}

impl Config {
    /// Reads the settings from the environment.
    pub fn from_environment() -> Self {
        let mode = read("CUDA_SIM_MODE", |text| match text {
            "interpret" => Some(Mode::Interpret),
            "count" => Some(Mode::Count),
            _ => None,
        });
        let limits = read("CUDA_SIM_SM", |text| Limits::of(text.parse().ok()?));
        let limits = limits.or_else(|| Limits::of(90)).unwrap_or_else(|| refuse("CUDA_SIM_SM", ""));
        let path = |name: &str| read(name, |text| Some(PathBuf::from(text)));
        Self {
            mode: mode.unwrap_or(Mode::Interpret),
            memory: read("CUDA_SIM_MEMORY", size).unwrap_or(limits.memory),
            limits,
            driver: read("CUDA_SIM_DRIVER", |text| text.parse().ok()).unwrap_or(13050),
            summary: path("CUDA_SIM_SUMMARY"),
            log: path("CUDA_SIM_LOG"),
            dump: path("CUDA_SIM_DUMP"),
            lose_after: read("CUDA_SIM_LOSE_AFTER", |text| text.parse().ok()),
            instruction_limit: read("CUDA_SIM_LIMIT", size).unwrap_or(1 << 32),
        }
    }

    /// Returns the actions on findings: `CUDA_SIM_STOP`, `CUDA_SIM_REPORT` and `CUDA_SIM_IGNORE`
    /// are lists of kinds.
    pub fn findings() -> Findings {
        let lists = [
            ("CUDA_SIM_STOP", Action::Stop),
            ("CUDA_SIM_REPORT", Action::Report),
            ("CUDA_SIM_IGNORE", Action::Ignore),
        ];
        let mut findings = Findings::default();
        for (name, action) in lists {
            for kind in read(name, kinds).unwrap_or_default() {
                findings = findings.with(kind, action);
            }
        }
        findings
    }
}
