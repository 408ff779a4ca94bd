use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::object::Object;
use crate::sys::{self, Failure, Memory, Supply};
use crate::{Error, ErrorKind, Region, RegionKind, Result, inheritance, name};

/// How a [`Region`] is to be made; from [`Region::options`].
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
    /// A name for whoever debugs: the kernel shows it as `/memfd:heirloom:NAME`. Nothing can be opened by it.
    ///
    /// At most 240 bytes, not empty, without NUL. The names under which a region is handed down are others.
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

    /// Whether to take all the memory now: `create` fails where less is available, and every mapping made through this
    /// handle has all its pages from the start, so that no first touch costs a page fault.
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

    /// Whether to use pages of 2 MiB. They are taken from the system's pool (`vm.nr_hugepages`) at `create`, which fails
    /// where too few are free. The size, and offsets of mappings, must be multiples of 2 MiB. Windows wants the user's
    /// privilege to lock pages in memory for them, and takes one more for itself.
    ///
    /// While it is writable, any holder can give pages back to the pool and use them up, and a touch of one then ends the
    /// process: hand it down published or frozen to children that may turn hostile. The kernel lets any holder make it
    /// executable.
    ///
    /// ```
    /// use heirloom::{ErrorKind, Region};
    ///
    /// let region = match Region::options().huge_pages(true).create(2 << 20) {
    ///     // None are free here, or there are none at all: ordinary pages will do.
    ///     Err(error) if matches!(error.kind(), ErrorKind::OutOfMemory | ErrorKind::Unsupported) => Region::create(2 << 20)?,
    ///     answer => answer?,
    /// };
    /// # assert_eq!(region.size(), 2 << 20);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn huge_pages(&mut self, huge_pages: bool) -> &mut Self {
        self.huge_pages = huge_pages;
        self
    }

    /// Accepts an unnamed file in `directory` in place of the kernel's anonymous memory, for systems and sandboxes that
    /// have none, or for a region that should live on a disk.
    ///
    /// The space for it is reserved at `create`. What it can't promise: the kernel doesn't seal a file, so it can be
    /// neither published nor frozen, **any holder can change its size** and so end the others by `SIGBUS`, and where the
    /// directory is on a disk, so are the bytes. On Windows it is [`ErrorKind::Unsupported`]: there every file has a name.
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

    /// Makes a region of `size` bytes, all zero.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidInput`]: a size of 0 or, with huge pages, no multiple of 2 MiB; a bad name; huge pages in a
    ///   directory.
    /// - [`ErrorKind::TooLarge`]: the size passes `isize::MAX`, or this process's limit (`ulimit -f`).
    /// - [`ErrorKind::OutOfMemory`]: what was to be reserved is not there; [`ErrorKind::OutOfDescriptors`].
    /// - [`ErrorKind::Unsupported`]: this system or sandbox has no anonymous memory, no huge pages, or the directory's
    ///   file system no unnamed files.
    ///
    /// ```
    /// let region = heirloom::Region::options().create(4096)?;
    /// # assert_eq!(region.size(), 4096);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn create(&self, size: u64) -> Result<Region> {
        let refused = |kind, why: &str| Err(Error::new(kind, format!("cannot create a region of {size} bytes: {why}")));
        if size == 0 {
            return refused(ErrorKind::InvalidInput, "a region holds at least one byte");
        }
        if isize::try_from(size).is_err() {
            return refused(ErrorKind::TooLarge, "no address space holds that");
        }
        if size > sys::size_limit() {
            return refused(ErrorKind::TooLarge, "this process's limit on file sizes (ulimit -f) is smaller");
        }
        if self.huge_pages && self.directory.is_some() {
            return refused(ErrorKind::InvalidInput, "a file in a directory has no huge pages");
        }
        if self.huge_pages && size % sys::HUGE_PAGE != 0 {
            return refused(ErrorKind::InvalidInput, "with huge pages, a size is a multiple of 2 MiB (2097152)");
        }
        if let Some(name) = &self.name {
            name::check(name)?;
        }
        inheritance::claim_quietly();
        self.make(size).map_err(|failure| match &self.directory {
            None => Error::system(format_args!("cannot create a region of {size} bytes"), failure),
            Some(directory) => {
                let place = directory.display();
                Error::system(format_args!("cannot create a region of {size} bytes in {place}"), failure)
            }
        })
    }

    fn make(&self, size: u64) -> Result<Region, Failure> {
        let mut object = match &self.directory {
            None => self.make_memory(size)?,
            Some(directory) => make_file(directory, size)?,
        };
        object.populate = self.populate;
        Ok(Region(Arc::new(object)))
    }

    fn make_memory(&self, size: u64) -> Result<Object, Failure> {
        let (supply, granule) = match (self.huge_pages, self.populate) {
            (true, _) => (Supply::HugePages, sys::HUGE_PAGE),
            (_, true) => (Supply::AtOnce, sys::granule()),
            _ => (Supply::AsTouched, sys::granule()),
        };
        let memory = Memory::create(self.name.as_deref(), size, supply)?;
        Ok(Object::created(memory, size, granule))
    }
}

fn make_file(directory: &Path, size: u64) -> Result<Object, Failure> {
    let memory = Memory::create_file(directory, size)?;
    // It may be on a file system of huge pages, which only the kernel knows.
    let status = memory.status()?;
    Ok(Object::over(memory, RegionKind::Unsealed, &status))
}
