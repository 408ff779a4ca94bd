//! Scripts that don't name their interpreter.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use heirloom::Error;
use rustix::fs::{Access, access};

/// The interpreter of scripts without one of their own, see `execvp(3)`.
const SHELL: &str = "/bin/sh";

/// Returns the words that run a program by the shell, if the kernel couldn't execute it because it is neither a binary nor
/// begins with `#!`.
pub fn interpreted(words: &[OsString], error: &Error) -> Option<Vec<OsString>> {
    if error.raw_os_error() != Some(libc::ENOEXEC) {
        return None;
    }
    let (program, args) = words.split_first()?;
    Some([SHELL.into(), find(program)?.into_os_string()].into_iter().chain(args.iter().cloned()).collect())
}

fn find(program: &OsStr) -> Option<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return Some(program.into());
    }
    let search = env::var_os("PATH")?;
    let paths = env::split_paths(&search).map(|directory| directory.join(program)).collect::<Vec<_>>();
    paths.into_iter().find(|path| path.is_file() && access(path, Access::EXEC_OK).is_ok())
}
