//! A model of the pipes by which the ends of a channel wake each other.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use loom::sync::{Condvar, Mutex};

use crate::sys::failure::Result;
use crate::sys::status::Heard;

/// One side of a pair.
#[derive(Debug)]
pub(crate) struct Doorbell {
    hears: Arc<Pipe>,
    rings: Arc<Pipe>,
}

#[derive(Debug, Default)]
struct Pipe {
    contents: Mutex<Contents>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Contents {
    bytes: usize,
    /// How many can write.
    writers: usize,
}

impl Doorbell {
    pub(crate) fn pair() -> Result<(Self, Self)> {
        let (first, second) = (Arc::<Pipe>::default(), Arc::<Pipe>::default());
        Ok((Self::over(&first, &second), Self::over(&second, &first)))
    }

    fn over(hears: &Arc<Pipe>, rings: &Arc<Pipe>) -> Self {
        rings.change(|contents| contents.writers += 1);
        Self { hears: Arc::clone(hears), rings: Arc::clone(rings) }
    }

    pub(crate) fn received(_: [OwnedFd; 2]) -> Result<Self> {
        unimplemented!()
    }

    pub(crate) fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        unimplemented!()
    }

    pub(crate) fn ring(&self) {
        self.rings.change(|contents| contents.bytes += 1);
    }

    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> Result<Heard> {
        assert_eq!(timeout, None, "time never passes here");
        self.until_readable();
        self.read()
    }

    pub(crate) fn heard(&mut self) -> Result<Heard> {
        match self.read()? {
            Heard::Rung if self.read()? == Heard::PeerGone => Ok(Heard::PeerGone),
            heard => Ok(heard),
        }
    }

    fn read(&self) -> Result<Heard> {
        let mut contents = self.hears.contents.lock().unwrap();
        Ok(match (std::mem::take(&mut contents.bytes), contents.writers) {
            (0, 0) => Heard::PeerGone,
            (0, _) => Heard::Nothing,
            _ => Heard::Rung,
        })
    }

    /// Waits as an event loop does: until reading the descriptor wouldn't wait.
    pub(crate) fn until_readable(&self) {
        let mut contents = self.hears.contents.lock().unwrap();
        while contents.bytes == 0 && contents.writers > 0 {
            contents = self.hears.changed.wait(contents).unwrap();
        }
    }
}

/// Copies the descriptors, as a fork does.
impl Clone for Doorbell {
    fn clone(&self) -> Self {
        Self::over(&self.hears, &self.rings)
    }
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        self.rings.change(|contents| contents.writers -= 1);
    }
}

impl Pipe {
    fn change(&self, change: impl FnOnce(&mut Contents)) {
        change(&mut self.contents.lock().unwrap());
        self.changed.notify_all();
    }
}
