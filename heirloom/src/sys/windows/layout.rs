//! What is where in a section.

/// How many bytes one large page holds, on every processor that Windows 10 runs on.
pub(crate) const HUGE_PAGE: u64 = 2 << 20;

/// How many bytes one page holds, on every processor that Windows 10 runs on.
const PAGE: u64 = 4 << 10;

/// What a view's offset must be a multiple of, on every Windows.
const GRANULARITY: u64 = 64 << 10;

/// Of what offsets of mappings must be multiples, in bytes.
pub(crate) const fn allocation_granularity() -> u64 {
    GRANULARITY
}

/// A region's own pages, and one behind them that says what the region is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// How many bytes the section has.
    pub(super) whole: u64,
    page: u64,
}

impl Layout {
    /// For a region of that size; of one that no section can have, for a section that nobody can make.
    pub(super) fn of_region(size: u64, huge: bool) -> Self {
        let page = if huge { HUGE_PAGE } else { PAGE };
        Self { whole: size.div_ceil(page).saturating_add(1).saturating_mul(page), page }
    }

    /// Of a section of that size, if it can be one of ours.
    pub(super) fn of_section(whole: u64, huge: bool) -> Option<Self> {
        let page = if huge { HUGE_PAGE } else { PAGE };
        (whole >= page && whole % page == 0).then_some(Self { whole, page })
    }

    pub(super) fn is_huge(self) -> bool {
        self.page == HUGE_PAGE
    }

    /// Of what offsets of views must be multiples.
    pub(super) fn allocation_granularity(self) -> u64 {
        GRANULARITY.max(self.page)
    }

    /// Where the region's own pages end, and the last page begins.
    pub(super) fn end(self) -> u64 {
        self.whole - self.page
    }
}
