//! The promises on Windows, with real processes; each test is named for what it guards.
//!
//! What Wine gets wrong stands beside what it is about, with its reason, and each run says so.

#![cfg(windows)]

mod exporting;
mod heirs;
mod hostile;
mod imports;
mod memory;
mod programs;

use heirloom::Command;
use heirloom_conformance::output;

/// The program that the tests start.
const CHILD: &str = env!("CARGO_BIN_EXE_child");

/// That program with its arguments.
fn child(args: &[&str]) -> Command {
    // With its drive, where there are drives: another directory may be on another one.
    let mut command = Command::new(std::path::absolute(CHILD).unwrap());
    command.args(args);
    command
}
