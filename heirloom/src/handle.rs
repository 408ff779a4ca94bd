//! What the three kinds of region have in common, written once.

/// Gives a kind of region all that doesn't depend on what its holder may do.
///
/// `$region` wraps an `Arc<Object>` and is of `$kind`; it maps as `$mapping` with `$protection`, and copy-on-write as
/// `$copy`. `$fresh` is an expression that makes one of 4096 bytes, for the examples.
macro_rules! handle {
    ($region:ident, $kind:ident, $mapping:ident by $protection:ident, $copy:ident, $fresh:literal) => {
        impl $region {
            #[doc = concat!("Maps it all, as a [`", stringify!($mapping), "`](crate::", stringify!($mapping), ").")]
            ///
            /// # Errors
            /// - [`ErrorKind::Sealed`](crate::ErrorKind::Sealed): a `Region` that somebody published or froze meanwhile.
            /// - [`ErrorKind::OutOfMemory`](crate::ErrorKind::OutOfMemory): the address space is full.
            ///
            /// ```
            /// # use heirloom::*;
            #[doc = concat!("let region = ", $fresh, ";")]
            /// let view = region.map()?;
            /// assert_eq!(view.len(), 4096);
            /// # Ok::<(), Error>(())
            /// ```
            pub fn map(&self) -> $crate::Result<$crate::$mapping> {
                self.0.map(crate::sys::Protection::$protection).map($crate::$mapping)
            }

            /// Maps a range of bytes; an open end is the region's own.
            ///
            /// # Errors
            /// As for `map`, and
            /// - [`ErrorKind::Misaligned`](crate::ErrorKind::Misaligned): the range's start is not a multiple of the page size
            ///   (2 MiB with huge pages).
            /// - [`ErrorKind::OutOfBounds`](crate::ErrorKind::OutOfBounds): the range ends behind the region's end.
            /// - [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput): the range is empty.
            ///
            /// ```
            /// # use heirloom::*;
            #[doc = concat!("let region = ", $fresh, ";")]
            /// let part = region.map_range(0..100)?;
            /// assert_eq!(part.len(), 100);
            /// assert!(region.map_range(4096..4097).is_err());
            /// # Ok::<(), Error>(())
            /// ```
            pub fn map_range(&self, range: impl std::ops::RangeBounds<u64>) -> $crate::Result<$crate::$mapping> {
                self.0.map_range(range, crate::sys::Protection::$protection).map($crate::$mapping)
            }

            /// Maps it all copy-on-write: what is written there nobody else sees. Seals are no obstacle.
            ///
            /// # Errors
            /// [`ErrorKind::OutOfMemory`](crate::ErrorKind::OutOfMemory): the address space is full.
            ///
            /// ```
            /// # use heirloom::*;
            #[doc = concat!("let region = ", $fresh, ";")]
            /// let mine = region.map_copy()?;
            /// assert_eq!(mine.len(), 4096);
            /// # Ok::<(), Error>(())
            /// ```
            pub fn map_copy(&self) -> $crate::Result<$crate::$copy> {
                self.0.map(crate::sys::Protection::CopyOnWrite).map($crate::$copy)
            }

            /// Maps a range of bytes copy-on-write.
            ///
            /// # Errors
            /// As for `map_range`; seals don't matter.
            ///
            /// ```
            /// # use heirloom::*;
            #[doc = concat!("let region = ", $fresh, ";")]
            /// let mine = region.map_copy_range(0..100)?;
            /// assert_eq!(mine.len(), 100);
            /// # Ok::<(), Error>(())
            /// ```
            pub fn map_copy_range(&self, range: impl std::ops::RangeBounds<u64>) -> $crate::Result<$crate::$copy> {
                self.0.map_range(range, crate::sys::Protection::CopyOnWrite).map($crate::$copy)
            }

            /// How many bytes it holds; it never changes.
            ///
            /// ```
            /// # use heirloom::*;
            #[doc = concat!("let region = ", $fresh, ";")]
            /// assert_eq!(region.size(), 4096);
            /// # Ok::<(), Error>(())
            /// ```
            #[must_use]
            pub fn size(&self) -> u64 {
                self.0.size()
            }

            #[doc = concat!("The `", stringify!($region), "` that this process's parent handed down under `name`.")]
            ///
            /// Each name can be taken once; clone the handle for more. The first call claims all that was inherited, see
            /// [`claim`](crate::claim()).
            ///
            /// # Errors
            /// - [`ErrorKind::NotInherited`](crate::ErrorKind::NotInherited): no such name; the message lists those there are.
            /// - [`ErrorKind::AlreadyTaken`](crate::ErrorKind::AlreadyTaken): an earlier call took it.
            /// - [`ErrorKind::WrongKind`](crate::ErrorKind::WrongKind): it is there, of another kind; it stays there.
            /// - [`ErrorKind::Mismatch`](crate::ErrorKind::Mismatch): the name is there, its descriptor is not: a
            ///   launcher in between closed it, or the variable was meant for an ancestor.
            /// - [`ErrorKind::Malformed`](crate::ErrorKind::Malformed): `HEIRLOOM_REGIONS` is not well-formed.
            ///
            /// ```
            /// # use heirloom::*;
            #[doc = concat!("let frames = match ", stringify!($region), "::inherited(\"frames\") {")]
            ///     // Started by hand, without a parent that hands anything down.
            #[doc = concat!("    Err(error) if error.kind() == ErrorKind::NotInherited => ", $fresh, ",")]
            ///     answer => answer?,
            /// };
            /// # assert_eq!(frames.size(), 4096);
            /// # Ok::<(), Error>(())
            /// ```
            pub fn inherited(name: &str) -> $crate::Result<Self> {
                Ok(Self(crate::inheritance::take(name, Some(stringify!($region)))?.0))
            }

            #[doc = concat!("The `", stringify!($region), "` that an export string names, over a descriptor of its own.")]
            ///
            /// The descriptor that the string names is checked before anything is done with it, and afterwards only made
            /// close-on-exec, unless it is standard input, output or error. The format is in `docs/format.md`.
            ///
            /// # Errors
            /// - [`ErrorKind::Malformed`](crate::ErrorKind::Malformed): it is no export string.
            /// - [`ErrorKind::WrongKind`](crate::ErrorKind::WrongKind): it names another kind of region.
            /// - [`ErrorKind::Mismatch`](crate::ErrorKind::Mismatch): what is open under that number, if anything,
            ///   is not exactly that region. Nothing was done to it.
            /// - [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors).
            ///
            /// ```
            /// # use heirloom::*;
            #[doc = concat!("let region = ", $fresh, ";")]
            /// let exported = region.export()?;
            #[doc = concat!("let again = ", stringify!($region), "::import(exported.as_str())?;")]
            /// assert_eq!(again.size(), 4096);
            /// # Ok::<(), Error>(())
            /// ```
            pub fn import(string: &str) -> $crate::Result<Self> {
                Ok(Self(crate::export::import(string, Some(stringify!($region)))?.0))
            }

            #[doc = concat!("Takes over the very descriptor that an export string names, as a `", stringify!($region), "`.")]
            ///
            /// # Errors
            /// As for `import`; then the descriptor is as it was.
            ///
            /// # Safety
            /// Nothing else in this process owns the descriptor of that number.
            ///
            /// ```
            /// # use heirloom::*;
            #[doc = concat!("let region = ", $fresh, ";")]
            /// let exported = region.export()?;
            /// let string = exported.to_string();
            /// // As if another process had handed the descriptor down: nothing here owns it any more.
            /// std::mem::forget(exported);
            /// // SAFETY: See above.
            #[doc = concat!("let again = unsafe { ", stringify!($region), "::import_owned(&string) }?;")]
            /// assert_eq!(again.size(), 4096);
            /// # Ok::<(), Error>(())
            /// ```
            #[allow(unsafe_code)]
            pub unsafe fn import_owned(string: &str) -> $crate::Result<Self> {
                // SAFETY: By the caller.
                Ok(Self(unsafe { crate::export::import_owned(string, Some(stringify!($region))) }?.0))
            }

            /// The string by which a child that is started in some other way can import this region, and a descriptor for
            /// it to inherit.
            ///
            /// The descriptor is close-on-exec: the launcher clears that in the child alone, as below, or as `posix_spawn`'s
            /// `adddup2` of a number onto itself does. After a plain `fork` it is there as it is. Where that is too much
            /// to ask of the launcher, there is `export_inheritable`. On Windows it makes the handle inheritable for the length
            /// of its `CreateProcess`, and lists it there.
            ///
            /// # Errors
            /// [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors).
            ///
            /// ```
            /// # #[cfg(unix)]
            /// # fn main() -> heirloom::Result<()> {
            /// # use heirloom::*;
            /// use std::os::fd::{AsFd, AsRawFd};
            /// use std::os::unix::process::CommandExt;
            ///
            #[doc = concat!("let region = ", $fresh, ";")]
            /// let exported = region.export()?;
            /// let number = exported.as_fd().as_raw_fd();
            /// let mut command = std::process::Command::new("true");
            /// command.env("REGION", exported.as_str());
            /// // SAFETY: One system call between fork and exec, on a descriptor that lives until then.
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
                crate::export::export(&self.0, self.kind())
            }

            /// The same, over a descriptor that **every child inherits that anyone in this process starts**, for as long
            /// as the answer lives. (On Windows, but for who lists what a child inherits, as this library's `Command` does.)
            ///
            /// # Errors
            /// [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors).
            ///
            /// ```
            /// # use heirloom::*;
            #[doc = concat!("let region = ", $fresh, ";")]
            /// let exported = region.export_inheritable()?;
            /// let status = std::process::Command::new("true").env("REGION", exported.as_str()).status();
            /// drop(exported); // children started from now on don't get it
            /// # assert!(status.unwrap().success());
            /// # Ok::<(), Error>(())
            /// ```
            pub fn export_inheritable(&self) -> $crate::Result<$crate::ExportedRegion> {
                crate::export::export_inheritable(&self.0, self.kind())
            }
        }

        /// Takes a descriptor from elsewhere, if the kernel says that it is memory of that kind, with its seals; makes it
        /// close-on-exec. Otherwise it comes back: [`ErrorKind::Mismatch`](crate::ErrorKind::Mismatch), or
        /// [`ErrorKind::WrongKind`](crate::ErrorKind::WrongKind) for a `Region` that was published or frozen. A file in a
        /// directory is never taken.
        impl TryFrom<crate::sys::Owned> for $region {
            type Error = $crate::ConvertError<crate::sys::Owned>;

            fn try_from(descriptor: crate::sys::Owned) -> $crate::Result<Self, Self::Error> {
                crate::object::receive(descriptor, $crate::RegionKind::$kind).map(|object| Self(object.into()))
            }
        }

        /// Gives up the descriptor itself where this is the only handle, and a duplicate where it isn't, which may fail
        /// for lack of descriptors.
        impl TryFrom<$region> for crate::sys::Owned {
            type Error = $crate::Error;

            fn try_from(region: $region) -> $crate::Result<Self> {
                crate::object::give_up(region.0)
            }
        }

        /// Tells name, size and kind, never the bytes.
        impl std::fmt::Debug for $region {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.debug(f, stringify!($region), self.kind())
            }
        }

        impl crate::as_region::Sealed for $region {
            fn object(&self) -> &std::sync::Arc<crate::object::Object> {
                &self.0
            }

            fn kind(&self) -> $crate::RegionKind {
                self.kind()
            }
        }

        impl $crate::AsRegion for $region {}
    };
}

pub(crate) use handle;
