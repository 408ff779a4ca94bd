use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::inner::RegionInner;
use super::name::check_name;
use super::size::check_size;
use crate::sys::{self, Commit, Failure, Memory};
use crate::transfer::claim_quietly;
use crate::{Error, ErrorKind, Region, RegionKind, Result};

/// Options for a new [`Region`]; from [`Region::options`].
///
/// ```
/// use heirloom::Region;
///
/// let frames = Region::options().name("frames").populate(true).create(1 << 20)?;
/// # assert_eq!(frames.size(), 1 << 20);
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RegionOptions {
    name: Option<String>,
    populate: bool,
    huge_pages: bool,
    directory: Option<PathBuf>,
}

impl RegionOptions {
    /// Sets a name for debugging, which Linux shows as `/memfd:heirloom/NAME`. Nothing can be opened by it.
    ///
    /// It has 1 to 240 bytes and no NUL. It is independent of the name under which a child inherits the region.
    ///
    /// ```
    /// let region = heirloom::Region::options().name("frames").create(4096)?;
    /// assert!(format!("{region:?}").contains("frames"));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn name(&mut self, name: impl Into<String>) -> &mut Self {
        self.name = Some(name.into());
        self
    }

    /// Sets whether to allocate all the memory at once.
    ///
    /// `create` then fails if there is too little memory, and every mapping of this handle has all its pages from the
    /// start, so no first touch costs a page fault.
    ///
    /// ```
    /// let region = heirloom::Region::options().populate(true).create(1 << 20)?;
    /// # assert_eq!(region.size(), 1 << 20);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn populate(&mut self, populate: bool) -> &mut Self {
        self.populate = populate;
        self
    }

    /// Sets whether to use huge pages of 2 MiB.
    ///
    /// `create` takes them from the system's pool (`vm.nr_hugepages`) and fails if too few are free. The size and the offsets
    /// of mappings must be multiples of 2 MiB. On Windows the user needs the privilege to lock pages in memory, and a region
    /// takes one page more.
    ///
    /// Linux has huge pages without a pool as well: see `MappingExt::use_huge_pages` in `os::linux`.
    ///
    /// Two guarantees are weaker. While the region is writable, any holder can return pages to the pool and use them up; a
    /// touch of such a page then kills the process, so pass it read-only or frozen to a child that may turn hostile. And
    /// the kernel lets any holder make it executable.
    ///
    /// ```
    /// use heirloom::{ErrorKind, Region};
    ///
    /// let region = match Region::options().huge_pages(true).create(2 << 20) {
    ///     // Too few huge pages are free, or the system has none: use ordinary pages.
    ///     Err(error) if matches!(error.kind(), ErrorKind::OutOfMemory | ErrorKind::Unsupported) => Region::create(2 << 20)?,
    ///     result => result?,
    /// };
    /// # assert_eq!(region.size(), 2 << 20);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn huge_pages(&mut self, huge_pages: bool) -> &mut Self {
        self.huge_pages = huge_pages;
        self
    }

    /// Stores the region in an unnamed file in `directory` instead of anonymous memory.
    ///
    /// This is for systems and sandboxes without anonymous memory, and for regions that belong on a disk. `create` reserves
    /// the space.
    ///
    /// The kernel can't seal a file. So the region can't be made read-only or frozen, **any holder can change its size** and
    /// thereby kill the others by `SIGBUS`, and if the directory is on a disk, so are the bytes. Windows has no unnamed
    /// files: there `create` returns [`ErrorKind::Unsupported`].
    ///
    /// ```
    /// use heirloom::{RegionKind, Region};
    ///
    /// let region = Region::options().unsealed_file_in("/dev/shm").create(4096)?;
    /// assert_eq!(region.kind(), RegionKind::Unsealed);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn unsealed_file_in(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Creates a region of `size` bytes, zeroed and close-on-exec.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidInput`]: a size of 0; with huge pages, a size that is not a multiple of 2 MiB; a bad name; huge
    ///   pages in a directory.
    /// - [`ErrorKind::TooLarge`]: the size exceeds `isize::MAX` or this process's limit (`ulimit -f`). On Linux, a process
    ///   that sets a limit after it has created a region without one gets SIGXFSZ instead.
    /// - [`ErrorKind::OutOfMemory`]: there is too little memory, disk space or huge pages to reserve.
    /// - [`ErrorKind::OutOfDescriptors`].
    /// - [`ErrorKind::Unsupported`]: this system or sandbox has no anonymous memory, or no huge pages, or the directory's
    ///   file system has no unnamed files.
    ///
    /// ```
    /// let region = heirloom::Region::options().create(4096)?;
    /// # assert_eq!(region.size(), 4096);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn create(&self, size: u64) -> Result<Region> {
        check_size(size, "a region")?;
        let refused = |why: &str| {
            Err(Error::new(ErrorKind::InvalidInput, format!("cannot create a region of {size} bytes: {why}")))
        };
        if self.huge_pages && self.directory.is_some() {
            return refused("a file in a directory can't use huge pages");
        }
        if self.huge_pages && size % sys::HUGE_PAGE != 0 {
            return refused("with huge pages, the size must be a multiple of 2 MiB (2097152)");
        }
        if let Some(name) = &self.name {
            check_name(name)?;
        }
        claim_quietly();
        self.make(size).map_err(|failure| match &self.directory {
            None => Error::system(format_args!("cannot create a region of {size} bytes"), failure),
            Some(directory) => {
                let place = directory.display();
                Error::system(format_args!("cannot create a region of {size} bytes in {place}"), failure)
            }
        })
    }

    fn make(&self, size: u64) -> Result<Region, Failure> {
        let mut inner = match &self.directory {
            None => self.make_memory(size)?,
            Some(directory) => make_file(directory, size)?,
        };
        inner.populate = self.populate;
        Ok(Region(Arc::new(inner)))
    }

    fn make_memory(&self, size: u64) -> Result<RegionInner, Failure> {
        let (commit, granularity) = match (self.huge_pages, self.populate) {
            (true, _) => (Commit::HugePages, sys::HUGE_PAGE),
            (_, true) => (Commit::Now, sys::allocation_granularity()),
            _ => (Commit::OnTouch, sys::allocation_granularity()),
        };
        let memory = Memory::create(self.name.as_deref(), size, commit)?;
        Ok(RegionInner::created(memory, size, granularity))
    }
}

fn make_file(directory: &Path, size: u64) -> Result<RegionInner, Failure> {
    let memory = Memory::create_file(directory, size)?;
    // The file system may use huge pages, which only the kernel knows.
    let status = memory.status()?;
    Ok(RegionInner::with_status(memory, RegionKind::Unsealed, &status))
}
