//! `sam2 completions` and `sam2 man`: made from clap's description of the command line.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use clap_complete::Shell;

use crate::command_line::description;
use crate::exit::ExitStatus;
use crate::standard_output::print;

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
    print(script)?;
    Ok(ExitStatus::Done)
}

/// Prints the manual page, or writes all of them to a folder.
pub fn man(args: &ManArgs) -> Result<ExitStatus> {
    let command = with_hidden_ones(description());
    if let Some(folder) = &args.out {
        std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(command, folder))
            .with_context(|| format!("cannot write manual pages to '{}'", folder.display()))?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        print(page)?;
    }
    Ok(ExitStatus::Done)
}

/// What help leaves out for want of room belongs into the manual.
fn with_hidden_ones(command: clap::Command) -> clap::Command {
    let names: Vec<String> =
        command.get_subcommands().map(|subcommand| subcommand.get_name().to_owned()).collect();
    names.iter().fold(command, |command, name| {
        command.mut_subcommand(name, |subcommand| subcommand.hide(false))
    })
}
