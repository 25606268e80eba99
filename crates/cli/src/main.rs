//! The program `budwood`.

use std::process::ExitCode;

use budwood_cli::Program;

fn main() -> ExitCode {
    budwood_cli::main(Program::Itself, std::env::args_os().skip(1).collect())
}
