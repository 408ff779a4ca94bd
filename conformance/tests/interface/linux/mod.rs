//! Linux only.

mod async_runtimes;
mod channels;
mod command;
mod discard;
mod environment;
mod exporting;
mod format;
mod huge_pages;
mod inheritance;
mod limits;
mod mappings;
mod regions;
mod spawning;
mod waiting;

use heirloom::{Command, ErrorKind};
use heirloom_conformance::skip;

/// A command for Python. Returns `None`, and reports the skip, where there is no Python.
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
