//! The system's sections: making them, and what it says of one.

use std::ffi::c_void;
use std::io;
use std::mem::MaybeUninit;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use windows_sys::Wdk::Foundation::NtQueryObject;
use windows_sys::Win32::Foundation::{
    DuplicateHandle, ERROR_NO_SYSTEM_RESOURCES, ERROR_NOT_ALL_ASSIGNED, HANDLE, INVALID_HANDLE_VALUE, NTSTATUS,
    UNICODE_STRING,
};
use windows_sys::Win32::Security::{
    ACL, ACL_REVISION, AddAccessDeniedAce, AdjustTokenPrivileges, InitializeAcl, InitializeSecurityDescriptor,
    LookupPrivilegeValueW, SE_LOCK_MEMORY_NAME, SE_PRIVILEGE_ENABLED, SECURITY_ATTRIBUTES, SECURITY_DESCRIPTOR,
    SetSecurityDescriptorDacl, TOKEN_ADJUST_PRIVILEGES, TOKEN_PRIVILEGES,
};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, PAGE_READWRITE, SEC_COMMIT, SEC_FILE, SEC_IMAGE, SEC_LARGE_PAGES, SEC_RESERVE,
    SECTION_ALL_ACCESS, SECTION_MAP_READ, SECTION_MAP_WRITE, SECTION_QUERY,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::layout::Layout;
use super::view::{View, halves};
use super::{code_of, last_failure, len_of, os_error};
use crate::ErrorKind;
use crate::sys::last_page::Place;
use crate::sys::{Access, Failure, Identity, Protection, Result, Seals, Status};

/// What a handle allows whose holder may write, and whose holder may not. No one can change whom the section obeys, and no
/// one can map it as a program.
pub(super) const WRITABLE: u32 = SECTION_QUERY | SECTION_MAP_READ | SECTION_MAP_WRITE;
pub(super) const READABLE: u32 = SECTION_QUERY | SECTION_MAP_READ;

/// OWNER RIGHTS, S-1-3-4. Where a list says nothing of them, who owns an object may change the list.
const OWNER_RIGHTS: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 3, 4, 0, 0, 0];

/// `SECURITY_DESCRIPTOR_REVISION`.
const REVISION: u32 = 1;

/// Makes a section without a name on the paging file. Nobody can have more of it than this handle allows, or than a
/// duplicate of it with less, since its list allows nobody anything, its owner included.
pub(super) fn create(layout: Layout) -> Result<OwnedHandle> {
    let mut descriptor = SECURITY_DESCRIPTOR::default();
    // Room for a list of one.
    let mut list = [0_u32; 16];
    let made = {
        let (len, descriptor, list) = (len_of(&list), (&raw mut descriptor).cast(), (&raw mut list).cast::<ACL>());
        let owner = OWNER_RIGHTS.as_ptr().cast_mut().cast();
        // SAFETY: The list is as long as is said and aligned, the identifier is a whole one, and all live as long as what
        // refers to them.
        unsafe {
            InitializeSecurityDescriptor(descriptor, REVISION) != 0
                && InitializeAcl(list, len, ACL_REVISION) != 0
                && AddAccessDeniedAce(list, ACL_REVISION, SECTION_ALL_ACCESS, owner) != 0
                && SetSecurityDescriptorDacl(descriptor, 1, list, 0) != 0
        }
    };
    if !made {
        return Err(last_failure());
    }
    let mut attributes = SECURITY_ATTRIBUTES::default();
    attributes.nLength = len_of(&attributes);
    attributes.lpSecurityDescriptor = (&raw mut descriptor).cast();
    let mut flags = PAGE_READWRITE | SEC_COMMIT;
    if layout.is_huge() {
        allow_large_pages()?;
        flags |= SEC_LARGE_PAGES;
    }
    let [high, low] = halves(layout.whole);
    // SAFETY: The attributes live during the call, and so does what they refer to.
    let section =
        unsafe { CreateFileMappingW(INVALID_HANDLE_VALUE, &raw const attributes, flags, high, low, ptr::null()) };
    if section.is_null() {
        let failure = last_failure();
        return Err(match code_of(&failure.os) {
            Some(ERROR_NO_SYSTEM_RESOURCES) if layout.is_huge() => Failure {
                kind: ErrorKind::OutOfMemory,
                hint: "too little memory in pieces of 2 MiB is free: ask earlier after the system's start, or do without",
                ..failure
            },
            _ => failure,
        });
    }
    // SAFETY: The system made it a moment ago, and nobody else knows it.
    let section = unsafe { OwnedHandle::from_raw_handle(section) };
    restricted(section.as_handle(), WRITABLE)
}

/// Large pages are never paged out, and so want a privilege, which a process has to turn on where it has it.
fn allow_large_pages() -> Result<()> {
    let mut token = ptr::null_mut();
    // SAFETY: The process is this one; the token's handle lives during the call.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_ADJUST_PRIVILEGES, &raw mut token) } == 0 {
        return Err(last_failure());
    }
    // SAFETY: The system made it a moment ago, and nobody else knows it.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    let mut wanted = TOKEN_PRIVILEGES { PrivilegeCount: 1, ..TOKEN_PRIVILEGES::default() };
    wanted.Privileges[0].Attributes = SE_PRIVILEGE_ENABLED;
    // SAFETY: All live during the calls, and the token is open.
    let answered = unsafe {
        LookupPrivilegeValueW(ptr::null(), SE_LOCK_MEMORY_NAME, &raw mut wanted.Privileges[0].Luid) != 0
            && AdjustTokenPrivileges(token.as_raw_handle(), 0, &raw const wanted, 0, ptr::null_mut(), ptr::null_mut())
                != 0
    };
    let answer = io::Error::last_os_error();
    // It succeeds where it did nothing, too.
    if answered && code_of(&answer) != Some(ERROR_NOT_ALL_ASSIGNED) {
        return Ok(());
    }
    Err(Failure {
        kind: ErrorKind::Unsupported,
        os: answer,
        hint: "large pages want the privilege to lock pages in memory: have an administrator grant it to this user",
    })
}

/// Another handle of the same section, with no more rights than these.
pub(super) fn restricted(section: BorrowedHandle<'_>, rights: u32) -> Result<OwnedHandle> {
    let mut made = ptr::null_mut();
    // SAFETY: The section is open, both processes are this one, and the new handle lives during the call.
    let answer = unsafe {
        let own = GetCurrentProcess();
        DuplicateHandle(own, section.as_raw_handle(), own, &raw mut made, rights, 0, 0)
    };
    if answer == 0 {
        return Err(last_failure());
    }
    // SAFETY: The system made it a moment ago, and nobody else knows it.
    Ok(unsafe { OwnedHandle::from_raw_handle(made) })
}

/// `SECTION_BASIC_INFORMATION`.
#[repr(C)]
#[derive(Default)]
struct SectionInformation {
    base: usize,
    attributes: u32,
    size: i64,
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

/// Which information is asked for: `SectionBasicInformation`, `ObjectBasicInformation`, `ObjectNameInformation`.
const SECTION_INFORMATION: i32 = 0;
const OBJECT_INFORMATION: i32 = 0;
const OBJECT_NAME: i32 = 1;

#[link(name = "ntdll")]
unsafe extern "system" {
    fn NtQuerySection(
        section: HANDLE,
        class: i32,
        information: *mut c_void,
        len: usize,
        returned: *mut usize,
    ) -> NTSTATUS;
}

/// What a handle that may be anything is of, if it is of a section that could be ours.
pub(super) fn layout(handle: BorrowedHandle<'_>) -> Option<Layout> {
    let mut information = SectionInformation::default();
    let len = size_of_val(&information);
    // SAFETY: The handle is open, and what is filled in is as long as is said.
    let answer = unsafe {
        NtQuerySection(handle.as_raw_handle(), SECTION_INFORMATION, (&raw mut information).cast(), len, ptr::null_mut())
    };
    let SectionInformation { attributes, size, .. } = information;
    let memory = attributes & SEC_COMMIT != 0 && attributes & (SEC_FILE | SEC_IMAGE | SEC_RESERVE) == 0;
    // What has a name is nobody's alone.
    if answer < 0 || !memory || has_name(handle) {
        return None;
    }
    Layout::of_section(u64::try_from(size).ok()?, attributes & SEC_LARGE_PAGES != 0)
}

fn has_name(handle: BorrowedHandle<'_>) -> bool {
    let mut name = MaybeUninit::<[UNICODE_STRING; 8]>::zeroed();
    let len = len_of(&name);
    // SAFETY: The handle is open, and what is filled in is as long as is said.
    let answer =
        unsafe { NtQueryObject(handle.as_raw_handle(), OBJECT_NAME, name.as_mut_ptr().cast(), len, ptr::null_mut()) };
    // SAFETY: Zeros, or what the system filled in; both are sound.
    let name = unsafe { name.assume_init() };
    // One that is longer than there is room for is a failure.
    answer < 0 || name[0].Length != 0
}

fn access(handle: BorrowedHandle<'_>) -> Access {
    let mut information = ObjectInformation::default();
    let len = len_of(&information);
    // SAFETY: The handle is open, and what is filled in is as long as is said.
    let answer = unsafe {
        NtQueryObject(handle.as_raw_handle(), OBJECT_INFORMATION, (&raw mut information).cast(), len, ptr::null_mut())
    };
    let allows = |rights| answer >= 0 && information.access & rights == rights;
    if allows(WRITABLE) {
        Access::ReadWrite
    } else if allows(READABLE) && information.access & SECTION_MAP_WRITE == 0 {
        Access::Read
    } else {
        Access::None
    }
}

/// Asks the system, and the section's last page, what a handle is of.
pub(crate) fn status(handle: impl AsHandle) -> Result<Status> {
    let handle = handle.as_handle();
    let mut status = Status {
        identity: Identity { device: 0, inode: 0 },
        size: 0,
        granularity: super::allocation_granularity(),
        unnamed: false,
        access: access(handle),
        seals: Seals { size: false, new_writers: false, writing: false },
        sealable: false,
    };
    let (Some(layout), true) = (layout(handle), status.access != Access::None) else {
        return Ok(status);
    };
    let page = last_page(handle, layout, Protection::ReadOnly)?.read()?;
    let Some(page) = page.filter(|page| Layout::of_region(page.size, layout.is_huge()) == layout) else {
        return Ok(status);
    };
    status.identity = page.identity;
    status.size = page.size;
    status.granularity = layout.allocation_granularity();
    status.unnamed = true;
    // A section's size never changes. Of the rest there is its creator's word, which who only reads it can't change.
    status.seals = page.seals(status.access);
    Ok(status)
}

/// The page behind a region's own.
pub(super) fn last_page(section: BorrowedHandle<'_>, layout: Layout, protection: Protection) -> Result<Place> {
    // A view begins on a granule, which is more than a page.
    let start = layout.end() - layout.end() % layout.allocation_granularity();
    let len = |from: u64, to: u64| usize::try_from(to - from).unwrap_or(usize::MAX);
    let view = View::new(section, layout, start, len(start, layout.whole), protection)?;
    // SAFETY: The view shows all to the section's end, of which the last page is the end.
    Ok(unsafe { Place::new(view, len(start, layout.end())) })
}

/// The error for what only a kernel with seals could do.
pub(super) fn handed_out() -> Failure {
    Failure {
        kind: ErrorKind::StillWritable,
        os: io::Error::other("other processes may hold it for writing, and Windows takes that from nobody"),
        hint: "make_read_only or freeze a region before it is handed down, or take FrozenRegion::copy_of",
    }
}

/// The error for a mapping or a seal that comes too late.
pub(super) fn sealed() -> Failure {
    Failure {
        kind: ErrorKind::Sealed,
        os: os_error(windows_sys::Win32::Foundation::ERROR_ACCESS_DENIED),
        hint: "it was published or frozen meanwhile: ReadOnlyRegion::try_from or Region::freeze make a handle that maps \
               for reading",
    }
}
