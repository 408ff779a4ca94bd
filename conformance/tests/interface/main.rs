//! Every call of the library, with what it must do and what it must refuse; one file a topic. What only one system can be asked
//! is in a folder of its own.

mod command;
mod exporting;
mod inheritance;
#[cfg(target_os = "linux")]
mod linux;
mod mappings;
mod regions;

use heirloom::Command;
use heirloom_conformance::output;

/// What the offset of a part must be a multiple of.
const GRANULE: usize = if cfg!(windows) { 64 << 10 } else { 4096 };

/// The program that the tests start.
const CHILD: &str = env!("CARGO_BIN_EXE_child");

/// That program with its arguments.
fn child(args: &[&str]) -> Command {
    // With its drive, where there are drives: another directory may be on another one.
    let mut command = Command::new(std::path::absolute(CHILD).unwrap());
    command.args(args);
    command
}
