//! Anonymous shared memory that child processes inherit, and nobody else can reach.
//!
//! A process makes a [`Region`]: memory that has no name anywhere, of a size that never changes. It maps it, and hands it
//! down to a child. Nobody else can get at it, and it is gone with the last process that holds it, however that ends.
//!
//! # Handing down
//! There are two ways. **By inheritance**, the parent names the region on the command that it starts, and the child asks
//! for it by that name:
//!
//! ```
//! use heirloom::{Command, Region};
//!
//! let frames = Region::create(64 << 20)?; // 64 MiB, all zero
//! let view = frames.map()?;
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
//! **By export string**, the parent turns the region into a string and starts the child in its own way; the child imports
//! the string:
//!
//! ```
//! use std::process::Command;
//!
//! let frames = heirloom::Region::create(4096)?;
//! let exported = frames.export_inheritable()?; // every child started while this lives gets it
//! let child = Command::new("true").env("FRAMES", exported.as_str()).spawn();
//! # child.unwrap().wait().unwrap();
//! # Ok::<(), heirloom::Error>(())
//! ```
//! ```no_run
//! let view = heirloom::Region::import(&std::env::var("FRAMES")?)?.map()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which region when
//! | | who writes | what a mapping gives |
//! | --- | --- | --- |
//! | [`Region`] | every holder | [`SharedBytes`]: copies in and out, atomics |
//! | [`ReadOnlyRegion`], by [`Region::into_read_only`] | the publisher's mapping from before | [`ReadOnlyBytes`]: copies out, atomic loads |
//! | [`FrozenRegion`], by [`Region::freeze`] or from bytes, a reader or a file | nobody, ever | `&[u8]` |
//!
//! Choose the last that will do. A big input that many processes read: freeze it. One process that tells many: convert it to read-only.
//! Workers that write their results: a `Region`, which the parent freezes once they ended and hands to the readers.
//!
//! What a holder may not do is absent from its type, and the kernel refuses it too, whatever the holder tries.
//!
//! # Starting programs
//! [`Command`] has the names and habits of [`std::process::Command`], and starts a program by `posix_spawn`: at the same
//! cost however much memory the parent uses. Where that can't tell of a program that couldn't be started (under valgrind and
//! qemu-user, on Android, OpenBSD and NetBSD) it forks. [`InheritExt`](os::unix::InheritExt) adds the same `inherit` to the standard
//! library's, and so to tokio's, at the price of a `fork`.
//!
//! # Claiming
//! What a child inherits is open to its own children too, until it is claimed: checked, made close-on-exec, owned. That
//! happens at [`claim`], or at the first use of this library that needs it; a program that also starts children by other
//! means calls it on the first line of its `main`.
//!
//! # Memory model
//! Another process may write a region while this one reads it. Rust has no `&[u8]` for such memory, so there is none here
//! but over a [`FrozenRegion`], whose bytes the kernel keeps as they are, and behind `unsafe`. What safe code does with the
//! others is sound whatever anybody else does to the same bytes, by other calls or of other sizes:
//!
//! - [`read_at`](ReadOnlyBytes::read_at) and [`write_at`](SharedBytes::write_at), and values of plain types with the
//!   feature `zerocopy`, copy. A copy may mix bytes from before and after another's write, and orders nothing.
//!   A sequence lock puts a fence of [`std::sync::atomic`] on each side of its copies, as `examples/sequence_lock.rs` does.
//! - [`SharedU32`] and [`SharedU64`] are numbers that are always read and written whole. `load` acquires, `store` releases,
//!   everything else is sequentially consistent: so what one process copied in before a `store`, another finds after a
//!   `load` that saw it.
//!
//! On x86-64 and aarch64 every access is a piece of inline assembly, so none is an access in the sense of Rust's memory
//! model, which calls it undefined when atomics of two sizes meet; the processors define it. On other processors every
//! access is made of atomics of a single size, 8 bytes.
//!
//! Bytes that somebody else can write are to be checked after they were copied out, never before.
//!
//! # Secrets
//! A region never has a name and is never on a disk, but for swap. Two doors stay: core dumps, which `no_dump` on a mapping
//! shuts, and processes of the *same user*, which find a holder's descriptors in `/proc` unless each holder calls
//! `os::linux::set_undumpable`. `SECURITY.md` has the whole of it.
//!
//! # Pitfalls
//! - `freeze` wants every writable mapping gone, in every process. A child that another thread forks at that moment holds
//!   one until it has become its program.
//! - Memory is used as it is touched, and a system that gives more than it has may end a process for it. `populate` takes it
//!   all at once, where an error can still be told.
//! - The size is fixed, so what opens a region by a path must not truncate it: in a shell `1<>`, not `>`.
//! - A launcher in between may close descriptors: Python's `subprocess` does, unless told `pass_fds`. The error in the child
//!   says so.
//! - A region in a directory ([`RegionOptions::unsealed_file_in`]) keeps none of the promises that rest on seals.
//!
//! # Features
//! - `zerocopy`: values of plain types in and out of a mapping, by zerocopy's traits.
//!
//! # Systems
//! - **Linux**, on every processor that Rust has it for, with glibc (2.29 or later) or musl. What each promise rests on there is in
//!   `SECURITY.md`; kernels before 6.3 can't refuse to execute a region, before 5.1 can't make one read-only, and before 3.17 have only
//!   unsealed files. Of 32 bits, a region of 2 GiB or more can't be made, but parts of one that came from elsewhere are mapped.
//! - **Windows**, 10 and later, where a descriptor is a handle. It keeps no seals: a region that was handed out for writing
//!   can be neither published nor frozen any more, and a child takes it from its parent that nobody writes what is frozen.
//!   Offsets of mappings are multiples of 64 KiB.
//! - **Android, macOS, FreeBSD, OpenBSD and NetBSD**: it builds for them and is not run by us.
//!
//! The README has the promises by their numbers; a *creator's word* is what a child can't check itself.
//!
//! | | tried | G1 no name | G2 only the heirs | G3, G8 read-only, frozen | G4 fixed size | G5 no program | G6 checked import | G7, G9, G10 | the command | the C library |
//! | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
//! | Linux x86-64, 32 bits; glibc, musl | run | yes | yes | yes | yes | yes | yes | yes | yes | glibc |
//! | Linux aarch64, s390x | run by an emulator | yes | yes | yes | yes | yes | yes | yes | built | built |
//! | Windows | run under Wine | yes | no `set_undumpable` | creator's word | yes | yes | yes | yes | `run`, `exec`, `list` | without NSPR |
//! | FreeBSD | linked | yes | yes | frozen alone | yes | no | yes | yes | no | no |
//! | macOS | linked | a name while it is made | yes | creator's word | yes | no | yes | yes | no | no |
//! | Android | checked | yes | yes | yes | yes | yes | yes | yes | no | no |
//! | OpenBSD, NetBSD | checked | a name while it is made | yes | no | no | no | without a size that is fixed | yes | no | no |
//!
//! The interface is the same everywhere, and what only some systems have is in [`os`]. `SECURITY.md` says for each system what
//! holds there and whose word it rests on.

mod access;
mod advice;
mod error;
mod mapping;
pub mod os;
pub mod process;
mod region;
mod sys;
mod transfer;

pub use access::{ReadOnlyBytes, SharedBytes, SharedU32, SharedU64};
pub use error::{ConvertError, Error, ErrorKind, Result};
pub use mapping::{CopyMapping, FrozenCopyMapping, FrozenMapping, Mapping, ReadOnlyMapping};
pub use process::{Child, Command, Stdio};
pub use region::{AnyRegion, AsRegion, FrozenOptions, FrozenRegion, ReadOnlyRegion, Region, RegionKind, RegionOptions};
pub use transfer::{ExportedRegion, Inherited, InheritedState, claim, inherited};

/// What the fuzzers in `fuzz/` reach into.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    /// The pairs of a value of `HEIRLOOM_REGIONS`, and what is wrong with it.
    #[must_use]
    pub fn variable(value: &str) -> (Vec<(String, String)>, Option<crate::Error>) {
        let (pairs, error) = crate::transfer::parse_variable(value);
        (pairs.into_iter().map(|(name, string)| (name, string.to_string())).collect(), error)
    }
}

/// The examples of the README are tried too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
