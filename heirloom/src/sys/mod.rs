//! The operating system. Only this module calls it; only this module and `os` depend on which one it is.
//!
//! The re-exports below are the interface: every system has the same. The files, from the bottom up:
//!
//! - `failure`, `status`: types without code for a system.
//! - `unix`, `bsd`, `linux`, `freebsd`, `macos`, `openbsd`, `windows`: the calls of each system. `no_waiting`: the systems that
//!   can't wait for a number. `no_doorbell`: those without channels. `no_locks`: those without locks. `no_confinement`: those
//!   that can't confine a child.
//! - `sealed` (Linux, Android, FreeBSD), `tracked` (macOS, Windows) and `unlinked_file` (OpenBSD, NetBSD): `Memory`, which
//!   is the memory of a region, with the calls of its system.
//! - `fd_memory`: the part of `Memory` that `sealed` and `unlinked_file` share. `trailer` and `buffered`: parts of `tracked`.
//! - `modelled`: models of some calls, for tests in every interleaving of threads.
//! - `platform`: which of the items above this system uses.
//! - `launch`, `lent`, `spawn`: starting programs.

#[cfg(any(target_os = "freebsd", target_os = "macos", target_os = "netbsd", target_os = "openbsd"))]
mod bsd;
#[cfg(any(target_os = "macos", windows))]
mod buffered;
mod failure;
#[cfg(all(unix, not(target_os = "macos")))]
mod fd_memory;
#[cfg(target_os = "freebsd")]
mod freebsd;
mod launch;
mod lent;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(heirloom_loom)]
mod modelled;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
mod no_confinement;
#[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
mod no_doorbell;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod no_locks;
#[cfg(any(windows, target_os = "netbsd"))]
mod no_waiting;
#[cfg(target_os = "openbsd")]
mod openbsd;
mod platform;
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
mod sealed;
mod spawn;
mod status;
#[cfg(any(target_os = "macos", windows))]
mod tracked;
#[cfg(any(target_os = "macos", windows))]
mod trailer;
#[cfg(unix)]
mod unix;
#[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
mod unlinked_file;
#[cfg(windows)]
mod windows;

pub(crate) use failure::{Failure, Reason, Result};
pub(crate) use launch::Launch;
pub(crate) use lent::{LentGuard, lent, set_close_on_exec_unless_lent};
pub(crate) use platform::{
    Borrowed, Doorbell, EnvKey, Filling, HUGE_PAGE, LONGEST_VARIABLE, LockOwner, Memory, Owned, Process, SpawnOptions,
    View, allocation_granularity, available_memory, borrowed, duplicate, gather, has_byte_at, identity,
    is_close_on_exec, is_privileged, is_standard, kill, look_at, null, number_of, on_fork, parent_passes, pipe,
    pipe_status, remove_variable, set_close_on_exec, size_limit, status, take_over, variables, wait, wait_while, wake,
};
pub(crate) use spawn::spawn;
pub(crate) use status::{Access, Commit, Heard, Identity, PipeEnd, Protection, Status, Wake};

#[cfg(unix)]
pub(crate) use spawn::{exec, pass_with_std};

/// For the locks and tests.
#[cfg(heirloom_loom)]
pub(crate) use modelled::{begin, thread};

/// For `os::linux`.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use linux::{confinement::Confinement, create_secret, memory_mounts, mount_of, set_undumpable};
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use spawn::confine_with_std;
