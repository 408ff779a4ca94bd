//! What only Windows has: handles, in and out of regions.
//!
//! ```
//! use std::os::windows::io::{AsHandle, OwnedHandle};
//!
//! use heirloom::FrozenRegion;
//!
//! let text = FrozenRegion::from_bytes("text")?;
//! println!("{:?}", text.as_handle());
//! let handle = OwnedHandle::try_from(text)?;
//! assert_eq!(&*FrozenRegion::try_from(handle)?.map()?, b"text");
//! # Ok::<(), heirloom::Error>(())
//! ```

use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};

use crate::region::Sealed as _;
use crate::{AnyRegion, Child, ExportedRegion, FrozenRegion, ReadOnlyRegion, Region};

/// Whoever has the handle may pass it on: a region that can still be written can then be neither published nor frozen any
/// more.
impl AsHandle for Region {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.memory.as_handle()
    }
}

impl AsHandle for ReadOnlyRegion {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.memory.as_handle()
    }
}

impl AsHandle for AnyRegion {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.inner().memory.as_handle()
    }
}

impl AsHandle for FrozenRegion {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.memory.as_handle()
    }
}

/// The handle that the child is to inherit, under its number.
impl AsHandle for ExportedRegion {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.memory.as_handle()
    }
}

/// The process's handle, which is signalled when it ends.
impl AsHandle for Child {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.process.as_handle()
    }
}

/// The process's handle alone; its streams are closed, where they were piped and not taken.
impl From<Child> for OwnedHandle {
    fn from(child: Child) -> Self {
        child.process.into()
    }
}
