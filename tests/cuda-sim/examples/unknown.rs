//! Lists the instructions of PTX files that the interpreter does not know.
//!
//! `cargo run --example unknown -- FILE...`

use std::collections::BTreeMap;
use std::process::ExitCode;

use cuda::check::Findings;
use cuda::device::{Device, Limits};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let (mut unknown, mut kernels, mut failed) = (BTreeMap::<String, usize>::new(), 0, false);
    let limits = Limits::of(90).ok_or("a known device")?;
    let device = Device::new(limits, 1 << 30, Findings::default())?;
    for path in std::env::args().skip(1) {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{path}: {error}");
                failed = true;
                continue;
            }
        };
        match device.load(&text) {
            Ok(module) => {
                for kernel in module.kernels() {
                    kernels += 1;
                    for line in &kernel.program().unknown {
                        // Counted by opcode and reason, because registers differ.
                        let (text, reason) = line.split_once(';').unwrap_or((line, ""));
                        let mut words = text.split_whitespace();
                        let opcode = words.find(|w| !w.starts_with('@')).unwrap_or("");
                        *unknown.entry(format!("{opcode}{reason}")).or_default() += 1;
                    }
                }
            }
            Err(error) => {
                println!("{path}: {error}");
                failed = true;
            }
        }
    }
    for (instruction, times) in &unknown {
        println!("{times:6} {instruction}");
    }
    println!("{kernels} kernels, {} unknown instructions", unknown.len());
    let good = !failed && unknown.is_empty();
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
