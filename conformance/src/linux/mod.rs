//! What only Linux can be asked.

#![allow(unsafe_code)]

pub mod c_library;
pub mod hostile;
pub mod old_kernels;
pub mod watch;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;

/// The regions among this process's descriptors, whoever put them there: number and inode.
///
/// # Panics
/// Where `/proc` can't be read.
#[must_use]
pub fn open_regions() -> BTreeMap<RawFd, u64> {
    let mut regions = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        // The directory that is being read is gone by now.
        let (Ok(link), Ok(status)) = (fs::read_link(&path), fs::metadata(&path)) else { continue };
        if link.to_string_lossy().starts_with("/memfd:heirloom") {
            let number = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
            regions.insert(number, status.ino());
        }
    }
    regions
}

/// Every descriptor of this process and what it is, without the one that looks.
///
/// # Panics
/// Where `/proc` can't be read.
#[must_use]
pub fn descriptors() -> BTreeMap<RawFd, String> {
    let listed = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        let link = fs::read_link(&path).ok()?;
        let number: RawFd = path.file_name()?.to_str()?.parse().ok()?;
        // SAFETY: A plain number; the answer is all that is used.
        let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
        (flags >= 0).then(|| (number, format!("{} {flags}", link.display())))
    });
    let listed: Vec<_> = listed.collect();
    // Only now is the directory itself closed again.
    listed.into_iter().filter(|(number, _)| fs::metadata(format!("/proc/self/fd/{number}")).is_ok()).collect()
}

/// What every environment gets: nothing.
pub const ADDED_BY_THE_SYSTEM: &[&str] = &[];

/// What owns a descriptor.
pub use std::os::fd::OwnedFd as Owned;

/// The number of a descriptor.
pub fn number(of: &impl AsFd) -> i32 {
    of.as_fd().as_raw_fd()
}

/// Whether what is open under that number goes on to children.
#[must_use]
pub fn is_inheritable(number: i32) -> bool {
    // SAFETY: A plain number; the answer is all that is used.
    unsafe { libc::fcntl(number, libc::F_GETFD) == 0 }
}

/// The answer of a C function that returns -1 for an error.
///
/// # Errors
/// The thread's last error.
pub fn check(answer: impl Into<i64>) -> io::Result<()> {
    if answer.into() < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
