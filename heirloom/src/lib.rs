//! Anonymous shared memory that child processes inherit.
//!
//! A [`Region`] is memory with a fixed size. A process creates it, maps it, and passes it to a child. It has no name by
//! which another process could open it. The kernel frees it with its last *holder* (a process that has a descriptor or a
//! mapping of it), even after a crash. Processes of the same user can still reach it through a holder: see
//! [What it does not guarantee](#what-it-does-not-guarantee).
//!
//! # Passing a region to a child
//! **Inheritance**: the parent names the region on the command that it starts, and the child asks for it by that name.
//!
//! ```
//! use heirloom::{Command, Region};
//!
//! let frames = Region::create(64 << 20)?; // 64 MiB, zeroed
//! let view = frames.map()?;
//! view.write_at(0, b"hello")?;
//! let status = Command::new("true").inherit("frames", &frames)?.status()?;
//! assert!(status.success());
//! # Ok::<(), heirloom::Error>(())
//! ```
//! ```no_run
//! heirloom::claim()?; // the first line of the child's main
//! let view = heirloom::Region::inherited("frames")?.map()?;
//! # Ok::<(), heirloom::Error>(())
//! ```
//!
//! **Export string**: the parent exports the region as a string and starts the child by any means; the child imports the
//! string.
//!
//! ```
//! use std::process::Command;
//!
//! let frames = heirloom::Region::create(4096)?;
//! let exported = frames.export_inheritable()?; // every child inherits it while `exported` lives
//! let child = Command::new("true").env("FRAMES", exported.as_str()).spawn();
//! # child.unwrap().wait().unwrap();
//! # Ok::<(), heirloom::Error>(())
//! ```
//! ```no_run
//! let view = heirloom::Region::import(&std::env::var("FRAMES")?)?.map()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Sending messages
//! A [`channel`](channel()) carries messages from one process to another, on Linux, Android and Windows. Its ends are *moved*: the parent
//! keeps one and names the other on the command. A child that dies closes its end, so the parent is told.
//!
//! ```no_run
//! use heirloom::Command;
//!
//! let (mut jobs, theirs) = heirloom::channel(64 << 10)?;
//! let mut child = Command::new("worker").inherit_end("jobs", theirs)?.spawn()?;
//! jobs.send(b"a job")?; // the child: Receiver::inherited("jobs")?.recv()?
//! # Ok::<(), heirloom::Error>(())
//! ```
//!
//! # Locking
//! [`Region::map_with_locks`] makes numbers of a region usable as locks, on Linux and Android. Who takes a lock is told whether its
//! last owner died while it had it.
//!
//! ```no_run
//! use heirloom::{Locked, Region};
//!
//! let view = Region::inherited("accounts")?.map_with_locks()?;
//! match view.lock(0)? {
//!     Locked::Clean(_guard) => view.write_at(64, b"the bytes that the lock protects")?,
//!     Locked::OwnerDied(_guard) => eprintln!("they may be half written"),
//! }
//! # Ok::<(), heirloom::Error>(())
//! ```
//!
//! # Choosing a region type
//! | type | writers | a mapping gives | use for |
//! | --- | --- | --- | --- |
//! | [`FrozenRegion`] | none | `&[u8]` | large inputs, finished results, secrets for programs that read a path |
//! | [`ReadOnlyRegion`] | one process | [`ReadOnlyBytes`]: copies out, atomic loads | one process publishes, many read |
//! | [`Region`] | every holder | [`SharedBytes`]: copies in and out, atomics | workers that write results, queues |
//! | `os::linux::SecretRegion` | every holder | [`SharedBytes`] | keys and passwords that no other process may read, root's included; Linux only |
//!
//! Choose the first that fits; a `SecretRegion` in place of a `FrozenRegion` where secrecy counts more than that nobody writes.
//! [`Region::into_read_only`] and [`Region::freeze`] convert by sealing the memory: the kernel then refuses every write, whatever a
//! holder tries. A parent can freeze a region that its workers filled, once they have ended or unmapped it and the parent has
//! dropped its own mappings. [`FrozenRegion`] can also be made directly, by
//! [`from_bytes`](FrozenRegion::from_bytes), [`from_reader`](FrozenRegion::from_reader),
//! [`from_file`](FrozenRegion::from_file) or a [`writer`](FrozenOptions::writer). [`AnyRegion`] is for a kind that is known at
//! run time.
//!
//! [`FrozenRegion::from_file`] copies the file: a 2 GiB file takes 2 GiB of memory, once for all workers.
//!
//! # What it does not guarantee
//! - Processes of the *same user* can reach a holder's memory and descriptors through `/proc`, ptrace and `pidfd_getfd`. They
//!   can then read every region of that holder, and write what it can write. `os::linux::CommandExt::confine` keeps a child from
//!   it, and `os::linux::set_undumpable` in *every* holder all others. So does running the other process under another user ID, or
//!   in a PID namespace without the holder. The bytes of an `os::linux::SecretRegion` can't be read that way once it is mapped.
//! - It does not defend against root or the kernel.
//! - The bytes can be swapped to disk, but for those of a `SecretRegion`. Core dumps contain them unless the mapping calls
//!   `no_dump`.
//! - Synchronization: there are atomics, and [`wait`](ReadOnlyMapping::wait) and [`wake_all`](Mapping::wake_all) for a 32-bit
//!   number. A wait doesn't notice that the process that should change the number has died; a [`channel`](channel()) (on Linux,
//!   Android and Windows) and a [lock](Region::map_with_locks) (on Linux and Android) do. Windows and NetBSD have no such waits:
//!   use a channel or a pipe there.
//! - On systems without seals, read-only and frozen regions rely on the creating process: see [Systems](#systems).
//!
//! [The security document](documentation::security) has the threat model, and the test behind each guarantee.
//!
//! # Starting programs
//! [`Command`] mirrors [`std::process::Command`]. It starts programs by `posix_spawn`, whose cost doesn't depend on the parent's
//! memory. It forks where `posix_spawn` can't report a program that fails to start: under valgrind and qemu-user, on
//! Android, OpenBSD and NetBSD. `os::unix::InheritExt` adds `inherit` to the standard library's command, and so to tokio's.
//! These then fork, and the cost of a fork grows with the parent's memory.
//!
//! # Claiming inherited regions
//! Until a process claims the regions that it inherited, its own children inherit them too. [`claim`] validates each
//! descriptor, sets close-on-exec and takes ownership. Every call of this library that needs a claim makes it. Call it
//! yourself on the first line of `main` if the program starts children by other means, or handles descriptors itself.
//!
//! # Memory model
//! Another process may write a region while this one reads it. A `&[u8]` over such memory is unsound, so there is none
//! except over a [`FrozenRegion`] and behind `unsafe`. Every safe access is sound, whatever other threads and processes do to
//! the same bytes:
//!
//! - [`read_at`](ReadOnlyBytes::read_at), [`write_at`](SharedBytes::write_at), `read_value` and `write_value` (feature
//!   `zerocopy`) make copies. A copy may mix bytes from before and after a concurrent write. It has no memory ordering. A
//!   sequence lock puts a fence of [`std::sync::atomic`] on each side of its copies: see the example `sequence_lock`.
//! - [`SharedU32`] and [`SharedU64`] are atomic. `load` acquires, `store` releases, every other operation is sequentially
//!   consistent. If a `load` returns the value of a `store`, that process then also reads the bytes that the storing
//!   process wrote before the `store`.
//!
//! On x86-64 and aarch64 every access is inline assembly. Rust's memory model leaves atomic accesses of mixed sizes
//! undefined, but these processors define them. Inline assembly is outside that model. On other processors every access
//! consists of atomics of 8 bytes.
//!
//! Validate shared bytes after copying them out, never before.
//!
//! # Pitfalls
//! - `freeze` fails while any process has a writable mapping. A child that another thread is forking has one until it
//!   executes its program.
//! - Memory is allocated as it is touched, and a system that overcommits may kill a process for it. `populate` allocates it
//!   at `create`, which returns an error instead.
//! - The size is fixed, so a program that opens a region by a path must not truncate it: in a shell, `1<>` instead of `>`.
//! - Some launchers close descriptors. Python's `subprocess` does, unless `pass_fds` lists them. The error in the child says
//!   so.
//! - A region in a directory ([`RegionOptions::unsealed_file_in`]) has none of the guarantees that rest on seals.
//!
//! # Features
//! - `zerocopy`: typed values in and out of a mapping. Its bounds are traits of zerocopy 0.8, so a later major version of that
//!   crate will be a new feature.
//!
//! # Systems
#![doc = include_str!("../docs/systems.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod advice;
mod channel;
mod error;
#[cfg(heirloom_loom)]
mod interleavings;
mod locking;
mod mapping;
pub mod os;
pub mod process;
mod region;
mod sys;
mod transfer;
mod waiting;

/// The longer documents: the threat model, and the format of export strings.
#[cfg(doc)]
pub mod documentation {
    #[doc = include_str!("../SECURITY.md")]
    pub mod security {}

    #[doc = include_str!("../docs/format.md")]
    pub mod format {}
}

pub use access::{ReadOnlyBytes, SharedBytes, SharedU32, SharedU64};
pub use channel::{ChannelEnd, Message, Receiver, Sender, Slot, channel};
pub use error::{ConvertError, Error, ErrorKind, Result};
pub use locking::{LockGuard, LockMapping, Locked};
pub use mapping::{CopyMapping, FrozenCopyMapping, FrozenMapping, Mapping, ReadOnlyMapping};
pub use process::{Child, Command, Stdio};
pub use region::{
    AnyRegion, AsRegion, FrozenOptions, FrozenRegion, FrozenWriter, ReadOnlyRegion, Region, RegionKind, RegionOptions,
};
pub use transfer::{
    ExportedEnd, ExportedRegion, Inherited, InheritedState, VARIABLE, claim, inherited, unset_variable,
};

/// For the C library, which has locks of its own. It takes them before these in each call, and so before each fork too.
#[doc(hidden)]
pub use transfer::forking;

/// The parsers that the fuzzers in `fuzz/` call.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    /// Parses a value of `HEIRLOOM_REGIONS`: its well-formed pairs, and the first error.
    #[must_use]
    pub fn variable(value: &str) -> (Vec<(String, String)>, Option<crate::Error>) {
        let (pairs, error) = crate::transfer::parse_variable(value);
        (pairs.into_iter().map(|(name, string)| (name, string.to_string())).collect(), error)
    }
}

/// Compiles and runs the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
