//! Huge pages for a frozen region.

use crate::FrozenOptions;
use crate::os::unix::sealed::Sealed;

/// Extends [`FrozenOptions`] by what Linux offers.
///
/// ```
/// use heirloom::FrozenRegion;
/// use heirloom::os::linux::FrozenOptionsExt;
///
/// let weights = FrozenRegion::options().use_huge_pages(true).from_bytes(vec![1; 4 << 20])?;
/// assert_eq!(weights.map()?[(4 << 20) - 1], 1);
/// # Ok::<(), heirloom::Error>(())
/// ```
pub trait FrozenOptionsExt: Sealed {
    /// Sets whether the bytes are put into huge pages of 2 MiB while they are filled, as far as the kernel has them.
    ///
    /// No pool is needed, and every seal holds. Filling takes about as long, and the first touch of all pages a tenth of the
    /// time (`bench/run fill touch`). For that a mapping must be at a suitable address. The kernel finds one by itself unless
    /// `/sys/kernel/mm/transparent_hugepage/shmem_enabled` is `never`, the default, or `deny`; a mapping of this library moves
    /// there by [`MappingExt::use_huge_pages`](super::MappingExt::use_huge_pages), which also tells how many bytes are in huge
    /// pages.
    ///
    /// Where a block of 2 MiB takes too long, because free memory is fragmented or the host of a virtual machine has taken it
    /// back, the next blocks get ordinary pages. So do the rest of the last block, and every region on a kernel before 6.1,
    /// without transparent huge pages or with ordinary pages of more than 4 KiB. This is not an error. See `MADV_COLLAPSE` in
    /// [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html).
    ///
    /// ```
    /// use std::fs::File;
    /// use std::time::Duration;
    ///
    /// use heirloom::FrozenRegion;
    /// use heirloom::os::linux::{FrozenOptionsExt, MappingExt};
    ///
    /// let file = File::open("Cargo.toml")?;
    /// let region = FrozenRegion::options().use_huge_pages(true).from_file(&file)?;
    /// assert!(region.map()?.starts_with(b"[package]"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn use_huge_pages(&mut self, use_huge_pages: bool) -> &mut Self;
}

impl Sealed for FrozenOptions {}

impl FrozenOptionsExt for FrozenOptions {
    fn use_huge_pages(&mut self, use_huge_pages: bool) -> &mut Self {
        self.huge_pages = use_huge_pages;
        self
    }
}
