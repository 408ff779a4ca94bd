//! How this command fails: one line, and a code that `env` would use.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use heirloom::ErrorKind;

/// Its own failures, usage included.
const OWN: u8 = 125;
/// The program can't be run.
const NOT_RUNNABLE: u8 = 126;
/// The program isn't there.
const NOT_FOUND: u8 = 127;

pub struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    pub fn new(message: impl Display) -> Self {
        Self { message: message.to_string(), code: OWN }
    }

    pub fn report(self) -> ExitCode {
        // One line, whatever a file or a region is called.
        let line = printable(&self.message);
        // Where even that can't be told, the code still can.
        let _ = writeln!(io::stderr(), "heirloom: {line}");
        ExitCode::from(self.code)
    }
}

impl From<heirloom::Error> for Failure {
    fn from(error: heirloom::Error) -> Self {
        let code = match error.kind() {
            ErrorKind::ProgramNotFound => NOT_FOUND,
            ErrorKind::ProgramNotRunnable => NOT_RUNNABLE,
            _ => OWN,
        };
        Self { message: error.to_string(), code }
    }
}

/// A text as a terminal may be shown it: what controls it, or turns its direction, is escaped.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\'' | '"' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}
