use std::os::fd::{AsFd, BorrowedFd};

use crate::channel::{End, Sealed as _};
use crate::{Receiver, Sender};

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let [hears, _] = self.parts().doorbell.descriptors();
        hears
    }
}

/// Borrows the descriptor that becomes readable after [`Receiver::arm`]. Only an event loop uses it.
impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end().as_fd()
    }
}

/// Borrows the descriptor that becomes readable after [`Sender::arm`]. Only an event loop uses it.
impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end().as_fd()
    }
}
