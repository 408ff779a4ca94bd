//! Windows. Programs use the library alone: it does not look for NSPR.

#![allow(unsafe_code)]
// The system's numbers are of either sign.
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr, OsString, c_void};
use std::io;
use std::mem;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, IntoRawHandle, OwnedHandle};
use std::ptr;
use std::sync::atomic::AtomicIsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use heirloom::{Command, ExportedRegion};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_BUSY, ERROR_COMMITMENT_LIMIT, ERROR_DIRECTORY, ERROR_DISK_FULL,
    ERROR_ELEVATION_REQUIRED, ERROR_FILE_EXISTS, ERROR_FILE_NOT_FOUND, ERROR_FILENAME_EXCED_RANGE,
    ERROR_INVALID_ADDRESS, ERROR_INVALID_HANDLE, ERROR_INVALID_NAME, ERROR_INVALID_PARAMETER,
    ERROR_NO_SYSTEM_RESOURCES, ERROR_NO_UNICODE_TRANSLATION, ERROR_NOT_ENOUGH_MEMORY, ERROR_NOT_ENOUGH_QUOTA,
    ERROR_OUTOFMEMORY, ERROR_PATH_NOT_FOUND, ERROR_SHARING_VIOLATION, ERROR_TOO_MANY_OPEN_FILES, GetHandleInformation,
    HANDLE_FLAG_INHERIT, SetHandleInformation, WAIT_OBJECT_0,
};
use windows_sys::Win32::Globalization::{CP_ACP, MB_ERR_INVALID_CHARS, MultiByteToWideChar};
use windows_sys::Win32::System::Console::{GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE};
use windows_sys::Win32::System::Memory::{MEM_COMMIT, MEM_RESERVE, PAGE_NOACCESS, PAGE_READWRITE, VirtualAlloc};
use windows_sys::Win32::System::Threading::{GetExitCodeProcess, INFINITE, TerminateProcess, WaitForSingleObject};

use crate::code::Code;

/// The page size in bytes, on every processor of Windows 10.
const PAGE: usize = 4 << 10;

/// The allocation granularity in bytes, on every Windows.
const ALLOCATION_GRANULARITY: usize = 64 << 10;

/// The exit code of a killed process, as NSPR has it. It is above every exit code of Unix.
const KILLED: u32 = 256;

pub(crate) fn page_size() -> usize {
    PAGE
}

/// Returns the alignment of mapping offsets.
pub(crate) fn allocation_granularity() -> usize {
    ALLOCATION_GRANULARITY
}

/// Reserves addresses permanently, with zero memory or inaccessible.
pub(crate) fn reserve(len: usize, has_memory: bool) -> io::Result<usize> {
    let (kind, protection) =
        if has_memory { (MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE) } else { (MEM_RESERVE, PAGE_NOACCESS) };
    // SAFETY: The system chooses addresses that nothing else in this process uses.
    let start = unsafe { VirtualAlloc(ptr::null(), len, kind, protection) };
    if start.is_null() { Err(io::Error::last_os_error()) } else { Ok(start.expose_provenance()) }
}

/// Does nothing: on Windows a page that is freed can no longer be read.
pub(crate) unsafe fn clear_page(_: *mut c_void) {}

/// A mapping of C: its length in bytes and its object.
type LeakedMapping = (usize, Box<dyn Send>);

/// The mappings of C, by address. Windows unmaps only whole mappings, and only their objects count the writers.
static MAPPINGS: Mutex<BTreeMap<usize, LeakedMapping>> = Mutex::new(BTreeMap::new());

fn mappings() -> MutexGuard<'static, BTreeMap<usize, LeakedMapping>> {
    MAPPINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes the mapping at `address` to C, which unmaps it by `unmap`.
pub(crate) fn leak_mapping<T: Send + 'static>(address: *mut u8, len: usize, mapping: T) -> *mut u8 {
    // C unmapped an earlier mapping at this address by other means. Dropping its object would unmap the new one.
    mem::forget(mappings().insert(address.addr(), (len, Box::new(mapping))));
    address
}

/// Unmaps a mapping of C.
///
/// # Safety
/// These bytes are no longer used.
pub(crate) unsafe fn unmap(address: *mut c_void, len: usize) -> io::Result<()> {
    let mut mappings = mappings();
    let address = address.addr();
    // The length may be rounded up to whole pages.
    let pages = |bytes: usize| bytes.div_ceil(PAGE);
    if mappings.get(&address).is_none_or(|(mapped, _)| pages(*mapped) != pages(len)) {
        return Err(os_error(ERROR_INVALID_PARAMETER));
    }
    let ended = mappings.remove(&address);
    drop(mappings);
    drop(ended);
    Ok(())
}

/// Runs `work` on the handle of an unchecked number, and on its flags.
fn with_handle<T>(number: i32, work: impl FnOnce(BorrowedHandle<'_>, u32) -> io::Result<T>) -> io::Result<T> {
    let handle = handle_of(number);
    let mut flags = 0;
    // SAFETY: The handle is a plain number that the system checks, and `flags` lives during the call.
    if unsafe { GetHandleInformation(handle, &raw mut flags) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: It is open. If another thread closes it, the system returns an error to `work`.
    work(unsafe { BorrowedHandle::borrow_raw(handle) }, flags)
}

fn handle_of(number: i32) -> *mut c_void {
    ptr::without_provenance_mut(usize::try_from(number).unwrap_or(0))
}

/// Whether a handle is not inheritable, or `None` if it is not open.
pub(crate) fn is_close_on_exec(number: i32) -> Option<bool> {
    with_handle(number, |_, flags| Ok(flags & HANDLE_FLAG_INHERIT == 0)).ok()
}

/// What a handle refers to, which Windows has no short call for.
#[derive(PartialEq)]
pub(crate) struct Identity;

/// Returns what a handle refers to: always the same.
#[allow(clippy::unnecessary_wraps)] // On Unix it may not be open.
pub(crate) fn identity(_: &impl AsHandle) -> Option<Identity> {
    Some(Identity)
}

/// Returns the number of the handle that an export owns.
#[allow(clippy::cast_possible_truncation)] // Its export string has the same number, which is below 2^31.
pub(crate) fn number_of(export: &ExportedRegion) -> i32 {
    export.as_handle().as_raw_handle() as usize as i32
}

/// Makes the handle of an export inheritable by every child that inherits handles.
pub(crate) fn set_inheritable(export: &ExportedRegion) -> io::Result<()> {
    set_inherited(export.as_handle(), true)
}

fn set_inherited(handle: BorrowedHandle<'_>, on: bool) -> io::Result<()> {
    let flags = if on { HANDLE_FLAG_INHERIT } else { 0 };
    // SAFETY: The handle is open, and the flags are plain numbers.
    match unsafe { SetHandleInformation(handle.as_raw_handle(), HANDLE_FLAG_INHERIT, flags) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Makes a handle not inheritable, or inheritable, and returns whether it was not inheritable.
pub(crate) fn set_close_on_exec(number: i32, on: bool) -> io::Result<bool> {
    with_handle(number, |handle, flags| set_inherited(handle, !on).map(|()| flags & HANDLE_FLAG_INHERIT == 0))
}

/// Whether a handle is standard input, output or error.
pub(crate) fn is_standard(number: i32) -> bool {
    [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE].into_iter().any(|which| {
        // SAFETY: The call takes and returns plain numbers.
        unsafe { GetStdHandle(which) == handle_of(number) }
    })
}

/// Duplicates a handle.
pub(crate) fn duplicate(number: i32) -> io::Result<OwnedHandle> {
    with_handle(number, |handle, _| handle.try_clone_to_owned())
}

/// Returns whether a handle is blocking: always.
#[allow(clippy::unnecessary_wraps)] // On Unix it is a system call.
pub(crate) fn set_blocking(_: i32, _: bool) -> io::Result<bool> {
    Ok(true)
}

/// Does nothing: Windows has no fork.
pub(crate) fn on_fork(_before: extern "C" fn(), _after_in_parent: extern "C" fn(), _after_in_child: extern "C" fn()) {}

/// Calls a function when this library is loaded: not on Windows, where no NSPR is looked for.
macro_rules! on_load {
    ($function:path) => {
        const _: fn() = $function;
    };
}

pub(crate) use on_load;

/// Returns the function of that name in the libraries after this one: always null.
pub(crate) fn next_symbol(_: &CStr) -> *mut c_void {
    ptr::null_mut()
}

/// Prevents the library with that function from being unloaded.
pub(crate) fn pin(_: *mut c_void) {}

/// The result of `search_libraries`.
pub(crate) struct Search {
    /// The number of libraries loaded so far.
    pub(crate) loaded: u64,
    /// Whether a library of that name is loaded.
    pub(crate) found: bool,
}

/// Searches the loaded libraries: never finds one.
pub(crate) fn search_libraries(_: &CStr, unless: u64) -> Search {
    Search { loaded: unless, found: false }
}

/// A loaded library: there is none.
pub(crate) enum Library {}

/// Opens the library of that name if it is loaded: always `None`.
pub(crate) fn open_loaded(_: &CStr) -> Option<Library> {
    None
}

impl Library {
    pub(crate) fn symbol(&self, _: &CStr) -> *mut c_void {
        match *self {}
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Exited(i32),
    #[allow(dead_code)] // Only on Unix.
    Signalled,
}

/// Makes the system keep exit codes, which Windows always does.
pub(crate) fn keep_exit_codes() {}

/// The atomic type of a child's handle.
pub(crate) type AtomicNumber = AtomicIsize;

/// A child that was not waited for. It is a handle; `reap` and `Reaper::reap` close it.
#[derive(Clone, Copy)]
pub(crate) struct Child(isize);

impl Child {
    #[allow(clippy::unnecessary_wraps)] // On Unix the PID may be invalid.
    pub(crate) fn new(child: heirloom::Child) -> Option<Self> {
        Self::of_number(OwnedHandle::from(child).into_raw_handle() as isize)
    }

    pub(crate) fn of_number(number: isize) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }

    pub(crate) fn number(self) -> isize {
        self.0
    }

    fn handle(self) -> *mut c_void {
        ptr::without_provenance_mut(self.0 as usize)
    }

    /// Returns an object that waits for its end. It has a duplicate handle, because another thread may reap the child.
    pub(crate) fn end(self) -> io::Result<End> {
        // SAFETY: It is open, because the child was not taken.
        unsafe { BorrowedHandle::borrow_raw(self.handle()) }.try_clone_to_owned().map(End)
    }

    /// Waits until it ends, and closes its handle. The number may then be reused.
    pub(crate) fn reap(self) -> io::Result<Ending> {
        // SAFETY: `new` released the handle, and only the caller that took the child has it.
        let handle = End(unsafe { OwnedHandle::from_raw_handle(self.handle()) });
        handle.wait()?;
        let mut code = 0;
        // SAFETY: The handle is open, and `code` lives during the call.
        match unsafe { GetExitCodeProcess(handle.0.as_raw_handle(), &raw mut code) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(Ending::Exited(code as i32)),
        }
    }

    /// Kills it. With a handle that allows it, access is denied only if the process has ended or is ending, see
    /// [TerminateProcess](https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-terminateprocess).
    pub(crate) fn kill(self) -> io::Result<bool> {
        // SAFETY: The handle is open, because the child was not taken.
        if unsafe { TerminateProcess(self.handle(), KILLED) } != 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() == Some(ERROR_ACCESS_DENIED as i32) { Ok(true) } else { Err(error) }
    }
}

/// The end of a child.
pub(crate) struct End(OwnedHandle);

impl End {
    /// Waits for it.
    pub(crate) fn wait(&self) -> io::Result<()> {
        // SAFETY: The handle is open.
        match unsafe { WaitForSingleObject(self.0.as_raw_handle(), INFINITE) } {
            WAIT_OBJECT_0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Returns advice for a failed wait, if there is any.
pub(crate) fn wait_advice(_: &io::Error) -> Option<&'static str> {
    None
}

/// Detaches a child: closing its handle is enough.
pub(crate) struct Reaper;

impl Reaper {
    #[allow(clippy::unnecessary_wraps)] // On Unix it starts a thread.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    #[allow(clippy::unused_self)] // As above.
    pub(crate) fn reap(self, child: Child) {
        // SAFETY: `Child::new` released the handle, and only the caller that took the child has it.
        drop(unsafe { OwnedHandle::from_raw_handle(child.handle()) });
    }
}

/// Starts a program as NSPR does. During the call the handles that it inherits are inheritable, which to an import means
/// that they have no owner, so imports are blocked.
pub(crate) fn start<T>(command: &mut Command, block_imports: impl FnOnce() -> T) -> heirloom::Result<heirloom::Child> {
    let _blocked = block_imports();
    command.spawn()
}

/// Converts bytes from C, in this program's ANSI code page, into a string for the system.
pub(crate) fn os_string(bytes: &[u8]) -> io::Result<Cow<'_, OsStr>> {
    if bytes.is_empty() {
        return Ok(OsStr::new("").into());
    }
    let too_long = |_| os_error(ERROR_INVALID_PARAMETER);
    let len = i32::try_from(bytes.len()).map_err(too_long)?;
    let convert = |into: &mut [u16]| {
        let room = i32::try_from(into.len()).map_err(too_long)?;
        // SAFETY: The lengths are those of the two buffers.
        match unsafe { MultiByteToWideChar(CP_ACP, MB_ERR_INVALID_CHARS, bytes.as_ptr(), len, into.as_mut_ptr(), room) }
        {
            0 => Err(io::Error::last_os_error()),
            len => Ok(len as usize),
        }
    };
    let mut wide = vec![0; convert(&mut [])?];
    let len = convert(&mut wide)?;
    Ok(OsString::from_wide(&wide[..len]).into())
}

/// Returns the error of a number.
fn os_error(code: u32) -> io::Error {
    io::Error::from_raw_os_error(code as i32)
}

/// Returns NSPR's code for an error number of the system.
pub(crate) fn code_of(error: i32) -> Code {
    match error as u32 {
        ERROR_ACCESS_DENIED | ERROR_ELEVATION_REQUIRED => Code::NoAccessRights,
        ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND | ERROR_INVALID_NAME => Code::FileNotFound,
        ERROR_DIRECTORY => Code::NotDirectory,
        ERROR_FILENAME_EXCED_RANGE => Code::NameTooLong,
        ERROR_INVALID_HANDLE => Code::BadDescriptor,
        ERROR_NOT_ENOUGH_MEMORY | ERROR_NOT_ENOUGH_QUOTA | ERROR_OUTOFMEMORY | ERROR_COMMITMENT_LIMIT => {
            Code::OutOfMemory
        }
        ERROR_DISK_FULL => Code::NoDeviceSpace,
        ERROR_NO_SYSTEM_RESOURCES => Code::InsufficientResources,
        ERROR_TOO_MANY_OPEN_FILES => Code::ProcDescTableFull,
        ERROR_INVALID_PARAMETER | ERROR_INVALID_ADDRESS | ERROR_NO_UNICODE_TRANSLATION => Code::InvalidArgument,
        ERROR_SHARING_VIOLATION | ERROR_BUSY => Code::FileIsBusy,
        ERROR_FILE_EXISTS | ERROR_ALREADY_EXISTS => Code::FileExists,
        _ => Code::Unknown,
    }
}
