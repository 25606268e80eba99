//! All commands and flags as a page in Markdown.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

/// The commands below one that help shows.
pub(crate) fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help")
}

/// The page.
pub(crate) fn page(program: &Command) -> String {
    let mut out = String::from(
        "# Commands and flags\n\nMade from the program itself: `budwood COMMAND --help` says the \
         same.\n\n| command | what it does |\n|---|---|\n",
    );
    for command in shown(program) {
        let name = command.get_name();
        let _ = writeln!(out, "| [`{name}`](#budwood-{name}) | {} |", cell(&about(command)));
    }
    let _ = write!(
        out,
        "\n## All commands\n\n{}\n\n{}",
        prose(&program.get_after_help().map(ToString::to_string).unwrap_or_default()),
        table(&program.get_arguments().filter(|a| a.is_global_set()).collect::<Vec<_>>()),
    );
    for command in shown(program) {
        section(command, &format!("budwood {}", command.get_name()), 2, &mut out);
    }
    out
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn section(command: &Command, name: &str, level: usize, out: &mut String) {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let long = command.get_long_about().map(ToString::to_string);
    let said = prose(&long.unwrap_or_else(|| about(command)));
    let _ = write!(out, "\n{} {name}\n\n{said}\n\n```text\n{usage}\n```\n", "#".repeat(level));
    let own: Vec<&Arg> = command.get_arguments().filter(|a| !a.is_global_set()).collect();
    out.push_str(&table(&own));
    for below in shown(command) {
        section(below, &format!("{name} {}", below.get_name()), level + 1, out);
    }
}

/// A table of arguments; nothing if there are none.
fn table(arguments: &[&Arg]) -> String {
    let seen = |a: &&&Arg| !a.is_hide_set() && !["help", "version"].contains(&a.get_id().as_str());
    let rows: Vec<String> = arguments.iter().filter(seen).map(|a| row(a)).collect();
    match rows.is_empty() {
        true => String::new(),
        false => format!("\n| | what | default |\n|---|---|---|\n{}\n", rows.join("\n")),
    }
}

fn row(arg: &Arg) -> String {
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let value = arg.get_value_names().unwrap_or_default().join(" ");
    let name = match (arg.get_long(), arg.get_short()) {
        (Some(long), _) if takes => format!("--{long} {value}"),
        (Some(long), _) => format!("--{long}"),
        (None, Some(short)) => format!("-{short}"),
        (None, None) => value,
    };
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    // Where the default is something that the program finds out, the help says it.
    let (help, said) = match help.split_once(" [default: ") {
        Some((before, rest)) => (before.to_string(), rest.trim_end().trim_end_matches(']').into()),
        None => (help, String::new()),
    };
    let words: Vec<String> = match takes {
        true => arg.get_possible_values().iter().filter(|v| !v.is_hide_set()).map(word).collect(),
        false => Vec::new(),
    };
    let words =
        if words.is_empty() { String::new() } else { format!(" One of {}.", words.join(", ")) };
    let usual: Vec<_> = arg.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
    let usual = if usual.is_empty() || !takes { cell(&said) } else { code(&usual.join(" ")) };
    format!("| {} | {}{} | {usual} |", code(&name), cell(&help), words)
}

fn word(value: &clap::builder::PossibleValue) -> String {
    match value.get_help() {
        Some(help) => {
            format!("{} ({})", code(value.get_name()), cell(help.to_string().trim_end_matches('.')))
        }
        None => code(value.get_name()),
    }
}

/// A word as code in a cell of a table.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

/// Prose in a cell: one line, in which nothing ends the cell.
fn cell(text: &str) -> String {
    prose(text).split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// A text of the program in Markdown: what stands in `<>` is no markup, but in code.
fn prose(text: &str) -> String {
    let escaped = |(i, part): (usize, &str)| match i % 2 {
        0 => part.replace('<', "&lt;"),
        _ => part.to_string(),
    };
    text.split('`').enumerate().map(escaped).collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_that_help_shows_is_on_the_page() {
        let mut program = budwood_commands::command();
        program.build();
        let text = page(&program);
        let mut commands = vec![&program];
        let mut flags = 0;
        while let Some(command) = commands.pop() {
            commands.extend(shown(command));
            for arg in command.get_arguments().filter(|a| !a.is_hide_set()) {
                let Some(long) = arg.get_long() else { continue };
                if !["help", "version"].contains(&long) {
                    flags += 1;
                    assert!(text.contains(&format!("| `--{long}")), "--{long}");
                }
            }
        }
        assert!(flags > 150, "{flags}");
        assert!(!text.contains("--ends-with-parent"));
    }

    #[test]
    fn markup_of_texts_is_none() {
        assert_eq!(cell("a <DIR> or `<x>`\n| b"), "a &lt;DIR> or `<x>` \\| b");
    }
}
