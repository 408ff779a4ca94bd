//! What the three region types have in common.

/// Implements the calls that every region type has.
///
/// `$region` wraps an `Arc<RegionInner>` and is of `$kind`. It maps as `$mapping` with `$protection`, and copy-on-write as
/// `$copy`. `$fresh` is an expression for a region of 4096 bytes, for the examples.
macro_rules! handle {
    ($region:ident, $kind:ident, $mapping:ident by $protection:ident, $copy:ident, $fresh:literal) => {
        impl $region {
            #[doc = concat!("Maps the whole region as a [`", stringify!($mapping), "`](crate::", stringify!($mapping), ").")]
            ///
            /// # Errors
            /// - [`ErrorKind::Sealed`](crate::ErrorKind::Sealed): another holder made a `Region` read-only or froze it.
            /// - [`ErrorKind::OutOfMemory`](crate::ErrorKind::OutOfMemory): the address space is full.
            ///
            /// ```
            /// use heirloom::*;
            ///
            #[doc = concat!("let region = ", $fresh, ";")]
            /// let view = region.map()?;
            /// assert_eq!(view.len(), 4096);
            /// # Ok::<(), Error>(())
            /// ```
            pub fn map(&self) -> $crate::Result<$crate::$mapping> {
                self.0.map(crate::sys::Protection::$protection).map($crate::$mapping)
            }

            /// Maps a range of bytes of the region.
            ///
            /// # Errors
            /// As for `map`, and
            /// - [`ErrorKind::Misaligned`](crate::ErrorKind::Misaligned): the start is not a multiple of the page size (of
            ///   2 MiB with huge pages, of 64 KiB on Windows).
            /// - [`ErrorKind::OutOfBounds`](crate::ErrorKind::OutOfBounds): the range exceeds the region.
            /// - [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput): the range is empty.
            ///
            /// ```
            /// use heirloom::*;
            ///
            #[doc = concat!("let region = ", $fresh, ";")]
            /// let header = region.map_range(..100)?;
            /// assert_eq!(header.len(), 100);
            /// assert!(region.map_range(4096..4097).is_err());
            /// # Ok::<(), Error>(())
            /// ```
            pub fn map_range(&self, range: impl std::ops::RangeBounds<u64>) -> $crate::Result<$crate::$mapping> {
                self.0.map_range(range, crate::sys::Protection::$protection).map($crate::$mapping)
            }

            /// Maps the whole region copy-on-write: no other mapping sees what is written to this one. Seals allow it.
            ///
            /// # Errors
            /// [`ErrorKind::OutOfMemory`](crate::ErrorKind::OutOfMemory): the address space is full.
            ///
            /// ```
            /// use heirloom::*;
            ///
            #[doc = concat!("let region = ", $fresh, ";")]
            /// let private = region.map_copy()?;
            /// assert_eq!(private.len(), 4096);
            /// # Ok::<(), Error>(())
            /// ```
            pub fn map_copy(&self) -> $crate::Result<$crate::$copy> {
                self.0.map(crate::sys::Protection::CopyOnWrite).map($crate::$copy)
            }

            /// Maps a range of bytes of the region copy-on-write. Seals allow it.
            ///
            /// # Errors
            /// As for `map_range`, but for `Sealed`.
            ///
            /// ```
            /// use heirloom::*;
            ///
            #[doc = concat!("let region = ", $fresh, ";")]
            /// let private = region.map_copy_range(..100)?;
            /// assert_eq!(private.len(), 100);
            /// # Ok::<(), Error>(())
            /// ```
            pub fn map_copy_range(&self, range: impl std::ops::RangeBounds<u64>) -> $crate::Result<$crate::$copy> {
                self.0.map_range(range, crate::sys::Protection::CopyOnWrite).map($crate::$copy)
            }

            /// Returns the size in bytes, which never changes.
            ///
            /// ```
            /// use heirloom::*;
            ///
            #[doc = concat!("let region = ", $fresh, ";")]
            /// assert_eq!(region.size(), 4096);
            /// # Ok::<(), Error>(())
            /// ```
            #[must_use]
            pub fn size(&self) -> u64 {
                self.0.size()
            }

            #[doc = concat!("Takes the `", stringify!($region), "` that the parent process passed to this one under `name`.")]
            ///
            /// Each name can be taken once; clone the handle for more. The first call claims every inherited region, see
            /// [`claim`](crate::claim()). A program that starts others by other means than this library first removes the
            /// variable, see [`unset_variable`](crate::unset_variable()): they would find a name without its region, which is
            /// `Mismatch`.
            ///
            /// # Errors
            /// - [`ErrorKind::NotInherited`](crate::ErrorKind::NotInherited): no inherited region has this name; the message
            ///   lists the names.
            /// - [`ErrorKind::AlreadyTaken`](crate::ErrorKind::AlreadyTaken): an earlier call took it.
            /// - [`ErrorKind::WrongKind`](crate::ErrorKind::WrongKind): the region has another kind; it can still be taken.
            /// - [`ErrorKind::Mismatch`](crate::ErrorKind::Mismatch): the descriptor is missing, since a launcher closed it or
            ///   the variable was meant for an ancestor.
            /// - [`ErrorKind::Malformed`](crate::ErrorKind::Malformed): `HEIRLOOM_REGIONS` is malformed.
            ///
            /// ```
            /// use heirloom::*;
            ///
            #[doc = concat!("let frames = match ", stringify!($region), "::inherited(\"frames\") {")]
            ///     // Started by hand, without a parent that passes a region.
            #[doc = concat!("    Err(error) if error.kind() == ErrorKind::NotInherited => ", $fresh, ",")]
            ///     result => result?,
            /// };
            /// # assert_eq!(frames.size(), 4096);
            /// # Ok::<(), Error>(())
            /// ```
            pub fn inherited(name: &str) -> $crate::Result<Self> {
                Ok(Self(crate::transfer::take(name, Some(stringify!($region)))?.0))
            }

            #[doc = concat!("Imports the `", stringify!($region), "` that an export string names, over a duplicate descriptor.")]
            ///
            /// It validates the named descriptor first; on a mismatch the descriptor is untouched. Then it sets close-on-exec
            /// on it, unless it is a standard stream. `docs/format.md` specifies the format.
            ///
            /// # Errors
            /// - [`ErrorKind::Malformed`](crate::ErrorKind::Malformed): the string is not an export string.
            /// - [`ErrorKind::WrongKind`](crate::ErrorKind::WrongKind): the string names another kind of region.
            /// - [`ErrorKind::Mismatch`](crate::ErrorKind::Mismatch): the descriptor is closed, or is not exactly that region.
            /// - [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors).
            ///
            /// ```
            /// use heirloom::*;
            ///
            #[doc = concat!("let region = ", $fresh, ";")]
            /// let exported = region.export()?;
            #[doc = concat!("let imported = ", stringify!($region), "::import(exported.as_str())?;")]
            /// assert_eq!(imported.size(), 4096);
            /// # Ok::<(), Error>(())
            /// ```
            pub fn import(string: &str) -> $crate::Result<Self> {
                Ok(Self(crate::transfer::import(string, Some(stringify!($region)))?.0))
            }

            #[doc = concat!("Imports the `", stringify!($region), "` that an export string names, and takes over the named descriptor.")]
            ///
            /// # Errors
            /// As for `import`; the descriptor is then untouched.
            ///
            /// # Safety
            /// Nothing else in this process owns the descriptor of that number.
            ///
            /// ```
            /// use heirloom::*;
            ///
            #[doc = concat!("let region = ", $fresh, ";")]
            /// let exported = region.export()?;
            /// let string = exported.to_string();
            /// std::mem::forget(exported);
            /// // SAFETY: The forgotten export no longer owns the descriptor, and nothing else does.
            #[doc = concat!("let imported = unsafe { ", stringify!($region), "::import_owned(&string) }?;")]
            /// assert_eq!(imported.size(), 4096);
            /// # Ok::<(), Error>(())
            /// ```
            #[allow(unsafe_code)]
            pub unsafe fn import_owned(string: &str) -> $crate::Result<Self> {
                // SAFETY: The caller guarantees that nothing else owns the descriptor.
                Ok(Self(unsafe { crate::transfer::import_owned(string, Some(stringify!($region))) }?.0))
            }

            /// Returns an export string and a descriptor for a child to inherit, for launchers other than
            /// [`Command`](crate::Command).
            ///
            /// A child doesn't inherit this descriptor by itself; most programs want `Command::inherit` or `export_inheritable`.
            ///
            /// The descriptor is close-on-exec. The launcher clears the flag in the child alone: as below, or by
            /// `posix_spawn_file_actions_adddup2` of the number onto itself. A plain `fork` keeps the descriptor. If the launcher can do
            /// neither, use `export_inheritable`. On Windows, the launcher makes the handle inheritable for the length of its
            /// `CreateProcess` and lists it there.
            ///
            /// # Errors
            /// [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors).
            ///
            /// ```
            /// # #[cfg(unix)]
            /// # fn main() -> heirloom::Result<()> {
            /// use std::os::fd::{AsFd, AsRawFd};
            /// use std::os::unix::process::CommandExt;
            ///
            /// use heirloom::*;
            ///
            #[doc = concat!("let region = ", $fresh, ";")]
            /// let exported = region.export()?;
            /// let number = exported.as_fd().as_raw_fd();
            /// let mut command = std::process::Command::new("true");
            /// command.env("REGION", exported.as_str());
            /// // SAFETY: The closure makes one system call, on a descriptor that outlives the spawn.
            /// unsafe {
            ///     command.pre_exec(move || match libc::fcntl(number, libc::F_SETFD, 0) {
            ///         0 => Ok(()),
            ///         _ => Err(std::io::Error::last_os_error()),
            ///     });
            /// }
            /// assert!(command.status().is_ok_and(|status| status.success()));
            /// # Ok(())
            /// # }
            /// # #[cfg(not(unix))]
            /// # fn main() {}
            /// ```
            pub fn export(&self) -> $crate::Result<$crate::ExportedRegion> {
                crate::transfer::export(&self.0, self.kind())
            }

            /// Returns an export string and a descriptor that **every child of this process inherits**, whoever starts it,
            /// until the returned value is dropped.
            ///
            /// On Windows, a launcher that lists the inherited handles, such as [`Command`](crate::Command), doesn't pass it.
            ///
            /// # Errors
            /// [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors).
            ///
            /// ```
            /// use heirloom::*;
            ///
            #[doc = concat!("let region = ", $fresh, ";")]
            /// let exported = region.export_inheritable()?;
            /// let status = std::process::Command::new("true").env("REGION", exported.as_str()).status();
            /// drop(exported); // later children don't inherit it
            /// # assert!(status.unwrap().success());
            /// # Ok::<(), Error>(())
            /// ```
            pub fn export_inheritable(&self) -> $crate::Result<$crate::ExportedRegion> {
                crate::transfer::export_inheritable(&self.0, self.kind())
            }
        }

        /// Takes a descriptor that arrived by other means, and sets close-on-exec.
        ///
        /// The kernel must report memory of this kind with its seals. Otherwise the descriptor comes back, with
        /// [`ErrorKind::Mismatch`](crate::ErrorKind::Mismatch), or [`ErrorKind::WrongKind`](crate::ErrorKind::WrongKind) for a
        /// `Region` that is read-only or frozen. A file in a directory is never accepted.
        impl TryFrom<crate::sys::Owned> for $region {
            type Error = $crate::ConvertError<crate::sys::Owned>;

            fn try_from(descriptor: crate::sys::Owned) -> $crate::Result<Self, Self::Error> {
                crate::transfer::receive(descriptor, Some($crate::RegionKind::$kind)).map(|(inner, _)| Self(inner))
            }
        }

        /// Returns the descriptor if this is the only handle, and a duplicate otherwise, which fails if the process can
        /// open no more descriptors.
        ///
        /// A program that reads a file from its descriptor starts at the file offset, which is 0 in a new region. All
        /// duplicates of a descriptor share it, in other processes too.
        impl TryFrom<$region> for crate::sys::Owned {
            type Error = $crate::Error;

            fn try_from(region: $region) -> $crate::Result<Self> {
                region.0.into_descriptor()
            }
        }

        /// Shows name, size and kind, never the bytes.
        impl std::fmt::Debug for $region {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.debug(f, stringify!($region), self.kind())
            }
        }

        impl super::as_region::Sealed for $region {
            fn inner(&self) -> &std::sync::Arc<RegionInner> {
                &self.0
            }

            fn kind(&self) -> $crate::RegionKind {
                self.kind()
            }
        }

        impl super::as_region::AsRegion for $region {}
    };
}

pub(crate) use handle;
