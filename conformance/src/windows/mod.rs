//! Windows only.

#![allow(unsafe_code)]

pub mod hostile;

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle};
use std::ptr;

pub use std::os::windows::io::OwnedHandle as Owned;

use windows_sys::Win32::Foundation::{GetHandleInformation, HANDLE, HANDLE_FLAG_INHERIT, SetHandleInformation};
use windows_sys::Win32::Storage::FileSystem::WriteFile;
use windows_sys::Win32::System::IO::OVERLAPPED;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Memory::{
    FILE_MAP_READ, MEMORY_BASIC_INFORMATION, MapViewOfFile, UnmapViewOfFile, VirtualQuery,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, TerminateProcess};

/// The environment variables that Wine adds. Windows adds none.
pub const ADDED_BY_THE_SYSTEM: &[&str] = &[
    "SystemDrive",
    "SystemRoot",
    "WINECONFIGDIR",
    "WINEDATADIR",
    "WINEDLLDIR0",
    "WINEHOMEDIR",
    "WINELOADER",
    "WINEUSERLOCALE",
    "WINEUSERNAME",
];

/// The size in bytes of the page that identifies a region.
const LAST_PAGE: usize = 4096;

/// Returns the handle of a number.
#[must_use]
pub fn handle(number: i32) -> HANDLE {
    ptr::without_provenance_mut(usize::try_from(number).unwrap_or(0))
}

/// Returns the number of a handle.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // Handle numbers are small.
pub fn number(of: &impl AsHandle) -> i32 {
    of.as_handle().as_raw_handle().addr() as i32
}

/// Whether the handle of that number is open and inheritable.
#[must_use]
pub fn is_inheritable(number: i32) -> bool {
    let mut flags = 0;
    // SAFETY: The flags outlive the call; an invalid handle is an error.
    unsafe { GetHandleInformation(handle(number), &raw mut flags) != 0 && flags & HANDLE_FLAG_INHERIT != 0 }
}

/// Makes the handle of that number inheritable or not.
///
/// # Panics
/// If no handle of that number is open.
pub fn set_inheritable(number: i32, on: bool) {
    let flags = if on { HANDLE_FLAG_INHERIT } else { 0 };
    // SAFETY: The arguments are integers; an invalid handle is an error.
    check(unsafe { SetHandleInformation(handle(number), HANDLE_FLAG_INHERIT, flags) }).unwrap();
}

/// Takes ownership of a handle.
///
/// # Safety
/// It is open, and nothing else in this process owns it.
#[must_use]
pub unsafe fn take_over(number: i32) -> Owned {
    // SAFETY: The caller guarantees it.
    unsafe { Owned::from_raw_handle(handle(number)) }
}

/// Writes into a pipe. The write goes on after the return if the pipe is full: only the end of this process ends it.
pub fn write_at_once(pipe: &Owned, bytes: [u8; 8]) {
    let (bytes, operation) = (Box::leak(Box::new(bytes)), Box::leak(Box::new(OVERLAPPED::default())));
    // SAFETY: The bytes and the operation live as long as this process.
    unsafe { WriteFile(pipe.as_raw_handle(), bytes.as_ptr(), 8, ptr::null_mut(), operation) };
}

/// Ends this process by the system, so that it can't prepare for it.
///
/// # Panics
/// If the system doesn't.
pub fn die() -> ! {
    // SAFETY: The arguments are a handle that is always valid, and an integer.
    check(unsafe { TerminateProcess(GetCurrentProcess(), 1) }).unwrap();
    unreachable!("killed");
}

/// Converts the result of a function that returns 0 on error.
///
/// # Errors
/// Returns the thread's last error.
pub fn check(answer: i32) -> io::Result<()> {
    if answer == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Lists the regions among this process's handles: number, and the second half of the identity.
#[must_use]
pub fn open_regions() -> BTreeMap<i32, u64> {
    (4..4096).step_by(4).filter_map(|number| Some((number, inode_of(handle(number))?))).collect()
}

/// Returns the second half of a region's identity.
fn inode_of(handle: HANDLE) -> Option<u64> {
    // SAFETY: The system chooses the address, so no existing mapping is replaced; an invalid handle is an error.
    let view = unsafe { MapViewOfFile(handle, FILE_MAP_READ, 0, 0, 0) };
    if view.Value.is_null() {
        return None;
    }
    let mut information = MEMORY_BASIC_INFORMATION::default();
    // SAFETY: `information` outlives the call and has the size passed. Every section holds at least one page, and the
    // last one is read before this block unmaps it.
    let (magic, inode) = unsafe {
        VirtualQuery(view.Value, &raw mut information, size_of_val(&information));
        let last = view.Value.cast::<u8>().add(information.RegionSize - LAST_PAGE);
        let found = (
            last.cast::<[u8; 8]>().read_volatile(),
            u64::from_le_bytes(last.add(32).cast::<[u8; 8]>().read_volatile()),
        );
        UnmapViewOfFile(view);
        found
    };
    (magic == *b"heirloom").then_some(inode)
}

/// Returns the version of Wine if the tests run under it.
#[must_use]
pub fn wine() -> Option<String> {
    let ntdll: Vec<u16> = "ntdll.dll\0".encode_utf16().collect();
    // SAFETY: The names are NUL-terminated, and Wine's function has this type and returns a static string.
    unsafe {
        let version = GetProcAddress(GetModuleHandleW(ntdll.as_ptr()), c"wine_get_version".as_ptr().cast())?;
        let version: extern "C" fn() -> *const c_char = std::mem::transmute(version);
        Some(CStr::from_ptr(version()).to_string_lossy().into_owned())
    }
}
