//! Extensions for Windows: handles in and out of regions.
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

/// Borrows the handle. Its user may duplicate it, so a writable region can no longer be made read-only or frozen.
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

/// Borrows the handle that the child must inherit under the same number.
impl AsHandle for ExportedRegion {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.memory.as_handle()
    }
}

/// Borrows the process handle, which is signalled when the process ends.
impl AsHandle for Child {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.process.as_handle()
    }
}

/// Returns the process handle. Piped streams that were not taken are closed.
impl From<Child> for OwnedHandle {
    fn from(child: Child) -> Self {
        child.process.into()
    }
}
