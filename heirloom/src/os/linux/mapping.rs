//! Huge pages for a mapping, forks without it, and a mapping for ever.

use std::time::Duration;

use crate::os::unix::sealed::Sealed;
use crate::sys::Protection;
use crate::{ConvertError, FrozenMapping, Mapping, ReadOnlyMapping, Result};

/// Extends the mappings that share their memory by what Linux offers.
///
/// ```
/// use std::time::Duration;
///
/// use heirloom::os::linux::MappingExt;
/// use heirloom::{ErrorKind, Region};
///
/// let mut table = Region::create(16 << 20)?.map()?;
/// match table.use_huge_pages(Duration::from_millis(50)) {
///     Ok(bytes) => println!("{bytes} of {} bytes are in huge pages", table.len()),
///     Err(error) if error.kind() == ErrorKind::Unsupported => eprintln!("{error}"),
///     Err(error) => return Err(error),
/// }
/// table.write_at(0, b"filled with few page faults")?;
/// # Ok::<(), heirloom::Error>(())
/// ```
pub trait MappingExt: Sealed {
    /// Puts the bytes into huge pages of 2 MiB, as far as the kernel has them, and returns how many bytes are in huge pages.
    ///
    /// No pool is needed, and every seal holds. A page that has no memory yet gets it, as by a first touch. A region's pages
    /// are huge for all its holders; each mapping that calls this has them in one step, and is faster afterwards than by
    /// ordinary pages. Call it before the region is filled: to collapse pages that are there, the kernel copies them.
    ///
    /// The kernel takes one block of 2 MiB after the other. Where free memory is fragmented, or the host of a virtual machine
    /// has taken it back, a block can take many times as long as its ordinary pages, which take about a millisecond. So no
    /// further one is begun after `limit`: 0.2 ms for each MiB bound the loss to less than half of the ordinary time
    /// (`bench/run touch` compares them). A block that isn't whole, at the end of a region for example, stays in ordinary
    /// pages.
    ///
    /// The mapping moves to an address that suits huge pages: pointers into it become invalid. Don't lock, protect or advise
    /// a part of it before, or the kernel may refuse to move it, or move a part. See `MADV_COLLAPSE` in
    /// [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html).
    ///
    /// # Errors
    /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): a kernel before 6.1, without transparent huge pages or
    ///   with ordinary pages of more than 4 KiB; a file on a disk; huge pages of the pool.
    /// - [`ErrorKind::OutOfMemory`](crate::ErrorKind::OutOfMemory): the address space is full.
    ///
    /// The mapping can be used after an error as before.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use heirloom::FrozenRegion;
    /// use heirloom::os::linux::MappingExt;
    ///
    /// let mut text = FrozenRegion::from_bytes(b"less than 2 MiB")?.map()?;
    /// assert_eq!(text.use_huge_pages(Duration::from_secs(1))?, 0);
    /// assert_eq!(&*text, b"less than 2 MiB");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    fn use_huge_pages(&mut self, limit: Duration) -> Result<usize>;

    /// Leaves this mapping out of every process that fork(2) makes of this one from now on.
    ///
    /// Such a process then holds no memory by it, and isn't a writer that makes [`Region::freeze`](crate::Region::freeze) fail,
    /// as for the mapping that [`Region::into_read_only`](crate::Region::into_read_only) returns. It still has the descriptors
    /// of this process and its other mappings. A child of [`Command`](crate::Command) never has a mapping. See
    /// `MADV_DONTFORK` in [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html).
    ///
    /// # Errors
    /// - [`ErrorKind::OutOfMemory`](crate::ErrorKind::OutOfMemory): this process has as many mappings as the kernel allows.
    /// - [`ErrorKind::System`](crate::ErrorKind::System): the kernel refused.
    ///
    /// # Safety
    /// A process that any code forks from this one from now on neither accesses nor drops the mapping, until it executes a
    /// program or ends. What it inherits is a value whose pages are missing. An access is a SIGSEGV at first, but later memory
    /// of that process may get the same addresses: then the access reads or writes that, and a drop unmaps it.
    ///
    /// Without this call, a forked process may use a mapping, and code that forks can rely on that. So it is this call that
    /// is unsafe, and not only the fork.
    ///
    /// ```
    /// use heirloom::Region;
    /// use heirloom::os::linux::MappingExt;
    ///
    /// let (region, writer) = Region::create(4096)?.into_read_only()?;
    /// // SAFETY: This program starts other programs only.
    /// unsafe { writer.exclude_from_fork() }?;
    /// writer.write_at(0, b"news")?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[allow(unsafe_code)]
    unsafe fn exclude_from_fork(&self) -> Result<()>;

    /// Seals this mapping **for ever**: until the process ends or executes another program, nothing in it can unmap, replace,
    /// move, or change the protection of any of its pages, whatever goes wrong in the process.
    ///
    /// The mapping is never dropped, so its memory stays. The kernel refuses `munmap`, `mmap` with `MAP_FIXED`, `mremap` and
    /// `mprotect` of these addresses with `EPERM`, and of no others. A forked process has the sealed mapping too, unless it
    /// was excluded before. The bytes can change as before: by this mapping if it allows writing, and by other holders. While
    /// a writable mapping is there, the region can't be frozen.
    ///
    /// See [mseal](https://docs.kernel.org/userspace-api/mseal.html).
    ///
    /// # Errors
    /// The mapping comes back by [`ConvertError::into_inner`].
    /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): a kernel before 6.10, a 32-bit one, or a sandbox that forbids
    ///   the call or pretends that it succeeded.
    /// - [`ErrorKind::OutOfMemory`](crate::ErrorKind::OutOfMemory): this process has as many mappings as the kernel allows.
    ///
    /// ```
    /// use heirloom::os::linux::MappingExt;
    /// use heirloom::{ErrorKind, FrozenRegion};
    ///
    /// let policy = FrozenRegion::from_bytes(b"deny all")?.map()?;
    /// let policy: &'static [u8] = match policy.seal_for_ever() {
    ///     Ok(sealed) => sealed,
    ///     // Go on without the seal.
    ///     Err(failed) if failed.error().kind() == ErrorKind::Unsupported => Box::leak(Box::new(failed.into_inner())),
    ///     Err(failed) => return Err(failed.into()),
    /// };
    /// assert_eq!(policy, b"deny all");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    fn seal_for_ever(self) -> Result<&'static Self, ConvertError<Self>>
    where
        Self: Sized;
}

macro_rules! extend {
    ($($mapping:ident by $protection:ident),+) => {
        $(
            impl Sealed for $mapping {}

            impl MappingExt for $mapping {
                fn use_huge_pages(&mut self, limit: Duration) -> Result<usize> {
                    self.0.use_huge_pages(limit)
                }

                #[allow(unsafe_code)]
                unsafe fn exclude_from_fork(&self) -> Result<()> {
                    // SAFETY: The caller guarantees it.
                    unsafe { self.0.exclude_from_fork() }
                }

                fn seal_for_ever(self) -> Result<&'static Self, ConvertError<Self>> {
                    match self.0.seal(Protection::$protection) {
                        Ok(()) => Ok(Box::leak(Box::new(self))),
                        Err(error) => Err(ConvertError::new(error, self)),
                    }
                }
            }
        )+
    };
}

extend!(Mapping by Shared, ReadOnlyMapping by ReadOnly, FrozenMapping by ReadOnly);
