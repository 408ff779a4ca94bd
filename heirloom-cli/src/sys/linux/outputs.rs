//! What the workers of `run --split` print, kept until it is its turn.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};

use super::streams::{Patient, output};
use crate::failure::Failure;
use crate::standard::{self, unwritable};

/// The most bytes of one write: a pipe that is ready takes as many without waiting.
const MOST: usize = 4096;
/// The most bytes that are moved to a pipe at once. Only those for which there is room are.
const MOST_SPLICED: usize = 1 << 20;

pub struct Outputs {
    standard: File,
    /// In the order of the blocks.
    kept: VecDeque<Output>,
    /// The one that is being written.
    current: Option<Current>,
    /// Whether each is written as soon as its worker has ended.
    unordered: bool,
}

struct Output {
    worker: usize,
    file: File,
    /// Whether the worker has ended.
    whole: bool,
}

struct Current {
    file: File,
    /// How much was written, and how much there is, in bytes.
    offset: u64,
    len: u64,
}

impl Outputs {
    pub fn new(unordered: bool) -> Result<Self, Failure> {
        standard::check_output()?;
        // A write that finds the pipe full mustn't wait here.
        let Patient(standard) = output().map_err(unwritable)?;
        Ok(Self { standard, kept: VecDeque::new(), current: None, unordered })
    }

    /// Returns how many workers' outputs are not written.
    pub fn len(&self) -> usize {
        self.kept.len() + usize::from(self.current.is_some())
    }

    /// Makes the standard output of a worker.
    pub fn add(&mut self, worker: usize) -> Result<File, Failure> {
        let make = || -> io::Result<_> {
            // Before Linux 6.3 there is no such seal.
            let create = |flags| memfd_create(c"output", MemfdFlags::CLOEXEC | flags);
            let file = File::from(create(MemfdFlags::NOEXEC_SEAL).or_else(|_| create(MemfdFlags::empty()))?);
            Ok((file.try_clone()?, file))
        };
        let (theirs, file) =
            make().map_err(|error| Failure::new(format_args!("cannot keep the output of a worker: {error}")))?;
        self.kept.push_back(Output { worker, file, whole: false });
        Ok(theirs)
    }

    /// Notes that a worker has ended.
    pub fn finish(&mut self, worker: usize) -> Result<(), Failure> {
        if let Some(output) = self.kept.iter_mut().find(|output| output.worker == worker) {
            output.whole = true;
        }
        self.choose().map_err(unwritable)
    }

    /// Returns standard output, if there is something to write.
    pub fn wanted(&self) -> Option<BorrowedFd<'_>> {
        self.current.is_some().then(|| self.standard.as_fd())
    }

    /// Writes once.
    pub fn write(&mut self) -> Result<(), Failure> {
        let Some(current) = &mut self.current else { return Ok(()) };
        match current.write_to(&mut self.standard) {
            Ok(()) if current.rest() == 0 => {
                self.current = None;
                self.choose().map_err(unwritable)
            }
            Ok(()) => Ok(()),
            // Another process that shares the pipe filled it.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(error) => Err(unwritable(error)),
        }
    }

    /// Chooses what to write next.
    fn choose(&mut self) -> io::Result<()> {
        while self.current.is_none() {
            let mut candidates = self.kept.iter().take(if self.unordered { self.kept.len() } else { 1 });
            let next = candidates.position(|output| output.whole).and_then(|index| self.kept.remove(index));
            let Some(Output { file, .. }) = next else { break };
            let len = file.metadata()?.len();
            self.current = Some(Current { file, offset: 0, len }).filter(|current| current.rest() > 0);
        }
        Ok(())
    }
}

impl Current {
    fn rest(&self) -> u64 {
        self.len.saturating_sub(self.offset)
    }

    /// Writes as much as the file takes without waiting.
    fn write_to(&mut self, to: &mut File) -> io::Result<()> {
        let moved = if self.rest() > MOST as u64 {
            match splice(&self.file, Some(&mut self.offset), &*to, None, MOST_SPLICED, SpliceFlags::NONBLOCK) {
                // It isn't a pipe.
                Err(Errno::INVAL) => self.copy_to(to)?,
                moved => moved?,
            }
        } else {
            // What is copied shares a page of the pipe with what is there already.
            self.copy_to(to)?
        };
        if moved == 0 {
            // A process that the worker left behind made the file shorter.
            self.len = self.offset;
        }
        Ok(())
    }

    fn copy_to(&mut self, to: &mut File) -> io::Result<usize> {
        let mut buffer = [0; MOST];
        let read = self.file.read_at(&mut buffer, self.offset)?;
        let written = to.write(&buffer[..read])?;
        self.offset += written as u64;
        Ok(written)
    }
}
