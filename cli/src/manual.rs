//! `sam2 man`: manual pages, made from clap's description of the command line.
//!
//! The pages are written with the library below clap_mangen, not with clap_mangen itself: that
//! leaves out the text of every option that `-h` hides, and fills examples and tables like prose.

use std::path::Path;

use anyhow::{Context, Result};
use clap::{Arg, ArgAction, Command};
use roff::{Inline, Roff, bold, italic, roman};

use crate::args::ManArgs;
use crate::command_line::description;
use crate::exit::{self, ExitStatus};
use crate::standard_output::print;

/// What `sam2(1)` says about settings.
const SETTINGS: &str = "\
Every option of a command can also be set in the environment or in a settings file. sam2-config(1) says how, and `sam2 config` shows \
which values are in effect.";

/// Prints the page of `sam2`, or writes the pages of all commands to a folder.
pub fn run(args: &ManArgs) -> Result<ExitStatus> {
    let mut root = description().disable_help_subcommand(true);
    root.build();
    match &args.out {
        Some(folder) => write_all(&root, folder)
            .with_context(|| format!("cannot write manual pages to '{}'", folder.display()))?,
        None => print(page(&root, &root).render())?,
    }
    Ok(ExitStatus::Done)
}

fn write_all(root: &Command, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for command in std::iter::once(root).chain(root.get_subcommands()) {
        std::fs::write(folder.join(format!("{}.1", name(command))), page(command, root).render())?;
    }
    Ok(())
}

/// Returns the name of a command's page: `sam2-segment`.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// Makes the page of one command.
fn page(command: &Command, root: &Command) -> Roff {
    let mut page = Roff::new();
    let version = format!("sam2 {}", root.get_version().unwrap_or_default());
    // roff drops an empty argument (the date) unless it is in quotes.
    page.control("TH", [&*name(command).to_uppercase(), "1", "\"\"", &version, "sam2 manual"]);
    // Words are neither divided nor spread out, so that names can be found and copied, and
    // sentences have one blank between them.
    page.control("nh", []).control("ad", ["l"]).control("ss", ["12", "0"]);
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    page.control("SH", ["NAME"]).text([roman(format!("{} - {about}", name(command)))]);
    page.control("SH", ["SYNOPSIS"]);
    let usage = command.clone().render_usage().to_string();
    as_it_is(&mut page, usage.trim_start_matches("Usage: ").lines());

    let is_root = command.get_name() == root.get_name();
    let end = command.get_after_long_help().or(command.get_after_help());
    // The end of `sam2 --help` is for a screen; the page has sections for what it says.
    let end = end.filter(|_| !is_root).map(ToString::to_string).unwrap_or_default();
    let (notes, examples) = split_examples(&end);
    page.control("SH", ["DESCRIPTION"]);
    let text = command.get_long_about().map(ToString::to_string).unwrap_or(about);
    prose(&mut page, &with_full_stop(&text));
    if !notes.is_empty() {
        page.control("sp", []);
        prose(&mut page, notes);
    }
    if is_root {
        page.control("sp", []).text([roman(SETTINGS)]);
        page.control("SH", ["COMMANDS"]);
        for subcommand in root.get_subcommands() {
            let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
            page.control("TP", []).text([bold(name(subcommand)), roman("(1)")]);
            page.text([roman(with_full_stop(&about))]);
        }
    }
    options(&mut page, command);
    page.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in exit::MEANINGS {
        page.control("TP", []).text([bold(code.to_string())]).text([roman(meaning)]);
    }
    if !examples.is_empty() {
        page.control("SH", ["EXAMPLES"]);
        as_it_is(&mut page, examples.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)));
    }
    page.control("SH", ["SEE ALSO"]);
    let others = std::iter::once(root).chain(root.get_subcommands());
    let others = others.filter(|other| name(other) != name(command));
    let others: Vec<String> = others.map(|other| format!("{}(1)", name(other))).collect();
    page.text([roman(others.join(", "))]);
    page
}

/// Splits the end of a command's help: what comes before its examples, and the examples.
fn split_examples(end: &str) -> (&str, &str) {
    let split = ["Examples:\n", "Example:\n"].into_iter().find_map(|title| end.split_once(title));
    let (notes, examples) = split.unwrap_or((end, ""));
    (notes.trim_end(), examples)
}

/// Adds the sections with the arguments and options.
fn options(page: &mut Roff, command: &Command) {
    let shown = |arg: &&Arg| !arg.is_hide_set();
    let (arguments, options): (Vec<&Arg>, Vec<&Arg>) =
        command.get_arguments().filter(shown).partition(|arg| arg.is_positional());
    if !arguments.is_empty() {
        page.control("SH", ["ARGUMENTS"]);
        arguments.into_iter().for_each(|arg| option(page, arg));
    }
    page.control("SH", ["OPTIONS"]);
    let mut headings: Vec<Option<&str>> = Vec::new();
    for option in &options {
        if !headings.contains(&option.get_help_heading()) {
            headings.push(option.get_help_heading());
        }
    }
    // Options without a heading come first, as in the help.
    headings.sort_by_key(Option::is_some);
    for heading in headings {
        if let Some(heading) = heading {
            page.control("SS", [heading]);
        }
        let those = options.iter().filter(|option| option.get_help_heading() == heading);
        those.for_each(|arg| option(page, arg));
    }
}

/// Adds one argument or option with its text, default, values and variable.
fn option(page: &mut Roff, arg: &Arg) {
    page.control("TP", []).text(header(arg));
    let text = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    prose(page, &with_full_stop(&text));
    if !arg.get_action().takes_values() {
        return;
    }
    let default: Vec<_> = arg.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
    if !default.is_empty() && !arg.is_hide_default_value_set() {
        page.text([roman(format!("[default: {}]", default.join(", ")))]);
    }
    if let Some(variable) = arg.get_env().filter(|_| !arg.is_hide_env_set()) {
        page.text([roman(format!("[env: {}]", variable.to_string_lossy()))]);
    }
    let values = arg.get_possible_values();
    if values.is_empty() || arg.is_hide_possible_values_set() {
        return;
    }
    if values.iter().all(|value| value.get_help().is_none()) {
        let names: Vec<&str> = values.iter().map(|value| value.get_name()).collect();
        page.text([roman(format!("One of {}.", names.join(", ")))]);
        return;
    }
    page.control("RS", []);
    for value in &values {
        page.control("TP", []).text([bold(value.get_name())]);
        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
        page.text([roman(with_full_stop(&help))]);
    }
    page.control("RE", []);
}

/// Returns the line that names an option and its values.
fn header(arg: &Arg) -> Vec<Inline> {
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    let mut line = Vec::new();
    if !names.is_empty() {
        line.push(bold(names.join(", ")));
    }
    if arg.get_action().takes_values() {
        let several = arg.get_num_args().is_some_and(|count| count.max_values() > 1);
        let value = match arg.get_value_names() {
            Some(names) => names.join(" "),
            None => arg.get_id().to_string().to_uppercase(),
        };
        if !line.is_empty() {
            line.push(roman(" "));
        }
        line.push(italic(if several { format!("{value}...") } else { value }));
    } else if matches!(arg.get_action(), ArgAction::Count) {
        line.push(roman("..."));
    }
    line
}

/// Adds paragraphs. Lines that begin with two blanks are a table and stay as they are.
fn prose(page: &mut Roff, text: &str) {
    let mut is_in_table = false;
    for line in text.lines() {
        let is_row = line.starts_with("  ") && !line.trim().is_empty();
        if is_row != is_in_table {
            page.control(if is_row { "nf" } else { "fi" }, []);
            is_in_table = is_row;
        }
        if line.trim().is_empty() {
            page.control("sp", []);
        } else {
            page.text([roman(line)]);
        }
    }
    if is_in_table {
        page.control("fi", []);
    }
}

/// Adds lines that are not filled.
fn as_it_is<'a>(page: &mut Roff, lines: impl Iterator<Item = &'a str>) {
    page.control("nf", []);
    lines.for_each(|line| {
        page.text([roman(line)]);
    });
    page.control("fi", []);
}

/// Returns the text with the full stop that clap takes away from the end of a help text.
fn with_full_stop(text: &str) -> String {
    let last = text.lines().last().unwrap_or_default();
    let is_prose = !last.starts_with("  ")
        && last.ends_with(|c: char| c.is_alphanumeric() || c == ')' || c == '\'');
    format!("{text}{}", if is_prose { "." } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the commands of a command's examples, without what a shell does with their output.
    fn examples(command: &Command, end: Option<&clap::builder::StyledStr>) -> Vec<Vec<String>> {
        let end = end.map(ToString::to_string).unwrap_or_default();
        let (_, examples) = split_examples(&end);
        for line in examples.lines() {
            assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
        }
        let joined = examples.replace("\\\n", " ");
        let words = |line: &str| -> Vec<String> {
            let words = line.split_whitespace().skip_while(|word| *word != "sam2");
            words
                .take_while(|word| !["|", ">"].contains(word))
                .map(|word| word.trim_matches('\'').to_owned())
                .collect()
        };
        joined.lines().map(words).collect()
    }

    #[test]
    fn examples_are_complete_commands_that_fit_a_line() {
        let mut root = description();
        root.build();
        let mut parsed = 0;
        for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
            for end in [command.get_after_help(), command.get_after_long_help()] {
                for words in examples(command, end) {
                    let words = crate::args::with_double_dashes(
                        words.into_iter().map(Into::into).collect(),
                    );
                    let result = description().try_get_matches_from(&words);
                    assert!(result.is_ok(), "{words:?}: {}", result.unwrap_err());
                    parsed += 1;
                }
            }
        }
        assert!(parsed > 30, "{parsed} examples");
    }

    #[test]
    fn paragraphs_are_filled_and_tables_are_not() {
        let mut page = Roff::new();
        prose(&mut page, "One. Two:\n\n  a   1\n  b   2\n\nThree.");
        let expected = ["One. Two:", ".sp", ".nf", "  a   1", "  b   2", ".fi", ".sp", "Three."];
        assert_eq!(page.to_roff().lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn full_stops_come_back_where_clap_took_them() {
        for (text, expected) in [
            ("Print JSON", "Print JSON."),
            ("Print JSON.", "Print JSON."),
            ("Frames [default: all]", "Frames [default: all]"),
            ("These:\n\n  a   1", "These:\n\n  a   1"),
        ] {
            assert_eq!(with_full_stop(text), expected);
        }
    }
}
