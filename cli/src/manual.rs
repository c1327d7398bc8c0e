//! `sam2 completions` and `sam2 man`, generated from clap's description of the command line.

use anyhow::{Context, Result};

use crate::args::{CompletionsArgs, ManArgs};
use crate::command_line::description;
use crate::exit::ExitStatus;
use crate::standard_output::print;

/// Prints the completion script for a shell.
pub fn completions(args: &CompletionsArgs) -> Result<ExitStatus> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut description(), "sam2", &mut script);
    print(script)?;
    Ok(ExitStatus::Done)
}

/// Prints the manual page, or writes the pages of all commands to a folder.
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

/// Shows the commands that `--help` hides for lack of space: the manual lists them.
fn with_hidden_ones(command: clap::Command) -> clap::Command {
    let names: Vec<String> =
        command.get_subcommands().map(|subcommand| subcommand.get_name().to_owned()).collect();
    names.iter().fold(command, |command, name| {
        command.mut_subcommand(name, |subcommand| subcommand.hide(false))
    })
}
