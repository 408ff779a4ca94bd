//! Secret regions.

use std::fmt;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use crate::mapping::MappingInner;
use crate::region::{self, RegionInner, check_size};
use crate::sys::{self, Failure, Protection};
use crate::transfer::{claim_quietly, receive, take};
use crate::{AsRegion, ConvertError, Error, RegionKind, Result, SharedBytes};

/// Memory that the kernel shows to its holders only, for keys and passwords.
///
/// Its pages are in no map of the kernel, so no process reads or writes them through another one, root included: not by
/// `/proc/PID/mem`, `ptrace` or `process_vm_readv`. They are never swapped, in no core dump, and no device reads them; the system
/// can't hibernate while a secret region exists. No path opens it, and the size is fixed. See
/// [memfd_secret(2)](https://man7.org/linux/man-pages/man2/memfd_secret.2.html).
///
/// The descriptor is what another process can still take, by `pidfd_getfd`. [`map`](Self::map) therefore consumes the region
/// and closes it. A parent names the region on a command first, then maps and fills it, and drops the command once the child
/// has started:
///
/// ```
/// use heirloom::os::linux::SecretRegion;
/// use heirloom::{Command, ErrorKind};
///
/// let key = match SecretRegion::create(32) {
///     Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(eprintln!("{error}")),
///     result => result?,
/// };
/// let mut command = Command::new("true");
/// command.inherit("key", &key)?;
/// key.map()?.write_at(0, &[7; 32])?;
/// let mut child = command.spawn()?;
/// drop(command); // the last descriptor of this process
/// # child.wait()?;
/// # Ok::<(), heirloom::Error>(())
/// ```
/// ```no_run
/// // In the child:
/// let key = heirloom::os::linux::SecretRegion::inherited("key")?.map()?;
/// # Ok::<(), heirloom::Error>(())
/// ```
///
/// # What it does not keep
/// - **Every holder can write it.** The kernel has no seals for it, so it can't be made read-only or frozen. A
///   [`FrozenRegion`](crate::FrozenRegion) is for bytes that no child may change, for programs that open a path, and for other
///   systems.
/// - **A holder isn't protected from itself.** A read beyond a buffer in its own code reaches these bytes too, and every copy
///   that it makes (on its stack, in a buffer, in a pipe) is ordinary memory. Read a secret straight into the mapping.
/// - **Whoever may trace a holder can make it read the bytes out**, by changing its registers. [`set_undumpable`] in each
///   holder prevents this and `pidfd_getfd`, except for root.
/// - **Until it is mapped, the descriptor can be taken** from this process, from one that has a command with it, and from the
///   child.
/// - **Root** can load code into the kernel.
///
/// A process maps as much of it as it may lock in memory (`RLIMIT_MEMLOCK`, 8 MiB by default). Calls that hand pages to the
/// kernel or a device (`O_DIRECT`, `vmsplice`, fixed buffers of `io_uring`, futexes) fail with such memory; `read` and `write`
/// don't.
///
/// [`set_undumpable`]: super::set_undumpable
pub struct SecretRegion(Arc<RegionInner>);

impl SecretRegion {
    /// Creates a secret region of `size` bytes, zeroed and close-on-exec.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput): a size of 0.
    /// - [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge): the size exceeds `isize::MAX` or this process's limit (`ulimit -f`).
    ///   `RLIMIT_MEMLOCK` counts when it is mapped.
    /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): a kernel before 5.14, one that was booted with
    ///   `secretmem.enable=0` (before 6.5: without `secretmem.enable=1`), a processor for which it has no such memory, or a
    ///   sandbox that forbids the call.
    /// - [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors).
    ///
    /// ```
    /// use heirloom::ErrorKind;
    /// use heirloom::os::linux::SecretRegion;
    ///
    /// match SecretRegion::create(32) {
    ///     Ok(key) => assert_eq!(key.size(), 32),
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}"),
    /// }
    /// ```
    pub fn create(size: u64) -> Result<Self> {
        check_size(size, "a secret region")?;
        claim_quietly();
        let create = || {
            let memory = sys::create_secret(size)?;
            let status = memory.status()?;
            Ok(Self(Arc::new(RegionInner::with_status(memory, RegionKind::Secret, &status))))
        };
        create().map_err(|failure: Failure| {
            Error::system(format_args!("cannot create a secret region of {size} bytes"), failure)
        })
    }

    /// Takes the secret region that the parent process passed to this one under `name`.
    ///
    /// # Errors
    /// As for [`Region::inherited`](crate::Region::inherited).
    ///
    /// ```
    /// use heirloom::ErrorKind;
    /// use heirloom::os::linux::SecretRegion;
    ///
    /// match SecretRegion::inherited("key") {
    ///     Ok(key) => println!("{} bytes", key.map()?.len()),
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::NotInherited),
    /// }
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn inherited(name: &str) -> Result<Self> {
        Ok(Self(take(name, Some(RegionKind::Secret.type_name()))?.0))
    }

    /// Maps the whole region, and closes its descriptor.
    ///
    /// A command that the region was named on has the descriptor until it is dropped.
    ///
    /// # Errors
    /// The region comes back by [`ConvertError::into_inner`].
    /// - [`ErrorKind::OutOfMemory`](crate::ErrorKind::OutOfMemory): this process would lock more memory than `RLIMIT_MEMLOCK`
    ///   allows (the message has the limit; a process with `CAP_IPC_LOCK` has none), or the address space is full.
    ///
    /// ```
    /// use heirloom::ErrorKind;
    /// use heirloom::os::linux::SecretRegion;
    ///
    /// let key = match SecretRegion::create(32) {
    ///     Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(eprintln!("{error}")),
    ///     result => result?.map()?,
    /// };
    /// key.write_at(0, b"hunter2")?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn map(self) -> Result<SecretMapping, ConvertError<Self>> {
        match self.0.map(Protection::Shared) {
            Ok(mapping) => Ok(SecretMapping(mapping)),
            Err(error) => Err(ConvertError::new(error, self)),
        }
    }

    /// Returns the size in bytes, which never changes.
    ///
    /// ```
    /// use heirloom::os::linux::SecretRegion;
    ///
    /// if let Ok(key) = SecretRegion::create(32) {
    ///     assert_eq!(key.size(), 32);
    /// }
    /// ```
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.size()
    }
}

impl region::Sealed for SecretRegion {
    fn inner(&self) -> &Arc<RegionInner> {
        &self.0
    }

    fn kind(&self) -> RegionKind {
        RegionKind::Secret
    }
}

impl AsRegion for SecretRegion {}

impl AsFd for SecretRegion {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for SecretRegion {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// Takes a descriptor that arrived by other means, and sets close-on-exec.
///
/// The kernel must report secret memory whose size is set. Otherwise the descriptor comes back, with
/// [`ErrorKind::Mismatch`](crate::ErrorKind::Mismatch).
impl TryFrom<OwnedFd> for SecretRegion {
    type Error = ConvertError<OwnedFd>;

    fn try_from(descriptor: OwnedFd) -> Result<Self, Self::Error> {
        receive(descriptor, Some(RegionKind::Secret)).map(|(inner, _)| Self(inner))
    }
}

/// Returns the descriptor, or a duplicate if a command has it too.
impl TryFrom<SecretRegion> for OwnedFd {
    type Error = Error;

    fn try_from(region: SecretRegion) -> Result<Self> {
        region.0.into_descriptor()
    }
}

/// Shows the size, never the bytes.
impl fmt::Debug for SecretRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug(f, "SecretRegion", RegionKind::Secret)
    }
}

/// A mapping of a [`SecretRegion`]: every holder sees its writes.
///
/// It dereferences to [`SharedBytes`], which has the methods, and is in no core dump. The kernel clears the bytes when the last
/// holder is gone.
///
/// ```
/// use heirloom::os::linux::SecretRegion;
///
/// if let Ok(region) = SecretRegion::create(32) {
///     let key = region.map()?;
///     key.write_at(0, b"hunter2")?;
///     assert_eq!(&key.to_vec()[..7], b"hunter2"); // an ordinary copy: avoid it
/// }
/// # Ok::<(), heirloom::Error>(())
/// ```
///
/// No other process can wake who waits for a number in it, so it has no `wait`:
/// ```compile_fail,E0599
/// let key = heirloom::os::linux::SecretRegion::create(32)?.map()?;
/// key.wait(0, 0)?;
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use = "dropping a mapping unmaps it"]
pub struct SecretMapping(MappingInner);

impl Deref for SecretMapping {
    type Target = SharedBytes;

    fn deref(&self) -> &SharedBytes {
        &self.0.bytes
    }
}

/// Shows address and length, never the bytes.
impl fmt::Debug for SecretMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretMapping").field("address", &self.as_ptr()).field("len", &self.len()).finish()
    }
}
