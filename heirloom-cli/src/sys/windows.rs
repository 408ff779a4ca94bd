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

pub const RUN_HELP: &str = "\
In each ARG, {NAME} is replaced by the number of the child's handle of the region, for MapViewOfFile, {job} by the
worker's number, from 0, and {jobs} by the number of workers. All other braces are left as they are.

A program that uses the heirloom library finds the regions by name, and needs no number.

Exit code: 125 if heirloom itself fails, 126 if the program cannot be run, 127 if it does not exist; otherwise that of
the first worker to fail, or 255 if that is greater. With several workers, each one that failed is
named on standard error.";

pub const EXEC_HELP: &str = "\
In each ARG, {NAME} is replaced by the number of the child's handle of the region, for MapViewOfFile. All other braces
are left as they are.

A program that uses the heirloom library finds the regions by name, and needs no number.

Windows cannot replace a process: `exec` starts the program and waits for it.

Exit code: 125 if heirloom itself fails, 126 if the program cannot be run, 127 if it does not exist; otherwise the
program's own, or 255 if that is greater.";

/// Returns the number of the handle of a region in a child that inherits it.
pub fn reference(region: &impl AsHandle) -> String {
    region.as_handle().as_raw_handle().addr().to_string()
}

/// Returns the error's text.
pub fn message(error: &heirloom::Error) -> String {
    error.to_string()
}

/// Returns the metadata that every write to a file changes.
pub fn stamp(status: &Metadata) -> impl PartialEq {
    (status.file_size(), status.last_write_time())
}

/// Creates a temporary file to replace an old one.
pub fn new_file(directory: &Path, _: Option<&Metadata>) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().tempfile_in(directory)
}

/// Starts the program, waits for it, and returns its exit code: Windows cannot replace a process.
pub fn become_program(command: &mut Command) -> Result<ExitCode, Failure> {
    Ok(code(command.status()?))
}

/// Waits for workers. Nothing is forwarded: a console sends its events to each worker.
pub struct Waiting;

impl Waiting {
    #[allow(clippy::unnecessary_wraps)] // It can fail on Linux.
    pub fn begin() -> Result<Self, Failure> {
        Ok(Self)
    }

    /// Waits for all workers, and returns the exit code of the first that failed. Calls `report` with the index and status
    /// of each failed one.
    #[allow(clippy::unused_self)] // It has fields on Linux.
    pub fn for_all(self, workers: Vec<Child>, report: impl Fn(usize, ExitStatus)) -> Result<Option<ExitCode>, Failure> {
        let (sender, ended) = mpsc::channel();
        thread::scope(|scope| {
            for (job, mut worker) in workers.into_iter().enumerate() {
                let sender = sender.clone();
                // Sending fails only if the receiver returned an error already.
                scope.spawn(move || _ = sender.send((job, worker.wait())));
            }
            drop(sender);
            let mut failed = None;
            for (job, status) in ended {
                let status = status?;
                if !status.success() {
                    report(job, status);
                    failed = failed.or(Some(code(status)));
                }
            }
            Ok(failed)
        })
    }
}

/// Returns `None`: there are no signals.
pub const fn killed_by(_: ExitStatus) -> Option<i32> {
    None
}

fn code(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}

/// Returns whether this process started with standard input open. Here reading a closed one fails by itself.
pub const fn has_input() -> bool {
    true
}

/// The same for standard output.
pub const fn has_output() -> bool {
    true
}

pub fn input() -> io::Result<File> {
    Ok(io::stdin().as_handle().try_clone_to_owned()?.into())
}

/// Fails: Windows has no list of unnamed sections and their holders.
pub fn ps(_: &Format) -> Result<ExitCode, Failure> {
    Err(Failure::new("cannot list the regions of other processes: Windows has no list of unnamed sections"))
}

/// Returns a string that is not Unicode.
#[cfg(test)]
pub fn not_unicode() -> std::ffi::OsString {
    std::os::windows::ffi::OsStringExt::from_wide(&[0xd800])
}
