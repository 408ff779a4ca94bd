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
use heirloom::{Child, Command, ErrorKind};
use tempfile::NamedTempFile;

pub use self::ps::ps;
use self::signals::{Event, Signals, forward, in_own_group};
pub use self::standard::{has_input, has_output, input};
use crate::failure::Failure;

/// The help that `run` and `exec` share, between the differing descriptions of placeholders and exit codes.
macro_rules! help {
    ($placeholders:literal, $exit_code:literal) => {
        concat!(
            $placeholders,
            "

The size of a region is fixed. In a shell, open a region for writing with 1<>{NAME}: >{NAME} would truncate it.

To pass a path in an environment variable, use --env KEY={NAME}.

A program cannot use such a path if it closes inherited descriptors, resolves the path first (realpath), or requires a
suffix such as .pem. A program that uses the heirloom library finds the regions by name.

--frozen fails if its file changes while heirloom reads it. Changes through a mapping of the file go undetected.

Exit code: 125 if heirloom itself fails, 126 if the program cannot be run, 127 if it does not exist; otherwise ",
            $exit_code
        )
    };
}

pub const RUN_HELP: &str = help!(
    "\
In each ARG, {NAME} is replaced by a path that opens the region (/dev/fd/N), {job} by the worker's number, from 0, and
{jobs} by the number of workers. All other braces are left as they are.",
    "that of
the first worker to fail, which is 128 + N if signal N ended it. With several workers,
each one that failed is named on standard error; with one, only a signal that killed it."
);

pub const EXEC_HELP: &str = help!(
    "\
In each ARG, {NAME} is replaced by a path that opens the region (/dev/fd/N). All other braces are left as they are.",
    "the
program's own."
);

/// Returns the path by which a child that inherits a region opens it.
pub fn reference(region: &impl AsFd) -> String {
    format!("/dev/fd/{}", region.as_fd().as_raw_fd())
}

/// Returns the error's text, with advice for the command's users in place of the library's, which names Rust types.
pub fn message(error: &heirloom::Error) -> String {
    match error.kind() {
        ErrorKind::Unsupported => {
            let advice = "regions need memfd_create and its seals (Linux 3.17 or later), which a sandbox may forbid";
            format!("{}; {advice}", error.message())
        }
        _ => error.to_string(),
    }
}

/// Returns the metadata that every write to a file changes.
pub fn stamp(status: &Metadata) -> impl PartialEq {
    (status.len(), status.mtime(), status.mtime_nsec(), status.ctime(), status.ctime_nsec())
}

/// Creates a temporary file to replace `old`, with its permissions.
pub fn new_file(directory: &Path, old: Option<&Metadata>) -> io::Result<NamedTempFile> {
    let permissions = old.map_or_else(|| Permissions::from_mode(0o666), Metadata::permissions);
    tempfile::Builder::new().permissions(permissions).tempfile_in(directory)
}

/// Replaces this process with the program; returns only on failure.
pub fn become_program(command: &mut Command) -> Result<ExitCode, Failure> {
    Err(command.exec().into())
}

/// Waits for workers, and forwards signals to them.
pub struct Waiting(Signals);

impl Waiting {
    /// Blocks signals; call it before the first worker starts.
    pub fn begin() -> Result<Self, Failure> {
        Signals::block().map(Self)
    }

    /// Waits for all workers, and returns the exit code of the first that failed. Calls `report` with the index and status
    /// of each failed one.
    pub fn for_all(self, workers: Vec<Child>, report: impl Fn(usize, ExitStatus)) -> Result<Option<ExitCode>, Failure> {
        let failed = wait(workers.into_iter().enumerate().collect(), &self.0, report)?;
        self.0.release()?;
        Ok(failed)
    }
}

fn wait(
    mut workers: Vec<(usize, Child)>,
    signals: &Signals,
    report: impl Fn(usize, ExitStatus),
) -> Result<Option<ExitCode>, Failure> {
    let mut failed = None;
    while !workers.is_empty() {
        match signals.next()? {
            Event::Child => {
                let mut running = Vec::new();
                for (job, mut worker) in workers {
                    match worker.try_wait()? {
                        None => running.push((job, worker)),
                        Some(status) if status.success() => {}
                        Some(status) => {
                            report(job, status);
                            failed = failed.or(Some(code(status)));
                        }
                    }
                }
                workers = running;
            }
            Event::Sent(signal) => workers.iter().for_each(|(_, worker)| forward(signal, worker.id())),
            // The terminal sent it to the workers too, except those that left the group.
            Event::ToGroup(signal) => {
                workers
                    .iter()
                    .filter(|(_, worker)| !in_own_group(worker.id()))
                    .for_each(|(_, worker)| forward(signal, worker.id()));
            }
        }
    }
    Ok(failed)
}

/// Returns the number of the signal that killed a program.
pub fn killed_by(status: ExitStatus) -> Option<i32> {
    status.signal()
}

fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}

/// Returns a string that is not UTF-8.
#[cfg(test)]
pub fn not_unicode() -> std::ffi::OsString {
    std::os::unix::ffi::OsStringExt::from_vec(vec![0xff])
}
