//! Where the pages of a region and its trailer are in a section.

use crate::sys::status::Status;

/// The size of a large page in bytes, on every processor that Windows 10 runs on.
pub(crate) const HUGE_PAGE: u64 = 2 << 20;

/// The size of a page in bytes, on every processor that Windows 10 runs on.
const PAGE: u64 = 4 << 10;

/// The alignment of the offsets of views, on every Windows.
const GRANULARITY: u64 = 64 << 10;

/// Returns the alignment of mapping offsets, in bytes.
pub(crate) const fn allocation_granularity() -> u64 {
    GRANULARITY
}

/// The pages of a region, and one page behind them for the trailer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The size of the section in bytes.
    pub(crate) whole: u64,
    page: u64,
}

impl Layout {
    /// Returns the layout for a region of `size` bytes. A size too large for any section gives a section that can't be
    /// created.
    pub(crate) fn of_region(size: u64, huge: bool) -> Self {
        let page = if huge { HUGE_PAGE } else { PAGE };
        Self { whole: size.div_ceil(page).saturating_add(1).saturating_mul(page), page }
    }

    /// Returns the layout of validated memory.
    pub(crate) fn of_status(status: &Status) -> Self {
        Self::of_region(status.size, status.granularity == HUGE_PAGE)
    }

    /// Returns the layout of a section of `whole` bytes, if it can hold a region.
    pub(crate) fn of_section(whole: u64, huge: bool) -> Option<Self> {
        let page = if huge { HUGE_PAGE } else { PAGE };
        (whole >= page && whole % page == 0).then_some(Self { whole, page })
    }

    pub(crate) fn is_huge(self) -> bool {
        self.page == HUGE_PAGE
    }

    /// Returns the alignment of mapping offsets.
    pub(crate) fn granularity(self) -> u64 {
        GRANULARITY.max(self.page)
    }

    /// Returns the offset of the trailer, which is the end of the region's pages.
    pub(crate) fn end(self) -> u64 {
        self.whole - self.page
    }
}
