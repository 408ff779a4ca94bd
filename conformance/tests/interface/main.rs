//! Tests of each call of the library: results and errors. One file per topic; Linux-only tests are in `linux/`.

mod channels;
mod command;
mod exporting;
mod inheritance;
#[cfg(target_os = "linux")]
mod linux;
mod locks;
mod mappings;
mod regions;
#[cfg(not(windows))]
mod waiting;

use heirloom::Command;
use heirloom_conformance::output;

/// The allocation granularity: the start of a mapped range must be a multiple of it.
const GRANULE: usize = if cfg!(windows) { 64 << 10 } else { 4096 };

/// The path of the `child` program.
const CHILD: &str = env!("CARGO_BIN_EXE_child");

/// A command for the `child` program with arguments.
fn child(args: &[&str]) -> Command {
    // An absolute path includes the drive on Windows, where the child's directory may be on another drive.
    let mut command = Command::new(std::path::absolute(CHILD).unwrap());
    command.args(args);
    command
}
