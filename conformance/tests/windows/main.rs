//! The guarantees on Windows, with real processes.
//!
//! Where Wine differs from Windows, the test has both results and the reason, and reports the difference in each run.

#![cfg(windows)]

mod channels;
mod exporting;
#[path = "../guarantees/g12_channel_ends.rs"]
mod g12_channel_ends;
#[path = "../guarantees/g13_lying_peers.rs"]
mod g13_lying_peers;
mod hostile;
mod imports;
mod inheritance;
mod memory;
mod programs;

use heirloom::Command;
use heirloom_conformance::output;

/// The path of the `child` program.
const CHILD: &str = env!("CARGO_BIN_EXE_child");

/// A command for the `child` program with arguments.
fn child(args: &[&str]) -> Command {
    // An absolute path includes the drive, because the child's directory may be on another one.
    let mut command = Command::new(std::path::absolute(CHILD).unwrap());
    command.args(args);
    command
}
