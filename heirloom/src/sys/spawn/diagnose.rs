//! Finds out why a program didn't start.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::Access;
use rustix::io::Errno;

use super::prepared::candidates;
use crate::sys::failure::{Failure, Reason};
use crate::sys::launch::Launch;

/// Classifies the error of a failed start.
pub(super) fn cannot_run(launch: &Launch<'_>, errno: Errno) -> Failure {
    let enters = |directory: &Path| rustix::fs::access(directory, Access::EXEC_OK).is_ok() && directory.is_dir();
    let no_directory = launch.directory.is_some_and(|directory| !enters(directory));
    let has_slash = launch.program.as_bytes().contains(&b'/');
    // A relative path is relative to the child's directory.
    let from = |path: &CString| launch.directory.unwrap_or(Path::new("")).join(OsStr::from_bytes(path.to_bytes()));
    let exists = || candidates(launch).is_ok_and(|paths| paths.iter().any(|path| from(path).exists()));
    let reason = match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::ACCESS if no_directory => Reason::WorkingDirectory,
        Errno::NOENT if exists() => Reason::NoInterpreter,
        Errno::NOENT if has_slash => Reason::NoSuchPath,
        Errno::NOENT => Reason::NotInPath,
        Errno::PERM if launch.options.process_group.is_some() => Reason::ProcessGroup,
        Errno::ACCESS if launch.options.is_sealed_off() => Reason::SealedOff,
        Errno::ACCESS | Errno::NOTDIR | Errno::ISDIR => Reason::NotExecutable,
        Errno::NOEXEC => Reason::NotAProgram,
        Errno::TXTBSY | Errno::LOOP | Errno::NAMETOOLONG => Reason::NotRunnable,
        Errno::TOOBIG => Reason::ArgumentsTooLong,
        Errno::OVERFLOW if !launch.options.confinements.is_empty() => Reason::TooManyDomains,
        errno => return errno.into(),
    };
    Failure::new(reason, errno)
}
