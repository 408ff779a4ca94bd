//! Sections: creating them, mapping them, and their status.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::mem::MaybeUninit;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle};
use std::path::Path;
use std::ptr;

use windows_sys::Wdk::Foundation::NtQueryObject;
use windows_sys::Win32::Foundation::{
    ERROR_NO_SYSTEM_RESOURCES, ERROR_NOT_ALL_ASSIGNED, HANDLE, INVALID_HANDLE_VALUE, NTSTATUS, UNICODE_STRING,
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

use super::error::{code_of, last_failure, len_of};
use super::handle::{Owned, granted, restricted};
use super::layout::{Layout, allocation_granularity};
use super::view::{View, halves};
use crate::sys::failure::{Failure, Reason, Result};
use crate::sys::status::{Access, Commit, Identity, Protection, Seals, Status};
use crate::sys::trailer::TrailerPage;

/// The rights of handles for writing and for reading. No right allows changing the section's DACL, or mapping it as a
/// program.
const WRITABLE: u32 = SECTION_QUERY | SECTION_MAP_READ | SECTION_MAP_WRITE;
const READABLE: u32 = SECTION_QUERY | SECTION_MAP_READ;

/// OWNER RIGHTS, S-1-3-4. If a DACL has no entry for it, the owner of the object may change the DACL.
const OWNER_RIGHTS: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 3, 4, 0, 0, 0];

/// `SECURITY_DESCRIPTOR_REVISION`.
const REVISION: u32 = 1;

/// Marks that the handle of a region is the only one that allows writing.
pub(crate) struct Reader(());

/// Creates a section for a region of `size` bytes.
pub(crate) fn create(size: u64, commit: Commit) -> Result<(Layout, Owned, Reader)> {
    let layout = Layout::of_region(size, commit == Commit::HugePages);
    Ok((layout, create_section(layout)?, Reader(())))
}

/// Fails: on Windows every file has a name.
pub(crate) fn create_file(_: &Path, _: u64) -> Result<(Layout, Owned, Identity)> {
    Err(Failure::new(Reason::NoUnnamedFilesAnywhere, io::ErrorKind::Unsupported))
}

/// Creates an unnamed section of the paging file. Its DACL denies all access, also to the owner, so a handle can only be
/// duplicated with the same rights or fewer.
fn create_section(layout: Layout) -> Result<Owned> {
    let mut descriptor = SECURITY_DESCRIPTOR::default();
    // Enough for a list with one entry.
    let mut list = [0_u32; 16];
    let initialized = {
        let (len, descriptor, list) = (len_of(&list), (&raw mut descriptor).cast(), (&raw mut list).cast::<ACL>());
        let owner = OWNER_RIGHTS.as_ptr().cast_mut().cast();
        // SAFETY: The list is aligned and has the given length, the identifier is complete, and all of them live as long as
        // what refers to them.
        unsafe {
            InitializeSecurityDescriptor(descriptor, REVISION) != 0
                && InitializeAcl(list, len, ACL_REVISION) != 0
                && AddAccessDeniedAce(list, ACL_REVISION, SECTION_ALL_ACCESS, owner) != 0
                && SetSecurityDescriptorDacl(descriptor, 1, list, 0) != 0
        }
    };
    if !initialized {
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
    // SAFETY: The attributes, and what they refer to, live during the call.
    let section =
        unsafe { CreateFileMappingW(INVALID_HANDLE_VALUE, &raw const attributes, flags, high, low, ptr::null()) };
    if section.is_null() {
        let failure = last_failure();
        return Err(match code_of(&failure.os) {
            Some(ERROR_NO_SYSTEM_RESOURCES) if layout.is_huge() => Failure::new(Reason::FragmentedMemory, failure.os),
            _ => failure,
        });
    }
    // SAFETY: The system has just created this handle, so nothing else owns it.
    let section = unsafe { Owned::from_raw_handle(section) };
    restricted(section.as_handle(), WRITABLE)
}

/// Enables the privilege that large pages need, because they are never paged out.
fn allow_large_pages() -> Result<()> {
    let mut token = ptr::null_mut();
    // SAFETY: The handle of this process is always valid, and `token` lives during the call.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_ADJUST_PRIVILEGES, &raw mut token) } == 0 {
        return Err(last_failure());
    }
    // SAFETY: The system has just created this handle, so nothing else owns it.
    let token = unsafe { Owned::from_raw_handle(token) };
    let mut wanted = TOKEN_PRIVILEGES { PrivilegeCount: 1, ..TOKEN_PRIVILEGES::default() };
    wanted.Privileges[0].Attributes = SE_PRIVILEGE_ENABLED;
    // SAFETY: All arguments live during the calls, and the token is open.
    let answered = unsafe {
        LookupPrivilegeValueW(ptr::null(), SE_LOCK_MEMORY_NAME, &raw mut wanted.Privileges[0].Luid) != 0
            && AdjustTokenPrivileges(token.as_raw_handle(), 0, &raw const wanted, 0, ptr::null_mut(), ptr::null_mut())
                != 0
    };
    let answer = io::Error::last_os_error();
    // The call also succeeds if it enabled nothing.
    if answered && code_of(&answer) != Some(ERROR_NOT_ALL_ASSIGNED) {
        return Ok(());
    }
    Err(Failure::new(Reason::NoHugePagePrivilege, answer))
}

/// `SECTION_BASIC_INFORMATION`.
#[repr(C)]
#[derive(Default)]
struct SectionInformation {
    base: usize,
    attributes: u32,
    size: i64,
}

/// The classes of information: `SectionBasicInformation`, `ObjectNameInformation`.
const SECTION_INFORMATION: i32 = 0;
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

/// Returns the layout of the section behind a handle of any type, if the section can hold a region.
fn layout(handle: BorrowedHandle<'_>) -> Option<Layout> {
    let mut information = SectionInformation::default();
    let len = size_of_val(&information);
    // SAFETY: The handle is open, and the call fills in at most the given length.
    let answer = unsafe {
        NtQuerySection(handle.as_raw_handle(), SECTION_INFORMATION, (&raw mut information).cast(), len, ptr::null_mut())
    };
    let SectionInformation { attributes, size, .. } = information;
    let memory = attributes & SEC_COMMIT != 0 && attributes & (SEC_FILE | SEC_IMAGE | SEC_RESERVE) == 0;
    // Other processes can open a section that has a name.
    if answer < 0 || !memory || has_name(handle) {
        return None;
    }
    Layout::of_section(u64::try_from(size).ok()?, attributes & SEC_LARGE_PAGES != 0)
}

fn has_name(handle: BorrowedHandle<'_>) -> bool {
    let mut name = MaybeUninit::<[UNICODE_STRING; 8]>::zeroed();
    let len = len_of(&name);
    // SAFETY: The handle is open, and the call fills in at most the given length.
    let answer =
        unsafe { NtQueryObject(handle.as_raw_handle(), OBJECT_NAME, name.as_mut_ptr().cast(), len, ptr::null_mut()) };
    // SAFETY: All bytes are initialized: zeros, or what the system filled in, and both are valid values.
    let name = unsafe { name.assume_init() };
    // The call fails if the name is longer than the buffer.
    answer < 0 || name[0].Length != 0
}

fn access(handle: BorrowedHandle<'_>) -> Access {
    let granted = granted(handle).unwrap_or(0);
    let allows = |rights| granted & rights == rights;
    if allows(WRITABLE) {
        Access::ReadWrite
    } else if allows(READABLE) && granted & SECTION_MAP_WRITE == 0 {
        Access::Read
    } else {
        Access::None
    }
}

/// Returns the status of a handle, with the properties in the section's trailer.
pub(crate) fn status(handle: impl AsHandle) -> Result<Status> {
    let handle = handle.as_handle();
    let mut status = Status {
        identity: Identity { device: 0, inode: 0 },
        size: 0,
        granularity: allocation_granularity(),
        unnamed: false,
        access: access(handle),
        seals: Seals { size: false, new_writers: false, writing: false },
        sealable: false,
        secret: false,
    };
    let (Some(layout), true) = (layout(handle), status.access != Access::None) else {
        return Ok(status);
    };
    let trailer = trailer_page(handle, layout, Protection::ReadOnly)?.read()?;
    let Some(trailer) = trailer.filter(|trailer| Layout::of_region(trailer.size, layout.is_huge()) == layout) else {
        return Ok(status);
    };
    status.identity = trailer.identity;
    status.size = trailer.size;
    status.granularity = layout.granularity();
    status.unnamed = true;
    // The size of a section never changes. For the other seals, a reader relies on the creator of the section.
    status.seals = trailer.seals(status.access);
    Ok(status)
}

/// Maps the trailer of a section.
pub(crate) fn trailer_page(section: impl AsHandle, layout: Layout, protection: Protection) -> Result<TrailerPage> {
    // The offset of a view must be aligned to more than a page.
    let start = layout.end() - layout.end() % layout.granularity();
    let len = |from: u64, to: u64| usize::try_from(to - from).unwrap_or(usize::MAX);
    let view = View::map(section.as_handle(), layout, start, len(start, layout.whole), protection)?;
    // SAFETY: The view maps the section to its end, and the trailer is its last page.
    Ok(unsafe { TrailerPage::new(view, len(start, layout.end())) })
}

/// Makes a handle that allows only reading, unless another handle may allow writing.
pub(crate) fn take_reader(reader: &mut Option<Reader>, section: &Owned) -> Result<Option<Owned>> {
    if reader.is_none() {
        return Ok(None);
    }
    let readable = restricted(section.as_handle(), READABLE)?;
    *reader = None;
    Ok(Some(readable))
}

/// Maps `len` bytes from `offset` on.
pub(crate) fn map(section: &Owned, layout: Layout, offset: u64, len: usize, protection: Protection) -> Result<View> {
    // Rounded up to the granularity, the mapping would include the trailer.
    let end = usize::try_from(layout.end() - offset).unwrap_or(usize::MAX);
    View::map(section.as_handle(), layout, offset, len.min(end), protection)
}

pub(crate) fn fault_in(view: &View) {
    view.fault_in();
}

/// Returns `None`: a section can only be mapped.
pub(crate) const fn read_file(_: &Owned, _: Layout, _: u64, _: &mut [u8]) -> Option<Result<usize>> {
    None
}

/// Returns an unpredictable number; it need not be secret.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0)
}
