//! What only Windows can be asked.

#![allow(unsafe_code)]

pub mod hostile;

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle};
use std::ptr;

pub use std::os::windows::io::OwnedHandle as Owned;

use windows_sys::Win32::Foundation::{GetHandleInformation, HANDLE, HANDLE_FLAG_INHERIT, SetHandleInformation};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Memory::{
    FILE_MAP_READ, MEMORY_BASIC_INFORMATION, MapViewOfFile, UnmapViewOfFile, VirtualQuery,
};

/// What every environment gets, from Wine; from Windows itself nothing.
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

/// How many bytes the page has that says what a region is.
const LAST_PAGE: usize = 4096;

/// The handle of a number.
#[must_use]
pub fn handle(number: i32) -> HANDLE {
    ptr::without_provenance_mut(usize::try_from(number).unwrap_or(0))
}

/// The number of a handle.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // They are small.
pub fn number(of: &impl AsHandle) -> i32 {
    of.as_handle().as_raw_handle().addr() as i32
}

/// Whether what is open under that number goes on to children.
#[must_use]
pub fn is_inheritable(number: i32) -> bool {
    let mut flags = 0;
    // SAFETY: A plain number in, an answer out.
    unsafe { GetHandleInformation(handle(number), &raw mut flags) != 0 && flags & HANDLE_FLAG_INHERIT != 0 }
}

/// Makes what is open under that number go on to children, or not.
///
/// # Panics
/// Where nothing is open there.
pub fn set_inheritable(number: i32, on: bool) {
    let flags = if on { HANDLE_FLAG_INHERIT } else { 0 };
    // SAFETY: A plain number in, an answer out.
    check(unsafe { SetHandleInformation(handle(number), HANDLE_FLAG_INHERIT, flags) }).unwrap();
}

/// The answer of a function that returns 0 for an error.
///
/// # Errors
/// The thread's last error.
pub fn check(answer: i32) -> io::Result<()> {
    if answer == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The regions among this process's handles, whoever put them there: number, and the second half of the identity.
#[must_use]
pub fn open_regions() -> BTreeMap<i32, u64> {
    (4..4096).step_by(4).filter_map(|number| Some((number, inode_of(handle(number))?))).collect()
}

/// The second half of a region's identity.
fn inode_of(handle: HANDLE) -> Option<u64> {
    // SAFETY: A plain number in; the system chooses an address that nothing else in this process uses.
    let view = unsafe { MapViewOfFile(handle, FILE_MAP_READ, 0, 0, 0) };
    if view.Value.is_null() {
        return None;
    }
    let mut information = MEMORY_BASIC_INFORMATION::default();
    // SAFETY: What is filled in lives during the call and is as long as is said. Every section holds at least one page, and
    // the last one is read where it is: nobody unmaps it before the end of this.
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

/// The version of Wine, where that is what plays Windows.
#[must_use]
pub fn wine() -> Option<String> {
    let ntdll: Vec<u16> = "ntdll.dll\0".encode_utf16().collect();
    // SAFETY: The names end with their NUL, and Wine's function answers with a string that stays.
    unsafe {
        let version = GetProcAddress(GetModuleHandleW(ntdll.as_ptr()), c"wine_get_version".as_ptr().cast())?;
        let version: extern "C" fn() -> *const c_char = std::mem::transmute(version);
        Some(CStr::from_ptr(version()).to_string_lossy().into_owned())
    }
}
