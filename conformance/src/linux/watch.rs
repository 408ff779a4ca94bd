//! Watching a directory, see inotify(7).

use std::mem::MaybeUninit;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

/// What comes and goes in a directory.
#[derive(Debug)]
pub struct Watch(OwnedFd);

impl Watch {
    /// From now on.
    ///
    /// # Panics
    /// Where it can't be watched.
    #[must_use]
    pub fn over(directory: &Path) -> Self {
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&watch, directory, WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE).unwrap();
        Self(watch)
    }

    /// The names that came or went since, one each time.
    ///
    /// # Panics
    /// Where the system doesn't tell.
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
