//! What a hostile holder of a region may try, and what the system answers.
//!
//! Each attempt is one way to change bytes or size, or to run them as a program. Beside it stand the exact answers for each kind
//! of region; the control is the same call on a section that obeys everybody, where it must succeed. They were seen on Wine;
//! where that is known to be wrong, its answer stands beside Windows' own.

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

/// How many bytes the regions have that are tried: more than one page.
pub const SIZE: usize = 8192;

/// How many bytes the control has.
const CONTROL_SIZE: u32 = 65_536;

/// Nothing refused the call, and the region is another now.
pub const DONE: i32 = 0;

/// Nothing refused the call, and the region is what it was.
pub const IN_VAIN: i32 = -1;

#[allow(clippy::cast_possible_wrap)] // It is small.
const DENIED: i32 = ERROR_ACCESS_DENIED as i32;
#[allow(clippy::cast_possible_wrap)] // It is small.
const INVALID: i32 = ERROR_INVALID_PARAMETER as i32;

/// What becomes of a section of the paging file, also where its handle allows to extend it: `STATUS_SECTION_NOT_EXTENDED`.
#[allow(clippy::cast_possible_wrap)] // It is small.
const NOT_EXTENDED: i32 = ERROR_OUTOFMEMORY as i32;
#[allow(clippy::cast_possible_wrap)] // It is small.
const NOT_THERE: i32 = ERROR_CALL_NOT_IMPLEMENTED as i32;

/// Which kind of region an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Frozen.
    Frozen,
    /// Published by somebody else.
    ReadOnly,
    /// One that every holder may write: only its size and what can be run are fixed.
    Writable,
}

/// A way in, and what becomes of it, as an error's number.
pub struct Attempt {
    /// The call, and how it is used.
    pub name: &'static str,
    /// Tries it on a handle.
    pub act: fn(HANDLE) -> io::Result<()>,
    /// The answer for each [`Target`].
    answers: [i32; 3],
    /// The answer for a section that obeys everybody: also there, some calls do nothing to others.
    pub control: i32,
    /// What Wine gets wrong: its answers, for the control too, where Windows' are others, and why.
    pub wine: Option<([i32; 2], &'static str)>,
}

impl Attempt {
    /// The answer for a target.
    #[must_use]
    pub fn answer(&self, target: Target) -> i32 {
        self.answers[target as usize]
    }
}

const fn attempt(name: &'static str, act: fn(HANDLE) -> io::Result<()>, answers: [i32; 3]) -> Attempt {
    Attempt { name, act, answers, control: DONE, wine: None }
}

/// What does nothing to anybody's section.
const fn harmless(name: &'static str, act: fn(HANDLE) -> io::Result<()>, answer: i32) -> Attempt {
    Attempt { control: answer, ..attempt(name, act, [answer; 3]) }
}

const READ_ONLY: [i32; 3] = [DENIED, DENIED, DONE];
const NOBODY: [i32; 3] = [DENIED; 3];

/// All of them.
pub const ATTEMPTS: &[Attempt] = &[
    attempt("MapViewOfFile, for writing", mapped_for_writing, READ_ONLY),
    attempt("VirtualProtect, for writing", protected_for_writing, [INVALID, INVALID, DONE]),
    Attempt {
        wine: Some((
            [DONE; 2],
            "Wine makes a view writable as a copy, and leaves it shared: the write reaches everybody",
        )),
        ..harmless("VirtualProtect, as a copy", protected_as_a_copy, IN_VAIN)
    },
    attempt("WriteProcessMemory", written_by_the_system, READ_ONLY),
    harmless("VirtualAlloc, MEM_RESET", reset, IN_VAIN),
    harmless("VirtualFree, MEM_DECOMMIT", decommitted, INVALID),
    attempt("DuplicateHandle, to full access", duplicated_to_all, NOBODY),
    attempt("DuplicateHandle, to writing", duplicated_to_writing, READ_ONLY),
    attempt("SetSecurityInfo", set_security, NOBODY),
    Attempt {
        wine: Some(([DONE; 2], "Wine knows no OWNER RIGHTS, so the owner may change the list")),
        ..attempt("DuplicateHandle, to changing the list", duplicated_to_changing, NOBODY)
    },
    Attempt {
        control: NOT_EXTENDED,
        wine: Some(([NOT_THERE; 2], "Wine has no such call")),
        ..attempt("NtExtendSection", extended, NOBODY)
    },
    attempt("MapViewOfFile, beyond the end", mapped_beyond, NOBODY),
    attempt("MapViewOfFile, as a program", mapped_as_a_program, NOBODY),
    attempt("VirtualProtect, as a program", protected_as_a_program, [INVALID; 3]),
];

/// A section that obeys everybody, and can be run.
///
/// # Errors
/// What the system answers.
pub fn control() -> io::Result<OwnedHandle> {
    let protection = PAGE_EXECUTE_READWRITE | SEC_COMMIT;
    // SAFETY: Plain numbers, and no attributes.
    let section =
        unsafe { CreateFileMappingW(INVALID_HANDLE_VALUE, ptr::null(), protection, 0, CONTROL_SIZE, ptr::null()) };
    if section.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: The system made it a moment ago, and nobody else knows it.
    Ok(unsafe { OwnedHandle::from_raw_handle(section) })
}

struct View(*mut u8);

impl View {
    fn map(section: HANDLE, access: u32, len: usize) -> io::Result<Self> {
        // SAFETY: A plain number in; the system chooses an address that nothing else in this process uses.
        let view = unsafe { MapViewOfFile(section, access, 0, 0, len) };
        if view.Value.is_null() { Err(io::Error::last_os_error()) } else { Ok(Self(view.Value.cast())) }
    }

    /// With all rights that the handle has.
    fn with_most(section: HANDLE) -> io::Result<Self> {
        let executable = Self::map(section, FILE_MAP_READ | FILE_MAP_WRITE | FILE_MAP_EXECUTE, SIZE);
        let writable = executable.or_else(|_| Self::map(section, FILE_MAP_READ | FILE_MAP_WRITE, SIZE));
        writable.or_else(|_| Self::map(section, FILE_MAP_READ, SIZE))
    }

    fn protect(&self, protection: u32) -> io::Result<()> {
        let mut before = 0;
        // SAFETY: The pages are this object's, and nobody refers to them.
        check(unsafe { VirtualProtect(self.0.cast(), SIZE, protection, &raw mut before) })
    }

    fn read(&self) -> u8 {
        // SAFETY: The byte is in this view, which can always be read.
        unsafe { self.0.read_volatile() }
    }

    /// Changes the first byte, where the pages are there to be written.
    fn write(&self) {
        // SAFETY: The byte is in this view, and the caller made it one that can be written.
        unsafe { self.0.write_volatile(!self.read()) }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: The mapping is this object's.
        unsafe { UnmapViewOfFile(MEMORY_MAPPED_VIEW_ADDRESS { Value: self.0.cast() }) };
    }
}

/// Does something that nothing refuses, and looks whether the region is another now.
fn changes(section: HANDLE, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let before = View::map(section, FILE_MAP_READ, SIZE)?.read();
    act()?;
    let now = View::map(section, FILE_MAP_READ, SIZE)?.read();
    if before == now { Err(io::Error::from_raw_os_error(IN_VAIN)) } else { Ok(()) }
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

/// What is written goes to a page of this process's own.
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
        // SAFETY: The pages are the view's, and the byte lives during the call.
        check(unsafe {
            WriteProcessMemory(GetCurrentProcess(), view.0.cast(), (&raw const byte).cast(), 1, ptr::null_mut())
        })
    })
}

/// Says of the pages that nobody wants them any more.
fn reset(section: HANDLE) -> io::Result<()> {
    let view = View::with_most(section)?;
    changes(section, || {
        // SAFETY: The pages are the view's, and nobody refers to them.
        unsafe { VirtualAlloc(view.0.cast(), SIZE, MEM_RESET, PAGE_READONLY) };
        Ok(())
    })
}

fn decommitted(section: HANDLE) -> io::Result<()> {
    let view = View::with_most(section)?;
    // SAFETY: The pages are the view's, and nobody refers to them.
    check(unsafe { VirtualFree(view.0.cast(), SIZE, MEM_DECOMMIT) })
}

fn duplicated(section: HANDLE, access: u32) -> io::Result<HANDLE> {
    let mut made = ptr::null_mut();
    // SAFETY: Plain numbers, and what is filled in lives during the call.
    check(unsafe {
        let own = GetCurrentProcess();
        DuplicateHandle(own, section, own, &raw mut made, access, 0, 0)
    })?;
    Ok(made)
}

fn closing<T>(section: HANDLE, act: impl FnOnce(HANDLE) -> T) -> T {
    let answer = act(section);
    // SAFETY: The caller made it, and nobody else has it.
    unsafe { CloseHandle(section) };
    answer
}

fn duplicated_to_all(section: HANDLE) -> io::Result<()> {
    closing(duplicated(section, FILE_MAP_ALL_ACCESS)?, mapped_for_writing)
}

fn duplicated_to_writing(section: HANDLE) -> io::Result<()> {
    closing(duplicated(section, FILE_MAP_READ | FILE_MAP_WRITE)?, mapped_for_writing)
}

/// Takes the list away: everybody may do everything.
fn set_security(section: HANDLE) -> io::Result<()> {
    // SAFETY: A plain number; no list lives nowhere.
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

/// Makes it longer, by a call that has no other name.
fn extended(section: HANDLE) -> io::Result<()> {
    type Extend = unsafe extern "system" fn(HANDLE, *mut i64) -> NTSTATUS;
    // SAFETY: Two strings with their NULs; this library is in every process.
    let extend = unsafe { GetProcAddress(GetModuleHandleA(s!("ntdll.dll")), s!("NtExtendSection")) };
    let extend = extend.ok_or_else(|| io::Error::from_raw_os_error(NOT_THERE))?;
    let mut size = 1 << 20;
    // SAFETY: The system's function of that name has this type, and the size lives during the call.
    let status =
        unsafe { mem::transmute::<unsafe extern "system" fn() -> isize, Extend>(extend)(section, &raw mut size) };
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: A plain number.
    let code = unsafe { RtlNtStatusToDosError(status) };
    Err(io::Error::from_raw_os_error(i32::try_from(code).unwrap_or(i32::MAX)))
}

fn mapped_beyond(section: HANDLE) -> io::Result<()> {
    // The region's own pages, the one behind them, and one more.
    View::map(section, FILE_MAP_READ, SIZE + 2 * 4096).map(drop)
}

fn mapped_as_a_program(section: HANDLE) -> io::Result<()> {
    View::map(section, FILE_MAP_READ | FILE_MAP_EXECUTE, SIZE).map(drop)
}

fn protected_as_a_program(section: HANDLE) -> io::Result<()> {
    View::with_most(section)?.protect(PAGE_EXECUTE_READ)
}

/// Looks among another process's handles for the region of that identity, and writes it.
///
/// # Errors
/// The system's, or that no handle there allows it.
pub fn taken_from(process: u32, inode: u64) -> io::Result<()> {
    // SAFETY: Plain numbers.
    let process = unsafe { OpenProcess(PROCESS_DUP_HANDLE, 0, process) };
    if process.is_null() {
        return Err(io::Error::last_os_error());
    }
    for number in (4..4096).step_by(4) {
        let mut made = ptr::null_mut();
        // SAFETY: Plain numbers, and what is filled in lives during the call.
        let answer = unsafe {
            DuplicateHandle(process, handle(number), GetCurrentProcess(), &raw mut made, 0, 0, DUPLICATE_SAME_ACCESS)
        };
        if answer != 0 && inode_of(made) == Some(inode) && mapped_for_writing(made).is_ok() {
            return Ok(());
        }
    }
    Err(io::ErrorKind::PermissionDenied.into())
}
