//! `sam2 completions` and `sam2 man`: made from clap's description of the command line.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use clap_complete::Shell;

use crate::command_line::description;
use crate::exit::ExitStatus;

/// `sam2 completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: Shell,
}

/// `sam2 man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write sam2.1 and one page for each command to this folder, which is made if need be.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
}

/// Prints the completions for a shell.
pub fn completions(args: &CompletionsArgs) -> Result<ExitStatus> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut description(), "sam2", &mut script);
    print(&script)
}

/// Prints the manual page, or writes all of them to a folder.
pub fn man(args: &ManArgs) -> Result<ExitStatus> {
    let Some(folder) = &args.out else {
        let mut page = Vec::new();
        clap_mangen::Man::new(description()).render(&mut page)?;
        return print(&page);
    };
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(description(), folder))
        .with_context(|| format!("cannot write manual pages to '{}'", folder.display()))?;
    Ok(ExitStatus::Done)
}

/// A reader that has seen enough, such as `head`, is no error.
fn print(text: &[u8]) -> Result<ExitStatus> {
    match std::io::stdout().write_all(text) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitStatus::Done),
    }
}
