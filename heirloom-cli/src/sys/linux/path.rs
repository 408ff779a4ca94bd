//! The path by which a program opens a region.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd, RawFd};

use heirloom::{AnyRegion, RegionKind};
use rustix::fs::Mode;
use rustix::io::{Errno, FdFlags};

use super::RegionOptions;
use crate::failure::Failure;

/// The lowest numbers to try for the descriptors that a program inherits. Scripts and shells use the low ones for
/// themselves; a small limit on open files leaves no high ones.
const LOWEST: [RawFd; 2] = [100, 20];

/// Sets the permissions that a program sees on the region's path.
pub fn prepare(region: &AnyRegion, options: &RegionOptions) -> Result<(), Failure> {
    let changed = rustix::fs::fchmod(region, Mode::from_raw_mode(options.mode.0));
    changed.map_err(|errno| Failure::new(format_args!("cannot set the permissions of a region: {errno}")))
}

/// Returns the region for one child: over a descriptor of its own, so that no other child moves its position, with a number
/// that programs leave alone, and for reading only if no process can write the region.
pub fn hand_down(region: &AnyRegion) -> Result<AnyRegion, Failure> {
    let failed = |error| Failure::new(format_args!("cannot hand down a region: {error}"));
    let path = reference(region);
    let opened = OpenOptions::new().read(true).write(region.kind() == RegionKind::Writable).open(path);
    // Without /proc no path opens the region either; a program that takes it by name shares the position.
    let opened = opened.map(OwnedFd::from).or_else(|_| region.as_fd().try_clone_to_owned()).map_err(failed)?;
    let raised = raised(&opened).map_err(failed)?.unwrap_or(opened);
    AnyRegion::try_from(raised).map_err(|error| heirloom::Error::from(error).into())
}

/// Returns a duplicate of a descriptor with a number that programs leave alone, if the limit allows one.
pub fn raised(descriptor: impl AsFd) -> io::Result<Option<OwnedFd>> {
    let raised = LOWEST.iter().find_map(|lowest| match rustix::io::fcntl_dupfd_cloexec(&descriptor, *lowest) {
        Err(Errno::INVAL) => None,
        raised => Some(raised),
    });
    Ok(raised.transpose()?)
}

/// Returns the path by which a child that inherits a region opens it.
///
/// Not by `/dev/fd`: some programs take that for their own descriptor, and don't open it.
pub fn reference(region: &impl AsFd) -> String {
    format!("/proc/self/fd/{}", region.as_fd().as_raw_fd())
}

/// Lets every child inherit a region's descriptor, without its name.
pub fn keep_open(region: impl TryInto<OwnedFd, Error = heirloom::Error>) -> Result<(), Failure> {
    let descriptor = region.try_into()?;
    let kept = rustix::io::fcntl_setfd(&descriptor, FdFlags::empty());
    kept.map_err(|errno| Failure::new(format_args!("cannot hand down an inherited region: {errno}")))?;
    let _ = descriptor.into_raw_fd();
    Ok(())
}
