//! Standard input and output, with an error if they are closed.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use crate::failure::Failure;
use crate::sys;

/// Opens standard input as a file.
pub fn input() -> Result<File, Failure> {
    if !sys::has_input() {
        return Err(Failure::new("cannot read standard input: it is closed"));
    }
    sys::input().map_err(|error| Failure::new(format_args!("cannot read standard input: {error}")))
}

/// Checks that standard output is open.
pub fn check_output() -> Result<(), Failure> {
    if sys::has_output() {
        return Ok(());
    }
    Err(Failure::new("cannot write to standard output: it is closed"))
}

/// Runs `write` on standard output, and flushes it.
pub fn write(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    check_output()?;
    let written = || {
        let mut output = BufWriter::new(sys::output()?);
        write(&mut output)?;
        output.flush()
    };
    written().map_err(unwritable)
}

/// Prints text with colours, which only a terminal gets, and none if `NO_COLOR` is set.
pub fn print_coloured(text: &str) -> Result<(), Failure> {
    check_output()?;
    let mut output = anstream::stdout().lock();
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(unwritable)
}

/// Returns the failure of a write to standard output.
#[allow(clippy::needless_pass_by_value)] // For `map_err`.
pub fn unwritable(error: io::Error) -> Failure {
    Failure::new(format_args!("cannot write to standard output: {error}"))
}
