//! Windows.

use std::fs::{File, Metadata};
use std::io;
use std::os::windows::fs::MetadataExt;
use std::os::windows::io::{AsHandle, AsRawHandle};
use std::path::Path;
use std::process::{ExitCode, ExitStatus};
use std::sync::mpsc;
use std::thread;

use heirloom::{Child, Command};
use tempfile::NamedTempFile;

use crate::failure::Failure;
use crate::options::Format;

pub const PLACEHOLDERS: &str = "\
In every ARG, {NAME} becomes the number of the handle by which the child has that region, for MapViewOfFile; with `run`,
{job} becomes the worker's number from 0, and {jobs} their count. Every other brace stays as it is.

A program that uses the library finds the regions by their names, and needs no number.

Exit code: 125 for a failure of heirloom's own, 126 if the program can't be run, 127 if it isn't there; otherwise the
first failing program's, 255 where that is greater.";

/// The number of the handle by which a child that inherits a region has it.
pub fn reference(region: &impl AsHandle) -> String {
    region.as_handle().as_raw_handle().addr().to_string()
}

/// What another write to a file changes.
pub fn stamp(status: &Metadata) -> impl PartialEq {
    (status.file_size(), status.last_write_time())
}

/// A file that is to take the place of an old one, or of none.
pub fn new_file(directory: &Path, _: Option<&Metadata>) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().tempfile_in(directory)
}

/// Starts the program, waits, and ends as it does: no process becomes another here.
pub fn become_program(command: &mut Command) -> Result<ExitCode, Failure> {
    Ok(code(command.status()?))
}

/// What a console sends, it sends to each worker: there is nothing to pass on.
pub struct Waiting;

impl Waiting {
    #[allow(clippy::unnecessary_wraps)] // Elsewhere the system is asked.
    pub fn begin() -> Result<Self, Failure> {
        Ok(Self)
    }

    /// Waits for all of them; the code of the first that failed.
    #[allow(clippy::unused_self)] // Elsewhere it is what is waited by.
    pub fn for_all(self, workers: Vec<Child>) -> Result<Option<ExitCode>, Failure> {
        let (sender, ended) = mpsc::channel();
        thread::scope(|scope| {
            for mut worker in workers {
                let sender = sender.clone();
                // It can be sent: who receives waits for the last.
                scope.spawn(move || _ = sender.send(worker.wait()));
            }
            drop(sender);
            let mut failed = None;
            for status in ended {
                let status = status?;
                if !status.success() {
                    failed = failed.or(Some(code(status)));
                }
            }
            Ok(failed)
        })
    }
}

fn code(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}

/// Whether this process was started with one: reading without one is an error by itself here.
pub const fn has_input() -> bool {
    true
}

pub const fn has_output() -> bool {
    true
}

pub fn input() -> io::Result<File> {
    Ok(io::stdin().as_handle().try_clone_to_owned()?.into())
}

/// There is no list of sections without a name, nor of who holds them.
pub fn ps(_: &Format) -> Result<ExitCode, Failure> {
    Err(Failure::new("cannot list the regions of other processes: Windows shows nobody's handles to others"))
}

/// What no text is.
#[cfg(test)]
pub fn not_unicode() -> std::ffi::OsString {
    std::os::windows::ffi::OsStringExt::from_wide(&[0xd800])
}
