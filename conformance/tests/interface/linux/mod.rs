//! What only Linux can be asked.

mod async_runtimes;
mod command;
mod environment;
mod exporting;
mod format;
mod inheritance;
mod limits;
mod mappings;
mod regions;

use heirloom::{Command, ErrorKind};
use heirloom_conformance::skip;

/// Python's own command; where there is none, the test says so and has nothing to do.
fn python() -> Option<Command> {
    match Command::new("python3").arg("--version").output() {
        Err(error) if error.kind() == ErrorKind::ProgramNotFound => {
            skip("there is no python3");
            None
        }
        found => {
            assert!(found.unwrap().status.success());
            Some(Command::new("python3"))
        }
    }
}
