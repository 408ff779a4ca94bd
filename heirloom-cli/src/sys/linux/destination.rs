//! The file that a region is saved to. It is opened as a shell's `>` opens it, but not truncated before the work is done.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags};
use rustix::io::Errno;

use super::Patient;

/// An open destination. If it was created and nothing was saved to it, it is removed when this is dropped.
pub struct Destination {
    file: Patient<File>,
    created: Option<Unfinished>,
}

impl Destination {
    /// Opens a file, which need not exist.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some((file, created)) = create(path)? {
            return Ok(Self { file: Patient(file), created: Some(created) });
        }
        // The kernel's rules for links and files of other users apply, as to any program that opens it.
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        Ok(Self { file: Patient(opened?), created: None })
    }

    /// Returns whether this and `other` are one file, where the second would replace what the first saved.
    pub fn replaces(&self, other: &Self) -> io::Result<bool> {
        let (this, other) = (rustix::fs::fstat(&self.file.0)?, rustix::fs::fstat(&other.file.0)?);
        Ok(is_regular(&this) && (this.st_dev, this.st_ino) == (other.st_dev, other.st_ino))
    }

    /// Replaces the content by `size` bytes that `write` writes. An old content is kept if there is no room for the new one.
    pub fn save(&mut self, size: u64, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let old = rustix::fs::fstat(&self.file.0)?;
        if is_regular(&old) {
            self.reserve(size, u64::try_from(old.st_size).unwrap_or_default())?;
        }
        write(&mut self.file)?;
        if is_regular(&old) {
            self.file.0.set_len(size)?;
            if rustix::fs::fstat(&self.file.0)?.st_nlink == 0 {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the file was removed meanwhile"));
            }
        }
        self.created = None;
        Ok(())
    }

    /// Reserves room, which the file systems that can't do it leave to the writes.
    fn reserve(&self, size: u64, old: u64) -> io::Result<()> {
        let full = loop {
            match rustix::fs::fallocate(&self.file.0, FallocateFlags::KEEP_SIZE, 0, size) {
                Err(Errno::INTR) => {}
                Err(full @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => break full,
                _ => return Ok(()),
            }
        };
        // Releases the part that was reserved.
        self.file.0.set_len(old)?;
        Err(full.into())
    }

    /// Returns what is to be removed if a signal ends this process before the region is saved.
    pub fn unfinished(&self) -> Option<Unfinished> {
        self.created.clone()
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if let Some(created) = &self.created {
            created.remove();
        }
    }
}

/// A file that was created for a region that isn't saved yet.
#[derive(Clone)]
pub struct Unfinished(Arc<Entry>);

struct Entry {
    directory: rustix::fd::OwnedFd,
    name: OsString,
    device: u64,
    inode: u64,
}

impl Unfinished {
    /// Removes the file, unless another one has its name by now.
    pub fn remove(&self) {
        let Entry { directory, name, device, inode } = &*self.0;
        let found = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
        if found.is_ok_and(|found| (found.st_dev, found.st_ino) == (*device, *inode)) {
            let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
        }
    }
}

/// Creates a file, or returns `None` if its name exists.
fn create(path: &Path) -> io::Result<Option<(File, Unfinished)>> {
    let Some(name) = path.file_name() else { return Ok(None) };
    // `file_name` ignores a slash at the end, which asks for a directory.
    if !path.as_os_str().as_encoded_bytes().ends_with(name.as_encoded_bytes()) {
        return Ok(None);
    }
    let directory = path.parent().filter(|directory| *directory != Path::new("")).unwrap_or(Path::new("."));
    let directory = rustix::fs::open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(directory.as_fd(), name, flags, Mode::from_raw_mode(0o666)) {
        Err(Errno::EXIST) => return Ok(None),
        opened => File::from(opened?),
    };
    let status = rustix::fs::fstat(&file)?;
    let entry = Entry { directory, name: name.to_owned(), device: status.st_dev, inode: status.st_ino };
    Ok(Some((file, Unfinished(Arc::new(entry)))))
}

fn is_regular(status: &rustix::fs::Stat) -> bool {
    rustix::fs::FileType::from_raw_mode(status.st_mode).is_file()
}
