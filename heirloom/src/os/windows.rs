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

use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle, RawHandle};

use crate::region::Sealed as _;
use crate::{AnyRegion, Child, ExportedRegion, FrozenRegion, ReadOnlyRegion, Region};

macro_rules! handle {
    ($($(#[$doc:meta])* $owner:ty: $handle:expr;)*) => {$(
        $(#[$doc])*
        impl AsHandle for $owner {
            fn as_handle(&self) -> BorrowedHandle<'_> {
                let handle: fn(&Self) -> BorrowedHandle<'_> = $handle;
                handle(self)
            }
        }

        impl AsRawHandle for $owner {
            fn as_raw_handle(&self) -> RawHandle {
                self.as_handle().as_raw_handle()
            }
        }
    )*};
}

handle! {
    /// Borrows the handle. Its user may duplicate it, so a writable region can no longer be made read-only or frozen.
    Region: |region| region.0.memory.as_handle();
    ReadOnlyRegion: |region| region.0.memory.as_handle();
    FrozenRegion: |region| region.0.memory.as_handle();
    AnyRegion: |region| region.inner().memory.as_handle();
    /// Borrows the handle that the child must inherit under the same number.
    ExportedRegion: |exported| exported.memory.as_handle();
    /// Borrows the process handle, which is signalled when the process ends.
    Child: |child| child.process.as_handle();
}

/// Returns the process handle. Piped streams that were not taken are closed.
impl From<Child> for OwnedHandle {
    fn from(child: Child) -> Self {
        child.process.into()
    }
}
