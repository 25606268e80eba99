//! The program `budwood`.

use std::process::ExitCode;

use budwood_commands::Program;

fn main() -> ExitCode {
    budwood_commands::main(Program::Itself, std::env::args_os().skip(1).collect())
}
