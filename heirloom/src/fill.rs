//! How bytes get into a region that is not frozen yet.

use std::fs::File;
use std::io::{self, Read};

use crate::object::Object;
use crate::sys::{self, Failure, Filling, Memory};
use crate::{Error, ErrorKind, Result};

/// How much passes through a buffer at once, in bytes: it stays in the processor's cache.
const BUFFER: usize = 128 << 10;

/// What is filled without a look whether memory is there, in bytes.
const FIRST: u64 = 16 << 20;

/// What is filled between two looks at the least, in bytes: much more than one costs.
const STEP: u64 = 64 << 20;

/// What is filled between two looks where there is more: that part of what is available.
const PART: u64 = 16;

/// Memory that grows by what is written to it.
pub(crate) struct Filler {
    memory: Filling,
    size: u64,
    /// How large this process may make it.
    limit: u64,
    /// Up to which size memory was found to be there.
    assured: u64,
}

impl Filler {
    pub(crate) fn new(memory: Filling) -> Self {
        Self { memory, size: 0, limit: sys::size_limit(), assured: FIRST }
    }

    pub(crate) fn freeze(self) -> Result<(Memory, u64), Failure> {
        Ok((self.memory.freeze(self.size)?, self.size))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        // Past the limit the kernel doesn't only refuse: it ends the process.
        if bytes.len() as u64 > self.room() {
            return Err(self.too_large());
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let part = usize::try_from(self.assured()?).map_or(rest.len(), |assured| assured.min(rest.len()));
            let (now, later) = rest.split_at(part);
            self.memory.write(now).map_err(|error| self.failed(error))?;
            self.size += now.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// Takes all that is left in `reader`, through a buffer.
    pub(crate) fn read_from(&mut self, reader: &mut impl Read) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => self.write(&buffer[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Takes all that a region holds, whose other holders may do to it meanwhile what they can.
    pub(crate) fn copy_from(&mut self, object: &Object) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        // By reading, not through a mapping: where somebody cuts it, that is an error and no signal.
        while self.size < object.size() {
            match object.memory.read_at(self.size, &mut buffer) {
                Ok(0) => {
                    let message =
                        format!("cannot copy {object}: a holder made it shorter than {} bytes", self.size + 1);
                    return Err(Error::new(ErrorKind::Mismatch, message));
                }
                Ok(read) => self.write(&buffer[..read])?,
                Err(failure) => return Err(object.failed("copy", failure)),
            }
        }
        Ok(())
    }

    /// Takes all that is left in `file`, inside the kernel where it can.
    pub(crate) fn take_from(&mut self, file: &File) -> Result<()> {
        while self.room() > 0 {
            let part = self.room().min(self.assured()?);
            match self.memory.transfer(file, part) {
                Ok(0) => return Ok(()),
                Ok(moved) => self.size += moved,
                // It can't be done with such a file; or it can't be read at all, which reading will tell.
                Err(_) => break,
            }
        }
        self.read_from(&mut &*file)
    }

    /// How many bytes can be filled before it must be looked again whether memory is left: the kernel would not refuse
    /// them, but end some process for them.
    fn assured(&mut self) -> Result<u64> {
        if self.size == self.assured {
            // The half, since others want some meanwhile.
            let available = sys::available_memory() / 2;
            if available < FIRST {
                let message =
                    format!("cannot fill a frozen region beyond {} bytes: too little memory is left", self.size);
                return Err(Error::new(ErrorKind::OutOfMemory, message));
            }
            self.assured += available.min(STEP.max(available / PART));
        }
        Ok(self.assured - self.size)
    }

    fn room(&self) -> u64 {
        self.limit - self.size
    }

    fn too_large(&self) -> Error {
        let message = format!(
            "cannot fill a frozen region beyond {} bytes: this process's limit on file sizes (ulimit -f) is {}",
            self.size, self.limit
        );
        Error::new(ErrorKind::TooLarge, message)
    }

    fn failed(&self, error: io::Error) -> Error {
        let tried = format!("cannot fill a frozen region after {} bytes", self.size);
        Error::system(tried, error.into())
    }
}
