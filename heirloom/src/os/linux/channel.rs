use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::channel::Sealed as _;
use crate::{Receiver, Sender};

macro_rules! hears {
    ($($end:ident)*) => {$(
        #[doc = concat!("Borrows the descriptor that becomes readable after [`", stringify!($end), "::arm`], for an event loop.")]
        impl AsFd for $end {
            fn as_fd(&self) -> BorrowedFd<'_> {
                let [hears, _] = self.end().parts().doorbell.descriptors();
                hears
            }
        }

        impl AsRawFd for $end {
            fn as_raw_fd(&self) -> RawFd {
                self.as_fd().as_raw_fd()
            }
        }
    )*};
}

hears!(Sender Receiver);
