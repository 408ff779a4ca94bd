//! Windows: memory from sections of the paging file, promises from the rights of handles.

#![allow(unsafe_code)]

mod arguments;
mod environment;
mod launch;
mod layout;
mod memory;
mod section;
mod view;

use std::fs::File;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle, RawHandle};
use std::ptr;

use windows_sys::Win32::Foundation::{
    ERROR_COMMITMENT_LIMIT, ERROR_DISK_FULL, ERROR_INVALID_HANDLE, ERROR_NO_SYSTEM_RESOURCES, ERROR_NOT_ENOUGH_MEMORY,
    ERROR_OUTOFMEMORY, ERROR_TOO_MANY_OPEN_FILES, GetHandleInformation, HANDLE_FLAG_INHERIT, SetHandleInformation,
};
use windows_sys::Win32::System::Console::{GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE};
use windows_sys::Win32::System::Pipes::CreatePipe;
use windows_sys::Win32::System::SystemInformation::{GlobalMemoryStatusEx, MEMORYSTATUSEX};

pub(crate) use self::environment::{EnvKey, variables};
pub(crate) use self::launch::{Process, SpawnOptions, gather, kill, spawn, wait};
pub(crate) use self::layout::{HUGE_PAGE, allocation_granularity};
pub(crate) use self::memory::Memory;
pub(crate) use self::section::status;
pub(crate) use self::view::View;
use super::{Failure, Identity, Result};
use crate::ErrorKind;

pub(crate) use std::os::windows::io::{BorrowedHandle as Borrowed, OwnedHandle as Owned};

/// How many bytes a variable of the environment holds, with its name, the `=` and the NUL behind it; all of ours are ASCII.
pub(crate) const LONGEST_VARIABLE: usize = 32_767;

/// What a handle's number is a multiple of: the system ignores the bits below, so that others would name the same handle.
const HANDLE_STEP: i32 = 4;

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let (kind, hint) = match code_of(&error) {
            Some(ERROR_TOO_MANY_OPEN_FILES | ERROR_NO_SYSTEM_RESOURCES) => {
                (ErrorKind::OutOfDescriptors, "the system has no handles left for this process: close some")
            }
            Some(ERROR_NOT_ENOUGH_MEMORY | ERROR_OUTOFMEMORY) => (ErrorKind::OutOfMemory, "no memory is left"),
            None if error.kind() == io::ErrorKind::OutOfMemory => (ErrorKind::OutOfMemory, "no memory is left"),
            Some(ERROR_COMMITMENT_LIMIT) => (ErrorKind::OutOfMemory, "the paging file is too small for it"),
            Some(ERROR_DISK_FULL) => (ErrorKind::OutOfMemory, "no space is left"),
            _ => (ErrorKind::System, ""),
        };
        Self { kind, os: error, hint }
    }
}

/// How long something is that the system fills in, or is told.
#[allow(clippy::cast_possible_truncation)] // Its own types are short.
fn len_of<T>(_: &T) -> u32 {
    size_of::<T>() as u32
}

/// What the last call that failed in this thread failed for.
fn last_failure() -> Failure {
    io::Error::last_os_error().into()
}

/// The error of that number.
#[allow(clippy::cast_possible_wrap)] // They are small.
fn os_error(code: u32) -> io::Error {
    io::Error::from_raw_os_error(code as i32)
}

/// The number of an error.
fn code_of(error: &io::Error) -> Option<u32> {
    error.raw_os_error().and_then(|code| u32::try_from(code).ok())
}

/// The number of a handle. All its bits that matter are in the lower half: programs of 32 and of 64 bits share handles.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
fn number_of(handle: impl AsHandle) -> i32 {
    handle.as_handle().as_raw_handle().addr() as i32
}

fn handle_of(number: i32) -> RawHandle {
    ptr::without_provenance_mut(usize::try_from(number).unwrap_or(0))
}

/// A handle of the same object, which no child inherits.
pub(crate) fn duplicate(handle: impl AsHandle) -> io::Result<OwnedHandle> {
    handle.as_handle().try_clone_to_owned()
}

/// Looks at whatever is open under a number that somebody else wrote down.
pub(crate) fn look_at<T>(number: i32, look: impl FnOnce(BorrowedHandle<'_>) -> Result<T>) -> Result<T> {
    if number % HANDLE_STEP != 0 {
        return Err(os_error(ERROR_INVALID_HANDLE).into());
    }
    let handle = handle_of(number);
    let mut flags = 0;
    // SAFETY: A plain number in, an answer out.
    if unsafe { GetHandleInformation(handle, &raw mut flags) } == 0 {
        return Err(last_failure());
    }
    // SAFETY: It is open. Should its owner close it meanwhile, the system says so to `look`.
    look(unsafe { BorrowedHandle::borrow_raw(handle) })
}

/// Takes over a handle by its number.
///
/// # Safety
/// It is open, and nothing else in this process owns it.
pub(crate) unsafe fn take_over(number: i32) -> OwnedHandle {
    // SAFETY: By the caller.
    unsafe { OwnedHandle::from_raw_handle(handle_of(number)) }
}

/// Whether no child inherits it.
pub(crate) fn is_close_on_exec(handle: impl AsHandle) -> Result<bool> {
    let mut flags = 0;
    // SAFETY: The handle is open, and the flags live during the call.
    if unsafe { GetHandleInformation(handle.as_handle().as_raw_handle(), &raw mut flags) } == 0 {
        return Err(last_failure());
    }
    Ok(flags & HANDLE_FLAG_INHERIT == 0)
}

pub(crate) fn set_close_on_exec(handle: impl AsHandle, on: bool) -> io::Result<()> {
    let flags = if on { 0 } else { HANDLE_FLAG_INHERIT };
    // SAFETY: The handle is open, and the rest are plain numbers.
    match unsafe { SetHandleInformation(handle.as_handle().as_raw_handle(), HANDLE_FLAG_INHERIT, flags) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Whether a handle of that number is one of standard input, output and error.
pub(crate) fn is_standard(number: i32) -> bool {
    [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE].into_iter().any(|which| {
        // SAFETY: A plain number in, a plain number out.
        unsafe { GetStdHandle(which) == handle_of(number) }
    })
}

/// The reading and the writing end of a new pipe.
pub(crate) fn pipe() -> Result<(OwnedHandle, OwnedHandle)> {
    let (mut reader, mut writer) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: Both handles live during the call; without attributes no child inherits them.
    if unsafe { CreatePipe(&raw mut reader, &raw mut writer, ptr::null(), 0) } == 0 {
        return Err(last_failure());
    }
    // SAFETY: The system made both a moment ago, and nobody else knows them.
    Ok(unsafe { (OwnedHandle::from_raw_handle(reader), OwnedHandle::from_raw_handle(writer)) })
}

/// What is always empty, and takes everything.
pub(crate) fn null() -> Result<OwnedHandle> {
    Ok(File::options().read(true).write(true).open("NUL")?.into())
}

/// How long a region may get: no limit of a process is kept here.
pub(crate) const fn size_limit() -> u64 {
    u64::MAX
}

/// How many bytes could be had.
pub(crate) fn available_memory() -> u64 {
    let mut status = MEMORYSTATUSEX::default();
    status.dwLength = len_of(&status);
    // SAFETY: Fills in what lives during the call, and says its own length.
    match unsafe { GlobalMemoryStatusEx(&raw mut status) } {
        // Then the system refuses when there is none.
        0 => u64::MAX,
        _ => status.ullAvailPageFile,
    }
}

/// Whether this process's parent still holds that object under that number: nobody here may look into its handles.
pub(crate) const fn parent_passes(_: i32, _: Identity) -> bool {
    false
}

/// Whether this process runs with rights that its caller doesn't have: no program gets such from its file here.
pub(crate) const fn is_privileged() -> bool {
    false
}
