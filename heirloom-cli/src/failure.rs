//! Failures of the command: a message of one line, and the exit code that `env` would use.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use clap::builder::Styles;
use heirloom::ErrorKind;

use crate::sys;

/// The command itself failed, or its usage is wrong.
const OWN: u8 = 125;
/// The program exists, but cannot be run.
const NOT_RUNNABLE: u8 = 126;
/// The program does not exist.
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
        print(&self.message);
        ExitCode::from(self.code)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Prints a message as one line on standard error.
pub fn print(message: impl Display) {
    // The name of a file or region may contain newlines.
    let line = printable(&without_code(&message.to_string()));
    // Only a terminal gets the colour, and none if `NO_COLOR` is set.
    let styles = Styles::styled();
    let style = styles.get_error();
    // One write, so that lines of several processes stay whole. If it fails, the exit code still reports the failure.
    let choice = match anstream::stderr().current_choice() {
        // An old console of Windows, which takes colours by calls.
        ColorChoice::Always => ColorChoice::Never,
        choice => choice,
    };
    let mut buffer = AutoStream::new(Vec::new(), choice);
    let _ = writeln!(buffer, "{style}heirloom:{style:#} {line}");
    let _ = io::stderr().write_all(&buffer.into_inner());
}

/// Removes the system's code, which Rust appends to the system's text.
fn without_code(message: &str) -> String {
    let removed = message.split_once(" (os error ").and_then(|(before, after)| {
        let after = after.trim_start_matches(|character: char| character.is_ascii_digit()).strip_prefix(')')?;
        Some(format!("{before}{after}"))
    });
    removed.unwrap_or_else(|| message.to_owned())
}

impl From<heirloom::Error> for Failure {
    fn from(error: heirloom::Error) -> Self {
        let code = match error.kind() {
            ErrorKind::ProgramNotFound => NOT_FOUND,
            ErrorKind::ProgramNotRunnable => NOT_RUNNABLE,
            _ => OWN,
        };
        Self { message: sys::message(&error), code }
    }
}

/// Escapes the characters that would control a terminal or change the direction of its text.
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
