//! Finds out why a program didn't start.

use std::io;
use std::path::Path;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_BAD_EXE_FORMAT, ERROR_DIRECTORY, ERROR_ELEVATION_REQUIRED, ERROR_FILE_NOT_FOUND,
    ERROR_FILENAME_EXCED_RANGE, ERROR_PATH_NOT_FOUND,
};

use crate::sys::failure::{Failure, Reason};
use crate::sys::launch::Launch;
use crate::sys::windows::error::code_of;

/// Classifies the error of a failed start.
pub(super) fn cannot_run(launch: &Launch<'_>, error: io::Error) -> Failure {
    let no_directory = launch.directory.is_some_and(|directory| !directory.is_dir());
    let has_path = Path::new(launch.program).components().count() > 1;
    let reason = match code_of(&error) {
        Some(ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND | ERROR_DIRECTORY | ERROR_ACCESS_DENIED) if no_directory => {
            Reason::WorkingDirectory
        }
        Some(ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND) if has_path => Reason::NoSuchPath,
        Some(ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND) => Reason::NotInPath,
        Some(ERROR_ACCESS_DENIED) => Reason::NotExecutable,
        Some(ERROR_BAD_EXE_FORMAT) => Reason::NotAProgram,
        Some(ERROR_ELEVATION_REQUIRED) => Reason::NeedsAdministrator,
        Some(ERROR_FILENAME_EXCED_RANGE) => Reason::ArgumentsTooLong,
        _ => return error.into(),
    };
    Failure::new(reason, error)
}
