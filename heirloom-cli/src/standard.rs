//! Standard input and output, with an error if they are closed.

use std::fs::File;
use std::io::{self, Write};

use crate::failure::Failure;
use crate::sys;

/// Opens standard input as a file.
pub fn input() -> Result<File, Failure> {
    if !sys::has_input() {
        return Err(Failure::new("cannot read standard input: it is closed"));
    }
    sys::input().map_err(|error| Failure::new(format_args!("cannot read standard input: {error}")))
}

/// Runs `write` on standard output, and flushes it.
pub fn write(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    write_to(io::stdout().lock(), write)
}

/// Prints text with colours, which only a terminal gets, and none if `NO_COLOR` is set.
pub fn print_coloured(text: &str) -> Result<(), Failure> {
    write_to(anstream::stdout().lock(), |output| output.write_all(text.as_bytes()))
}

fn write_to(mut output: impl Write, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    if !sys::has_output() {
        return Err(Failure::new("cannot write to standard output: it is closed"));
    }
    write(&mut output)
        .and_then(|()| output.flush())
        .map_err(|error| Failure::new(format_args!("cannot write to standard output: {error}")))
}
