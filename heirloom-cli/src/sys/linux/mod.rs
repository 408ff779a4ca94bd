//! Linux.

mod ps;
mod signals;
mod standard;

use std::fs::{Metadata, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitCode, ExitStatus};

use heirloom::os::unix::CommandExt;
use heirloom::{Child, Command};
use tempfile::NamedTempFile;

pub use self::ps::ps;
use self::signals::{Event, Signals, in_own_group, pass_on};
pub use self::standard::{has_input, has_output, input};
use crate::failure::Failure;

pub const PLACEHOLDERS: &str = "\
In every ARG, {NAME} becomes a path that opens that region (/dev/fd/N); with `run`, {job} becomes the worker's number
from 0, and {jobs} their count. Every other brace stays as it is.

The size of a region is fixed, so a shell opens one for writing with 1<>{NAME}, not with >{NAME}, which truncates.

A path into the environment: heirloom run --frozen key=secret.pem -- env KEY={key} program
A program that writes a file through a mapping while heirloom reads it goes unnoticed; other changes are a failure.

A program can't use such a path if it closes the descriptors that it inherits, resolves the path to another one, or
wants a suffix such as .pem. A program that uses the library finds the regions by their names.

Exit code: 125 for a failure of heirloom's own, 126 if the program can't be run, 127 if it isn't there; otherwise the
first failing program's, 128 + N if signal N ended it.";

/// The path by which a child that inherits a region opens it.
pub fn reference(region: &impl AsFd) -> String {
    format!("/dev/fd/{}", region.as_fd().as_raw_fd())
}

/// What another write to a file changes.
pub fn stamp(status: &Metadata) -> impl PartialEq {
    (status.len(), status.mtime(), status.mtime_nsec(), status.ctime(), status.ctime_nsec())
}

/// A file that is to take the place of an old one, or of none.
pub fn new_file(directory: &Path, old: Option<&Metadata>) -> io::Result<NamedTempFile> {
    let permissions = old.map_or_else(|| Permissions::from_mode(0o666), Metadata::permissions);
    tempfile::Builder::new().permissions(permissions).tempfile_in(directory)
}

/// Becomes the program; returns only where that failed.
pub fn become_program(command: &mut Command) -> Result<ExitCode, Failure> {
    Err(command.exec().into())
}

/// Signals that wait to be passed on, and workers that end.
pub struct Waiting(Signals);

impl Waiting {
    /// From before the first worker is started.
    pub fn begin() -> Result<Self, Failure> {
        Signals::gather().map(Self)
    }

    /// Waits for all of them; the code of the first that failed.
    pub fn for_all(self, workers: Vec<Child>) -> Result<Option<ExitCode>, Failure> {
        let failed = wait(workers, &self.0)?;
        self.0.release()?;
        Ok(failed)
    }
}

fn wait(mut workers: Vec<Child>, signals: &Signals) -> Result<Option<ExitCode>, Failure> {
    let mut failed = None;
    while !workers.is_empty() {
        match signals.next()? {
            Event::Child => {
                let mut running = Vec::new();
                for mut worker in workers {
                    match worker.try_wait()? {
                        None => running.push(worker),
                        Some(status) if status.success() => {}
                        Some(status) => failed = failed.or(Some(code(status))),
                    }
                }
                workers = running;
            }
            Event::Sent(signal) => workers.iter().for_each(|worker| pass_on(signal, worker.id())),
            // The workers have it too, but for those that left.
            Event::ToGroup(signal) => {
                workers
                    .iter()
                    .filter(|worker| !in_own_group(worker.id()))
                    .for_each(|worker| pass_on(signal, worker.id()));
            }
        }
    }
    Ok(failed)
}

fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}

/// What no text is.
#[cfg(test)]
pub fn not_unicode() -> std::ffi::OsString {
    std::os::unix::ffi::OsStringExt::from_vec(vec![0xff])
}
