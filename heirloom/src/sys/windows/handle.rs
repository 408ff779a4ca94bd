//! Handles.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, RawHandle};
use std::ptr;

use windows_sys::Wdk::Foundation::NtQueryObject;
use windows_sys::Win32::Foundation::{
    DuplicateHandle, ERROR_INVALID_HANDLE, GetHandleInformation, HANDLE_FLAG_INHERIT, SetHandleInformation,
};
use windows_sys::Win32::System::Console::{GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE};
use windows_sys::Win32::System::Pipes::CreatePipe;
use windows_sys::Win32::System::Threading::GetCurrentProcess;

use super::error::{last_failure, len_of, os_error};
use crate::sys::failure::Result;

pub(crate) use std::os::windows::io::{BorrowedHandle as Borrowed, OwnedHandle as Owned};

/// The divisor of the numbers of handles: the system ignores the bits below, so other numbers would be a second name for the
/// same handle.
const HANDLE_STEP: i32 = 4;

pub(crate) fn borrowed(handle: &Owned) -> Borrowed<'_> {
    handle.as_handle()
}

/// Returns the number of a handle. Its significant bits are in the lower half, because 32-bit and 64-bit programs share
/// handles.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
pub(crate) fn number_of(handle: impl AsHandle) -> i32 {
    handle.as_handle().as_raw_handle().addr() as i32
}

fn handle_of(number: i32) -> RawHandle {
    ptr::without_provenance_mut(usize::try_from(number).unwrap_or(0))
}

/// Duplicates a handle; no child inherits the duplicate.
pub(crate) fn duplicate(handle: impl AsHandle) -> io::Result<Owned> {
    handle.as_handle().try_clone_to_owned()
}

/// Duplicates a handle; every child inherits the duplicate.
pub(crate) fn duplicate_inheritable(handle: impl AsHandle) -> io::Result<Owned> {
    let duplicate = duplicate(handle)?;
    set_close_on_exec(&duplicate, false)?;
    Ok(duplicate)
}

/// Returns another handle of the same object, with only these rights.
pub(crate) fn restricted(handle: impl AsHandle, rights: u32) -> Result<Owned> {
    let mut made = ptr::null_mut();
    // SAFETY: The handle is open, both processes are this one, and the new handle lives during the call.
    let answer = unsafe {
        let own = GetCurrentProcess();
        DuplicateHandle(own, handle.as_handle().as_raw_handle(), own, &raw mut made, rights, 0, 0)
    };
    if answer == 0 {
        return Err(last_failure());
    }
    // SAFETY: The system has just created this handle, so nothing else owns it.
    Ok(unsafe { Owned::from_raw_handle(made) })
}

/// `PUBLIC_OBJECT_BASIC_INFORMATION`.
#[repr(C)]
#[derive(Default)]
struct ObjectInformation {
    attributes: u32,
    access: u32,
    handles: u32,
    pointers: u32,
    reserved: [u32; 10],
}

/// `ObjectBasicInformation`, a class of information.
const OBJECT_INFORMATION: i32 = 0;

/// Returns the rights of a handle.
pub(crate) fn granted(handle: impl AsHandle) -> Option<u32> {
    let handle = handle.as_handle().as_raw_handle();
    let mut information = ObjectInformation::default();
    let len = len_of(&information);
    // SAFETY: The handle is open, and the call fills in at most the given length.
    let answer =
        unsafe { NtQueryObject(handle, OBJECT_INFORMATION, (&raw mut information).cast(), len, ptr::null_mut()) };
    (answer >= 0).then_some(information.access)
}

/// Passes the handle with a number from elsewhere to `look`, if it is open.
pub(crate) fn look_at<T>(number: i32, look: impl FnOnce(Borrowed<'_>) -> Result<T>) -> Result<T> {
    if number % HANDLE_STEP != 0 {
        return Err(os_error(ERROR_INVALID_HANDLE).into());
    }
    let handle = handle_of(number);
    let mut flags = 0;
    // SAFETY: The call fails on a closed handle, and `flags` lives during the call.
    if unsafe { GetHandleInformation(handle, &raw mut flags) } == 0 {
        return Err(last_failure());
    }
    // SAFETY: It was open a moment ago. If its owner closes it meanwhile, calls in `look` fail.
    look(unsafe { Borrowed::borrow_raw(handle) })
}

/// Takes ownership of a handle by its number.
///
/// # Safety
/// It is open, and nothing else in this process owns it.
pub(crate) unsafe fn take_over(number: i32) -> Owned {
    // SAFETY: The caller guarantees that it is open and has no other owner.
    unsafe { Owned::from_raw_handle(handle_of(number)) }
}

/// Returns whether no child inherits the handle.
pub(crate) fn is_close_on_exec(handle: impl AsHandle) -> Result<bool> {
    let mut flags = 0;
    // SAFETY: The handle is open, and `flags` lives during the call.
    if unsafe { GetHandleInformation(handle.as_handle().as_raw_handle(), &raw mut flags) } == 0 {
        return Err(last_failure());
    }
    Ok(flags & HANDLE_FLAG_INHERIT == 0)
}

pub(crate) fn set_close_on_exec(handle: impl AsHandle, on: bool) -> io::Result<()> {
    let flags = if on { 0 } else { HANDLE_FLAG_INHERIT };
    // SAFETY: The handle is open, and the other arguments are plain numbers.
    match unsafe { SetHandleInformation(handle.as_handle().as_raw_handle(), HANDLE_FLAG_INHERIT, flags) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Returns whether a handle with this number is standard input, output or error.
pub(crate) fn is_standard(number: i32) -> bool {
    [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE].into_iter().any(|which| {
        // SAFETY: The call takes a plain number and returns a handle, which is only compared.
        unsafe { GetStdHandle(which) == handle_of(number) }
    })
}

/// Creates a pipe and returns its reading and its writing end.
pub(crate) fn pipe() -> Result<(Owned, Owned)> {
    let (mut reader, mut writer) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: Both variables live during the call; without attributes no child inherits the handles.
    if unsafe { CreatePipe(&raw mut reader, &raw mut writer, ptr::null(), 0) } == 0 {
        return Err(last_failure());
    }
    // SAFETY: The system has just created both handles, so nothing else owns them.
    Ok(unsafe { (Owned::from_raw_handle(reader), Owned::from_raw_handle(writer)) })
}

/// Opens the null device.
pub(crate) fn null() -> Result<Owned> {
    Ok(File::options().read(true).write(true).open("NUL")?.into())
}

/// Returns `true`: a file of Windows has as many bytes as its size says.
pub(crate) const fn has_byte_at(_: &File, _: u64) -> bool {
    true
}
