//! Windows. Programs use the library by itself here: NSPR is not looked for.

#![allow(unsafe_code)]
// The numbers of the system are of either sign.
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

use crate::error::Code;

/// How many bytes one page holds, on every processor that Windows 10 runs on.
const PAGE: usize = 4 << 10;

/// Of what the offsets of views are multiples, on every Windows.
const GRANULE: usize = 64 << 10;

/// What NSPR ends a process with, so that it can be told from one that exits as processes of Unix do.
const KILLED: u32 = 256;

pub(crate) fn page_size() -> usize {
    PAGE
}

/// Of what offsets of mappings are multiples.
pub(crate) fn granule() -> usize {
    GRANULE
}

/// Takes addresses for good: with memory behind them that is zero, or with nothing.
pub(crate) fn reserve(len: usize, usable: bool) -> io::Result<usize> {
    let (kind, protection) =
        if usable { (MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE) } else { (MEM_RESERVE, PAGE_NOACCESS) };
    // SAFETY: The system chooses addresses that nothing else in this process uses.
    let start = unsafe { VirtualAlloc(ptr::null(), len, kind, protection) };
    if start.is_null() { Err(io::Error::last_os_error()) } else { Ok(start.expose_provenance()) }
}

/// Leaves a page as it is: what the system takes back here can't be touched any more.
pub(crate) unsafe fn clear_page(_: *mut c_void) {}

/// A mapping that C has: how many bytes it shows, and its object.
type GivenAway = (usize, Box<dyn Send>);

/// All of them, by their addresses. Windows unmaps whole ones only, and nobody but their objects knows who may write.
static MAPPINGS: Mutex<BTreeMap<usize, GivenAway>> = Mutex::new(BTreeMap::new());

fn mappings() -> MutexGuard<'static, BTreeMap<usize, GivenAway>> {
    MAPPINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves a mapping, which starts there, to C: `unmap` ends it.
pub(crate) fn give_away<T: Send + 'static>(address: *mut u8, len: usize, mapping: T) -> *mut u8 {
    // Where another was, C unmapped it by other means: its object would unmap this one.
    mem::forget(mappings().insert(address.addr(), (len, Box::new(mapping))));
    address
}

/// # Safety
/// The caller's caller says that these bytes are a mapping of its own, and that it needs them no more.
pub(crate) unsafe fn unmap(address: *mut c_void, len: usize) -> io::Result<()> {
    let mut mappings = mappings();
    let address = address.addr();
    // As many bytes as were mapped, or the whole of their last page.
    let pages = |bytes: usize| bytes.div_ceil(PAGE);
    if mappings.get(&address).is_none_or(|(mapped, _)| pages(*mapped) != pages(len)) {
        return Err(os_error(ERROR_INVALID_PARAMETER));
    }
    let ended = mappings.remove(&address);
    drop(mappings);
    drop(ended);
    Ok(())
}

/// Looks at what is open under a number that somebody else wrote down.
fn look_at<T>(number: i32, look: impl FnOnce(BorrowedHandle<'_>, u32) -> io::Result<T>) -> io::Result<T> {
    let handle = handle_of(number);
    let mut flags = 0;
    // SAFETY: A plain number in, an answer out.
    if unsafe { GetHandleInformation(handle, &raw mut flags) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: It is open. Should its owner close it meanwhile, the system says so to `look`.
    look(unsafe { BorrowedHandle::borrow_raw(handle) }, flags)
}

fn handle_of(number: i32) -> *mut c_void {
    ptr::without_provenance_mut(usize::try_from(number).unwrap_or(0))
}

/// Whether what is open under that number stays here; `None` where nothing is.
pub(crate) fn is_close_on_exec(number: i32) -> Option<bool> {
    look_at(number, |_, flags| Ok(flags & HANDLE_FLAG_INHERIT == 0)).ok()
}

/// From now on every child inherits it that inherits handles.
pub(crate) fn set_inheritable(export: &ExportedRegion) -> io::Result<()> {
    set_inherited(export.as_handle(), true)
}

fn set_inherited(handle: BorrowedHandle<'_>, on: bool) -> io::Result<()> {
    let flags = if on { HANDLE_FLAG_INHERIT } else { 0 };
    // SAFETY: The handle is open, and the rest are plain numbers.
    match unsafe { SetHandleInformation(handle.as_raw_handle(), HANDLE_FLAG_INHERIT, flags) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Has what is open under that number stay here, or not; tells whether it did.
pub(crate) fn set_close_on_exec(number: i32, on: bool) -> io::Result<bool> {
    look_at(number, |handle, flags| set_inherited(handle, !on).map(|()| flags & HANDLE_FLAG_INHERIT == 0))
}

/// Whether a handle of that number is one of standard input, output and error.
pub(crate) fn is_standard(number: i32) -> bool {
    [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE].into_iter().any(|which| {
        // SAFETY: A plain number in, a plain number out.
        unsafe { GetStdHandle(which) == handle_of(number) }
    })
}

/// A handle of our own of what is open under that number.
pub(crate) fn duplicate(number: i32) -> io::Result<OwnedHandle> {
    look_at(number, |handle, _| handle.try_clone_to_owned())
}

/// Makes reads and writes wait, or not; tells whether they did. Handles always do.
#[allow(clippy::unnecessary_wraps)] // Elsewhere the system is asked.
pub(crate) fn set_blocking(_: i32, _: bool) -> io::Result<bool> {
    Ok(true)
}

/// Calls a function of this library's when it is loaded: none here.
macro_rules! on_load {
    ($function:path) => {
        const _: fn() = $function;
    };
}

pub(crate) use on_load;

/// The function of that name in the libraries behind this one: on Windows none is.
pub(crate) fn next_symbol(_: &CStr) -> *mut c_void {
    ptr::null_mut()
}

/// Keeps the library that has that function from being unloaded.
pub(crate) fn pin(_: *mut c_void) {}

/// What `libraries` saw.
pub(crate) struct Libraries {
    /// How many were loaded so far.
    pub(crate) loaded: u64,
    /// Whether one of the name asked for is among those there are.
    pub(crate) found: bool,
}

/// Looks through this process's libraries: not at all.
pub(crate) fn libraries(_: &CStr, unless: u64) -> Libraries {
    Libraries { loaded: unless, found: false }
}

/// A library behind this one: there is none.
pub(crate) enum Library {}

/// The library of that name, if it is loaded.
pub(crate) fn loaded(_: &CStr) -> Option<Library> {
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
    #[allow(dead_code)] // Elsewhere.
    Signalled,
}

/// Makes the system keep how children end, which it does.
pub(crate) fn keep_exit_codes() {}

/// What a child is known by, to C as well: a handle, as NSPR has it.
pub(crate) type AtomicNumber = AtomicIsize;

/// A child that nobody waited for yet, by a handle that who takes it closes.
#[derive(Clone, Copy)]
pub(crate) struct Child(isize);

impl Child {
    #[allow(clippy::unnecessary_wraps)] // Elsewhere it has a number.
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

    /// What is waited for until it ended: a handle of its own, since who takes the child closes the other.
    pub(crate) fn end(self) -> io::Result<End> {
        // SAFETY: It is open: nobody has taken the child.
        unsafe { BorrowedHandle::borrow_raw(self.handle()) }.try_clone_to_owned().map(End)
    }

    /// Waits until it ended, and tells how. From then on its number may be another handle's.
    pub(crate) fn reap(self) -> io::Result<Ending> {
        // SAFETY: `new` gave it away, and it is the caller's alone.
        let handle = End(unsafe { OwnedHandle::from_raw_handle(self.handle()) });
        handle.wait()?;
        let mut code = 0;
        // SAFETY: The handle is open, and the code lives during the call.
        match unsafe { GetExitCodeProcess(handle.0.as_raw_handle(), &raw mut code) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(Ending::Exited(code as i32)),
        }
    }

    /// Ends it at once. By a handle that allows it, who made the process is refused only where it has ended or is about to, see
    /// [TerminateProcess](https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-terminateprocess).
    pub(crate) fn kill(self) -> io::Result<bool> {
        // SAFETY: The handle is open: nobody has taken the child.
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

/// What to say of a child that couldn't be waited for, where there is something to say.
pub(crate) fn why_not_waited_for(_: &io::Error) -> Option<&'static str> {
    None
}

/// Lets a child go: nothing of it stays where nobody has its handle.
pub(crate) struct Reaper;

impl Reaper {
    #[allow(clippy::unnecessary_wraps)] // Elsewhere it takes a thread.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    #[allow(clippy::unused_self)] // As above.
    pub(crate) fn reap(self, child: Child) {
        // SAFETY: `Child::new` gave it away, and it is the caller's alone.
        drop(unsafe { OwnedHandle::from_raw_handle(child.handle()) });
    }
}

/// Starts a program as NSPR does. For the length of the call its handles look like what nobody owns, so imports wait.
pub(crate) fn start<T>(command: &mut Command, imports: impl FnOnce() -> T) -> heirloom::Result<heirloom::Child> {
    let _stopped = imports();
    command.spawn()
}

/// Bytes from C as the system's own kind of string: in the encoding of this program's strings (its code page).
pub(crate) fn os_string(bytes: &[u8]) -> io::Result<Cow<'_, OsStr>> {
    if bytes.is_empty() {
        return Ok(OsStr::new("").into());
    }
    let too_long = |_| os_error(ERROR_INVALID_PARAMETER);
    let len = i32::try_from(bytes.len()).map_err(too_long)?;
    let convert = |into: &mut [u16]| {
        let room = i32::try_from(into.len()).map_err(too_long)?;
        // SAFETY: Both are as long as is said.
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

/// The error of that number.
fn os_error(code: u32) -> io::Error {
    io::Error::from_raw_os_error(code as i32)
}

/// NSPR's code for one of the system's.
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
