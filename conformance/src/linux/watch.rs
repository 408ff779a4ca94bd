//! Watches a directory, see inotify(7).

use std::mem::MaybeUninit;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

/// A watch for names that are added to or removed from a directory.
#[derive(Debug)]
pub struct Watch(OwnedFd);

impl Watch {
    /// Starts to watch a directory.
    ///
    /// # Panics
    /// If the directory cannot be watched.
    #[must_use]
    pub fn over(directory: &Path) -> Self {
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&watch, directory, WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE).unwrap();
        Self(watch)
    }

    /// Returns the names added or removed since the last call, once per event.
    ///
    /// # Panics
    /// If the events cannot be read.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut reader = inotify::Reader::new(&self.0, &mut buffer);
        let mut names = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => names.extend(event.file_name().map(|name| name.to_str().unwrap().to_owned())),
                Err(Errno::AGAIN) => return names,
                Err(errno) => panic!("{errno}"),
            }
        }
    }
}
