//! Windows.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::windows::fs::MetadataExt;
use std::os::windows::io::{AsHandle, AsRawHandle};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::sync::mpsc;
use std::thread;

use clap::Args;
use heirloom::{AnyRegion, Child, Command, FrozenOptions, FrozenRegion};

use crate::assignment::{Assignment, Place};
use crate::failure::Failure;
use crate::options::Ps;
use crate::workers::Outcome;

pub const RUN_HELP: &str = "\
In PROGRAM and each ARG, {NAME} is replaced by the number of the child's handle of the region, for MapViewOfFile, {job} by the
worker's number, from 0 or --first-job, and {jobs} by the number of workers of this call. All other braces are left as they
are.

A program that uses the heirloom library finds the regions by name, and needs no number.

Exit code: 125 if heirloom itself fails, 126 if the program cannot be run, 127 if it does not exist; otherwise that of
the first worker to fail, or 255 if that is greater. With several workers, each one that failed is
named on standard error.";

pub const EXEC_HELP: &str = "\
In PROGRAM and each ARG, {NAME} is replaced by the number of the child's handle of the region, for MapViewOfFile. All other braces
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

/// The options that only Linux has.
#[derive(Args)]
pub struct RegionOptions {}

/// See [`RegionOptions`].
#[derive(Args)]
pub struct RunOptions {}

/// See [`RegionOptions`].
#[derive(Args)]
pub struct ExecOptions {}

/// See [`RegionOptions`].
#[derive(Args)]
pub struct ConfinementOptions {}

/// Returns no secret regions: there is no option for them.
pub const fn secrets(_: &RegionOptions) -> &[Assignment<Place>] {
    &[]
}

/// Secret regions, of which there are none.
pub struct Secrets;

#[allow(clippy::unnecessary_wraps, clippy::unused_self, clippy::needless_pass_by_value)] // As on Linux.
impl Secrets {
    pub const fn create(_: &RegionOptions) -> Result<Self, Failure> {
        Ok(Self)
    }

    /// Leaves the region alone: its string is from another system.
    pub fn take(&mut self, _: String, _: bool) -> Result<(), Failure> {
        Ok(())
    }

    pub fn references(&self) -> impl Iterator<Item = (String, String)> {
        std::iter::empty()
    }

    pub const fn hand_down(&self, _: &mut Command) -> Result<(), Failure> {
        Ok(())
    }

    pub const fn close(&mut self) {}
}

/// Returns how frozen regions are filled.
pub fn frozen_options(_: &RegionOptions) -> FrozenOptions {
    FrozenRegion::options()
}

/// Does nothing: a handle has no permissions of its own.
#[allow(clippy::unnecessary_wraps)] // It can fail on Linux.
pub const fn prepare(_: &AnyRegion, _: &RegionOptions) -> Result<(), Failure> {
    Ok(())
}

/// Returns the region for one child: the same, since a handle has no position.
#[allow(clippy::unnecessary_wraps)] // It can fail on Linux.
pub fn hand_down(region: &AnyRegion) -> Result<AnyRegion, Failure> {
    Ok(region.clone())
}

/// Closes an inherited region whose name is taken: only a name or a handle list reaches a child.
#[allow(clippy::unnecessary_wraps, clippy::needless_pass_by_value)] // As on Linux.
pub fn keep_open(_: AnyRegion) -> Result<(), Failure> {
    Ok(())
}

/// Returns the words that start a worker.
pub fn wrap(words: &[OsString], _: &RunOptions, _: &ConfinementOptions) -> Vec<OsString> {
    words.to_vec()
}

/// Does nothing: there are no options.
#[allow(clippy::unnecessary_wraps)] // It can fail on Linux.
pub const fn confine(_: &mut Command, _: &ConfinementOptions) -> Result<(), Failure> {
    Ok(())
}

/// See [`confine`].
#[allow(clippy::unnecessary_wraps)] // It can fail on Linux.
pub const fn confine_worker(_: &mut Command, _: &RunOptions, _: &ConfinementOptions) -> Result<(), Failure> {
    Ok(())
}

/// Applies the options of `exec` to this process.
#[allow(clippy::unnecessary_wraps)] // It can fail on Linux.
pub const fn apply(_: &ExecOptions) -> Result<(), Failure> {
    Ok(())
}

/// Returns `None`: nothing but its name says what a file is.
pub const fn interpreted(_: &[OsString], _: &heirloom::Error) -> Option<Vec<OsString>> {
    None
}

/// Starts the program, waits for it, and returns its exit code: Windows cannot replace a process.
#[allow(clippy::unnecessary_wraps)] // It can fail on Linux.
pub fn become_program(command: &mut Command) -> Result<heirloom::Result<ExitCode>, Failure> {
    Ok(command.status().map(end_like))
}

/// Reports that a region couldn't be saved. Nothing keeps it: its handle is of use to this process only.
pub fn keep(_: &AnyRegion, tried: &dyn Display) -> Failure {
    Failure::new(tried)
}

/// A stream of this process. Here all of them wait.
pub struct Patient<F>(pub F);

impl<F: Read> Read for Patient<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// Opens standard output.
#[allow(clippy::unnecessary_wraps)] // It can fail on Linux.
pub fn output() -> io::Result<io::StdoutLock<'static>> {
    Ok(io::stdout().lock())
}

/// The file that a region is saved to. If it was created and nothing was saved to it, it is removed when this is dropped.
pub struct Destination {
    /// `None` once this is being dropped: an open file can't be removed.
    file: Option<File>,
    created: Option<Unfinished>,
    path: PathBuf,
}

/// A file that was created for a region that isn't saved yet.
#[derive(Clone)]
pub struct Unfinished(PathBuf);

impl Destination {
    /// Opens a file, which need not exist.
    pub fn open(path: &Path) -> io::Result<Self> {
        let (file, created) = match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(file) => (file, Some(Unfinished(path.to_owned()))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                (OpenOptions::new().write(true).open(path)?, None)
            }
            Err(error) => return Err(error),
        };
        Ok(Self { file: Some(file), created, path: path.canonicalize().unwrap_or_else(|_| path.to_owned()) })
    }

    /// Returns whether this and `other` are one file, where the second would replace what the first saved.
    #[allow(clippy::unnecessary_wraps)] // It can fail on Linux.
    pub fn replaces(&self, other: &Self) -> io::Result<bool> {
        Ok(self.path == other.path && self.path.is_file())
    }

    /// Replaces the content by `size` bytes that `write` writes. An old content is kept if there is no room for the new one.
    pub fn save(&mut self, size: u64, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let old = file.metadata()?;
        if old.is_file() && old.len() < size {
            file.set_len(size)?;
        }
        write(file)?;
        if old.is_file() {
            file.set_len(size)?;
        }
        self.created = None;
        Ok(())
    }

    /// Returns what is to be removed if this process ends before the region is saved.
    pub fn unfinished(&self) -> Option<Unfinished> {
        self.created.clone()
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        self.file = None;
        if let Some(Unfinished(path)) = &self.created {
            let _ = fs::remove_file(path);
        }
    }
}

/// How to split standard input: not at all.
pub enum Split {}

/// Returns `None`: only Linux has the option.
pub const fn split(_: &RunOptions, _: u64) -> Option<Split> {
    None
}

impl Split {
    pub fn run<S>(&self, _: u32, _: &mut Waiting, _: S, _: impl Fn(usize, ExitStatus)) -> Result<Outcome, Failure> {
        match *self {}
    }
}

/// Starts workers, and waits for them. Nothing is forwarded: a console sends its events to each worker.
pub struct Waiting {
    workers: Vec<Child>,
}

impl Waiting {
    #[allow(clippy::unnecessary_wraps)] // It can fail on Linux.
    pub fn begin() -> Result<Self, Failure> {
        Ok(Self { workers: Vec::new() })
    }

    /// Starts a worker.
    #[allow(clippy::unnecessary_wraps)] // It can fail on Linux.
    pub fn start(&mut self, command: &mut Command) -> Result<heirloom::Result<()>, Failure> {
        Ok(command.spawn().map(|worker| self.workers.push(worker)))
    }

    /// Returns `None`: a console's event ends this process at once.
    #[allow(clippy::unused_self)] // It has signals on Linux.
    pub const fn interrupted(&mut self) -> Option<i32> {
        None
    }

    /// Waits for all workers, and returns the status of the first that failed. Calls `report` with the index and status of
    /// each failed one.
    pub fn for_all(&mut self, report: impl Fn(usize, ExitStatus)) -> Result<Option<ExitStatus>, Failure> {
        let (sender, ended) = mpsc::channel();
        thread::scope(|scope| {
            for (job, mut worker) in self.workers.drain(..).enumerate() {
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
                    failed = failed.or(Some(status));
                }
            }
            Ok(failed)
        })
    }

    /// Kills the workers, after a failure that the caller reports.
    pub fn kill(&mut self) {
        for mut worker in self.workers.drain(..) {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }

    /// Does nothing: a console's events end this process at any time.
    #[allow(clippy::unused_self, clippy::unnecessary_wraps)] // It has signals on Linux.
    pub fn end(self, _: Vec<Unfinished>) -> Result<(), Failure> {
        Ok(())
    }
}

/// Returns `None`: there are no signals.
pub const fn killed_by(_: ExitStatus) -> Option<i32> {
    None
}

/// Ends as a failed worker did.
pub fn end_like(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}

/// Returns the exit code of a program that a signal ended, as shells have it.
pub fn end_by(signal: i32) -> ExitCode {
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
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
pub fn ps(_: &Ps) -> Result<ExitCode, Failure> {
    Err(Failure::new("cannot list the regions of other processes: Windows has no list of unnamed sections"))
}

/// Returns a string that is not Unicode.
#[cfg(test)]
pub fn not_unicode() -> std::ffi::OsString {
    std::os::windows::ffi::OsStringExt::from_wide(&[0xd800])
}
