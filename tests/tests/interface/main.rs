//! Every call of the library, with what it must do and what it must refuse; one file a topic.

mod async_runtimes;
mod command;
mod environment;
mod exporting;
mod format;
mod inheritance;
mod limits;
mod mappings;
mod regions;

use heirloom::Command;
use heirloom_tests::output;

/// The program that the tests start.
const CHILD: &str = env!("CARGO_BIN_EXE_child");

/// That program with its arguments.
fn child(args: &[&str]) -> Command {
    let mut command = Command::new(CHILD);
    command.args(args);
    command
}
