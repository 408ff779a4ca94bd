//! What a confined child can't do: a Landlock domain, see landlock(7), and where it is sealed off, a filter of system calls.

use std::ffi::c_long;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::ptr;

use linux_raw_sys::landlock::{
    LANDLOCK_ACCESS_FS_EXECUTE, LANDLOCK_ACCESS_FS_IOCTL_DEV, LANDLOCK_ACCESS_FS_MAKE_BLOCK,
    LANDLOCK_ACCESS_FS_MAKE_SYM, LANDLOCK_ACCESS_FS_READ_DIR, LANDLOCK_ACCESS_FS_READ_FILE, LANDLOCK_ACCESS_FS_REFER,
    LANDLOCK_ACCESS_FS_TRUNCATE, LANDLOCK_ACCESS_NET_BIND_TCP, LANDLOCK_ACCESS_NET_CONNECT_TCP,
    LANDLOCK_CREATE_RULESET_VERSION, LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, LANDLOCK_SCOPE_SIGNAL,
    landlock_path_beneath_attr, landlock_rule_type, landlock_ruleset_attr,
};
use rustix::fs::{self, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::call_filter::CallFilter;
use crate::sys::failure::{Failure, Reason, Result};
use crate::sys::unix::errno::{last_errno, retry};
use crate::sys::unix::fd::above_standard;

/// What a confined process can't do. Each process that enters it gets a domain of its own, which keeps it from the memory and
/// the descriptors of every process that is not in the same domain or in one below.
pub(crate) struct Confinement {
    ruleset: OwnedFd,
    /// Where it is sealed off.
    filter: Option<CallFilter>,
}

impl Confinement {
    /// Keeps a process apart from others, and takes nothing else from it that the kernel lets it have.
    pub(crate) fn apart() -> Result<Self> {
        let version = version()?;
        // A ruleset has to handle something. A domain forbids moving files between directories, unless it handles and allows it.
        let handled = if version >= 2 { LANDLOCK_ACCESS_FS_REFER } else { LANDLOCK_ACCESS_FS_MAKE_BLOCK };
        let scoped = if version >= 6 { LANDLOCK_SCOPE_SIGNAL } else { 0 };
        let ruleset = create(handled.into(), 0, scoped.into())?;
        allow(ruleset.as_fd(), Path::new("/"), handled)?;
        Ok(Self { ruleset, filter: None })
    }

    /// Keeps a process from all files, sockets and other processes.
    pub(crate) fn sealed_off() -> Result<Self> {
        let filter = CallFilter::new()?;
        // Each version knows the rights up to its last one.
        let (last, ports, scoped) = match version()? {
            1 => (LANDLOCK_ACCESS_FS_MAKE_SYM, 0, 0),
            2 => (LANDLOCK_ACCESS_FS_REFER, 0, 0),
            3 => (LANDLOCK_ACCESS_FS_TRUNCATE, 0, 0),
            version => (
                if version >= 5 { LANDLOCK_ACCESS_FS_IOCTL_DEV } else { LANDLOCK_ACCESS_FS_TRUNCATE },
                LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP,
                if version >= 6 { LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL } else { 0 },
            ),
        };
        let ruleset = create((last * 2 - 1).into(), ports.into(), scoped.into())?;
        Ok(Self { ruleset, filter: Some(filter) })
    }

    /// Allows reading and executing what is beneath a path.
    pub(crate) fn allow_reading(&self, path: &Path) -> Result<()> {
        let rights = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
        allow(self.ruleset.as_fd(), path, rights)
    }

    pub(crate) fn is_sealed_off(&self) -> bool {
        self.filter.is_some()
    }

    /// Confines this process, for ever. Allocates nothing.
    pub(crate) fn enter(&self) -> std::result::Result<(), Errno> {
        // SAFETY: The call takes plain numbers.
        if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } < 0 {
            return Err(last_errno());
        }
        restrict_self(self.ruleset.as_raw_fd()).map_err(|errno| match errno {
            // It would look like arguments that are too long.
            Errno::TOOBIG => Errno::OVERFLOW,
            errno => errno,
        })?;
        self.filter.as_ref().map_or(Ok(()), CallFilter::enter)
    }
}

/// Returns the kernel's version of Landlock, from 1 on.
fn version() -> Result<c_long> {
    // A filter of system calls that only pretends succeeds without a ruleset too.
    if restrict_self(-1).is_ok() {
        return Err(Failure::new(Reason::NoLandlock, io::Error::other("the call does nothing")));
    }
    let (attributes, flags) = (ptr::null::<landlock_ruleset_attr>(), LANDLOCK_CREATE_RULESET_VERSION);
    // SAFETY: With this flag, the call takes no attributes.
    match unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, attributes, 0_usize, flags) } {
        version @ 1.. => Ok(version),
        0 => Err(Failure::new(Reason::NoLandlock, io::Error::other("the call does nothing"))),
        _ => Err(Failure::new(Reason::NoLandlock, last_errno())),
    }
}

fn create(handled_access_fs: u64, handled_access_net: u64, scoped: u64) -> Result<OwnedFd> {
    let attributes = landlock_ruleset_attr { handled_access_fs, handled_access_net, scoped };
    let size = size_of_val(&attributes);
    // SAFETY: The attributes live during the call. Kernels that don't know the last ones accept zeros.
    let number = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attributes, size, 0) };
    match RawFd::try_from(number) {
        // SAFETY: The kernel has just created this descriptor, close-on-exec, so nothing else owns it.
        Ok(number) if number >= 0 => Ok(above_standard(unsafe { OwnedFd::from_raw_fd(number) })?),
        _ => Err(last_errno().into()),
    }
}

/// Allows what `rights` has for the type of file at `path`, and beneath it.
fn allow(ruleset: BorrowedFd<'_>, path: &Path, rights: u32) -> Result<()> {
    let file = retry(|| fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()))?;
    let is_directory = FileType::from_raw_mode(fs::fstat(&file)?.st_mode) == FileType::Directory;
    // The kernel refuses them for other files.
    let others = if is_directory { 0 } else { LANDLOCK_ACCESS_FS_READ_DIR };
    let rule = landlock_path_beneath_attr { allowed_access: (rights & !others).into(), parent_fd: file.as_raw_fd() };
    let (ruleset, rule_type) = (ruleset.as_raw_fd(), landlock_rule_type::LANDLOCK_RULE_PATH_BENEATH as u32);
    // SAFETY: The rule lives during the call.
    match unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset, rule_type, &raw const rule, 0) } {
        0 => Ok(()),
        _ => Err(last_errno().into()),
    }
}

fn restrict_self(ruleset: RawFd) -> std::result::Result<(), Errno> {
    // SAFETY: The call takes plain numbers.
    match unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0) } {
        0 => Ok(()),
        _ => Err(last_errno()),
    }
}
