//! `manual OUT`: what is written about the program from its own tables, so that nothing is kept
//! twice. It belongs to releases and to the book, not to the program.
//!
//! | in `OUT` | what |
//! |---|---|
//! | `completions/` | for bash, zsh, fish, PowerShell and elvish |
//! | `man/` | a page for the program and for each of its commands |
//! | `book/commands.md` | all commands and flags |
//! | `book/methods.md` | the methods with their formulas, sources and options |
#![allow(clippy::print_stderr)]

mod commands;
mod methods;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap_complete::Shell;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let (Some(out), None) = (words.next().map(PathBuf::from), words.next()) else {
        eprintln!("usage: manual OUT");
        return ExitCode::from(2);
    };
    match write(&out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {}: {e}", out.display());
            ExitCode::FAILURE
        }
    }
}

fn write(out: &Path) -> io::Result<()> {
    let mut program = budwood_commands::command();
    // Now each command knows how it is called, and the flags that all have.
    program.build();
    let [completions, man, book] = ["completions", "man", "book"].map(|name| out.join(name));
    for folder in [&completions, &man, &book] {
        fs::create_dir_all(folder)?;
    }
    let shells = [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish];
    for shell in shells {
        clap_complete::generate_to(shell, &mut program.clone(), "budwood", &completions)?;
    }
    clap_mangen::generate_to(budwood_commands::command().disable_help_subcommand(true), &man)?;
    fs::write(book.join("commands.md"), commands::page(&program))?;
    fs::write(book.join("methods.md"), methods::page()?)
}
