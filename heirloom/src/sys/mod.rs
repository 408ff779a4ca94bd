//! The operating system: the only place that calls it, and the only one that asks which it is.
//!
//! One file a system, each with the same functions and these types:
//!
//! - `Owned`, `Borrowed`: the standard library's types for an open descriptor, on Windows for a handle.
//! - `Memory`: what holds a region's bytes, made by `create`, or `received` from elsewhere.
//! - `Filling`: memory that grows by what is written to it, until it is frozen.
//! - `View`: pages that show memory, until it is dropped.
//! - `Process`: a child that was started, and may be waited for.
//! - `SpawnOptions`: what only some systems know of starting programs.
//! - `EnvKey`: the name of a variable of the environment, compared as the system compares them.
//!
//! What every Unix does alike (descriptors, spawning, waiting) is in `unix`, which each Unix's file passes on.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ErrorKind;

#[cfg(any(target_os = "freebsd", target_os = "macos", target_os = "netbsd", target_os = "openbsd"))]
mod bsd;
#[cfg(all(unix, not(target_os = "macos")))]
mod descriptor;
#[cfg(target_os = "freebsd")]
mod freebsd;
#[cfg(any(target_os = "macos", windows))]
mod last_page;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
mod posix_spawn;
#[cfg(unix)]
mod unix;
#[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
mod unlinked;
#[cfg(any(target_os = "macos", windows))]
mod waiting;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "freebsd")]
pub(crate) use freebsd::*;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use linux::*;
#[cfg(target_os = "macos")]
pub(crate) use macos::*;
#[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
pub(crate) use posix_spawn::spawn;
// The others' tells nothing of a program that couldn't be started, or can't change the directory.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))))]
pub(crate) use unix::fork as spawn;
#[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
pub(crate) use unlinked::*;
#[cfg(any(target_os = "macos", windows))]
pub(crate) use waiting::Filling;
#[cfg(windows)]
pub(crate) use windows::*;

/// What a system call answered, classed by the one who knows this system's codes.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) os: io::Error,
    /// What the caller can do about it; empty where there is nothing to say.
    pub(crate) hint: &'static str,
}

/// What a function of this module answers.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// When the kernel takes the memory of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// Page by page, as it is touched.
    OnTouch,
    /// All now.
    Now,
    /// All now, in pages of [`HUGE_PAGE`] bytes.
    HugePages,
}

/// What the kernel says of an open descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    /// What tells this object from every other one that lives.
    pub(crate) identity: Identity,
    /// Bytes.
    pub(crate) size: u64,
    /// Of what offsets and lengths of mappings must be multiples, in bytes.
    pub(crate) granularity: u64,
    /// It is memory or a plain file that has no name: no directory, device or pipe, and nobody's document.
    pub(crate) unnamed: bool,
    pub(crate) access: Access,
    pub(crate) seals: Seals,
    /// Whether seals can be added.
    pub(crate) sealable: bool,
}

/// Device and inode, or what stands for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// What a descriptor allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    None,
    Read,
    ReadWrite,
}

/// What the kernel will never again allow to anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seals {
    /// Growing and shrinking.
    pub(crate) size: bool,
    /// Writing, but for mappings made before.
    pub(crate) new_writers: bool,
    /// Writing.
    pub(crate) writing: bool,
}

/// How a mapping may be used, and whom its writes reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// Reads and writes that every holder sees.
    Shared,
    /// Reads.
    ReadOnly,
    /// Reads, and writes that only this mapping sees.
    CopyOnWrite,
}

/// All that is needed to start a program.
pub(crate) struct Launch<'a> {
    pub(crate) program: &'a OsStr,
    /// The program's own name first.
    pub(crate) args: &'a [OsString],
    /// The whole of the program's environment.
    pub(crate) environment: &'a [(EnvKey, OsString)],
    pub(crate) directory: Option<&'a Path>,
    #[allow(dead_code)] // Not every system has any.
    pub(crate) options: SpawnOptions,
    /// What becomes its standard input, output and error; `None` is this process's own.
    pub(crate) standard: [Option<&'a Owned>; 3],
    /// What it inherits besides, under the same numbers.
    pub(crate) pass: &'a [&'a Memory],
}

/// The numbers of what is inheritable for a moment.
static LENT: Mutex<Vec<i32>> = Mutex::new(Vec::new());

fn lent() -> MutexGuard<'static, Vec<i32>> {
    LENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes it close-on-exec, unless a start of this process needs it to be inheritable just now, which ends that by itself.
pub(crate) fn set_close_on_exec_unless_lent(descriptor: Borrowed<'_>, number: i32) -> io::Result<()> {
    let lent = lent();
    if lent.contains(&number) { Ok(()) } else { set_close_on_exec(descriptor, true) }
}

/// What every child inherits that is started meanwhile, for as long as this lives.
struct Inheritable<'a>(&'a [&'a Memory]);

impl<'a> Inheritable<'a> {
    fn new(pass: &'a [&'a Memory]) -> Result<Self> {
        lent().extend(pass.iter().map(|memory| memory.number()));
        let this = Self(pass);
        for memory in pass {
            set_close_on_exec(memory, false)?;
        }
        Ok(this)
    }
}

impl Drop for Inheritable<'_> {
    fn drop(&mut self) {
        for memory in self.0 {
            // It is open, so this can't fail.
            let _ = set_close_on_exec(memory, true);
        }
        lent().retain(|number| !self.0.iter().any(|memory| memory.number() == *number));
    }
}
