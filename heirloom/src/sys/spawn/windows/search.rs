//! Finds the file of a program.

#![allow(unsafe_code)]

use std::env;
use std::ffi::OsString;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use windows_sys::Win32::Foundation::ERROR_FILE_NOT_FOUND;
use windows_sys::Win32::System::SystemInformation::{GetSystemDirectoryW, GetWindowsDirectoryW};

use super::diagnose::cannot_run;
use crate::sys::failure::{Failure, Reason, Result};
use crate::sys::launch::Launch;
use crate::sys::windows::error::os_error;
use crate::sys::windows::wide::without_nul;

/// Returns the path of the program. Searches for a name without a path as the standard library does: in the child's PATH if
/// it differs from this process's, beside this program, in the system's directories, in this process's PATH; never in the
/// working directory.
pub(super) fn find(launch: &Launch<'_>) -> Result<PathBuf> {
    without_nul(launch.program.encode_wide())?;
    let program = Path::new(launch.program);
    let Some(name) = program.file_name() else {
        return Err(Failure::new(Reason::NoProgramName, os_error(ERROR_FILE_NOT_FOUND)));
    };
    if name != program.as_os_str() {
        // A relative path starts at the child's directory.
        let program = launch.directory.unwrap_or(Path::new("")).join(program);
        let found = with_exe(&program).into_iter().chain([program]).find(|path| path.is_file());
        return found.ok_or_else(|| cannot_run(launch, os_error(ERROR_FILE_NOT_FOUND)));
    }
    let listed = |path: &Option<OsString>| path.as_ref().map(|path| env::split_paths(path).collect::<Vec<_>>());
    let child = launch.environment.iter().find(|(name, _)| *name == *"PATH").map(|(_, value)| value.clone());
    let own = env::var_os("PATH");
    let changed = (child != own).then(|| listed(&child)).flatten();
    let beside = env::current_exe().ok().and_then(|program| program.parent().map(Path::to_owned));
    let system = [system_directory(), directory(GetWindowsDirectoryW)];
    let places = changed.into_iter().flatten().chain(beside).chain(system).chain(listed(&own).into_iter().flatten());
    // An empty place would be the working directory.
    let mut places = places.filter(|place| !place.as_os_str().is_empty());
    places
        .find_map(|place| {
            let path = place.join(program);
            let path = if path.extension().is_some() { path } else { with_exe(&path)? };
            path.is_file().then_some(path)
        })
        .ok_or_else(|| cannot_run(launch, os_error(ERROR_FILE_NOT_FOUND)))
}

/// Returns the path with `.exe` appended, unless it ends with that already.
fn with_exe(path: &Path) -> Option<PathBuf> {
    let ends = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("exe"));
    let mut path = path.as_os_str().to_owned();
    path.push(".exe");
    (!ends).then(|| path.into())
}

pub(super) fn system_directory() -> PathBuf {
    directory(GetSystemDirectoryW)
}

/// Returns one of the system's directories.
fn directory(get: unsafe extern "system" fn(*mut u16, u32) -> u32) -> PathBuf {
    const LONGEST: u32 = 512;
    let mut buffer = [0; LONGEST as usize];
    // SAFETY: Both functions that are passed here fill in at most the given number of units, which the buffer has.
    let len = unsafe { get(buffer.as_mut_ptr(), LONGEST) };
    OsString::from_wide(buffer.get(..len as usize).unwrap_or_default()).into()
}
