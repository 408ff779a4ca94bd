//! Mappings that this process can't change any more.

#![allow(unsafe_code)]

use std::io;

use rustix::io::Errno;
use rustix::mm::{self, MprotectFlags};

use crate::sys::failure::{Failure, Reason, Result};
use crate::sys::status::Protection;
use crate::sys::unix::errno::last_errno;
use crate::sys::unix::view::View;

/// The number of `mseal`, since Linux 6.10. Not every C library's bindings have it, but newer numbers differ by the same from
/// each other on all processors.
const MSEAL: libc::c_long = libc::SYS_pidfd_open + 28;

impl View {
    /// Seals the pages, which have that protection: until this process ends, none of its calls unmaps, replaces, moves or
    /// protects them. A drop then leaves them.
    pub(crate) fn seal(&self, protection: Protection) -> Result<()> {
        // SAFETY: This object owns the pages, and no byte of them changes.
        if unsafe { libc::syscall(MSEAL, self.start().as_ptr(), self.len(), 0) } != 0 {
            return Err(match last_errno() {
                errno @ (Errno::NOSYS | Errno::PERM | Errno::ACCESS) => Failure::new(Reason::NoMappingSeals, errno),
                Errno::NOMEM => super::cannot_map(Errno::NOMEM),
                errno => errno.into(),
            });
        }
        // A sandbox's filter may return success without calling the kernel.
        let same = match protection {
            Protection::ReadOnly => MprotectFlags::READ,
            Protection::Shared | Protection::CopyOnWrite => MprotectFlags::READ | MprotectFlags::WRITE,
        };
        // SAFETY: This object owns the pages. Where they are not sealed, they have this protection already.
        match unsafe { mm::mprotect(self.start().as_ptr().cast(), self.len(), same) } {
            Err(Errno::PERM) => Ok(()),
            _ => Err(Failure::new(Reason::NoMappingSeals, io::ErrorKind::Unsupported)),
        }
    }
}
