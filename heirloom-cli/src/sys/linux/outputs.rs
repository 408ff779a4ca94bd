//! What the workers of `run --split` print, kept until it is its turn.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};

use crate::failure::Failure;
use crate::standard;

/// The most bytes of one write: what is ready takes as many without waiting for long.
const MOST: usize = 16 << 10;
/// The most bytes that are moved to a pipe at once. Only those for which there is room are.
const MOST_SPLICED: usize = 1 << 20;

pub struct Outputs {
    standard: File,
    /// In the order of the blocks.
    kept: VecDeque<Output>,
    /// The one that is being written, and how much of it was.
    current: Option<(File, u64)>,
    /// Whether each is written as soon as its worker has ended.
    unordered: bool,
}

struct Output {
    worker: usize,
    file: File,
    /// Whether the worker has ended.
    whole: bool,
}

impl Outputs {
    pub fn new(unordered: bool) -> Result<Self, Failure> {
        standard::check_output()?;
        let standard = io::stdout().as_fd().try_clone_to_owned().map_err(|error| unwritable(&error))?;
        Ok(Self { standard: standard.into(), kept: VecDeque::new(), current: None, unordered })
    }

    /// Returns how many workers' outputs are not written.
    pub fn len(&self) -> usize {
        self.kept.len() + usize::from(self.current.is_some())
    }

    /// Makes the standard output of a worker.
    pub fn add(&mut self, worker: usize) -> Result<File, Failure> {
        let make = || -> io::Result<_> {
            let file = File::from(memfd_create(c"output", MemfdFlags::CLOEXEC)?);
            Ok((file.try_clone()?, file))
        };
        let (theirs, file) =
            make().map_err(|error| Failure::new(format_args!("cannot keep the output of a worker: {error}")))?;
        self.kept.push_back(Output { worker, file, whole: false });
        Ok(theirs)
    }

    /// Notes that a worker has ended.
    pub fn finish(&mut self, worker: usize) {
        if let Some(output) = self.kept.iter_mut().find(|output| output.worker == worker) {
            output.whole = true;
        }
        self.choose();
    }

    /// Returns standard output, if there is something to write.
    pub fn wanted(&self) -> Option<BorrowedFd<'_>> {
        self.current.is_some().then(|| self.standard.as_fd())
    }

    /// Writes once.
    pub fn write(&mut self) -> Result<(), Failure> {
        let Some((file, offset)) = &mut self.current else { return Ok(()) };
        match write_from(file, offset, &mut self.standard) {
            Ok(0) => {
                self.current = None;
                self.choose();
            }
            Ok(_) => {}
            // Another process that shares the pipe filled it.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(unwritable(&error)),
        }
        Ok(())
    }

    /// Chooses what to write next.
    fn choose(&mut self) {
        if self.current.is_some() {
            return;
        }
        let mut candidates = self.kept.iter().take(if self.unordered { self.kept.len() } else { 1 });
        let next = candidates.position(|output| output.whole).and_then(|index| self.kept.remove(index));
        self.current = next.map(|output| (output.file, 0));
    }
}

/// Writes as much as standard output takes without waiting, from an offset, which it moves on. Returns 0 at the end of the file.
fn write_from(file: &File, offset: &mut u64, to: &mut File) -> io::Result<usize> {
    match splice(file, Some(offset), &*to, None, MOST_SPLICED, SpliceFlags::NONBLOCK) {
        // It isn't a pipe.
        Err(Errno::INVAL) => {}
        moved => return Ok(moved?),
    }
    let mut buffer = [0; MOST];
    let read = file.read_at(&mut buffer, *offset)?;
    let written = to.write(&buffer[..read])?;
    *offset += written as u64;
    Ok(written)
}

fn unwritable(error: &io::Error) -> Failure {
    Failure::new(format_args!("cannot write to standard output: {error}"))
}
