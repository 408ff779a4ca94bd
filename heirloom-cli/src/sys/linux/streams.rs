//! Standard input and output that wait, whatever the caller did to them.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};

/// Opens standard input as a file.
pub fn input() -> io::Result<File> {
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

/// Opens standard output.
pub fn output() -> io::Result<Patient<File>> {
    Ok(Patient(io::stdout().as_fd().try_clone_to_owned()?.into()))
}

/// A stream whose reads and writes wait, even if another process that shares it made it non-blocking, as some shells and
/// runtimes do.
pub struct Patient<F>(pub F);

impl<F: Read + AsFd> Read for Patient<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => wait_until(self.0.as_fd(), PollFlags::IN)?,
                read => return read,
            }
        }
    }
}

impl<F: Write + AsFd> Write for Patient<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => wait_until(self.0.as_fd(), PollFlags::OUT)?,
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn wait_until(file: BorrowedFd<'_>, ready: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::from_borrowed_fd(file, ready)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
