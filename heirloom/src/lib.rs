//! Anonymous shared memory that child processes inherit and no other process can reach.
//!
//! A [`Region`] is memory without a name and with a fixed size. A process creates it, maps it, and passes it to a child.
//! No other process can open it, and it is freed with the last process that holds it, even after a crash.
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
//! let mut child = Command::new("true").inherit("frames", &frames)?.spawn()?;
//! # child.wait()?;
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
//! # Choosing a region type
//! | type | who can write | a mapping gives | use it for |
//! | --- | --- | --- | --- |
//! | [`FrozenRegion`] | nobody | `&[u8]` | input that many processes read |
//! | [`ReadOnlyRegion`] | one process: the writer | [`ReadOnlyBytes`]: copies out, atomic loads | one process that tells many |
//! | [`Region`] | every holder | [`SharedBytes`]: copies in and out, atomics | results of workers |
//!
//! Choose the first that fits. [`Region::into_read_only`] and [`Region::freeze`] convert by sealing the memory: the kernel then
//! refuses every write, whatever a holder tries. A parent can freeze a region that its workers filled, once they have ended
//! or unmapped it. [`FrozenRegion`] can also be made directly from bytes, a reader or a file. [`AnyRegion`] is for a kind that
//! is known at run time.
//!
//! # What it does not guarantee
//! - Processes of the *same user* can reach a holder's memory and descriptors through `/proc`, ptrace and `pidfd_getfd`. They
//!   can then read any region, and write one that is neither read-only nor frozen. Each holder can prevent it by
//!   `os::linux::set_undumpable`; so do another user id and a separate PID namespace.
//! - It does not defend against root or the kernel.
//! - The bytes can be swapped to disk. Core dumps contain them unless the mapping calls `no_dump`.
//! - On systems without seals, read-only and frozen regions rely on the creating process: see [Systems](#systems).
//!
//! [The security document](documentation::security) has the threat model, and the test behind each guarantee.
//!
//! # Starting programs
//! [`Command`] mirrors [`std::process::Command`]. It starts programs by `posix_spawn`, whose cost doesn't depend on the parent's
//! memory. It forks where `posix_spawn` can't report a program that fails to start: under valgrind and qemu-user, on
//! Android, OpenBSD and NetBSD. `os::unix::InheritExt` adds `inherit` to the standard library's command, and so to
//! tokio's, which fork.
//!
//! # Claiming inherited regions
//! Until a process claims the regions that it inherited, its own children inherit them too. [`claim`] validates each
//! descriptor, sets close-on-exec and takes ownership. Every call of this library that needs a claim makes it, so only a
//! program that also starts children by other means must call it, on the first line of `main`.
//!
//! # Memory model
//! Another process may write a region while this one reads it. A `&[u8]` over such memory is unsound, so there is none
//! except over a [`FrozenRegion`] and behind `unsafe`. Every safe access is sound, whatever other threads and processes do to
//! the same bytes:
//!
//! - [`read_at`](ReadOnlyBytes::read_at), [`write_at`](SharedBytes::write_at), and the typed values of the feature `zerocopy`
//!   copy. A copy may mix bytes from before and after a concurrent write, and it orders nothing. A sequence lock puts a
//!   fence of [`std::sync::atomic`] on each side of its copies: see the example
//!   `sequence_lock`.
//! - [`SharedU32`] and [`SharedU64`] are atomic. `load` acquires, `store` releases, every other operation is sequentially
//!   consistent. What one process copies in before a `store`, another process finds after a `load` that returns the stored
//!   value.
//!
//! On x86-64 and aarch64 every access is inline assembly. So none is an access in Rust's memory model, which leaves mixed-size
//! atomic accesses undefined; the processors define them. On other processors every access consists of atomics of 8
//! bytes.
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
mod error;
mod mapping;
pub mod os;
pub mod process;
mod region;
mod sys;
mod transfer;

/// The longer documents: the threat model, and the format of export strings.
#[cfg(doc)]
pub mod documentation {
    #[doc = include_str!("../SECURITY.md")]
    pub mod security {}

    #[doc = include_str!("../docs/format.md")]
    pub mod format {}
}

pub use access::{ReadOnlyBytes, SharedBytes, SharedU32, SharedU64};
pub use error::{ConvertError, Error, ErrorKind, Result};
pub use mapping::{CopyMapping, FrozenCopyMapping, FrozenMapping, Mapping, ReadOnlyMapping};
pub use process::{Child, Command, Stdio};
pub use region::{AnyRegion, AsRegion, FrozenOptions, FrozenRegion, ReadOnlyRegion, Region, RegionKind, RegionOptions};
pub use transfer::{ExportedRegion, Inherited, InheritedState, claim, inherited};

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
