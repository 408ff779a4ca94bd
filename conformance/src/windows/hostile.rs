//! The attempts of a hostile holder of a region, and the system's result of each.
//!
//! Each attempt tries to change bytes or size, or to execute the bytes. The table gives the exact error for each kind
//! of region. The control is the same call on a section without restrictions, where it must succeed. The results were
//! observed on Wine; where Wine is known to differ from Windows, both results are given.

use std::io;
use std::mem;
use std::os::windows::io::{FromRawHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::{
    CloseHandle, DUPLICATE_SAME_ACCESS, DuplicateHandle, ERROR_ACCESS_DENIED, ERROR_CALL_NOT_IMPLEMENTED,
    ERROR_INVALID_PARAMETER, ERROR_OUTOFMEMORY, HANDLE, INVALID_HANDLE_VALUE, NTSTATUS, RtlNtStatusToDosError,
};
use windows_sys::Win32::Security::Authorization::{SE_KERNEL_OBJECT, SetSecurityInfo};
use windows_sys::Win32::Security::DACL_SECURITY_INFORMATION;
use windows_sys::Win32::Storage::FileSystem::WRITE_DAC;
use windows_sys::Win32::System::Diagnostics::Debug::WriteProcessMemory;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_ALL_ACCESS, FILE_MAP_EXECUTE, FILE_MAP_READ, FILE_MAP_WRITE, MEM_DECOMMIT, MEM_RESET,
    MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE, PAGE_READONLY,
    PAGE_READWRITE, PAGE_WRITECOPY, SEC_COMMIT, UnmapViewOfFile, VirtualAlloc, VirtualFree, VirtualProtect,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcess, PROCESS_DUP_HANDLE};
use windows_sys::s;

use super::{check, handle, inode_of};

/// The size of the regions in bytes: more than one page.
pub const SIZE: usize = 8192;

/// The size of the control in bytes.
const CONTROL_SIZE: u32 = 65_536;

/// The call succeeded, and the region changed.
pub const DONE: i32 = 0;

/// The call succeeded, and the region did not change.
pub const UNCHANGED: i32 = -1;

#[allow(clippy::cast_possible_wrap)] // The value is small.
const DENIED: i32 = ERROR_ACCESS_DENIED as i32;
#[allow(clippy::cast_possible_wrap)] // The value is small.
const INVALID: i32 = ERROR_INVALID_PARAMETER as i32;

/// `STATUS_SECTION_NOT_EXTENDED`: a section of the paging file cannot be extended, even if its handle allows it.
#[allow(clippy::cast_possible_wrap)] // The value is small.
const NOT_EXTENDED: i32 = ERROR_OUTOFMEMORY as i32;
#[allow(clippy::cast_possible_wrap)] // The value is small.
const NOT_THERE: i32 = ERROR_CALL_NOT_IMPLEMENTED as i32;

/// The kind of region that an attempt is made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A frozen region.
    Frozen,
    /// A read-only region, whose writer is another process.
    ReadOnly,
    /// A region that every holder may write. Only its size is fixed, and it is not executable.
    Writable,
}

/// An attempt, and its expected results as error numbers.
pub struct Attempt {
    /// The call, and how it is made.
    pub name: &'static str,
    /// Makes the attempt on a handle.
    pub act: fn(HANDLE) -> io::Result<()>,
    /// The result for each [`Target`].
    answers: [i32; 3],
    /// The result for a section without restrictions, where some calls have no effect on other holders either.
    pub control: i32,
    /// Wine's results for the target and the control where they differ from Windows, and why.
    pub wine: Option<([i32; 2], &'static str)>,
}

impl Attempt {
    /// Returns the expected result for a target.
    #[must_use]
    pub fn answer(&self, target: Target) -> i32 {
        self.answers[target as usize]
    }
}

const fn attempt(name: &'static str, act: fn(HANDLE) -> io::Result<()>, answers: [i32; 3]) -> Attempt {
    Attempt { name, act, answers, control: DONE, wine: None }
}

/// An attempt that has no effect on any section.
const fn harmless(name: &'static str, act: fn(HANDLE) -> io::Result<()>, answer: i32) -> Attempt {
    Attempt { control: answer, ..attempt(name, act, [answer; 3]) }
}

const READ_ONLY: [i32; 3] = [DENIED, DENIED, DONE];
const NEVER: [i32; 3] = [DENIED; 3];

/// All attempts.
pub const ATTEMPTS: &[Attempt] = &[
    attempt("MapViewOfFile, for writing", mapped_for_writing, READ_ONLY),
    attempt("VirtualProtect, for writing", protected_for_writing, [INVALID, INVALID, DONE]),
    Attempt {
        wine: Some((
            [DONE; 2],
            "Wine makes the copy-on-write view writable but leaves it shared, so the write reaches every holder",
        )),
        ..harmless("VirtualProtect, as a copy", protected_as_a_copy, UNCHANGED)
    },
    attempt("WriteProcessMemory", written_by_the_system, READ_ONLY),
    harmless("VirtualAlloc, MEM_RESET", reset, UNCHANGED),
    harmless("VirtualFree, MEM_DECOMMIT", decommitted, INVALID),
    attempt("DuplicateHandle, to full access", duplicated_to_all, NEVER),
    attempt("DuplicateHandle, to writing", duplicated_to_writing, READ_ONLY),
    attempt("SetSecurityInfo", set_security, NEVER),
    Attempt {
        wine: Some(([DONE; 2], "Wine ignores OWNER RIGHTS, so the owner may change the DACL")),
        ..attempt("DuplicateHandle, to WRITE_DAC", duplicated_to_changing, NEVER)
    },
    Attempt {
        control: NOT_EXTENDED,
        wine: Some(([NOT_THERE; 2], "Wine does not implement this call")),
        ..attempt("NtExtendSection", extended, NEVER)
    },
    attempt("MapViewOfFile, beyond the end", mapped_beyond, NEVER),
    attempt("MapViewOfFile, executable", mapped_as_a_program, NEVER),
    attempt("VirtualProtect, executable", protected_as_a_program, [INVALID; 3]),
];

/// Creates an executable section without restrictions.
///
/// # Errors
/// Returns the system's error.
pub fn control() -> io::Result<OwnedHandle> {
    let protection = PAGE_EXECUTE_READWRITE | SEC_COMMIT;
    // SAFETY: Integers, and null for the optional attributes and name.
    let section =
        unsafe { CreateFileMappingW(INVALID_HANDLE_VALUE, ptr::null(), protection, 0, CONTROL_SIZE, ptr::null()) };
    if section.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: Just created, and owned by nothing else.
    Ok(unsafe { OwnedHandle::from_raw_handle(section) })
}

struct View(*mut u8);

impl View {
    fn map(section: HANDLE, access: u32, len: usize) -> io::Result<Self> {
        // SAFETY: The system chooses the address, so no existing mapping is replaced.
        let view = unsafe { MapViewOfFile(section, access, 0, 0, len) };
        if view.Value.is_null() { Err(io::Error::last_os_error()) } else { Ok(Self(view.Value.cast())) }
    }

    /// Maps with all rights that the handle has.
    fn with_most(section: HANDLE) -> io::Result<Self> {
        let executable = Self::map(section, FILE_MAP_READ | FILE_MAP_WRITE | FILE_MAP_EXECUTE, SIZE);
        let writable = executable.or_else(|_| Self::map(section, FILE_MAP_READ | FILE_MAP_WRITE, SIZE));
        writable.or_else(|_| Self::map(section, FILE_MAP_READ, SIZE))
    }

    fn protect(&self, protection: u32) -> io::Result<()> {
        let mut before = 0;
        // SAFETY: The pages are those of this view, to which no reference exists.
        check(unsafe { VirtualProtect(self.0.cast(), SIZE, protection, &raw mut before) })
    }

    fn read(&self) -> u8 {
        // SAFETY: The byte lies in this view, which is readable.
        unsafe { self.0.read_volatile() }
    }

    /// Changes the first byte of a writable view.
    fn write(&self) {
        // SAFETY: The byte lies in this view, which the caller made writable.
        unsafe { self.0.write_volatile(!self.read()) }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: The view belongs to this object and is not used again.
        unsafe { UnmapViewOfFile(MEMORY_MAPPED_VIEW_ADDRESS { Value: self.0.cast() }) };
    }
}

/// Runs `act`, and returns `UNCHANGED` as the error if the region's first byte is the same afterwards.
fn changes(section: HANDLE, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let before = View::map(section, FILE_MAP_READ, SIZE)?.read();
    act()?;
    let now = View::map(section, FILE_MAP_READ, SIZE)?.read();
    if before == now { Err(io::Error::from_raw_os_error(UNCHANGED)) } else { Ok(()) }
}

fn mapped_for_writing(section: HANDLE) -> io::Result<()> {
    let view = View::map(section, FILE_MAP_WRITE, SIZE)?;
    changes(section, || {
        view.write();
        Ok(())
    })
}

fn protected_for_writing(section: HANDLE) -> io::Result<()> {
    let view = View::with_most(section)?;
    view.protect(PAGE_READONLY)?;
    view.protect(PAGE_READWRITE)?;
    changes(section, || {
        view.write();
        Ok(())
    })
}

/// The write should go to a private copy of the page.
fn protected_as_a_copy(section: HANDLE) -> io::Result<()> {
    let view = View::map(section, FILE_MAP_READ, SIZE)?;
    view.protect(PAGE_WRITECOPY)?;
    changes(section, || {
        view.write();
        Ok(())
    })
}

fn written_by_the_system(section: HANDLE) -> io::Result<()> {
    let view = View::with_most(section)?;
    let byte = !view.read();
    changes(section, || {
        // SAFETY: The pages are those of the view, and the byte outlives the call.
        check(unsafe {
            WriteProcessMemory(GetCurrentProcess(), view.0.cast(), (&raw const byte).cast(), 1, ptr::null_mut())
        })
    })
}

/// Tells the system that the contents of the pages are no longer needed.
fn reset(section: HANDLE) -> io::Result<()> {
    let view = View::with_most(section)?;
    changes(section, || {
        // SAFETY: The pages are those of the view, to which no reference exists.
        unsafe { VirtualAlloc(view.0.cast(), SIZE, MEM_RESET, PAGE_READONLY) };
        Ok(())
    })
}

fn decommitted(section: HANDLE) -> io::Result<()> {
    let view = View::with_most(section)?;
    // SAFETY: The pages are those of the view, to which no reference exists.
    check(unsafe { VirtualFree(view.0.cast(), SIZE, MEM_DECOMMIT) })
}

fn duplicated(section: HANDLE, access: u32) -> io::Result<HANDLE> {
    let mut made = ptr::null_mut();
    // SAFETY: Handles and integers; the output outlives the call.
    check(unsafe {
        let own = GetCurrentProcess();
        DuplicateHandle(own, section, own, &raw mut made, access, 0, 0)
    })?;
    Ok(made)
}

fn closing<T>(section: HANDLE, act: impl FnOnce(HANDLE) -> T) -> T {
    let answer = act(section);
    // SAFETY: The caller created this handle, and it is not used again.
    unsafe { CloseHandle(section) };
    answer
}

fn duplicated_to_all(section: HANDLE) -> io::Result<()> {
    closing(duplicated(section, FILE_MAP_ALL_ACCESS)?, mapped_for_writing)
}

fn duplicated_to_writing(section: HANDLE) -> io::Result<()> {
    closing(duplicated(section, FILE_MAP_READ | FILE_MAP_WRITE)?, mapped_for_writing)
}

/// Removes the DACL, which would allow every access.
fn set_security(section: HANDLE) -> io::Result<()> {
    // SAFETY: A handle and integers; a null DACL is allowed.
    let answer = unsafe {
        SetSecurityInfo(
            section,
            SE_KERNEL_OBJECT,
            DACL_SECURITY_INFORMATION,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null(),
            ptr::null(),
        )
    };
    match i32::try_from(answer) {
        Ok(DONE) => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.unwrap_or(i32::MAX))),
    }
}

fn duplicated_to_changing(section: HANDLE) -> io::Result<()> {
    closing(duplicated(section, WRITE_DAC)?, |changing| {
        set_security(changing)?;
        duplicated_to_writing(section)
    })
}

/// Extends the section, by a call that only ntdll has.
fn extended(section: HANDLE) -> io::Result<()> {
    type Extend = unsafe extern "system" fn(HANDLE, *mut i64) -> NTSTATUS;
    // SAFETY: NUL-terminated strings; ntdll is loaded in every process.
    let extend = unsafe { GetProcAddress(GetModuleHandleA(s!("ntdll.dll")), s!("NtExtendSection")) };
    let extend = extend.ok_or_else(|| io::Error::from_raw_os_error(NOT_THERE))?;
    let mut size = 1 << 20;
    // SAFETY: `NtExtendSection` has this type, and the size outlives the call.
    let status =
        unsafe { mem::transmute::<unsafe extern "system" fn() -> isize, Extend>(extend)(section, &raw mut size) };
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: The argument is an integer.
    let code = unsafe { RtlNtStatusToDosError(status) };
    Err(io::Error::from_raw_os_error(i32::try_from(code).unwrap_or(i32::MAX)))
}

fn mapped_beyond(section: HANDLE) -> io::Result<()> {
    // The region's pages, the extra page behind them, and one more.
    View::map(section, FILE_MAP_READ, SIZE + 2 * 4096).map(drop)
}

fn mapped_as_a_program(section: HANDLE) -> io::Result<()> {
    View::map(section, FILE_MAP_READ | FILE_MAP_EXECUTE, SIZE).map(drop)
}

fn protected_as_a_program(section: HANDLE) -> io::Result<()> {
    View::with_most(section)?.protect(PAGE_EXECUTE_READ)
}

/// Duplicates another process's handles in turn, and writes to the region with that inode.
///
/// # Errors
/// Returns the system's error, or `PermissionDenied` if no handle allows writing.
pub fn write_through_handle_of(process: u32, inode: u64) -> io::Result<()> {
    // SAFETY: All arguments are integers.
    let process = unsafe { OpenProcess(PROCESS_DUP_HANDLE, 0, process) };
    if process.is_null() {
        return Err(io::Error::last_os_error());
    }
    for number in (4..4096).step_by(4) {
        let mut made = ptr::null_mut();
        // SAFETY: Handles and integers; the output outlives the call.
        let answer = unsafe {
            DuplicateHandle(process, handle(number), GetCurrentProcess(), &raw mut made, 0, 0, DUPLICATE_SAME_ACCESS)
        };
        if answer != 0 && inode_of(made) == Some(inode) && mapped_for_writing(made).is_ok() {
            return Ok(());
        }
    }
    Err(io::ErrorKind::PermissionDenied.into())
}
